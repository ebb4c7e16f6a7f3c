//! Changing the tree: every node on the way is moved to a slot of its own first.

use super::{Core, Root};
use crate::crypto::Place;
use crate::error::{Error, Result};
use crate::format::key::Key;
use crate::format::log::Change;
use crate::format::node::{self, FAN_OUT, ROOM, inner, leaf};
use crate::format::pointer::Pointer;
use crate::format::{Page, SLOT};
use crate::pool::PageKey;

/// An inner node on the way down and the child taken.
struct Step {
    frame: usize,
    index: usize,
}

/// A node that a split made.
struct Sibling {
    first: Key,
    slot: u32,
}

/// Below this load a node looks for a neighbour to merge with.
const SPARSE: usize = ROOM / 4;

impl Core {
    /// Sets the value under `key`.
    pub(crate) fn put(&mut self, key: Key, value: &[u8]) -> Result<()> {
        self.note(&Change::Put { key, value });
        let (path, frame) = self.path_for_writing(key)?;
        let page = self.pool.page_mut(frame);
        let i = match leaf::find(page, key) {
            Ok(i) if leaf::value(page, i).len() == value.len() => {
                leaf::value_mut(page, i).copy_from_slice(value);
                return Ok(());
            }
            Ok(i) => {
                leaf::remove(page, i);
                i
            }
            Err(i) => i,
        };
        if leaf::insert(page, i, key, value) {
            return Ok(());
        }
        let siblings = self.split_leaf(frame, i, key, value)?;
        self.add_siblings(path, siblings)
    }

    /// Removes `key`; whether it was there.
    pub(crate) fn delete(&mut self, key: Key) -> Result<bool> {
        if self.get(key, |_| ())?.is_none() {
            return Ok(false);
        }
        self.note(&Change::Delete { key });
        let (path, frame) = self.path_for_writing(key)?;
        let page = self.pool.page_mut(frame);
        let i = leaf::find(page, key).map_err(|_| Error::Bug("an item vanished"))?;
        leaf::remove(page, i);
        self.shrink(path, frame)?;
        Ok(true)
    }

    /// Moves every node on the way to `key` to a slot of this transaction.
    pub(crate) fn own_path(&mut self, key: Key) -> Result<()> {
        self.path_for_writing(key).map(|_| ())
    }

    /// Seals every node that is in memory only, children first. Nothing refers to the result but `self.root`. Where a root
    /// does not follow, how far the tree is from the last one is lost: the log cannot go on.
    pub(crate) fn seal_nodes(&mut self) -> Result<()> {
        self.changes = None;
        if self.root.pointer.is_in_memory() {
            self.root.pointer = self.seal_below(self.root.pointer.slot, self.root.level)?;
        }
        Ok(())
    }

    fn seal_below(&mut self, slot: u32, level: u8) -> Result<Pointer> {
        let frame = self.pool.find(PageKey::node(slot)).ok_or(Error::Bug("a dirty node left the cache"))?;
        if level > 0 {
            for i in 0..node::count(self.pool.page(frame)) {
                let child = self.child(frame, i)?;
                if child.is_in_memory() {
                    let sealed = self.seal_below(child.slot, level - 1)?;
                    inner::set_pointer(self.pool.page_mut(frame), i, &sealed);
                }
            }
        }
        let pointer = self.io.put(Place::Node { level }, slot, self.pool.page(frame))?;
        self.pool.set_dirty(frame, false);
        self.dirty_nodes -= 1;
        Ok(pointer)
    }

    /// Makes a node writable: the pointer that its parent must hold now, and its frame.
    fn own(&mut self, pointer: &Pointer, level: u8) -> Result<(Pointer, usize)> {
        let frame = self.load(pointer, level)?;
        if pointer.is_in_memory() {
            return Ok((*pointer, frame));
        }
        let mut slot = pointer.slot;
        if !self.space.is_fresh(slot) {
            slot = self.space.allocate(1)?.0;
            self.space.release(pointer.slot)?;
            self.pool.rename(frame, PageKey::node(slot));
        }
        self.pool.set_dirty(frame, true);
        self.dirty_nodes += 1;
        Ok((Pointer::in_memory(slot), frame))
    }

    fn own_root(&mut self) -> Result<usize> {
        let Root { pointer, level } = self.root;
        let (pointer, frame) = self.own(&pointer, level)?;
        self.root.pointer = pointer;
        Ok(frame)
    }

