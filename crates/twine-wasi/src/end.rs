//! How a WASI call ends the program instead of returning to it.

use crate::errno::Errno;

/// The program called `proc_exit`. The embedder finds it with `error.downcast_ref::<Exit>()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u32);

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the program exited with status {}", self.0)
    }
}

impl std::error::Error for Exit {}

/// The embedder's stop hook answered yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the program was asked to stop and did so at a WASI call")
    }
}

impl std::error::Error for Stopped {}

/// A call that the ABI answers with a trap: the program's memory or its pointers are not what WASI needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A pointer to a record is not aligned as the record is.
    Misaligned {
        /// The pointer.
        address: u32,
        /// What it should be a multiple of.
        alignment: u32,
    },
    /// A pointer and length reach beyond linear memory.
    OutOfBounds {
        /// The first byte.
        address: u32,
        /// Number of bytes from there.
        len: u64,
    },
    /// The module exports no memory named `memory`.
    NoMemory,
    /// The exported memory is shared between threads, which preview 1 here does not serve.
    SharedMemory,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Misaligned { address, alignment } => {
                write!(f, "pointer {address:#x} in a WASI call is not a multiple of {alignment}")
            }
            Fault::OutOfBounds { address, len } => {
                write!(f, "pointer {address:#x} in a WASI call with {len} bytes reaches beyond linear memory")
            }
            Fault::NoMemory => f.write_str("the module calls WASI but exports no memory named \"memory\""),
            Fault::SharedMemory => f.write_str(
                "the module's memory is shared; WASI preview 1 is served for unshared memories only \
                 (build without -pthread / wasm32-wasip1-threads)",
            ),
        }
    }
}

impl std::error::Error for Fault {}

/// Why a call did not succeed: most go back to the program as a number, the rest end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Errno(Errno),
    Fault(Fault),
    Exit(u32),
    Stopped,
}

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Failure::Errno(errno)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure::Fault(fault)
    }
}

impl From<twine_vfs::Error> for Failure {
    fn from(error: twine_vfs::Error) -> Self {
        Failure::Errno(error.into())
    }
}
