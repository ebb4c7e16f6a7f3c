//! What the host sees of a processor with SGX: load an enclave, enter it, manage its pages.
//!
//! The protocol is Linux's, so that `/dev/sgx_enclave` with `__vdso_sgx_enter_enclave` fits as well as the simulated
//! processor: pages are added while loading only; later, pages appear by faulting in a range that is mapped with the
//! permissions asked for ([`Enclave::protect`] is mmap/mprotect of the enclave's mapping), and EPCM changes are the
//! ioctls RESTRICT_PERMISSIONS, MODIFY_TYPES and REMOVE_PAGES. Ranges are byte offsets from the enclave's base,
//! page-aligned.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use twine_sgx::{ErrorCode, SIGSTRUCT_SIZE};

bitflags::bitflags! {
    /// Page permissions.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Perms: u8 {
        /// Readable.
        const R = 1;
        /// Writable.
        const W = 2;
        /// Executable.
        const X = 4;
    }
}

impl Perms {
    /// Readable and writable.
    pub const RW: Self = Self::R.union(Self::W);
    /// Readable and executable.
    pub const RX: Self = Self::R.union(Self::X);
}

/// The loader's word about the workload (KSS); in every report and, by policy, in sealing keys, never in MRENCLAVE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// CONFIGID.
    pub id: [u8; 64],
    /// CONFIGSVN.
    pub svn: u16,
}

impl Default for Config {
    /// CONFIGID and CONFIGSVN zero, the only values for an enclave without ATTRIBUTES.KSS.
    fn default() -> Self {
        Self { id: [0; 64], svn: 0 }
    }
}

/// A processor that runs enclaves.
pub trait Backend: Send + Sync {
    /// `sim` or `sgx`.
    fn name(&self) -> &'static str;

    /// Loads the SGXS stream `image`, with ATTRIBUTES and MISCSELECT as `sigstruct` has them, and initialises it.
    ///
    /// Every page is mapped with the permissions of its SECINFO; the rest of ELRANGE is reserved and inaccessible.
    ///
    /// # Errors
    /// [`LoadError`]: the stream is malformed, the processor refuses the enclave, or the system lacks something.
    fn load(
        &self,
        image: &[u8],
        sigstruct: &[u8; SIGSTRUCT_SIZE],
        config: &Config,
    ) -> Result<Arc<dyn Enclave>, LoadError>;
}

/// An initialised enclave. It is unloaded when the last reference goes.
pub trait Enclave: Send + Sync {
    /// First address of ELRANGE.
    fn base(&self) -> u64;
    /// Size of ELRANGE in bytes.
    fn size(&self) -> u64;
    /// Addresses of the TCS pages of the image, ascending.
    fn tcs(&self) -> Vec<u64>;
    /// MRENCLAVE.
    fn mrenclave(&self) -> [u8; 32];
    /// MRSIGNER.
    fn mrsigner(&self) -> [u8; 32];

    /// Enters the enclave at `tcs` and returns when it exits, synchronously or not. `regs` are the registers that
    /// pass through in both directions; after anything but [`Exit::Exited`] they hold the processor's synthetic state.
    ///
    /// As on hardware the enclave may read and write all memory of this process, and must give RSP and RBP back as its
    /// latest entry, EENTER or ERESUME, found them (U_RSP and U_RBP of the SSA frame): the calling code stands on them.
    ///
    /// # Errors
    /// [`EntryFault`]: the leaf itself faulted (a TCS that is no TCS or is busy, no SSA frame left or none in use).
    fn enter(&self, leaf: Leaf, tcs: u64, regs: &mut Regs) -> Result<Exit, EntryFault>;

    /// Makes the thread that is inside at `tcs` leave with [`Exit::Interrupted`]. Says whether one was there: a thread
    /// that was just entering or leaving goes on with it, so a caller that must stop a thread repeats until it has.
    fn interrupt(&self, tcs: u64) -> bool;

    /// mprotect(2) of the enclave's mapping: what the page tables allow. EPCM permissions stay as they are.
    ///
    /// # Errors
    /// [`PageError`], with nothing changed: beyond ELRANGE, more than a page allows, or the system's mapping limit.
    fn protect(&self, range: Range<u64>, perms: Perms) -> Result<(), PageError>;

