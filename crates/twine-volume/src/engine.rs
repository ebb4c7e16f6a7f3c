//! The state of an open volume: inodes and dirty pages over the tree.

use std::collections::{BTreeSet, VecDeque};

use crate::anchor::AnchorPolicy;
use crate::commit::Anchored;
use crate::compact::Cleaning;
use crate::dirty::Dirty;
use crate::error::{Error, Result};
use crate::format::inode::Inode;
use crate::format::key::Key;
use crate::format::{SEGMENT, SLOT, offset_of};
use crate::info::Recovery;
use crate::io::write_zeros;
use crate::pool::{FoldMap, PageKey};
use crate::provider::Clock;
use crate::store::StoreError;
use crate::tree::Core;

/// An inode in memory.
pub(crate) struct Live {
    pub(crate) inode: Inode,
    /// Opens that keep it alive without a name.
    pub(crate) opens: u32,
    pub(crate) dirty: bool,
    /// The block after the last one read, and how many blocks to read at once if it is read next.
    pub(crate) expected: u64,
    pub(crate) window: u32,
}

impl Live {
    pub(crate) fn new(inode: Inode) -> Live {
        Live { inode, opens: 0, dirty: false, expected: 0, window: 1 }
    }
}

/// Bounds that follow from the cache's size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) pages: usize,
    pub(crate) dirty_pages: usize,
    pub(crate) dirty_nodes: usize,
    pub(crate) inodes: usize,
}

/// Fixed buffers: the batch and a read-ahead window.
const FIXED: usize = 1 << 20;
/// What a cached page and a cached inode take besides their contents, rounded up.
const PAGE_COST: usize = SLOT + 112;
const INODE_COST: usize = 256;
/// No volume works with fewer pages.
const FEWEST_PAGES: usize = 128;

impl Bounds {
    /// Splits a bound in bytes.
    pub(crate) fn new(bytes: usize) -> Bounds {
        let inodes = (bytes / 16 / INODE_COST).max(64);
        let pages = (bytes.saturating_sub(FIXED + inodes * INODE_COST) / PAGE_COST).max(FEWEST_PAGES);
        Bounds { pages, dirty_pages: pages / 2, dirty_nodes: pages / 4, inodes }
    }
}

/// Slots in a row that are worth a commit: a sequential overwrite frees whole chunks.
const RUN: u32 = 16;

/// Commits between two looks at idle space.
const LULL: u32 = 16;

/// How much free space the last transactions left unused.
pub(crate) struct Lull {
    pub(crate) commits: u32,
    /// Fewest free slots at any commit.
    pub(crate) lowest: u32,
}

impl Default for Lull {
    fn default() -> Self {
        Lull { commits: 0, lowest: u32::MAX }
    }
}

/// See the module. Everything here happens under the volume's lock.
pub(crate) struct Engine {
    pub(crate) core: Core,
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) bounds: Bounds,
    /// Most slots that the store may have.
    pub(crate) limit: u32,
    pub(crate) inodes: FoldMap<u64, Live>,
    pub(crate) dirty_inodes: BTreeSet<u64>,
    pub(crate) dirty: Dirty,
    pub(crate) next_ino: u64,
    /// Whether the state in memory differs from the committed one.
    pub(crate) changed: bool,
    pub(crate) read_only: bool,
    /// Why the volume turned read-only.
    pub(crate) failure: Option<Error>,
    pub(crate) committed: Anchored,
    pub(crate) lull: Lull,
    pub(crate) cleaning: Option<Cleaning>,
    /// Inodes of an earlier run to be freed.
    pub(crate) orphans: VecDeque<u64>,
    pub(crate) recovery: Recovery,
    /// Name and policy of the anchor that opening asked, if any.
    pub(crate) freshness: Option<(&'static str, AnchorPolicy)>,
}

impl Engine {
    /// Runs a change. An error that may have left it half done ends all writing: the next open starts from the last
    /// committed state.
    pub(crate) fn change<T>(&mut self, change: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.read_only || self.failure.is_some() {
            return Err(Error::ReadOnly);
        }
        let outcome = change(self);
        match &outcome {
            Ok(_) | Err(Error::Fs(_) | Error::NoSpace) => {}
            Err(error) => self.failure = Some(error.clone()),
        }
        outcome
    }

