//! Contents of files: pages in and out of the cache, sizes, holes.

use twine_vfs::{Error as FsError, FileType};

use crate::crypto::Place;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::format::chunk::{CHUNK, Chunk};
use crate::format::key::Key;
use crate::format::log::Change;
use crate::format::{FILE_MAX, INLINE_MAX, Page, SLOT};
use crate::pool::PageKey;

/// Most blocks read ahead in one call of the store: 256 KiB.
const WINDOW_MAX: u32 = 64;
const BLOCK: u64 = SLOT as u64;

impl Engine {
    /// The type that reading and writing need.
    pub(crate) fn must_be_file(&mut self, ino: u64) -> Result<()> {
        match self.inode(ino)?.file_type {
            FileType::File => Ok(()),
            FileType::Directory => Err(FsError::IsDirectory.into()),
            FileType::Symlink => Err(FsError::Invalid.into()),
        }
    }

    /// Reads a file or the target of a link. As with noatime, that is no change.
    pub(crate) fn read(&mut self, ino: u64, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let live = self.live(ino)?;
        let left = live.inode.size.saturating_sub(offset);
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let sequential = offset > 0 && live.expected == offset / BLOCK;
        live.expected = (offset + wanted as u64).div_ceil(BLOCK);
        let mut done = 0;
        while done < wanted {
            let at = offset + done as u64;
            let (block, skip) = (at / BLOCK, (at % BLOCK) as usize);
            let n = (SLOT - skip).min(wanted - done);
            let frame = match self.core.pool.find(PageKey::data(ino, block)) {
                Some(frame) => {
                    self.core.pool.warm(frame);
                    frame
                }
                None => {
                    let more = (wanted - done - n).div_ceil(SLOT) as u32;
                    self.fetch_ahead(ino, block, more, sequential)?
                }
            };
            let page = self.core.pool.page(frame);
            buf[done..done + n].copy_from_slice(&page[skip..skip + n]);
            done += n;
        }
        Ok(wanted)
    }

    /// Reads a block that is not cached, and those that will be wanted next.
    fn fetch_ahead(&mut self, ino: u64, block: u64, more: u32, sequential: bool) -> Result<usize> {
        let live = self.live(ino)?;
        let blocks = live.inode.size.div_ceil(BLOCK);
        if sequential || more > 0 {
            live.window = (live.window * 2).clamp(4, WINDOW_MAX);
        } else {
            live.window = 1;
        }
        let window = u64::from(live.window.max((more + 1).min(WINDOW_MAX)));
        let room = (self.bounds.pages / 8).max(1) as u64;
        let count = window.min(room).min(blocks.saturating_sub(block)).max(1);
        self.fetch(ino, block, count)
    }

    /// Reads blocks `first..first + count` as far as they are stored and not cached; the first one's frame.
    fn fetch(&mut self, ino: u64, first: u64, count: u64) -> Result<usize> {
        let mut wanted = Vec::new();
        let mut chunk: Option<(u64, Chunk)> = None;
        for block in first..first + count {
            if self.core.pool.find(PageKey::data(ino, block)).is_some() {
                break;
            }
            let number = block / CHUNK;
            if chunk.as_ref().is_none_or(|(n, _)| *n != number) {
                chunk = Some((number, self.chunk(ino, number)?));
            }
            match chunk.as_ref().map(|(_, chunk)| chunk) {
                Some(Chunk::Blocks(blocks))
                    if let Some(Some(pointer)) = blocks.get((block % CHUNK) as usize) =>
                {
                    wanted.push((*pointer, Place::Data { ino, block }));
                }
                Some(Chunk::Inline(bytes)) if block == first && block == 0 => {
                    let mut page = self.core.pool.take_page();
                    page.fill(0);
                    page[..bytes.len()].copy_from_slice(bytes);
                    return Ok(self.core.pool.insert(PageKey::data(ino, 0), page));
                }
                _ if block == first => {
                    let mut page = self.core.pool.take_page();
                    page.fill(0);
                    return Ok(self.core.pool.insert(PageKey::data(ino, block), page));
                }
                _ => break,
            }
        }
        let mut pages: Vec<Box<Page>> = wanted.iter().map(|_| self.core.pool.take_page()).collect();
        if let Err(error) = self.core.io.get_all(&wanted, &mut pages) {
            pages.into_iter().for_each(|page| self.core.pool.give_back(page));
            // What was read ahead must not spoil what was asked for.
            let ahead = wanted.len() > 1 && matches!(error, Error::Corrupted { .. });
            return if ahead { self.fetch(ino, first, 1) } else { Err(error) };
        }
        let mut frame = None;
        for (block, page) in (first..).zip(pages) {
            let inserted = self.core.pool.insert(PageKey::data(ino, block), page);
            frame.get_or_insert(inserted);
        }
        frame.ok_or(Error::Bug("nothing was fetched"))
    }

    /// A chunk's item; holes where there is none.
    pub(crate) fn chunk(&mut self, ino: u64, number: u64) -> Result<Chunk> {
        match self.core.get(Key::chunk(ino, number), Chunk::decode)? {
            None => Ok(Chunk::empty()),
            Some(Some(chunk)) => Ok(chunk),
            Some(None) => Err(Error::Corrupted { what: "chunk of a file", slot: 0 }),
        }
    }

