//! The run request: what the host asks an enclave to do.
//!
//! ```text
//! [version][flags][length of the workload][workload, zero-padded to 8]
//! ```
//! The workload is the canonical form of `twine-workload`, whose digest the enclave compares with CONFIGID. The flags
//! are the host's to choose: they show or cost something, and change nothing that a program may rely on.

/// Size of the three leading words.
pub const HEADER: usize = 24;

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
/// All flags of this version.
pub const ALL_FLAGS: u64 = (1 << 6) - 1;

/// A request taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRequest<'a> {
    /// The flags above.
    pub flags: u64,
    /// The workload's canonical form.
    pub workload: &'a [u8],
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
    /// The three leading words; the workload and its padding follow.
    pub fn header(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        for (slot, word) in header.chunks_exact_mut(8).zip([VERSION, self.flags, self.workload.len() as u64])
        {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        header
    }

    /// Takes a request apart; nothing may be left over.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = bytes;
        let mut word = || {
            let (head, tail) = rest.split_first_chunk::<8>().ok_or(Malformed::Length)?;
            rest = tail;
            Ok(u64::from_le_bytes(*head))
        };
        let (version, flags, length) = (word()?, word()?, word()?);
        if version != VERSION {
            return Err(Malformed::Version);
        }
        if flags & !ALL_FLAGS != 0 {
            return Err(Malformed::Reserved);
        }
        let length = usize::try_from(length).map_err(|_| Malformed::Length)?;
        let (workload, padding) = rest.split_at_checked(length).ok_or(Malformed::Length)?;
        if padding.len() != length.next_multiple_of(8) - length {
            return Err(Malformed::Length);
        }
        if padding.iter().any(|&byte| byte != 0) {
            return Err(Malformed::Reserved);
        }
        Ok(Self { flags, workload })
    }
}