    fn own_child(&mut self, parent: usize, i: usize, level: u8) -> Result<usize> {
        let pointer = self.child(parent, i)?;
        let (owned, frame) = self.own(&pointer, level)?;
        if owned != pointer {
            inner::set_pointer(self.pool.page_mut(parent), i, &owned);
        }
        Ok(frame)
    }

    fn path_for_writing(&mut self, key: Key) -> Result<(Vec<Step>, usize)> {
        let mut path = Vec::with_capacity(usize::from(self.root.level));
        let mut frame = self.own_root()?;
        for level in (0..self.root.level).rev() {
            let index = inner::find(self.pool.page(frame), key);
            path.push(Step { frame, index });
            frame = self.own_child(frame, index, level)?;
        }
        Ok((path, frame))
    }

    fn split_leaf(&mut self, frame: usize, at: usize, key: Key, value: &[u8]) -> Result<Vec<Sibling>> {
        let old: Page = *self.pool.page(frame);
        let n = node::count(&old);
        let cell = |i: usize| match i.cmp(&at) {
            core::cmp::Ordering::Less => (leaf::key(&old, i), leaf::value(&old, i)),
            core::cmp::Ordering::Equal => (key, value),
            core::cmp::Ordering::Greater => (leaf::key(&old, i - 1), leaf::value(&old, i - 1)),
        };
        // What is appended in order fills leaves; anything else halves them.
        let total: usize = (0..=n).map(|i| leaf::cost(cell(i).1)).sum();
        let target = if at == n { ROOM } else { total / 2 };
        let mut siblings = Vec::new();
        let mut frame = frame;
        node::init(self.pool.page_mut(frame), 0);
        for i in 0..=n {
            let (key, value) = cell(i);
            let page = self.pool.page_mut(frame);
            let to = node::count(page);
            let full = siblings.is_empty() && node::load(page) >= target;
            if full || !leaf::insert(page, to, key, value) {
                let (slot, next) = self.new_node(0)?;
                siblings.push(Sibling { first: key, slot });
                frame = next;
                if !leaf::insert(self.pool.page_mut(frame), 0, key, value) {
                    return Err(Error::Bug("an item larger than a leaf"));
                }
            }
        }
        Ok(siblings)
    }

    /// Hangs what a split made beside its left neighbour, all the way up if need be.
    fn add_siblings(&mut self, mut path: Vec<Step>, mut siblings: Vec<Sibling>) -> Result<()> {
        while !siblings.is_empty() {
            let Some(Step { frame, index }) = path.pop() else { return self.grow_root(siblings) };
            let mut next = Vec::new();
            let (mut frame, mut index) = (frame, index);
            for sibling in siblings {
                let pointer = Pointer::in_memory(sibling.slot);
                index += 1;
                if inner::insert(self.pool.page_mut(frame), index, sibling.first, &pointer) {
                    continue;
                }
                let (right, right_frame) = self.split_inner(frame, index)?;
                let left_count = node::count(self.pool.page(frame));
                if index > left_count || (index == left_count && left_count == FAN_OUT) {
                    frame = right_frame;
                    index -= left_count;
                }
                let first = if index == 0 { sibling.first } else { right.first };
                next.push(Sibling { first, slot: right.slot });
                if !inner::insert(self.pool.page_mut(frame), index, sibling.first, &pointer) {
                    return Err(Error::Bug("no room after a split"));
                }
            }
            siblings = next;
        }
        Ok(())
    }

    /// Moves the upper part of a full inner node into a new one, which is empty if the node grows at its end.
    fn split_inner(&mut self, frame: usize, inserting: usize) -> Result<(Sibling, usize)> {
        let old: Page = *self.pool.page(frame);
        let n = node::count(&old);
        let keep = if inserting == n { n } else { n / 2 };
        let (slot, right) = self.new_node(node::level(&old))?;
        for i in keep..n {
            let pointer = inner::pointer(&old, i).ok_or(Error::Bug("child index"))?;
            inner::insert(self.pool.page_mut(right), i - keep, inner::key(&old, i), &pointer);
        }
        for i in (keep..n).rev() {
            inner::remove(self.pool.page_mut(frame), i);
        }
        let first = if keep < n { inner::key(&old, keep) } else { Key(0) };
        Ok((Sibling { first, slot }, right))
    }

