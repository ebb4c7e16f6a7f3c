//! Looking up and walking.

use super::{Core, Root};
use crate::error::{Error, Result};
use crate::format::key::Key;
use crate::format::node::{self, inner, leaf};

impl Core {
    /// The leaf that would hold `key`, and the first key of the leaf after it.
    fn leaf_for(&mut self, key: Key) -> Result<(usize, Option<Key>)> {
        let Root { mut pointer, mut level } = self.root;
        let mut bound = None;
        loop {
            let frame = self.load(&pointer, level)?;
            if level == 0 {
                return Ok((frame, bound));
            }
            let page = self.pool.page(frame);
            let i = inner::find(page, key);
            if i + 1 < node::count(page) {
                bound = Some(inner::key(page, i + 1));
            }
            pointer = self.child(frame, i)?;
            level -= 1;
        }
    }

    /// Whether a node on the way to `key` lies at or behind a slot, and the first key of the next leaf.
    pub(crate) fn path_reaches(&mut self, key: Key, slot: u32) -> Result<(bool, Option<Key>)> {
        let Root { mut pointer, mut level } = self.root;
        let (mut behind, mut bound) = (pointer.slot >= slot, None);
        while level > 0 {
            let frame = self.load(&pointer, level)?;
            let page = self.pool.page(frame);
            let i = inner::find(page, key);
            if i + 1 < node::count(page) {
                bound = Some(inner::key(page, i + 1));
            }
            pointer = self.child(frame, i)?;
            behind |= pointer.slot >= slot;
            level -= 1;
        }
        Ok((behind, bound))
    }

    /// What `read` makes of the value under `key`.
    pub(crate) fn get<T>(&mut self, key: Key, read: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        let (frame, _) = self.leaf_for(key)?;
        let page = self.pool.page(frame);
        Ok(leaf::find(page, key).ok().map(|i| read(leaf::value(page, i))))
    }

    /// Visits items from `from` on in key order until `visit` answers false.
    pub(crate) fn scan(&mut self, from: Key, mut visit: impl FnMut(Key, &[u8]) -> bool) -> Result<()> {
        let mut from = from;
        loop {
            let (frame, bound) = match self.leaf_for(from) {
                Err(Error::Corrupted { .. }) if self.tolerant => match self.path_reaches(from, 0)?.1 {
                    Some(bound) if bound > from => {
                        from = bound;
                        continue;
                    }
                    _ => return Ok(()),
                },
                found => found?,
            };
            let page = self.pool.page(frame);
            let start = leaf::find(page, from).unwrap_or_else(|i| i);
            for i in start..node::count(page) {
                if !visit(leaf::key(page, i), leaf::value(page, i)) {
                    return Ok(());
                }
            }
            match bound {
                Some(bound) if bound > from => from = bound,
                Some(_) => return Err(Error::Bug("keys of a tree do not ascend")),
                None => return Ok(()),
            }
        }
    }

    /// The first item from `from` on.
    pub(crate) fn first_from(&mut self, from: Key) -> Result<Option<(Key, Vec<u8>)>> {
        let mut found = None;
        self.scan(from, |key, value| {
            found = Some((key, value.to_vec()));
            false
        })?;
        Ok(found)
    }
}