    /// The frame of a block that will be changed in part.
    pub(crate) fn page_for_update(&mut self, ino: u64, block: u64) -> Result<usize> {
        match self.core.pool.find(PageKey::data(ino, block)) {
            Some(frame) => Ok(frame),
            None => self.fetch(ino, block, 1),
        }
    }

    pub(crate) fn write(&mut self, ino: u64, offset: u64, buf: &[u8]) -> Result<()> {
        let end =
            offset.checked_add(buf.len() as u64).filter(|end| *end <= FILE_MAX).ok_or(FsError::TooLarge)?;
        if buf.is_empty() {
            return Ok(());
        }
        self.reserve(end.div_ceil(BLOCK) - offset / BLOCK + 1, false)?;
        self.write_reserved(ino, offset, buf)
    }

    /// Writes where `offset + buf.len()` is in range and the space is reserved.
    pub(crate) fn write_reserved(&mut self, ino: u64, offset: u64, buf: &[u8]) -> Result<()> {
        let old = self.inode(ino)?.size;
        let end = offset + buf.len() as u64;
        let now = self.now();
        self.leave_inline(ino, old, end)?;
        self.update(ino, |inode| {
            inode.size = inode.size.max(end);
            inode.modified = now;
            inode.changed = now;
        })?;
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let (block, skip) = (at / BLOCK, (at % BLOCK) as usize);
            let n = (SLOT - skip).min(buf.len() - done);
            let key = PageKey::data(ino, block);
            let frame = match self.core.pool.find(key) {
                Some(frame) => {
                    self.core.pool.warm(frame);
                    frame
                }
                None if n == SLOT => {
                    let page = self.core.pool.take_page();
                    self.core.pool.insert(key, page)
                }
                None if block * BLOCK >= old => {
                    let mut page = self.core.pool.take_page();
                    page.fill(0);
                    self.core.pool.insert(key, page)
                }
                None => self.fetch(ino, block, 1)?,
            };
            self.core.pool.page_mut(frame)[skip..skip + n].copy_from_slice(&buf[done..done + n]);
            self.set_page_dirty(ino, block, frame, block * BLOCK < old);
            done += n;
            if self.dirty.pages() >= self.bounds.dirty_pages {
                self.relieve()?;
            }
        }
        Ok(())
    }

    /// A file that outgrows its chunk's inline form has its first page written as a block.
    fn leave_inline(&mut self, ino: u64, old: u64, new: u64) -> Result<()> {
        let limit = INLINE_MAX as u64;
        if old > 0 && old <= limit && new > limit {
            let frame = self.page_for_update(ino, 0)?;
            self.set_page_dirty(ino, 0, frame, false);
        }
        Ok(())
    }

    pub(crate) fn set_size(&mut self, ino: u64, size: u64) -> Result<()> {
        if size > FILE_MAX {
            return Err(FsError::TooLarge.into());
        }
        let old = self.inode(ino)?.size;
        self.reserve(2, size < old)?;
        let now = self.now();
        if size < old {
            self.cut(ino, old, size)?;
        } else {
            self.leave_inline(ino, old, size)?;
        }
        self.update(ino, |inode| {
            inode.size = size;
            inode.modified = now;
            inode.changed = now;
        })
    }

    /// Frees what lies behind `size` and clears the rest of its last block.
    pub(crate) fn cut(&mut self, ino: u64, old: u64, size: u64) -> Result<()> {
        let keep = size.div_ceil(BLOCK);
        if !size.is_multiple_of(BLOCK) {
            let frame = self.page_for_update(ino, keep - 1)?;
            self.core.pool.page_mut(frame)[(size % BLOCK) as usize..].fill(0);
            self.set_page_dirty(ino, keep - 1, frame, true);
        }
        self.drop_pages(ino, keep, old.div_ceil(BLOCK));
        self.core.note(&Change::Cut { ino, block: keep });
        self.changed = true;
        // The chunk that is cut in two, then all chunks behind it.
        let first = keep.div_ceil(CHUNK);
        if !keep.is_multiple_of(CHUNK) {
            self.cut_chunk(ino, keep / CHUNK, (keep % CHUNK) as usize)?;
        }
        while let Some((key, value)) = self.core.first_from(Key::chunk(ino, first))? {
            if key.ino() != ino {
                break;
            }
            let chunk = Chunk::decode(&value).ok_or(Error::Corrupted { what: "chunk of a file", slot: 0 })?;
            for (_, pointer) in chunk.pointers() {
                self.core.space.release(pointer.slot)?;
            }
            self.core.delete(key)?;
            self.seal_if_many()?;
        }
        Ok(())
    }

    fn cut_chunk(&mut self, ino: u64, number: u64, keep: usize) -> Result<()> {
        let mut chunk = self.chunk(ino, number)?;
        let Chunk::Blocks(blocks) = &mut chunk else { return Ok(()) };
        let mut cut = false;
        for pointer in blocks.iter_mut().skip(keep).filter_map(Option::take) {
            self.core.space.release(pointer.slot)?;
            cut = true;
        }
        if cut { self.store_chunk(ino, number, &chunk) } else { Ok(()) }
    }

    /// Writes a chunk's item, or removes it when nothing is left.
    pub(crate) fn store_chunk(&mut self, ino: u64, number: u64, chunk: &Chunk) -> Result<()> {
        let key = Key::chunk(ino, number);
        if chunk.is_empty() {
            self.core.delete(key)?;
            return Ok(());
        }
        self.core.put(key, &chunk.encode())
    }
}
