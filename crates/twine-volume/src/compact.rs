//! Moving what lies at the end of the store into free slots before it, so that the end can be cut off.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::format::SEGMENT;
use crate::format::chunk::{CHUNK, Chunk};
use crate::format::key::{self, Key};

/// Blocks moved between two looks at the cache's bounds.
const AT_ONCE: usize = 32;

impl Engine {
    /// Rewrites everything past the slots that the contents need, then cuts the store. Returns the slots given back.
    pub(crate) fn compact(&mut self) -> Result<u32> {
        self.sync()?;
        let before = self.core.space.slots();
        // Once for the contents; once more for the nodes that the first round's commit put at the end.
        for _ in 0..2 {
            self.change(|engine| {
                let used = engine.core.space.used();
                let end = (used + used / 64 + SEGMENT / 2).next_multiple_of(SEGMENT);
                if end >= engine.core.space.slots() {
                    return Ok(());
                }
                engine.reserve(0, true)?;
                engine.core.space.close_from(end);
                engine.move_data(end)?;
                engine.move_nodes(end)?;
                engine.changed = true;
                engine.move_map()?;
                engine.commit()?;
                engine.give_back_beyond(SEGMENT / 2)
            })?;
        }
        Ok(before.saturating_sub(self.core.space.slots()))
    }

    fn move_data(&mut self, end: u32) -> Result<()> {
        let mut from = Key::inode(1);
        loop {
            let (mut found, mut next) = (Vec::new(), None);
            self.core.scan(from, |key, value| {
                if key.kind() == key::CHUNK
                    && let Some(chunk) = Chunk::decode(value)
                {
                    let behind = chunk.pointers().filter(|(_, p)| p.slot >= end);
                    found.extend(behind.map(|(n, _)| (key.ino(), key.sub() * CHUNK + n)));
                }
                next = Some(key.next());
                found.len() < AT_ONCE
            })?;
            for (ino, block) in &found {
                self.reserve(1, true)?;
                let frame = self.page_for_update(*ino, *block)?;
                self.set_page_dirty(*ino, *block, frame);
            }
            self.relieve()?;
            match next {
                Some(next) if found.len() >= AT_ONCE => from = next,
                _ => return Ok(()),
            }
        }
    }

    /// Owns every path with a node behind `end`, which moves its nodes.
    fn move_nodes(&mut self, end: u32) -> Result<()> {
        let mut at = Some(Key(0));
        while let Some(key) = at {
            let (behind, bound) = self.core.path_reaches(key, end)?;
            if behind {
                self.reserve(0, true)?;
                self.core.own_path(key)?;
                self.seal_if_many()?;
            }
            if bound.is_some_and(|bound| bound <= key) {
                return Err(Error::Bug("keys of a tree do not ascend"));
            }
            at = bound;
        }
        Ok(())
    }
}
