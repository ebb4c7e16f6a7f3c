//! Making the state in memory the committed one: one record, one barrier (section 7). Here as a root; in the log in `log`.

use crate::anchor::{Anchor, AnchorPolicy, AnchorState, Successor};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::format::key::Key;
use crate::format::log::{Changes, State};
use crate::format::record::{DELTA_MAX, Record, slot_of};
use crate::format::{TAG, WITHOUT_LOG};
use crate::tree::Root;

/// Blocks without a barrier that a record may leave to the next opener to verify: 64 MiB.
const UNSYNCED_BLOCKS: u64 = 16 * 1024;
/// Orphans freed with each commit.
const REAPED: usize = 16;

/// Most rounds of moving the map; each takes a hundred of its leaves or is the last.
const ROUNDS: usize = 4096;

/// The last committed state, and the anchor that knows it.
pub(crate) struct Anchored {
    pub(crate) sequence: u64,
    pub(crate) tag: [u8; TAG],
    /// The sequence of the next commit: above every record that was ever seen.
    pub(crate) next: u64,
    /// The last state that is a root, which the log goes on from.
    pub(crate) base: State,
    /// That root.
    pub(crate) root: Root,
    /// Slots of the log that hold records of this run's; `None` until the run has written a root, and where there is no log.
    pub(crate) logged: Option<u32>,
    pub(crate) anchor: Option<LiveAnchor>,
}

/// An anchor and what it holds as far as this run knows.
pub(crate) struct LiveAnchor {
    pub(crate) anchor: Box<dyn Anchor>,
    pub(crate) policy: AnchorPolicy,
    pub(crate) state: AnchorState,
    /// When it was moved last, by the volume's clock.
    pub(crate) moved: u64,
}

impl LiveAnchor {
    /// Moves the anchor, which must hold what it held before.
    fn swap(&mut self, id: &[u8; 16], new: AnchorState) -> Result<()> {
        let conflict = Error::Forked { sequence: new.current.sequence };
        self.anchor.swap(id, Some(&self.state), &new).map_err(|error| Error::of_anchor(error, conflict))?;
        self.state = new;
        Ok(())
    }
}

