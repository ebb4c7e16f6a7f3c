//! The page cache: nodes and file data in one bounded pool. Dirty pages are never evicted; their owners write them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::format::{Page, SLOT};

/// Names a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PageKey(u128);

impl PageKey {
    /// The node in this slot. Inode 0 has no data, so the two kinds never meet.
    pub(crate) fn node(slot: u32) -> PageKey {
        PageKey(slot.into())
    }

    pub(crate) fn data(ino: u64, block: u64) -> PageKey {
        PageKey(u128::from(ino) << 64 | u128::from(block))
    }
}

/// Folds a key by multiplication; whoever makes collisions slows only their own file.
#[derive(Default)]
pub(crate) struct FoldHasher(u64);

impl Hasher for FoldHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64((*byte).into());
        }
    }

    fn write_u64(&mut self, n: u64) {
        let wide = u128::from(self.0 ^ n) * u128::from(0x9e37_79b9_7f4a_7c15_u64);
        self.0 = (wide >> 64) as u64 ^ wide as u64;
    }

    fn write_u128(&mut self, n: u128) {
        self.write_u64((n as u64).wrapping_add(((n >> 64) as u64).wrapping_mul(0xd6e8_feb8_6659_fd93)));
    }
}

/// A map over numbers that nobody outside needs to defend.
pub(crate) type FoldMap<K, V> = HashMap<K, V, BuildHasherDefault<FoldHasher>>;

struct Frame {
    key: Option<PageKey>,
    dirty: bool,
    /// Rounds of the clock that it survives.
    heat: u8,
    /// `None` while the frame is unused.
    page: Option<Box<Page>>,
}

static NOTHING: Page = [0; SLOT];

/// Nodes survive this many rounds unused, data pages that were used again one.
const NODE_HEAT: u8 = 3;

/// See the module.
pub(crate) struct Pool {
    frames: Vec<Frame>,
    index: FoldMap<PageKey, u32>,
    unused: Vec<u32>,
    spare: Vec<Box<Page>>,
    hand: usize,
    capacity: usize,
    /// Pages that exist, wherever they are.
    pages: usize,
    peak: usize,
}

impl Pool {
    /// At most `capacity` pages, as long as enough of them are clean.
    pub(crate) fn new(capacity: usize) -> Pool {
        Pool {
            frames: Vec::new(),
            index: FoldMap::default(),
            unused: Vec::new(),
            spare: Vec::new(),
            hand: 0,
            capacity,
            pages: 0,
            peak: 0,
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Most pages that ever existed at once.
    pub(crate) fn peak(&self) -> usize {
        self.peak
    }

    /// A page of unspecified contents to fill and [`Pool::insert`] or [`Pool::give_back`].
    pub(crate) fn take_page(&mut self) -> Box<Page> {
        if let Some(page) = self.spare.pop() {
            return page;
        }
        if self.pages >= self.capacity
            && let Some(page) = self.evict()
        {
            return page;
        }
        self.pages += 1;
        self.peak = self.peak.max(self.pages);
        Box::new([0; SLOT])
    }

    pub(crate) fn give_back(&mut self, page: Box<Page>) {
        if self.pages > self.capacity {
            self.pages -= 1;
        } else {
            self.spare.push(page);
        }
    }

    fn evict(&mut self) -> Option<Box<Page>> {
        let rounds = usize::from(NODE_HEAT) + 1;
        for _ in 0..self.frames.len() * rounds {
            self.hand = (self.hand + 1) % self.frames.len();
            let frame = self.frames.get_mut(self.hand)?;
            if frame.dirty || frame.key.is_none() {
                continue;
            }
            if frame.heat > 0 {
                frame.heat -= 1;
                continue;
            }
            return self.detach(self.hand);
        }
        None
    }

    fn detach(&mut self, i: usize) -> Option<Box<Page>> {
        let frame = self.frames.get_mut(i)?;
        let key = frame.key.take()?;
        frame.dirty = false;
        let page = frame.page.take();
        self.index.remove(&key);
        self.unused.push(i as u32);
        page
    }

    pub(crate) fn find(&self, key: PageKey) -> Option<usize> {
        self.index.get(&key).map(|i| *i as usize)
    }

    /// Puts a page in; a page that was there under this key is replaced.
    pub(crate) fn insert(&mut self, key: PageKey, page: Box<Page>) -> usize {
        self.remove(key);
        let frame = Frame { key: Some(key), dirty: false, heat: 0, page: Some(page) };
        let i = match self.unused.pop() {
            Some(i) => {
                self.frames[i as usize] = frame;
                i
            }
            None => {
                self.frames.push(frame);
                self.frames.len() as u32 - 1
            }
        };
        self.index.insert(key, i);
        i as usize
    }

    pub(crate) fn remove(&mut self, key: PageKey) {
        if let Some(i) = self.find(key)
            && let Some(page) = self.detach(i)
        {
            self.give_back(page);
        }
    }

    /// Gives the page in frame `i` another name.
    pub(crate) fn rename(&mut self, i: usize, key: PageKey) {
        let frame = &mut self.frames[i];
        if let Some(old) = frame.key.replace(key) {
            self.index.remove(&old);
        }
        self.index.insert(key, i as u32);
    }

    pub(crate) fn page(&self, i: usize) -> &Page {
        self.frames[i].page.as_deref().unwrap_or(&NOTHING)
    }

    pub(crate) fn page_mut(&mut self, i: usize) -> &mut Page {
        self.frames[i].page.get_or_insert_with(|| Box::new([0; SLOT]))
    }

    pub(crate) fn warm(&mut self, i: usize) {
        self.frames[i].heat = 1;
    }

    pub(crate) fn warm_node(&mut self, i: usize) {
        self.frames[i].heat = NODE_HEAT;
    }

    pub(crate) fn is_dirty(&self, i: usize) -> bool {
        self.frames[i].dirty
    }

    pub(crate) fn set_dirty(&mut self, i: usize, dirty: bool) {
        self.frames[i].dirty = dirty;
    }

    /// Forgets the clean pages of a file from a block on.
    pub(crate) fn forget_from(&mut self, ino: u64, block: u64, end: u64) {
        if end.saturating_sub(block) <= self.index.len() as u64 {
            (block..end).for_each(|b| self.remove(PageKey::data(ino, b)));
            return;
        }
        let range = PageKey::data(ino, block).0..PageKey::data(ino, end).0;
        let keys: Vec<_> = self.index.keys().filter(|k| range.contains(&k.0)).copied().collect();
        keys.into_iter().for_each(|key| self.remove(key));
    }

    /// Forgets every clean page.
    #[cfg(test)]
    pub(crate) fn shrink_for_test(&mut self) {
        let keys: Vec<_> = self.frames.iter().filter(|f| !f.dirty).filter_map(|f| f.key).collect();
        keys.into_iter().for_each(|key| self.remove(key));
    }
}