    fn grow_root(&mut self, siblings: Vec<Sibling>) -> Result<()> {
        let level = self.root.level + 1;
        if level > node::LEVELS {
            return Err(Error::Bug("the tree is too high"));
        }
        let old = self.root.pointer;
        let (slot, frame) = self.new_node(level)?;
        let page = self.pool.page_mut(frame);
        inner::insert(page, 0, Key(0), &old);
        for (i, sibling) in siblings.iter().enumerate() {
            inner::insert(page, i + 1, sibling.first, &Pointer::in_memory(sibling.slot));
        }
        self.root = Root { pointer: Pointer::in_memory(slot), level };
        Ok(())
    }

    /// Merges what became sparse, from a leaf upwards.
    fn shrink(&mut self, mut path: Vec<Step>, frame: usize) -> Result<()> {
        let mut frame = frame;
        let mut level = 0;
        while let Some(Step { frame: parent, index }) = path.pop() {
            let load = node::load(self.pool.page(frame));
            if load >= SPARSE {
                return Ok(());
            }
            if load == 0 {
                self.drop_child(parent, index)?;
            } else if !(self.merge(parent, index, level)?
                || index > 0 && self.merge(parent, index - 1, level)?)
            {
                return Ok(());
            }
            frame = parent;
            level += 1;
        }
        self.lower_root(frame)
    }

    /// Takes the child out of its parent and frees it.
    fn drop_child(&mut self, parent: usize, index: usize) -> Result<()> {
        let pointer = self.child(parent, index)?;
        inner::remove(self.pool.page_mut(parent), index);
        self.free_node(&pointer)
    }

    fn free_node(&mut self, pointer: &Pointer) -> Result<()> {
        if let Some(frame) = self.pool.find(PageKey::node(pointer.slot)) {
            if self.pool.is_dirty(frame) {
                self.pool.set_dirty(frame, false);
                self.dirty_nodes -= 1;
            }
            self.pool.remove(PageKey::node(pointer.slot));
        }
        self.space.release(pointer.slot)
    }

    /// Moves the child after `index` into the one at `index` if both fit one node.
    fn merge(&mut self, parent: usize, index: usize, level: u8) -> Result<bool> {
        if index + 1 >= node::count(self.pool.page(parent)) {
            return Ok(false);
        }
        let right_pointer = self.child(parent, index + 1)?;
        let left_pointer = self.child(parent, index)?;
        let left_load = {
            let f = self.load(&left_pointer, level)?;
            node::load(self.pool.page(f))
        };
        let right_frame = self.load(&right_pointer, level)?;
        let right: Page = *self.pool.page(right_frame);
        if left_load + node::load(&right) > ROOM * 7 / 8 {
            return Ok(false);
        }
        let bound = inner::key(self.pool.page(parent), index + 1);
        let left = self.own_child(parent, index, level)?;
        let page = self.pool.page_mut(left);
        for i in 0..node::count(&right) {
            let to = node::count(page);
            let fits = if level == 0 {
                leaf::insert(page, to, leaf::key(&right, i), leaf::value(&right, i))
            } else {
                // The first child of a node has no lower bound of its own: its parent's is the one.
                let key = if i == 0 { bound } else { inner::key(&right, i) };
                let pointer = inner::pointer(&right, i).ok_or(Error::Bug("child index"))?;
                inner::insert(page, to, key, &pointer)
            };
            if !fits {
                return Err(Error::Bug("a merge did not fit"));
            }
        }
        self.drop_child(parent, index + 1)?;
        Ok(true)
    }

    /// A root with one child gives way to it; one without becomes an empty leaf.
    fn lower_root(&mut self, frame: usize) -> Result<()> {
        let mut frame = frame;
        while self.root.level > 0 {
            match node::count(self.pool.page(frame)) {
                0 => {
                    node::init(self.pool.page_mut(frame), 0);
                    self.root.level = 0;
                }
                1 => {
                    let child = self.child(frame, 0)?;
                    let old = self.root.pointer;
                    self.root = Root { pointer: child, level: self.root.level - 1 };
                    self.free_node(&old)?;
                    frame = self.load(&child, self.root.level)?;
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }
}

const _: () = assert!(SLOT == ROOM + 8);
