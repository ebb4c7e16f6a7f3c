//! Dirty pages to the store: sealed into free slots, their chunks updated. Nothing here commits.

use crate::crypto::Place;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::format::INLINE_MAX;
use crate::format::chunk::{CHUNK, Chunk};
use crate::pool::PageKey;

impl Engine {
    /// Writes dirty pages. Those of files without a name are left out unless `nameless`: after a crash nobody could
    /// reach them.
    pub(crate) fn write_back(&mut self, nameless: bool) -> Result<()> {
        for chunk in self.dirty.take() {
            let (ino, number) = (chunk.ino, chunk.number);
            let inode = self.inode(ino)?;
            if inode.links == 0 && !nameless {
                self.dirty.put_back(chunk);
                continue;
            }
            if number == 0 && inode.size <= INLINE_MAX as u64 {
                self.write_inline(ino, inode.size as usize)?;
            } else {
                self.write_chunk(ino, number, &chunk.blocks())?;
            }
            self.seal_if_many()?;
        }
        Ok(())
    }

    fn clean_frame(&mut self, ino: u64, block: u64) -> Result<usize> {
        let frame = self
            .core
            .pool
            .find(PageKey::data(ino, block))
            .ok_or(Error::Bug("a dirty page left the cache"))?;
        self.core.pool.set_dirty(frame, false);
        Ok(frame)
    }

    fn write_inline(&mut self, ino: u64, size: usize) -> Result<()> {
        let frame = self.clean_frame(ino, 0)?;
        let bytes = self.core.pool.page(frame).get(..size).unwrap_or_default().to_vec();
        let old = self.chunk(ino, 0)?;
        for (_, pointer) in old.pointers() {
            self.core.space.release(pointer.slot)?;
        }
        self.store_chunk(ino, 0, &Chunk::Inline(bytes))
    }

    fn write_chunk(&mut self, ino: u64, number: u64, blocks: &[u64]) -> Result<()> {
        let mut chunk = self.chunk(ino, number)?;
        if let Chunk::Inline(_) = chunk {
            if blocks.first() != Some(&0) {
                return Err(Error::Bug("inline contents beside blocks"));
            }
            chunk = Chunk::empty();
        }
        let Chunk::Blocks(pointers) = &mut chunk else { return Err(Error::Bug("chunk form")) };
        let mut left = blocks;
        while !left.is_empty() {
            let (slot, n) = self.core.space.allocate(left.len() as u32)?;
            let (now, rest) = left.split_at_checked(n as usize).ok_or(Error::Bug("allocated too much"))?;
            for (slot, block) in (slot..).zip(now) {
                let frame = self.clean_frame(ino, *block)?;
                let place = Place::Data { ino, block: *block };
                let pointer = self.core.io.put(place, slot, self.core.pool.page(frame))?;
                let to = pointers.get_mut((block % CHUNK) as usize).ok_or(Error::Bug("chunk index"))?;
                if let Some(old) = to.replace(pointer) {
                    self.core.space.release(old.slot)?;
                }
            }
            left = rest;
        }
        self.store_chunk(ino, number, &chunk)
    }
}
