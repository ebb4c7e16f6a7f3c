//! Finding the newest complete state in a store (section 8).

use crate::anchor::{AnchorState, Successor};
use crate::crypto::Place;
use crate::error::{Error, Result};
use crate::format::chunk::{CHUNK, Chunk};
use crate::format::key::{self, Key};
use crate::format::node::{self, inner, leaf};
use crate::format::pointer::{Pointer, Salt};
use crate::format::record::{Clear, Record};
use crate::format::{Page, RING, RING_LEN, SLOT, TAG, offset_of};
use crate::info::Recovery;
use crate::io::Io;
use crate::pool::Pool;
use crate::space::Space;
use crate::store::ReadAt;
use crate::tree::{Core, Root};

/// A record that authenticated.
#[derive(Clone, Debug)]
pub(crate) struct Valid {
    pub(crate) clear: Clear,
    pub(crate) record: Record,
    pub(crate) tag: [u8; TAG],
}

/// Where a run starts.
pub(crate) struct Recovered {
    pub(crate) state: Valid,
    /// Above every record that authenticated.
    pub(crate) next: u64,
    pub(crate) report: Recovery,
}

/// Every record of the ring that authenticates, oldest first, and how many slots hold something else.
pub(crate) fn read_ring(io: &mut Io) -> Result<(Vec<Valid>, u32)> {
    let mut bytes = vec![0; RING_LEN as usize * SLOT];
    io.counters.reads += 1;
    io.store.read(&mut [ReadAt { offset: offset_of(RING), buf: &mut bytes }])?;
    let (mut valid, mut unreadable) = (Vec::new(), 0);
    for (slot, page) in (RING..).zip(bytes.chunks_exact(SLOT)) {
        let page: &Page = page.try_into().map_err(|_| Error::Bug("chunk size"))?;
        match io.keys.open_record(slot, page) {
            Ok(Some((clear, record, tag))) => valid.push(Valid { clear, record, tag }),
            Ok(None) => {}
            Err(_) => unreadable += 1,
        }
    }
    valid.sort_by_key(|v| v.clear.sequence);
    Ok((valid, unreadable))
}

/// Refuses records that contradict one another: the word of each about its predecessor.
fn check_chain(valid: &[Valid]) -> Result<()> {
    for later in valid {
        let previous = valid.iter().find(|v| v.clear.sequence == later.record.previous);
        if later.record.previous >= later.clear.sequence
            || previous.is_some_and(|p| p.tag != later.record.previous_tag)
        {
            return Err(Error::Equivocation { sequence: later.record.previous });
        }
    }
    Ok(())
}

/// Finds the state to start from; `core` is left with its tree and map.
pub(crate) fn recover(mut io: Io, pool: Pool, anchored: Option<&AnchorState>) -> Result<(Core, Recovered)> {
    let (valid, unreadable) = read_ring(&mut io)?;
    check_chain(&valid)?;
    let mut report = Recovery { unreadable_records: unreadable, ..Recovery::default() };
    let newest = valid.last().ok_or(Error::NoRoot { unreadable })?;
    let next = newest.clear.sequence + 1;
    let mut state = newest.clone();
    let mut core = Core {
        io,
        pool,
        space: Space::new(crate::format::SEGMENT),
        root: Root { pointer: state.record.root, level: state.record.level },
        dirty_nodes: 0,
        tolerant: false,
    };
    if let Some(slot) = find_torn(&mut core.io, &state)? {
        // A commit whose blocks are not all there was never finished; its predecessor was, before it began.
        let before = valid
            .iter()
            .find(|v| v.clear.sequence == state.record.previous && v.tag == state.record.previous_tag);
        let before = before.ok_or(Error::Corrupted { what: "only commit that is left", slot })?;
        report.discarded = Some((state.clear.sequence, slot));
        state = before.clone();
        core.root = Root { pointer: state.record.root, level: state.record.level };
    }
    check_anchor(anchored, &state, &valid)?;
    let mut items = Vec::new();
    core.scan(Key::map(0), |key, value| {
        key.as_map().map(|region| items.push((region, value.to_vec()))).is_some()
    })?;
    core.space = Space::load(state.record.slots, &items, &state.record.delta)
        .ok_or(Error::Corrupted { what: "allocation map", slot: state.record.root.slot })?;
    report.sequence = state.clear.sequence;
    Ok((core, Recovered { state, next, report }))
}

