//! Small commits: a record in the log says what changed, and the tree follows with the next root (section 7).
//!
//! What the log says stays changed in memory, so a root has all of it; opening makes the same changes again.

use crate::anchor::Successor;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::format::inode::Inode;
use crate::format::key::{self, Key};
use crate::format::log::{Change, Changes, LogRecord, NODES_MAX, PAGES_MAX, State};
use crate::format::{LOG, LOG_LEN, SLOT};
use crate::pool::PageKey;
use crate::tree;

impl Engine {
    /// Commits what changed in one record of the log, if it can say it and has room; else nothing is done.
    pub(crate) fn commit_to_log(&mut self) -> Result<bool> {
        let Some(used) = self.committed.logged else { return Ok(false) };
        let tidying = self.cleaning.is_some() || !self.orphans.is_empty() || self.core.space.is_wasteful();
        if self.core.changes.is_none() || tidying {
            return Ok(false);
        }
        self.store_inodes()?;
        if self.core.dirty_nodes > NODES_MAX || !self.core.io.may_log() {
            return Ok(false);
        }
        let chunks = self.note_pages()?;
        let (Some(chunks), Some(changes)) = (chunks, self.core.changes.take()) else { return Ok(false) };
        if changes.is_empty() {
            // Only files without names changed, which nobody will find again.
            self.core.changes = Some(changes);
            self.changed = false;
            return Ok(true);
        }
        let State { sequence, tag } = self.committed.base;
        let record = LogRecord {
            root: State { sequence, tag },
            previous: State { sequence: self.committed.sequence, tag: self.committed.tag },
            next_ino: self.next_ino,
            changes: changes.into_bytes(),
        };
        let Some((mut bytes, slots)) = record.encode(self.core.io.keys.version()) else { return Ok(false) };
        if used + slots > LOG_LEN {
            return Ok(false);
        }
        let (slot, sequence) = (LOG + used, self.committed.next);
        let tag = self.core.io.seal_log_record(sequence, slot, &mut bytes)?;
        self.make_durable(Successor { sequence, tag }, slot, &bytes, |engine| {
            engine.committed.logged = Some(used + slots);
            engine.core.io.counters.logged += 1;
            chunks.into_iter().for_each(|(ino, number)| engine.dirty.set_logged(ino, number));
        })?;
        Ok(true)
    }

    /// Adds the dirty pages that the log does not have as they are, of files with names; their chunks, or `None` if there
    /// are too many.
    fn note_pages(&mut self) -> Result<Option<Vec<(u64, u64)>>> {
        let (mut pages, mut chunks, mut wanted) = (0, Vec::new(), Vec::new());
        for (dirty, unlogged) in self.dirty.unlogged() {
            let (ino, number) = (unlogged.ino, unlogged.number);
            if self.inodes.get(&ino).is_some_and(|live| live.inode.links == 0) {
                continue;
            }
            pages += dirty;
            if pages > PAGES_MAX {
                return Ok(None);
            }
            if !unlogged.is_empty() {
                chunks.push((ino, number));
                wanted.extend(unlogged.blocks().into_iter().map(|block| (ino, block)));
            }
        }
        for (ino, block) in wanted {
            let frame = self.core.pool.find(PageKey::data(ino, block));
            let frame = frame.ok_or(Error::Bug("a dirty page left the cache"))?;
            let change = Change::Page { ino, block, bytes: self.core.pool.page(frame) };
            let said = self.core.changes.as_mut().is_some_and(|changes| changes.push(&change));
            if !said {
                return Ok(None);
            }
        }
        Ok(Some(chunks))
    }

    /// Makes the changes of a record of the log again, on top of the state before it.
    pub(crate) fn replay(&mut self, record: &LogRecord, slot: u32) -> Result<()> {
        let wrong = Error::Corrupted { what: "record of the log", slot };
        for change in Changes::read(&record.changes) {
            match change.ok_or(wrong.clone())? {
                Change::Put { key, value } if tree::is_logged(key) => {
                    self.forget_inode(key);
                    self.core.put(key, value)?;
                }
                Change::Delete { key } if tree::is_logged(key) => {
                    self.forget_inode(key);
                    if !self.core.delete(key)? {
                        return Err(wrong);
                    }
                }
                Change::Cut { ino, block } => self.drop_pages(ino, block, u64::MAX),
                Change::Page { ino, block, bytes } => {
                    let inode =
                        self.core.get(Key::inode(ino), Inode::decode)?.flatten().ok_or(wrong.clone())?;
                    if block >= inode.size.div_ceil(SLOT as u64) {
                        return Err(wrong);
                    }
                    let mut page = self.core.pool.take_page();
                    let (head, rest) = page.split_at_mut(bytes.len());
                    head.copy_from_slice(bytes);
                    rest.fill(0);
                    let frame = self.core.pool.insert(PageKey::data(ino, block), page);
                    self.set_page_dirty(ino, block, frame, true);
                }
                Change::Put { .. } | Change::Delete { .. } => return Err(wrong),
            }
        }
        self.next_ino = record.next_ino;
        self.changed = false;
        Ok(())
    }

    /// An inode in memory gives way to what the tree gets.
    fn forget_inode(&mut self, key: Key) {
        if key.ino() != 0 && key.kind() == key::INODE {
            self.inodes.remove(&key.ino());
        }
    }
}
