//! The three streams: what is buffered, and when it goes out.

use crate::abi::Filetype;
use crate::host::{Output, Stdin, StreamError};

/// The streams as the context holds them; the descriptor table only names them.
pub(crate) struct Stdio {
    pub(crate) stdin: Box<dyn Stdin>,
    stdout: Buffered,
    stderr: Box<dyn Output>,
    terminals: [bool; 3],
}

/// Which stream a descriptor stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdin,
    Stdout,
    Stderr,
}

struct Buffered {
    below: Box<dyn Output>,
    pending: Vec<u8>,
    bound: usize,
    flush_lines: bool,
    /// A failure that the program has not been told yet.
    failure: Option<StreamError>,
}

impl Stdio {
    pub(crate) fn new(
        stdin: Box<dyn Stdin>,
        stdout: Box<dyn Output>,
        stderr: Box<dyn Output>,
        terminals: [bool; 3],
        bound: usize,
    ) -> Self {
        let pending = Vec::with_capacity(bound);
        let stdout = Buffered { below: stdout, pending, bound, flush_lines: terminals[1], failure: None };
        Stdio { stdin, stdout, stderr, terminals }
    }

    /// isatty(3) in wasi-libc: a character device that can neither seek nor tell. Wasmtime says unknown to the rest.
    pub(crate) fn filetype(&self, stream: Stream) -> Filetype {
        let terminal = match stream {
            Stream::Stdin => self.terminals[0],
            Stream::Stdout => self.terminals[1],
            Stream::Stderr => self.terminals[2],
        };
        if terminal { Filetype::CHARACTER_DEVICE } else { Filetype::UNKNOWN }
    }

    pub(crate) fn write_stdout(&mut self, buf: &[u8]) -> Result<(), StreamError> {
        self.stdout.write(buf)
    }

    /// Unbuffered, and after what the program wrote to standard output before, so that a shared terminal or log shows
    /// both in the program's order.
    pub(crate) fn write_stderr(&mut self, buf: &[u8]) -> Result<(), StreamError> {
        self.settle();
        self.stderr.write(buf)
    }

    /// Writes standard output out before something else happens. A failure is not that something's: the next write,
    /// sync or flush of standard output tells it.
    pub(crate) fn settle(&mut self) {
        if let Err(failure) = self.stdout.flush() {
            self.stdout.failure = Some(failure);
        }
    }

    pub(crate) fn flush(&mut self) -> Result<(), StreamError> {
        self.stdout.flush()
    }
}

impl Buffered {
    fn write(&mut self, buf: &[u8]) -> Result<(), StreamError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if buf.len() > self.bound - self.pending.len() {
            self.flush()?;
        }
        if buf.len() > self.bound {
            return self.below.write(buf);
        }
        self.pending.extend_from_slice(buf);
        if self.flush_lines && buf.contains(&b'\n') { self.flush() } else { Ok(()) }
    }

    /// What could not be written is dropped: a stream that failed once is not tried again with the same bytes.
    fn flush(&mut self) -> Result<(), StreamError> {
        let earlier = self.failure.take().map_or(Ok(()), Err);
        if self.pending.is_empty() {
            return earlier;
        }
        let result = self.below.write(&self.pending);
        self.pending.clear();
        earlier.and(result)
    }
}
