//! The run request: what the host asks an enclave to do.
//!
//! ```text
//! [version][flags][length of the workload][length of the environment]
//! [workload, zero-padded to 8][environment, zero-padded to 8]
//! ```
//! The workload is the canonical form of `twine-workload`, whose digest the enclave compares with CONFIGID; it is empty
//! where it comes with a delivery. The flags
//! are the host's to choose: they show or cost something, and change nothing that a program may rely on. The environment
//! is `NAME=value` with a zero byte after each: values for the variables that the workload lets the host choose, and for
//! no others.

/// Size of the four leading words.
pub const HEADER: usize = 32;

/// Version of the request's layout.
pub const VERSION: u64 = 1;

/// Standard input is a terminal.
pub const STDIN_TERMINAL: u64 = 1 << 0;
/// Standard output is a terminal.
pub const STDOUT_TERMINAL: u64 = 1 << 1;
/// Standard error is a terminal.
pub const STDERR_TERMINAL: u64 = 1 << 2;
/// Use the sealed compilation cache.
pub const CACHE: u64 = 1 << 3;
/// Write a line per WASI call to [`crate::calls::Stream::Trace`]; refused by production enclaves.
pub const TRACE: u64 = 1 << 4;
/// Stop after compiling.
pub const COMPILE_ONLY: u64 = 1 << 5;
/// Code and secrets come over connections ([`crate::calls::PeerOpen`]).
pub const DELIVERED: u64 = 1 << 8;
/// All flags of this version.
pub const ALL_FLAGS: u64 = ((1 << 6) - 1) | DELIVERED;

/// A request taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRequest<'a> {
    /// The flags above.
    pub flags: u64,
    /// The workload's canonical form.
    pub workload: &'a [u8],
    /// The host's values of environment variables.
    pub environment: &'a [u8],
}

/// What is wrong with a request's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter or longer than it says.
    Length,
    /// Another version.
    Version,
    /// A flag that this version does not have, or padding that is not zero.
    Reserved,
}

impl<'a> RunRequest<'a> {
    /// The four leading words; the two parts and their padding follow.
    pub fn header(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        let words = [VERSION, self.flags, self.workload.len() as u64, self.environment.len() as u64];
        for (slot, word) in header.chunks_exact_mut(8).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        header
    }

    /// Takes a request apart; nothing may be left over.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = bytes;
        let mut words = [0; 4];
        for word in &mut words {
            let (head, tail) = rest.split_first_chunk::<8>().ok_or(Malformed::Length)?;
            *word = u64::from_le_bytes(*head);
            rest = tail;
        }
        let [version, flags, workload, environment] = words;
        if version != VERSION {
            return Err(Malformed::Version);
        }
        if flags & !ALL_FLAGS != 0 {
            return Err(Malformed::Reserved);
        }
        let workload = take_padded(&mut rest, workload)?;
        let environment = take_padded(&mut rest, environment)?;
        if rest.is_empty() { Ok(Self { flags, workload, environment }) } else { Err(Malformed::Length) }
    }
}

fn take_padded<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(length).map_err(|_| Malformed::Length)?;
    let padded = length.checked_next_multiple_of(8).ok_or(Malformed::Length)?;
    let (taken, tail) = rest.split_at_checked(padded).ok_or(Malformed::Length)?;
    *rest = tail;
    let (part, padding) = taken.split_at(length);
    if padding.iter().any(|&byte| byte != 0) {
        return Err(Malformed::Reserved);
    }
    Ok(part)
}
