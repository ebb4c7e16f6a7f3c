//! What the embedder supplies: time, randomness, the three streams, and a way to wait.
//!
//! Inside the enclave these stand between the program and a host that is not trusted: an implementation checks what
//! the host answers. This crate believes the types (a count is within the buffer, or it is cut) and nothing more.

use crate::errno::Errno;

/// Where the program's clocks come from, in nanoseconds.
pub trait Clock: Send {
    /// Never runs backwards; its zero means nothing.
    fn monotonic(&self) -> u64;
    /// Since 1970-01-01 UTC.
    fn realtime(&self) -> u64;
    /// What `clock_res_get` answers for the monotonic clock.
    fn monotonic_resolution(&self) -> u64 {
        1
    }
    /// What `clock_res_get` answers for the realtime clock.
    fn realtime_resolution(&self) -> u64 {
        1
    }
}

/// A cryptographic source of random bytes that cannot fail (or ends the enclave).
pub trait Random: Send {
    /// Fills the buffer.
    fn fill(&mut self, buf: &mut [u8]);
}

/// Why a stream failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// The other end is gone (EPIPE).
    Closed,
    /// There is no room for more (ENOSPC).
    Full,
    /// Anything else (EIO).
    Failed,
}

impl From<StreamError> for Errno {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Closed => Errno::PIPE,
            StreamError::Full => Errno::NOSPC,
            StreamError::Failed => Errno::IO,
        }
    }
}

impl std::fmt::Display for StreamError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            StreamError::Closed => "nobody reads it",
            StreamError::Full => "there is no room for it",
            StreamError::Failed => "the host reports an error",
        })
    }
}

impl std::error::Error for StreamError {}

/// Standard input.
pub trait Stdin: Send {
    /// Blocks for at least one byte; 0 is the end of the input. May return early with an error when asked to stop.
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, StreamError>;
}

/// Standard output or error.
pub trait Output: Send {
    /// Writes all of it; called with whole buffers, not with every write of the program.
    fn write(&mut self, buf: &[u8]) -> Result<(), StreamError>;
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Woken {
    /// A read of standard input would not block (bytes or the end of the input are there).
    pub stdin_ready: bool,
}

/// Blocking until something happens.
pub trait Waiter: Send {
    /// Waits until the monotonic clock reads `deadline` (for ever if `None`) or, if `stdin`, until standard input can
    /// be read. May return early for any reason, above all when the program shall stop: the caller looks again.
    /// A deadline that has passed asks only how things stand.
    fn wait(&mut self, deadline: Option<u64>, stdin: bool) -> Woken;
}
