//! Which pages of files are dirty.

use std::collections::BTreeMap;

use crate::format::chunk::CHUNK;

/// A chunk of a file: inode and number.
type Place = (u64, u64);

/// One bit for each block of a chunk.
#[derive(Clone, Copy, Default)]
struct Marks {
    dirty: u32,
    /// Those of them that an older block will give its slot up for.
    replacing: u32,
    /// Those of them that are in the log as they are.
    logged: u32,
}

impl Marks {
    fn only(self, blocks: u32) -> Marks {
        Marks { dirty: self.dirty & blocks, replacing: self.replacing & blocks, logged: self.logged & blocks }
    }
}

const _: () = assert!(CHUNK == 32);

/// Dirty pages by chunk, since a chunk's pages go into one item of the tree.
#[derive(Default)]
pub(crate) struct Dirty {
    chunks: BTreeMap<Place, Marks>,
    pages: usize,
    replacing: usize,
}

/// The dirty blocks of a chunk.
pub(crate) struct DirtyChunk {
    pub(crate) ino: u64,
    pub(crate) number: u64,
    marks: Marks,
}

impl DirtyChunk {
    pub(crate) fn is_empty(&self) -> bool {
        self.marks.dirty == 0
    }

    /// Ascending.
    pub(crate) fn blocks(&self) -> Vec<u64> {
        (0..CHUNK).filter(|n| self.marks.dirty >> n & 1 == 1).map(|n| self.number * CHUNK + n).collect()
    }
}

impl Dirty {
    pub(crate) fn pages(&self) -> usize {
        self.pages
    }

    pub(crate) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Pages that take the place of an older block.
    pub(crate) fn replacing(&self) -> usize {
        self.replacing
    }

    pub(crate) fn insert(&mut self, ino: u64, block: u64, replacing: bool) {
        let marks = self.chunks.entry((ino, block / CHUNK)).or_default();
        let bit = 1 << (block % CHUNK);
        marks.logged &= !bit;
        if marks.dirty & bit == 0 {
            marks.dirty |= bit;
            self.pages += 1;
            if replacing {
                marks.replacing |= bit;
                self.replacing += 1;
            }
        }
    }

    /// Takes a file's blocks from one on.
    pub(crate) fn take_from(&mut self, ino: u64, block: u64) -> Vec<u64> {
        let places = (ino, block / CHUNK)..(ino + 1, 0);
        let chunks: Vec<Place> = self.chunks.range(places).map(|(place, _)| *place).collect();
        let mut taken = Vec::new();
        for place in chunks {
            let Some(marks) = self.chunks.remove(&place) else { continue };
            let below = if place.1 == block / CHUNK { (1 << (block % CHUNK)) - 1 } else { 0 };
            let kept = marks.only(below);
            let gone = marks.only(!below);
            self.pages -= marks.dirty.count_ones() as usize;
            self.replacing -= marks.replacing.count_ones() as usize;
            self.put_back(DirtyChunk { ino: place.0, number: place.1, marks: kept });
            taken.extend(DirtyChunk { ino: place.0, number: place.1, marks: gone }.blocks());
        }
        taken
    }

    /// Takes everything, in the order of files and blocks.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = DirtyChunk> + use<> {
        let all = std::mem::take(self);
        all.chunks.into_iter().map(|((ino, number), marks)| DirtyChunk { ino, number, marks })
    }

    /// Marks again what was taken.
    pub(crate) fn put_back(&mut self, chunk: DirtyChunk) {
        if chunk.marks.dirty != 0 {
            self.pages += chunk.marks.dirty.count_ones() as usize;
            self.replacing += chunk.marks.replacing.count_ones() as usize;
            self.chunks.insert((chunk.ino, chunk.number), chunk.marks);
        }
    }

    /// For each chunk with dirty pages, in the order of files and blocks: how many, and those that are not in the log.
    pub(crate) fn unlogged(&self) -> impl Iterator<Item = (usize, DirtyChunk)> {
        self.chunks.iter().map(|((ino, number), marks)| {
            let unlogged = DirtyChunk { ino: *ino, number: *number, marks: marks.only(!marks.logged) };
            (marks.dirty.count_ones() as usize, unlogged)
        })
    }

    /// A file's dirty pages of a chunk are in the log.
    pub(crate) fn set_logged(&mut self, ino: u64, number: u64) {
        if let Some(marks) = self.chunks.get_mut(&(ino, number)) {
            marks.logged = marks.dirty;
        }
    }

    /// Files with dirty pages.
    pub(crate) fn inodes(&self) -> impl Iterator<Item = u64> + use<'_> {
        self.chunks.keys().map(|(ino, _)| *ino)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_follow_what_is_marked_and_taken() {
        let mut dirty = Dirty::default();
        for block in [0, 31, 32, 64, 65] {
            dirty.insert(7, block, block >= 32);
            dirty.insert(7, block, true);
        }
        dirty.insert(8, 1 << 40, false);
        let counts = |dirty: &Dirty| (dirty.pages(), dirty.chunks(), dirty.replacing());
        assert_eq!(counts(&dirty), (6, 4, 3));
        assert_eq!(dirty.take_from(7, 31), [31, 32, 64, 65]);
        assert_eq!(counts(&dirty), (2, 2, 0));
        assert_eq!(dirty.take_from(7, 1), []);
        assert_eq!(dirty.inodes().collect::<Vec<_>>(), [7, 8]);
        let taken: Vec<_> = dirty.take().collect();
        assert_eq!(counts(&dirty), (0, 0, 0));
        assert_eq!(taken.iter().flat_map(DirtyChunk::blocks).collect::<Vec<_>>(), [0, 1 << 40]);
        taken.into_iter().for_each(|chunk| dirty.put_back(chunk));
        assert_eq!(counts(&dirty), (2, 2, 0));
    }
}
