//! The run request: what the host asks an enclave to do.
//!
//! ```text
//! [version][flags][operation][lengths of the workload, the environment, the volume's name, the insecure keys]
//! [workload][environment][volume's name][insecure keys], each zero-padded to 8
//! ```
//! The workload is the canonical form of `twine-workload`, whose digest the enclave compares with CONFIGID; it is empty
//! where it comes with a delivery. The flags
//! are the host's to choose: they show or cost something, and change nothing that a program may rely on. The environment
//! is `NAME=value` with a zero byte after each: values for the variables that the workload lets the host choose, and for
//! no others. The insecure keys have the same form, a volume's name and 64 hex digits: debug enclaves take owner's keys
//! from the host, others refuse.

/// Size of the leading words.
pub const HEADER: usize = 56;

/// Version of the request's layout.
pub const VERSION: u64 = 2;

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
/// Code and secrets come over connections ([`crate::calls::PeerOpen`]).
pub const DELIVERED: u64 = 1 << 8;
/// All flags of this version.
pub const ALL_FLAGS: u64 = ((1 << 5) - 1) | DELIVERED;

/// What the enclave is to do as the workload that the request presents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u64)]
pub enum Operation {
    /// Run the program.
    #[default]
    Run = 0,
    /// Stop after compiling it.
    Compile = 1,
    /// Verify everything in one of its volumes; each thing that is wrong is a [`crate::calls::Finding`].
    Check = 2,
    /// Give the unused space of one of its volumes back to the host.
    Compact = 3,
    /// Copy one of its volumes into a new one under the owner's key that the workload names, in the store NAME[`EXPORT`].
    Export = 4,
    /// Make one of its volumes from one under an owner's key, in the store NAME[`IMPORT`].
    Import = 5,
    /// Open one of its volumes, and tell what [`crate::calls::VolumeState`] tells.
    Describe = 6,
}

/// Follows a volume's name in the name of the store that [`Operation::Export`] fills; no volume's name holds a slash.
pub const EXPORT: &str = "/export";
/// Follows a volume's name in the name of the store that [`Operation::Import`] reads.
pub const IMPORT: &str = "/import";

impl Operation {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] =
        [Self::Run, Self::Compile, Self::Check, Self::Compact, Self::Export, Self::Import, Self::Describe];
}

/// A request taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRequest<'a> {
    /// The flags above.
    pub flags: u64,
    /// What to do.
    pub operation: Operation,
    /// The workload's canonical form.
    pub workload: &'a [u8],
    /// The host's values of environment variables.
    pub environment: &'a [u8],
    /// Name of the volume that the operation is about; empty for those about none.
    pub volume: &'a [u8],
    /// Owner's keys by the host's hand.
    pub insecure_keys: &'a [u8],
}

/// What is wrong with a request's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter or longer than it says.
    Length,
    /// Another version.
    Version,
    /// A flag or operation that this version does not have, or padding that is not zero.
    Reserved,
}

impl<'a> RunRequest<'a> {
    /// The leading words; [`RunRequest::parts`] and their padding follow.
    pub fn header(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        let lengths = self.parts().map(|part| part.len() as u64);
        let words = [VERSION, self.flags, self.operation as u64].into_iter().chain(lengths);
        for (slot, word) in header.chunks_exact_mut(8).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        header
    }

    /// What follows the header, in order.
    pub fn parts(&self) -> [&'a [u8]; 4] {
        [self.workload, self.environment, self.volume, self.insecure_keys]
    }

    /// Takes a request apart; nothing may be left over.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = bytes;
        let mut words = [0; HEADER / 8];
        for word in &mut words {
            let (head, tail) = rest.split_first_chunk::<8>().ok_or(Malformed::Length)?;
            *word = u64::from_le_bytes(*head);
            rest = tail;
        }
        let [version, flags, operation, workload, environment, volume, insecure_keys] = words;
        if version != VERSION {
            return Err(Malformed::Version);
        }
        let known = Operation::ALL.into_iter().find(|known| *known as u64 == operation);
        let (Some(operation), 0) = (known, flags & !ALL_FLAGS) else { return Err(Malformed::Reserved) };
        let workload = take_padded(&mut rest, workload)?;
        let environment = take_padded(&mut rest, environment)?;
        let volume = take_padded(&mut rest, volume)?;
        let insecure_keys = take_padded(&mut rest, insecure_keys)?;
        let request = Self { flags, operation, workload, environment, volume, insecure_keys };
        if rest.is_empty() { Ok(request) } else { Err(Malformed::Length) }
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

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn bytes(request: &RunRequest<'_>) -> Vec<u8> {
        let mut bytes = request.header().to_vec();
        for part in request.parts() {
            bytes.extend_from_slice(part);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        bytes
    }

    #[test]
    fn a_request_has_one_form() {
        let request = RunRequest {
            flags: CACHE,
            operation: Operation::Export,
            workload: b"workload",
            environment: b"A=B\0",
            volume: b"data",
            insecure_keys: b"",
        };
        let good = bytes(&request);
        assert_eq!(RunRequest::parse(&good), Ok(request));
        for end in 0..good.len() {
            assert_eq!(RunRequest::parse(&good[..end]), Err(Malformed::Length), "{end} bytes");
        }
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            RunRequest::parse(&bytes).err()
        };
        assert_eq!(with(0, 1), Some(Malformed::Version));
        assert_eq!(with(8, 1 << 5), Some(Malformed::Reserved));
        assert_eq!(with(16, 7), Some(Malformed::Reserved));
        assert_eq!(with(HEADER + 13, 1), Some(Malformed::Reserved), "padding");
        assert_eq!(with(24 + 7, 0xff), Some(Malformed::Length));
        assert_eq!(with(24, 9), Some(Malformed::Reserved), "a length that reaches into the next part");
    }
}
