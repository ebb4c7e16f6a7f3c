//! The untrusted storage under a volume: one growing array of bytes.

mod memory;

mod fault;
#[cfg(feature = "file")]
mod file;

pub use fault::{Fault, FaultyStore};
#[cfg(feature = "file")]
pub use file::FileStore;
pub use memory::MemoryStore;

/// One piece of a vectored read.
pub struct ReadAt<'a> {
    /// Where in the store, in bytes.
    pub offset: u64,
    /// Filled entirely; bytes past the end of the store read as zeros.
    pub buf: &'a mut [u8],
}

/// One piece of a batched write.
pub struct WriteAt<'a> {
    /// Where in the store, in bytes.
    pub offset: u64,
    /// What to write.
    pub bytes: &'a [u8],
}

/// Host storage. Everything it answers is a claim that the volume verifies; only availability depends on it.
pub trait Store: Send {
    /// Length in bytes.
    fn length(&mut self) -> Result<u64, StoreError>;
    /// Reads every piece.
    fn read(&mut self, pieces: &mut [ReadAt<'_>]) -> Result<(), StoreError>;
    /// Writes every piece, in order where they overlap. Nothing is durable before [`Store::sync`].
    fn write(&mut self, pieces: &[WriteAt<'_>]) -> Result<(), StoreError>;
    /// One durable barrier: everything done before it survives a power cut.
    fn sync(&mut self) -> Result<(), StoreError>;
    /// [`Store::write`] and then [`Store::sync`], in one call where calls cost something.
    fn write_durably(&mut self, pieces: &[WriteAt<'_>]) -> Result<(), StoreError> {
        self.write(pieces)?;
        self.sync()
    }
    /// Makes `offset..offset + len` exist and be backed, extending the store, so that writing there cannot run out of
    /// space. [`StoreError::NoSpace`] leaves everything usable.
    fn allocate(&mut self, offset: u64, len: u64) -> Result<(), StoreError>;
    /// Gives the space of a range back to the host; its contents are unspecified afterwards.
    fn punch(&mut self, offset: u64, len: u64) -> Result<(), StoreError>;
    /// Cuts the store to `len` bytes.
    fn truncate(&mut self, len: u64) -> Result<(), StoreError>;
}

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The host's disk is full.
    #[error("no space left on the host's disk")]
    NoSpace,
    /// Another process has this store open.
    #[error("the store is in use by another process; close it there first")]
    InUse,
    /// The host reported an error.
    #[error("{operation} failed with host error {code}")]
    Failed {
        /// What was tried.
        operation: &'static str,
        /// The host's errno.
        code: i32,
    },
}