    /// RESTRICT_PERMISSIONS (EMODPR): removes EPCM permissions that are not in `perms`; the enclave must EACCEPT.
    ///
    /// # Errors
    /// [`PageError`]; pages before the offending one are changed.
    fn restrict(&self, range: Range<u64>, perms: Perms) -> Result<(), PageError>;

    /// MODIFY_TYPES to PT_TRIM (EMODT): pages become inaccessible; the enclave must EACCEPT before [`Enclave::remove`].
    ///
    /// # Errors
    /// [`PageError`]; pages before the offending one are changed.
    fn trim(&self, range: Range<u64>) -> Result<(), PageError>;

    /// MODIFY_TYPES to PT_TCS (EMODT): the enclave must EACCEPT before anyone can enter there.
    ///
    /// # Errors
    /// [`PageError`]; pages before the offending one are changed.
    fn make_tcs(&self, range: Range<u64>) -> Result<(), PageError>;

    /// REMOVE_PAGES: gives trimmed and accepted pages back to the system.
    ///
    /// # Errors
    /// [`PageError`]; pages before the offending one are removed.
    fn remove(&self, range: Range<u64>) -> Result<(), PageError>;
}

/// How to enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// EENTER.
    Eenter,
    /// ERESUME.
    Eresume,
}

/// The general registers that pass between host and enclave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[expect(missing_docs, reason = "they are registers")]
pub struct Regs {
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub r8: u64,
    pub r9: u64,
}

/// How the enclave was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// EEXIT.
    Exited,
    /// Asynchronously, by an exception; state is in the SSA.
    Exception(Exception),
    /// Asynchronously, by a signal; state is in the SSA.
    Interrupted,
}

/// What the operating system learns of an exception in an enclave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Vector.
    pub vector: u8,
    /// Error code, 0 for vectors without.
    pub error_code: u32,
    /// The page of a #PF (the low 12 bits are zero), else 0.
    pub address: u64,
}

/// EENTER or ERESUME faulted; nothing was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryFault {
    /// The leaf.
    pub leaf: Leaf,
    /// The fault.
    pub fault: Exception,
    /// Why, where the processor tells.
    pub reason: &'static str,
}

impl fmt::Display for EntryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leaf = match self.leaf {
            Leaf::Eenter => "EENTER",
            Leaf::Eresume => "ERESUME",
        };
        write!(f, "{leaf} faulted with vector {}: {}", self.fault.vector, self.reason)
    }
}

impl std::error::Error for EntryFault {}

/// Why an enclave was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The SGXS stream is malformed.
    #[error("the image is not a well-formed SGXS stream: {what} (record {record}); build or fetch it again")]
    Stream {
        /// What is wrong.
        what: &'static str,
        /// Which record of the stream, from 0.
        record: u64,
    },
    /// The image could not be read.
    #[error("the image cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// A leaf function of the loader faulted.
    #[error("{leaf} refuses the enclave: {reason}")]
    Fault {
        /// The leaf function.
        leaf: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// EINIT failed.
    #[error("EINIT refuses the enclave with {code:?}: {reason}")]
    Launch {
        /// EINIT's error code.
        code: ErrorCode,
        /// Why.
        reason: &'static str,
    },
    /// This machine lacks something.
    #[error("this machine cannot run enclaves this way: {what}; {remedy}")]
    Unsupported {
        /// What is missing.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A system call failed.
    #[error("{call} failed while loading the enclave: {error}")]
    System {
        /// The system call.
        call: &'static str,
        /// Its error.
        error: std::io::Error,
    },
}

/// Why a page operation failed.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The range is not page-aligned, is empty or runs backwards, or exceeds ELRANGE.
    #[error("range {start:#x}..{end:#x} is not a page range of the enclave")]
    Range {
        /// First byte.
        start: u64,
        /// One past the last.
        end: u64,
    },
    /// A page is in the wrong state.
    #[error("page at offset {offset:#x}: {reason}")]
    State {
        /// Offset of the page.
        offset: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A system call failed.
    #[error("{call} failed: {error}")]
    System {
        /// The system call.
        call: &'static str,
        /// Its error.
        error: std::io::Error,
    },
}
