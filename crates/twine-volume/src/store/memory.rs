//! A store in memory, for tests and scratch volumes.

use std::sync::{Arc, Mutex, PoisonError};

use super::{ReadAt, Store, StoreError, WriteAt};

/// Bytes in memory. Clones share them, as two openers of one file would.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Vec<u8>>>);

impl MemoryStore {
    /// A store with these contents.
    pub fn new(bytes: Vec<u8>) -> Self {
        MemoryStore(Arc::new(Mutex::new(bytes)))
    }

    /// A copy of the contents.
    pub fn image(&self) -> Vec<u8> {
        self.lock().clone()
    }

    /// Replaces the contents, as a hostile host may at any time.
    pub fn replace(&self, bytes: Vec<u8>) {
        *self.lock() = bytes;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Copies out of `bytes`, zeros past its end.
pub(super) fn read_from(bytes: &[u8], piece: &mut ReadAt<'_>) {
    let start = usize::try_from(piece.offset).unwrap_or(usize::MAX).min(bytes.len());
    let there = bytes.get(start..).unwrap_or_default();
    let n = there.len().min(piece.buf.len());
    let (head, tail) = piece.buf.split_at_mut(n);
    head.copy_from_slice(&there[..n]);
    tail.fill(0);
}

/// Copies into `bytes`, extending it.
pub(super) fn write_to(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) -> Result<(), StoreError> {
    let start = usize::try_from(offset).map_err(|_| StoreError::NoSpace)?;
    let end = start.checked_add(data.len()).ok_or(StoreError::NoSpace)?;
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[start..end].copy_from_slice(data);
    Ok(())
}

impl Store for MemoryStore {
    fn length(&mut self) -> Result<u64, StoreError> {
        Ok(self.lock().len() as u64)
    }

    fn read(&mut self, pieces: &mut [ReadAt<'_>]) -> Result<(), StoreError> {
        let bytes = self.lock();
        pieces.iter_mut().for_each(|piece| read_from(&bytes, piece));
        Ok(())
    }

    fn write(&mut self, pieces: &[WriteAt<'_>]) -> Result<(), StoreError> {
        let mut bytes = self.lock();
        pieces.iter().try_for_each(|piece| write_to(&mut bytes, piece.offset, piece.bytes))
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn allocate(&mut self, offset: u64, len: u64) -> Result<(), StoreError> {
        let end = usize::try_from(offset.saturating_add(len)).map_err(|_| StoreError::NoSpace)?;
        let mut bytes = self.lock();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        Ok(())
    }

    fn punch(&mut self, offset: u64, len: u64) -> Result<(), StoreError> {
        let mut bytes = self.lock();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = usize::try_from(offset.saturating_add(len)).unwrap_or(usize::MAX).min(bytes.len());
        bytes[start..end].fill(0);
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> Result<(), StoreError> {
        self.lock().truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }
}