    /// Makes sure that what is dirty and `pages` more can be written, whatever the tree needs for it. Called before a
    /// change begins; [`Error::NoSpace`] leaves everything as it was.
    pub(crate) fn reserve(&mut self, pages: u64, deleting: bool) -> Result<()> {
        let mut freed = false;
        loop {
            let slots = u64::from(self.core.space.slots());
            // Deleting may use what writing must leave: deleting needs space for new nodes too.
            let kept = if deleting { 0 } else { 64 + slots / 64 };
            let dirty = self.unwritten();
            let map = 16 + slots / u64::from(16 * crate::format::REGION);
            let need = dirty + pages + pages / 8 + map + kept + 32;
            let free = u64::from(self.core.space.free());
            if free >= need {
                return Ok(());
            }
            if !freed && self.garbage_is_due() && free >= dirty + map + 16 {
                self.commit()?;
                freed = true;
                continue;
            }
            if self.grow(need - free)? {
                return Ok(());
            }
            if self.core.space.waiting() > 0 || dirty > 0 {
                let before = (self.core.space.waiting(), dirty);
                // What waits for a commit is the only space left. A state between two calls is a whole state.
                if free >= dirty + map + 16 {
                    self.commit()?;
                }
                let dirty = self.unwritten();
                if (self.core.space.waiting(), dirty) != before {
                    continue;
                }
            }
            return Err(Error::NoSpace);
        }
    }

    /// Slots that the dirty data may take: its blocks, and for each chunk a leaf that may be split.
    fn unwritten(&self) -> u64 {
        (self.dirty.pages() + 2 * self.dirty.chunks() + self.dirty_inodes.len()) as u64
    }

    /// Whether a commit should free what it can before the store grows: a state between two calls is a whole state, and
    /// slots that are there already cost less than those that the host has to allocate. But not if they are scattered:
    /// many small writes cost more than both.
    fn garbage_is_due(&self) -> bool {
        let (space, dirty) = (&self.core.space, &self.dirty);
        space.waiting() + dirty.replacing() as u32 > space.used() / 8 + SEGMENT
            && space.waiting() >= RUN * space.waiting_runs()
            && dirty.pages() >= RUN as usize * dirty.chunks()
    }