impl Engine {
    /// Commits whatever changed; without a change there is no host call.
    pub(crate) fn sync(&mut self) -> Result<()> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if self.read_only || !self.changed {
            return Ok(());
        }
        self.change(|engine| if engine.commit_to_log()? { Ok(()) } else { engine.commit_and_tidy() })
    }

    /// Commits a root if anything changed since the last one, what the log has of it included.
    pub(crate) fn settle(&mut self) -> Result<()> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if self.read_only || !self.changed && self.committed.sequence == self.committed.base.sequence {
            return Ok(());
        }
        self.change(Engine::commit_and_tidy)
    }

    fn commit_and_tidy(&mut self) -> Result<()> {
        self.reap(REAPED)?;
        let cleaned = match self.cleaning {
            Some(_) => self.clean_some()?,
            None => {
                self.make_room_together()?;
                false
            }
        };
        self.commit()?;
        if cleaned { self.give_back(0) } else { self.give_back_idle() }
    }

    /// One commit as a root. Only called where the state in memory is a whole one.
    pub(crate) fn commit(&mut self) -> Result<()> {
        self.write_back(false)?;
        self.store_inodes()?;
        self.core.seal_nodes()?;
        let delta = self.settle_map()?;
        if self.core.io.since_barrier() > UNSYNCED_BLOCKS {
            self.core.io.barrier()?;
        }
        let mut sequence = self.committed.next;
        // After many torn commits in a row the ring comes round to the one good record, which must stay.
        if slot_of(sequence) == slot_of(self.committed.base.sequence) {
            sequence += 1;
        }
        let record = Record {
            previous: self.committed.sequence,
            previous_tag: self.committed.tag,
            level: self.core.root.level,
            root: self.core.root.pointer,
            slots: self.core.space.slots(),
            next_ino: self.next_ino,
            unsynced: self.core.io.unsynced(),
            delta,
        };
        let body =
            record.encode(self.core.io.keys.version()).ok_or(Error::Bug("a record that is too long"))?;
        let (slot, page, tag) = self.core.io.seal_record(sequence, &body)?;
        self.lull.lowest = self.lull.lowest.min(self.core.space.free());
        self.make_durable(Successor { sequence, tag }, slot, &page, |engine| {
            engine.core.space.committed();
            let committed = &mut engine.committed;
            committed.base = State { sequence, tag };
            committed.root = engine.core.root;
            committed.logged = (engine.core.io.keys.version() != WITHOUT_LOG).then_some(0);
        })
    }

    /// Writes a record with the last blocks, and takes note, with `done`, that it is durable.
    pub(crate) fn make_durable(
        &mut self,
        successor: Successor,
        slot: u32,
        record: &[u8],
        done: impl FnOnce(&mut Self),
    ) -> Result<()> {
        self.announce(successor)?;
        self.core.io.commit(slot, record)?;
        self.committed.sequence = successor.sequence;
        self.committed.tag = successor.tag;
        self.committed.next = successor.sequence + 1;
        self.core.io.counters.commits += 1;
        done(self);
        self.core.changes = self.committed.logged.map(|_| Changes::default());
        // What files without names still hold in memory is no reason for another commit.
        self.changed = false;
        self.confirm(successor)
    }

    /// The map delta of this state: in the record while it is short, else moved into the map items first.
    fn settle_map(&mut self) -> Result<Vec<u8>> {
        // Moving the map changes the map, but only by nodes that this transaction did not own before: each round owns
        // more of the map's leaves for good, and a round that needs no new one leaves no delta.
        for _ in 0..ROUNDS {
            let delta = self.core.space.delta();
            if delta.len() <= DELTA_MAX {
                return Ok(delta);
            }
            self.move_map()?;
            self.core.seal_nodes()?;
        }
        Err(Error::Bug("the allocation map does not settle"))
    }

    /// Brings the map items up to this moment.
    pub(crate) fn move_map(&mut self) -> Result<()> {
        for (region, bits) in self.core.space.take_map_items() {
            if bits.iter().all(|b| *b == 0) {
                self.core.delete(Key::map(region))?;
            } else {
                self.core.put(Key::map(region), &bits)?;
            }
        }
        Ok(())
    }

    /// Tells the anchor what is about to become durable.
    fn announce(&mut self, successor: Successor) -> Result<()> {
        let id = *self.core.io.keys.id();
        match &mut self.committed.anchor {
            Some(live) if live.policy == AnchorPolicy::EverySync => {
                let new = AnchorState { pending: Some(successor), ..live.state };
                live.swap(&id, new)
            }
            _ => Ok(()),
        }
    }

    fn confirm(&mut self, successor: Successor) -> Result<()> {
        let now = self.now();
        let due = match &mut self.committed.anchor {
            Some(LiveAnchor { policy: AnchorPolicy::EverySync, .. }) => true,
            Some(LiveAnchor { policy: AnchorPolicy::Interval(length), moved, .. }) => {
                let due = now.saturating_sub(*moved) >= *length || now < *moved;
                if due {
                    *moved = now;
                }
                due
            }
            _ => false,
        };
        if due { self.settle_anchor(successor) } else { Ok(()) }
    }

    /// Makes a durable state the anchor's.
    pub(crate) fn settle_anchor(&mut self, successor: Successor) -> Result<()> {
        let id = *self.core.io.keys.id();
        let Some(live) = &mut self.committed.anchor else { return Ok(()) };
        let new = AnchorState { current: successor, pending: None, ..live.state };
        if new == live.state { Ok(()) } else { live.swap(&id, new) }
    }

    /// Commits and lets the anchor follow, whatever its policy.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.settle()?;
        if self.read_only {
            return Ok(());
        }
        if self.core.io.counters.commits > 0 {
            // One more record, which says that all before it is durable: from here on a broken block is damage, not a tear.
            self.change(Engine::commit)?;
        }
        let successor = Successor { sequence: self.committed.sequence, tag: self.committed.tag };
        self.settle_anchor(successor)?;
        self.give_back(0)
    }
}
