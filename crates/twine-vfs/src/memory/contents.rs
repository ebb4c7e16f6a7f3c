//! The bytes of one file: a sparse map of fixed chunks.

use std::collections::BTreeMap;

use crate::{Error, Result};

pub(super) const CHUNK: usize = 4096;

/// Chunks by index; what is missing reads as zero. Bytes of a chunk beyond `size` are always zero.
#[derive(Default)]
pub(super) struct Contents {
    size: u64,
    chunks: BTreeMap<u64, Box<[u8; CHUNK]>>,
}

impl Contents {
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn allocated(&self) -> u64 {
        self.chunks.len() as u64 * CHUNK as u64
    }

    pub(super) fn set_size(&mut self, size: u64) {
        if size < self.size {
            drop(self.chunks.split_off(&size.div_ceil(CHUNK as u64)));
            let (index, within) = split(size);
            if let Some(chunk) = self.chunks.get_mut(&index) {
                chunk[within..].fill(0);
            }
        }
        self.size = size;
    }

    /// Allocates every chunk of `offset..end`, or none of them when they would take more than `room` bytes.
    pub(super) fn reserve(&mut self, offset: u64, end: u64, room: u64) -> Result<()> {
        if offset >= end {
            return Ok(());
        }
        let wanted = offset / CHUNK as u64..end.div_ceil(CHUNK as u64);
        let present = self.chunks.range(wanted.clone()).count() as u64;
        if wanted.end - wanted.start - present > room / CHUNK as u64 {
            return Err(Error::NoSpace);
        }
        for index in wanted {
            self.chunks.entry(index).or_insert_with(|| Box::new([0; CHUNK]));
        }
        Ok(())
    }

    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = buf.len().min(left);
        for_each_part(offset, len, |index, within, part| match self.chunks.get(&index) {
            Some(chunk) => buf[part.clone()].copy_from_slice(&chunk[within..within + part.len()]),
            None => buf[part].fill(0),
        });
        len
    }

    /// Writes into chunks that [`Contents::reserve`] made.
    pub(super) fn write(&mut self, offset: u64, buf: &[u8]) {
        for_each_part(offset, buf.len(), |index, within, part| {
            let chunk = self.chunks.entry(index).or_insert_with(|| Box::new([0; CHUNK]));
            chunk[within..within + part.len()].copy_from_slice(&buf[part]);
        });
        self.size = self.size.max(offset + buf.len() as u64);
    }
}

fn split(offset: u64) -> (u64, usize) {
    (offset / CHUNK as u64, (offset % CHUNK as u64) as usize)
}

/// Calls `each` with chunk index, offset within the chunk, and the range of the caller's buffer.
fn for_each_part(offset: u64, len: usize, mut each: impl FnMut(u64, usize, std::ops::Range<usize>)) {
    let mut done = 0;
    while done < len {
        let (index, within) = split(offset + done as u64);
        let part = (CHUNK - within).min(len - done);
        each(index, within, done..done + part);
        done += part;
    }
}
