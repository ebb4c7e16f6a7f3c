//! A volume's store: what the host keeps, behind the border.

use twine_abi::calls::*;
use twine_abi::wire::{MAX_PAYLOAD, Status};
use twine_enclave::border;
use twine_enclave::window::Window;
use twine_volume::store::{ReadAt, Store, StoreError, WriteAt};

/// A store of the host, by its handle: read in the host's memory where the host maps it, else by calls. Large batches
/// go in as many calls as they need.
pub struct HostStore {
    store: u64,
    map: Option<Map>,
}

struct Map {
    window: Window,
    /// Bytes of the store that are there.
    length: u64,
    room: u64,
}

fn failed(operation: &'static str) -> impl Fn(Status) -> StoreError {
    move |status| match status {
        Status::Exhausted => StoreError::NoSpace,
        Status::Busy => StoreError::InUse,
        status => StoreError::Failed { operation, code: status as i32 },
    }
}

/// Most bytes of pieces in one call, beside their pairs.
const BATCH: usize = MAX_PAYLOAD - 16 * PIECES;
const PIECES: usize = 1024;
/// From here on a piece is read by a call.
const LARGE: usize = 64 << 10;

fn push_pair(pairs: &mut Vec<u8>, offset: u64, length: usize) {
    pairs.extend_from_slice(&offset.to_le_bytes());
    pairs.extend_from_slice(&(length as u64).to_le_bytes());
}

impl HostStore {
    /// The store of this handle.
    pub fn new(store: u64) -> Self {
        let mut new = Self { store, map: None };
        new.remap();
        new
    }

    /// Asks for the store in the host's memory; without it, it is read by calls.
    fn remap(&mut self) {
        let ask = StoreMap { store: self.store };
        self.map =
            border::call(&ask, &[], &mut []).ok().and_then(|(StoreMapReply { address, length, room }, _)| {
                let window = Window::new(address, room)?;
                Some(Map { window, length: length.min(room), room })
            });
    }

    /// Reads without a call what the map shows. Large pieces are as well read by a call: that of the ring and the log, whose
    /// pages the host's kernel then has not to look for in page tables each time that they become durable.
    fn look(&self, pieces: &mut [ReadAt<'_>]) -> bool {
        self.map.as_ref().is_some_and(|map| {
            pieces.iter_mut().all(|piece| {
                if piece.buf.len() > LARGE {
                    return false;
                }
                let end = piece.offset.saturating_add(piece.buf.len() as u64);
                end <= map.length && map.window.read(piece.offset, piece.buf)
            })
        })
    }

    fn read_batch(&self, pieces: &mut [(u64, &mut [u8])]) -> Result<(), StoreError> {
        let mut pairs = Vec::with_capacity(16 * pieces.len());
        let mut total = 0;
        for (offset, buf) in pieces.iter() {
            push_pair(&mut pairs, *offset, buf.len());
            total += buf.len();
        }
        let ask = StoreRead { store: self.store, pieces: pieces.len() as u64 };
        let mut into: Vec<&mut [u8]> = pieces.iter_mut().map(|(_, buf)| &mut **buf).collect();
        let (_, got) = border::call_with(&ask, &[&pairs], &mut into).map_err(failed("read"))?;
        if got == total { Ok(()) } else { Err(StoreError::Failed { operation: "read", code: 0 }) }
    }

    fn write_batch(&self, parts: &[(&[u8], u64)], durable: bool) -> Result<(), StoreError> {
        let mut pairs = Vec::with_capacity(16 * parts.len());
        for (part, offset) in parts {
            push_pair(&mut pairs, *offset, part.len());
        }
        let data: Vec<&[u8]> = [&pairs[..]].into_iter().chain(parts.iter().map(|(part, _)| *part)).collect();
        let ask = StoreWrite { store: self.store, pieces: parts.len() as u64, durable: durable.into() };
        border::call_with(&ask, &data, &mut []).map(|_| ()).map_err(failed("write"))
    }

    /// Writes pieces in as many calls as they need, the last one with a barrier if they must be durable.
    fn write_all(&self, pieces: &[WriteAt<'_>], durable: bool) -> Result<(), StoreError> {
        let parts = pieces.iter().flat_map(|piece| {
            let offsets = (piece.offset..).step_by(BATCH);
            piece.bytes.chunks(BATCH).zip(offsets)
        });
        let mut batch: Vec<(&[u8], u64)> = Vec::new();
        let mut bytes = 0;
        for (part, offset) in parts {
            if bytes + part.len() > BATCH || batch.len() == PIECES {
                self.write_batch(&batch, false)?;
                batch.clear();
                bytes = 0;
            }
            bytes += part.len();
            batch.push((part, offset));
        }
        if batch.is_empty() && !durable { Ok(()) } else { self.write_batch(&batch, durable) }
    }
}

impl Store for HostStore {
    fn length(&mut self) -> Result<u64, StoreError> {
        let ask = StoreLength { store: self.store };
        border::call(&ask, &[], &mut []).map(|(reply, _)| reply.length).map_err(failed("length"))
    }

    fn read(&mut self, pieces: &mut [ReadAt<'_>]) -> Result<(), StoreError> {
        if self.look(pieces) {
            return Ok(());
        }
        let mut batch: Vec<(u64, &mut [u8])> = Vec::new();
        let mut bytes = 0;
        for piece in pieces {
            let mut offset = piece.offset;
            for part in piece.buf.chunks_mut(BATCH) {
                if bytes + part.len() > BATCH || batch.len() == PIECES {
                    self.read_batch(&mut batch)?;
                    batch.clear();
                    bytes = 0;
                }
                bytes += part.len();
                let length = part.len() as u64;
                batch.push((offset, part));
                offset += length;
            }
        }
        if batch.is_empty() { Ok(()) } else { self.read_batch(&mut batch) }
    }

    fn write(&mut self, pieces: &[WriteAt<'_>]) -> Result<(), StoreError> {
        self.write_all(pieces, false)
    }

    fn write_durably(&mut self, pieces: &[WriteAt<'_>]) -> Result<(), StoreError> {
        self.write_all(pieces, true)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        border::call(&StoreSync { store: self.store }, &[], &mut []).map(|_| ()).map_err(failed("sync"))
    }

    fn allocate(&mut self, offset: u64, len: u64) -> Result<(), StoreError> {
        let ask = StoreAllocate { store: self.store, offset, length: len };
        border::call(&ask, &[], &mut []).map_err(failed("allocate"))?;
        let end = offset.saturating_add(len);
        match &mut self.map {
            Some(map) if end <= map.room => map.length = map.length.max(end),
            Some(_) => self.remap(),
            None => {}
        }
        Ok(())
    }

    fn punch(&mut self, offset: u64, len: u64) -> Result<(), StoreError> {
        let ask = StorePunch { store: self.store, offset, length: len };
        border::call(&ask, &[], &mut []).map(|_| ()).map_err(failed("punch"))
    }

    fn truncate(&mut self, len: u64) -> Result<(), StoreError> {
        let ask = StoreTruncate { store: self.store, length: len };
        if let Some(map) = &mut self.map {
            map.length = map.length.min(len);
        }
        border::call(&ask, &[], &mut []).map(|_| ()).map_err(failed("truncate"))
    }
}
