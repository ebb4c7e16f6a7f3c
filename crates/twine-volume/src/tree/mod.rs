//! The copy-on-write B+tree over the pool, and the block layer below it.

mod read;
mod write;

use crate::crypto::Place;
use crate::error::{Error, Result};
use crate::format::key::{self, Key};
use crate::format::log::{Change, Changes};
use crate::format::pointer::Pointer;
use crate::format::{Page, node};
use crate::io::Io;
use crate::pool::{PageKey, Pool};
use crate::space::Space;

/// Everything below inodes: blocks, cache, allocation and the tree.
pub(crate) struct Core {
    pub(crate) io: Io,
    pub(crate) pool: Pool,
    pub(crate) space: Space,
    pub(crate) root: Root,
    /// Nodes in memory that are not sealed yet.
    pub(crate) dirty_nodes: usize,
    /// What changed since the last record; `None` if the log cannot say it.
    pub(crate) changes: Option<Changes>,
    /// Walks pass over leaves that do not verify: for what is left of a damaged volume.
    pub(crate) tolerant: bool,
}

/// The tree's root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) pointer: Pointer,
    pub(crate) level: u8,
}

impl Core {
    /// An empty tree in memory.
    pub(crate) fn empty(io: Io, pool: Pool, space: Space) -> Result<Core> {
        let root = Root { pointer: Pointer::in_memory(0), level: 0 };
        let mut core = Core::at(io, pool, space, root);
        core.root.pointer = Pointer::in_memory(core.new_node(0)?.0);
        Ok(core)
    }

    /// The tree below a root.
    pub(crate) fn at(io: Io, pool: Pool, space: Space, root: Root) -> Core {
        Core { io, pool, space, root, dirty_nodes: 0, changes: None, tolerant: false }
    }

    /// Takes note of a change for the log. Blocks and the map have no place there.
    pub(crate) fn note(&mut self, change: &Change<'_>) {
        let said = match change {
            Change::Put { key, .. } | Change::Delete { key } => is_logged(*key),
            Change::Cut { .. } | Change::Page { .. } => true,
        };
        if let Some(changes) = &mut self.changes
            && !(said && changes.push(change))
        {
            self.changes = None;
        }
    }

    /// A new dirty node: its slot and frame.
    fn new_node(&mut self, level: u8) -> Result<(u32, usize)> {
        let (slot, _) = self.space.allocate(1)?;
        let mut page = self.pool.take_page();
        node::init(&mut page, level);
        let frame = self.pool.insert(PageKey::node(slot), page);
        self.pool.set_dirty(frame, true);
        self.pool.warm_node(frame);
        self.dirty_nodes += 1;
        Ok((slot, frame))
    }

    /// The frame of a node, read and verified if need be.
    pub(crate) fn load(&mut self, pointer: &Pointer, level: u8) -> Result<usize> {
        if let Some(frame) = self.pool.find(PageKey::node(pointer.slot)) {
            self.pool.warm_node(frame);
            return Ok(frame);
        }
        if pointer.is_in_memory() {
            return Err(Error::Bug("a node that was never sealed left the cache"));
        }
        let mut page = self.pool.take_page();
        let place = Place::Node { level };
        let read = self.io.get(pointer, place, &mut page);
        if read.is_err() || !node::validate(&page, level) {
            self.pool.give_back(page);
            read?;
            return Err(Error::Corrupted { what: "layout of a tree node", slot: pointer.slot });
        }
        if level == 2 {
            self.load_children(&page);
        }
        let frame = self.pool.insert(PageKey::node(pointer.slot), page);
        self.pool.warm_node(frame);
        Ok(frame)
    }

    /// Reads a node's inner children with it, in one call of the store: in a tree that is large enough to have them, a
    /// look-up finds all but its leaves in memory soon. What fails here fails again when it is asked for.
    fn load_children(&mut self, page: &Page) {
        let children = (0..node::count(page)).filter_map(|i| node::inner::pointer(page, i));
        let missing =
            |child: &Pointer| !child.is_in_memory() && self.pool.find(PageKey::node(child.slot)).is_none();
        let place = Place::Node { level: 1 };
        let wanted: Vec<_> = children.filter(missing).map(|child| (child, place)).collect();
        if wanted.is_empty() || wanted.len() > self.pool.capacity() / 8 {
            return;
        }
        let mut pages: Vec<Box<Page>> = wanted.iter().map(|_| self.pool.take_page()).collect();
        let read = self.io.get_all(&wanted, &mut pages);
        for ((pointer, _), page) in wanted.iter().zip(pages) {
            if read.is_ok() && node::validate(&page, 1) {
                let frame = self.pool.insert(PageKey::node(pointer.slot), page);
                self.pool.warm_node(frame);
            } else {
                self.pool.give_back(page);
            }
        }
    }

    /// The pointer at `i` of an inner node.
    fn child(&self, frame: usize, i: usize) -> Result<Pointer> {
        node::inner::pointer(self.pool.page(frame), i).ok_or(Error::Bug("child index"))
    }
}

/// Whether the log may hold an item: inodes, names and orphans.
pub(crate) fn is_logged(key: Key) -> bool {
    key.as_orphan().is_some() || key.ino() != 0 && matches!(key.kind(), key::INODE | key::ENTRY)
}