/// Finds the newest state whose root reads, for an owner who wants what is left: whatever is broken below it, whether or not it
/// was finished, and without its map, which only a writer needs.
pub(crate) fn salvage(mut io: Io, pool: Pool) -> Result<(Core, Recovered)> {
    let (valid, unreadable) = read_ring(&mut io)?;
    let mut broken = Error::NoRoot { unreadable };
    let mut page = Box::new([0; SLOT]);
    for state in valid.into_iter().rev() {
        let root = Root { pointer: state.record.root, level: state.record.level };
        match io.get(&root.pointer, Place::Node { level: root.level }, &mut page) {
            Ok(()) => {
                let report = Recovery {
                    sequence: state.clear.sequence,
                    unreadable_records: unreadable,
                    ..Recovery::default()
                };
                let space = Space::new(crate::format::SEGMENT);
                let core = Core { io, pool, space, root, dirty_nodes: 0, tolerant: true };
                return Ok((core, Recovered { next: state.clear.sequence + 1, state, report }));
            }
            Err(error) => broken = error,
        }
    }
    Err(broken)
}

/// The anchor's word: this state, its announced successor, or, where commits are not announced one by one, a later one.
fn check_anchor(anchored: Option<&AnchorState>, state: &Valid, valid: &[Valid]) -> Result<()> {
    let Some(anchor) = anchored else { return Ok(()) };
    let found = Successor { sequence: state.clear.sequence, tag: state.tag };
    if found == anchor.current || Some(found) == anchor.pending {
        return Ok(());
    }
    if found.sequence < anchor.current.sequence {
        return Err(Error::Rollback { found: found.sequence, anchored: anchor.current.sequence });
    }
    // The anchored state itself must not be contradicted where the ring still shows it.
    let other =
        valid.iter().any(|v| v.clear.sequence == anchor.current.sequence && v.tag != anchor.current.tag);
    if found.sequence == anchor.current.sequence || other || anchor.announces {
        return Err(Error::Forked { sequence: found.sequence });
    }
    Ok(())
}

/// Reads every block that no barrier covered when this record was written; the slot of one that is not there.
///
/// What authenticates and makes no sense is no tear but a defect or a forgery, and an error.
fn find_torn(io: &mut Io, state: &Valid) -> Result<Option<u32>> {
    let record = &state.record;
    let mut walk = Unsynced { io, since: &record.unsynced, pending: Vec::new() };
    let walked = walk.node(&record.root, record.level).and_then(|()| walk.flush());
    match walked {
        Ok(()) => Ok(None),
        Err(Stop::Torn(slot)) => Ok(Some(slot)),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// Why the walk ended early.
enum Stop {
    Torn(u32),
    Failed(Error),
}

/// A block that does not verify, in this walk alone, is a torn one.
fn torn(error: Error) -> Stop {
    match error {
        Error::Corrupted { slot, .. } => Stop::Torn(slot),
        other => Stop::Failed(other),
    }
}

struct Unsynced<'a> {
    io: &'a mut Io,
    since: &'a [(Salt, u32)],
    pending: Vec<(Pointer, Place)>,
}

/// Data blocks verified with one call of the store.
const AT_ONCE: usize = 64;

impl Unsynced<'_> {
    fn is_new(&self, pointer: &Pointer) -> bool {
        self.since.iter().any(|(salt, counter)| pointer.salt == *salt && pointer.counter >= *counter)
    }

    fn node(&mut self, pointer: &Pointer, level: u8) -> core::result::Result<(), Stop> {
        if !self.is_new(pointer) {
            return Ok(());
        }
        let mut page = Box::new([0; SLOT]);
        self.io.get(pointer, Place::Node { level }, &mut page).map_err(torn)?;
        if !node::validate(&page, level) {
            return Err(Stop::Failed(Error::Corrupted { what: "layout of a tree node", slot: pointer.slot }));
        }
        for i in 0..node::count(&page) {
            if level > 0 {
                let child = inner::pointer(&page, i).ok_or(Stop::Failed(Error::Bug("child index")))?;
                self.node(&child, level - 1)?;
                continue;
            }
            let at = leaf::key(&page, i);
            if at.ino() == 0 || at.kind() != key::CHUNK {
                continue;
            }
            let broken = Error::Corrupted { what: "chunk of a file", slot: pointer.slot };
            let chunk = Chunk::decode(leaf::value(&page, i)).ok_or(Stop::Failed(broken))?;
            for (n, pointer) in chunk.pointers() {
                self.data(pointer, Place::Data { ino: at.ino(), block: at.sub() * CHUNK + n })?;
            }
        }
        Ok(())
    }

    fn data(&mut self, pointer: Pointer, place: Place) -> core::result::Result<(), Stop> {
        if self.is_new(&pointer) {
            self.pending.push((pointer, place));
            if self.pending.len() >= AT_ONCE {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> core::result::Result<(), Stop> {
        let pending = std::mem::take(&mut self.pending);
        let mut pages: Vec<Box<Page>> = pending.iter().map(|_| Box::new([0; SLOT])).collect();
        if pending.is_empty() { Ok(()) } else { self.io.get_all(&pending, &mut pages).map_err(torn) }
    }
}
