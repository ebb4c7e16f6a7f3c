//! Moving what lies at the end of the store into free slots before it, so that the end can be cut off: a little with each
//! sync while garbage exceeds its bound, or all at once.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::format::SEGMENT;
use crate::format::chunk::{CHUNK, Chunk};
use crate::format::key::{self, Key};

/// Blocks moved in one step, and items or leaves looked at.
const MOVES: usize = 64;
const LOOKS: usize = 2048;

/// A pass over the tree in progress.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cleaning {
    /// Slots from here on are to become free.
    end: u32,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Data of chunks from this key on.
    Data(Key),
    /// Nodes on the way to keys from this one on.
    Nodes(Key),
}

impl Engine {
    /// Gathers everything at the front and cuts the store. Returns the slots given back.
    pub(crate) fn compact(&mut self) -> Result<u32> {
        self.settle()?;
        let before = self.core.space.slots();
        // Once for the contents; once more for the nodes that the first pass's commit put at the end.
        for _ in 0..2 {
            self.change(|engine| {
                if !engine.start_cleaning() {
                    return Ok(());
                }
                while !engine.clean_some()? {
                    engine.relieve()?;
                }
                engine.commit()?;
                engine.give_back_beyond(SEGMENT / 4)
            })?;
        }
        Ok(before.saturating_sub(self.core.space.slots()))
    }

    /// Starts a pass if it can free a segment.
    pub(crate) fn start_cleaning(&mut self) -> bool {
        let used = self.core.space.used();
        let end = (used + used / 64 + SEGMENT / 4).next_multiple_of(SEGMENT);
        if end >= self.core.space.slots() {
            return false;
        }
        self.core.space.close_from(end);
        self.cleaning = Some(Cleaning { end, stage: Stage::Data(Key::inode(1)) });
        true
    }

    /// One step of the pass; whether it is over. What it moved counts with the next commit. Without room to move anything
    /// the pass is given up.
    pub(crate) fn clean_some(&mut self) -> Result<bool> {
        match self.clean_step() {
            Err(Error::NoSpace) => {
                self.cleaning = None;
                Ok(true)
            }
            outcome => outcome,
        }
    }

    fn clean_step(&mut self) -> Result<bool> {
        let Some(Cleaning { end, stage }) = self.cleaning else { return Ok(true) };
        self.changed = true;
        let stage = match stage {
            Stage::Data(from) => match self.move_data(from, end)? {
                Some(next) => Some(Stage::Data(next)),
                None => Some(Stage::Nodes(Key(0))),
            },
            Stage::Nodes(from) => self.move_nodes(from, end)?.map(Stage::Nodes),
        };
        self.cleaning = stage.map(|stage| Cleaning { end, stage });
        if self.cleaning.is_none() {
            // The end can be cut once the stored map calls it free as well.
            self.move_map()?;
        }
        Ok(self.cleaning.is_none())
    }

    fn move_data(&mut self, from: Key, end: u32) -> Result<Option<Key>> {
        let (mut found, mut looks, mut next) = (Vec::new(), 0, None);
        self.core.scan(from, |key, value| {
            if found.len() >= MOVES || looks >= LOOKS {
                next = Some(key);
                return false;
            }
            if key.kind() == key::CHUNK
                && let Some(chunk) = Chunk::decode(value)
            {
                let behind = chunk.pointers().filter(|(_, p)| p.slot >= end);
                found.extend(behind.map(|(n, _)| (key.ino(), key.sub() * CHUNK + n)));
            }
            looks += 1;
            true
        })?;
        self.reserve(found.len() as u64, true)?;
        for (ino, block) in found {
            let frame = self.page_for_update(ino, block)?;
            self.set_page_dirty(ino, block, frame, true);
        }
        Ok(next)
    }

    /// Owns paths with a node behind `end`, which moves their nodes.
    fn move_nodes(&mut self, from: Key, end: u32) -> Result<Option<Key>> {
        let mut at = from;
        for _ in 0..MOVES {
            let (behind, bound) = self.core.path_reaches(at, end)?;
            if behind {
                self.reserve(0, true)?;
                self.core.own_path(at)?;
                self.seal_if_many()?;
            }
            match bound {
                Some(bound) if bound <= at => return Err(Error::Bug("keys of a tree do not ascend")),
                Some(bound) => at = bound,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }
}