    /// Sees to it that a commit finds room where its blocks stand together: one large write is sooner durable than several
    /// small ones. Takes a segment for it while the garbage stays in its bound, and writes to it once: with the first write
    /// to a place that was only allocated the host's file system has something of its own to commit.
    pub(crate) fn make_room_together(&mut self) -> Result<()> {
        let space = &mut self.core.space;
        if space.has_run() || space.free() + space.waiting() > space.used() / 4 + SEGMENT {
            return Ok(());
        }
        let limit = self.limit.min(space.slots().saturating_add(SEGMENT));
        let Some((start, len)) = space.growth(1, limit) else { return Ok(()) };
        let store = &mut self.core.io.store;
        self.core.io.counters.resizes += 1;
        match store.allocate(offset_of(start), offset_of(len)) {
            Ok(()) => {
                write_zeros(store.as_mut(), start, len)?;
                self.core.space.grown(start, len);
                Ok(())
            }
            Err(StoreError::NoSpace) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks the host for more space; whether it gave at least `want` slots.
    fn grow(&mut self, want: u64) -> Result<bool> {
        let mut left = want;
        while left > 0 {
            let ask = u32::try_from(left).unwrap_or(u32::MAX);
            let Some((start, len)) = self.core.space.growth(ask, self.limit) else { return Ok(false) };
            self.core.io.counters.resizes += 1;
            match self.core.io.store.allocate(offset_of(start), offset_of(len)) {
                Ok(()) => self.core.space.grown(start, len),
                Err(StoreError::NoSpace) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
            left = left.saturating_sub(len.into());
        }
        Ok(true)
    }

    /// Gives back what no transaction of a while has needed. Space that is used again and again stays: allocating it
    /// anew costs the host's file system more than writing it.
    pub(crate) fn give_back_idle(&mut self) -> Result<()> {
        self.lull.commits += 1;
        if self.lull.commits < LULL {
            return Ok(());
        }
        let idle = self.lull.lowest.min(self.core.space.free());
        self.lull = Lull::default();
        self.give_back(self.core.space.free() - idle)?;
        // What could not be given back is scattered among used slots.
        let space = &self.core.space;
        if self.cleaning.is_none()
            && idle > space.used() / 4 + SEGMENT
            && space.free() > space.used() / 4 + SEGMENT
        {
            self.start_cleaning();
        }
        Ok(())
    }

    /// Gives free segments back to the host that exceed `busy` slots, and a quarter of the used ones plus a segment.
    pub(crate) fn give_back(&mut self, busy: u32) -> Result<()> {
        let keep = busy.max(self.core.space.used() / 4 + SEGMENT);
        if self.core.space.free() < keep + SEGMENT { Ok(()) } else { self.give_back_beyond(keep) }
    }

    /// Cuts and punches free segments while `keep` free slots stay.
    pub(crate) fn give_back_beyond(&mut self, keep: u32) -> Result<()> {
        let space = &mut self.core.space;
        if let Some(slots) = space.cut_tail(keep) {
            self.core.io.counters.resizes += 1;
            self.core.io.store.truncate(offset_of(slots))?;
        }
        for slot in self.core.space.take_punchable(keep) {
            self.core.io.counters.resizes += 1;
            self.core.io.store.punch(offset_of(slot), offset_of(SEGMENT))?;
        }
        Ok(())
    }

    /// The inode, from memory or the tree.
    pub(crate) fn live(&mut self, ino: u64) -> Result<&mut Live> {
        if !self.inodes.contains_key(&ino) {
            let found = self.core.get(Key::inode(ino), Inode::decode)?;
            let inode = match found {
                None => return Err(twine_vfs::Error::NotFound.into()),
                Some(None) => return Err(Error::Corrupted { what: "inode", slot: 0 }),
                Some(Some(inode)) => inode,
            };
            self.inodes.insert(ino, Live::new(inode));
        }
        self.inodes.get_mut(&ino).ok_or(Error::Bug("an inode vanished"))
    }

    pub(crate) fn inode(&mut self, ino: u64) -> Result<Inode> {
        Ok(self.live(ino)?.inode)
    }

    /// Changes an inode in memory.
    pub(crate) fn update(&mut self, ino: u64, change: impl FnOnce(&mut Inode)) -> Result<()> {
        let live = self.live(ino)?;
        change(&mut live.inode);
        live.dirty = true;
        self.dirty_inodes.insert(ino);
        self.changed = true;
        Ok(())
    }

    /// Writes changed inodes to the tree.
    pub(crate) fn store_inodes(&mut self) -> Result<()> {
        for ino in std::mem::take(&mut self.dirty_inodes) {
            if let Some(live) = self.inodes.get_mut(&ino) {
                live.dirty = false;
                let bytes = live.inode.encode();
                self.core.put(Key::inode(ino), &bytes)?;
                self.seal_if_many()?;
            }
        }
        Ok(())
    }

    /// Seals nodes early when too many of them are dirty.
    pub(crate) fn seal_if_many(&mut self) -> Result<()> {
        if self.core.dirty_nodes >= self.bounds.dirty_nodes { self.core.seal_nodes() } else { Ok(()) }
    }

    /// Keeps memory in its bounds: called between changes, and inside those that make many pages dirty. Writes to free
    /// slots only; nothing becomes visible before a commit.
    pub(crate) fn relieve(&mut self) -> Result<()> {
        let many = self.inodes.len() >= self.bounds.inodes;
        if many || self.dirty.pages() >= self.bounds.dirty_pages {
            self.write_back(true)?;
        }
        if many {
            self.store_inodes()?;
            self.inodes.retain(|_, live| live.opens > 0);
        }
        self.seal_if_many()
    }

    /// Forgets inodes that only reading brought in.
    pub(crate) fn trim_inodes(&mut self) {
        // Changes keep to the bound; at twice the bound at least half is clean, so this is rare.
        if self.inodes.len() >= 2 * self.bounds.inodes {
            let pinned: BTreeSet<u64> = self.dirty.inodes().collect();
            self.inodes.retain(|ino, live| live.opens > 0 || live.dirty || pinned.contains(ino));
        }
    }

    /// Marks a data page dirty; `replacing`: an older block may give its slot up for it.
    pub(crate) fn set_page_dirty(&mut self, ino: u64, block: u64, frame: usize, replacing: bool) {
        self.dirty.insert(ino, block, replacing);
        self.core.pool.set_dirty(frame, true);
        self.changed = true;
    }

    /// Forgets a file's pages from a block on, dirty ones too.
    pub(crate) fn drop_pages(&mut self, ino: u64, from: u64, end: u64) {
        for block in self.dirty.take_from(ino, from) {
            self.core.pool.remove(PageKey::data(ino, block));
        }
        self.core.pool.forget_from(ino, from, end);
    }

    pub(crate) fn now(&mut self) -> u64 {
        self.clock.now()
    }
}
