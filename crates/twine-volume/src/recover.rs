//! Finding the newest complete state in a store (section 8).

use crate::anchor::{AnchorState, Successor};
use crate::crypto::Place;
use crate::error::{Error, Result};
use crate::format::chunk::{CHUNK, Chunk};
use crate::format::key::{self, Key};
use crate::format::log::{LogRecord, State};
use crate::format::node::{self, inner, leaf};
use crate::format::pointer::{Pointer, Salt};
use crate::format::record::{Clear, Record};
use crate::format::{LOG, Page, RING, RING_LEN, SEGMENT, SLOT, TAG, offset_of, reserved};
use crate::info::Recovery;
use crate::io::Io;
use crate::pool::Pool;
use crate::space::Space;
use crate::store::ReadAt;
use crate::tree::{Core, Root};

/// A root's record that authenticated.
#[derive(Clone, Debug)]
pub(crate) struct Valid {
    pub(crate) clear: Clear,
    pub(crate) record: Record,
    pub(crate) tag: [u8; TAG],
}

impl Valid {
    pub(crate) fn state(&self) -> State {
        State { sequence: self.clear.sequence, tag: self.tag }
    }

    fn previous(&self) -> State {
        State { sequence: self.record.previous, tag: self.record.previous_tag }
    }

    pub(crate) fn root(&self) -> Root {
        Root { pointer: self.record.root, level: self.record.level }
    }
}

/// A record of the log that authenticated.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) slot: u32,
    pub(crate) state: State,
    pub(crate) record: LogRecord,
}

/// Where a run starts.
pub(crate) struct Recovered {
    /// The root.
    pub(crate) base: Valid,
    /// What the log adds to it, in order.
    pub(crate) log: Vec<Logged>,
    /// Above every record that authenticated.
    pub(crate) next: u64,
    pub(crate) report: Recovery,
}

impl Recovered {
    /// The state that opens.
    pub(crate) fn state(&self) -> State {
        self.log.last().map_or(self.base.state(), |last| last.state)
    }
}

/// Every record that authenticates.
#[derive(Default)]
pub(crate) struct Records {
    /// Oldest first.
    pub(crate) roots: Vec<Valid>,
    /// Oldest first, whatever roots they belong to.
    pub(crate) log: Vec<Logged>,
    /// Slots of the ring that hold something else.
    pub(crate) unreadable: u32,
}

/// Reads the ring and the log.
pub(crate) fn read_records(io: &mut Io) -> Result<Records> {
    let mut bytes = vec![0; (reserved(io.keys.version()) - RING) as usize * SLOT];
    io.counters.reads += 1;
    io.store.read(&mut [ReadAt { offset: offset_of(RING), buf: &mut bytes }])?;
    let (ring, log) = bytes.split_at(RING_LEN as usize * SLOT);
    let mut records = Records::default();
    for (slot, page) in (RING..).zip(ring.chunks_exact(SLOT)) {
        let page: &Page = page.try_into().map_err(|_| Error::Bug("chunk size"))?;
        match io.keys.open_record(slot, page) {
            Ok(Some((clear, record, tag))) => records.roots.push(Valid { clear, record, tag }),
            Ok(None) => {}
            Err(_) => records.unreadable += 1,
        }
    }
    for (slot, at) in (LOG..).zip((0..log.len()).step_by(SLOT)) {
        if let Some((clear, record, tag)) = log.get(at..).and_then(|from| io.keys.open_log_record(slot, from))
        {
            records.log.push(Logged { slot, state: State { sequence: clear.sequence, tag }, record });
        }
    }
    records.roots.sort_by_key(|root| root.clear.sequence);
    records.log.sort_by_key(|logged| logged.state.sequence);
    Ok(records)
}

impl Records {
    /// Every state that has a record, and the one before it.
    fn states(&self) -> impl Iterator<Item = (State, State)> {
        let roots = self.roots.iter().map(|root| (root.state(), root.previous()));
        roots.chain(self.log.iter().map(|logged| (logged.state, logged.record.previous)))
    }

    /// Refuses records that contradict one another: the word of each about its predecessor.
    fn check_chain(&self) -> Result<()> {
        for (later, previous) in self.states() {
            let other = self.states().any(|(s, _)| s.sequence == previous.sequence && s.tag != previous.tag);
            if previous.sequence >= later.sequence || other {
                return Err(Error::Equivocation { sequence: previous.sequence });
            }
        }
        Ok(())
    }

    fn root(&self, state: State) -> Option<&Valid> {
        self.roots.iter().find(|root| root.state() == state)
    }

    /// What the log adds to a root, in order. A record was written after those before it were durable: one missing is damage.
    fn log_of(&self, root: State) -> Result<Vec<Logged>> {
        let mut at = root;
        let mut log = Vec::new();
        for logged in self.log.iter().filter(|logged| logged.record.root == root) {
            if logged.record.previous != at {
                return Err(Error::Corrupted { what: "log, which lacks a record", slot: logged.slot });
            }
            at = logged.state;
            log.push(logged.clone());
        }
        Ok(log)
    }

    /// The root of a state, and what the log adds to it up to that state.
    fn find(&self, state: State) -> Result<Option<(&Valid, Vec<Logged>)>> {
        let last = self.log.iter().find(|logged| logged.state == state);
        let root = last.map_or(state, |last| last.record.root);
        let Some(root) = self.root(root) else { return Ok(None) };
        let mut log = if last.is_some() { self.log_of(root.state())? } else { Vec::new() };
        log.retain(|logged| logged.state.sequence <= state.sequence);
        Ok(Some((root, log)))
    }
}

/// Finds the state to start from; `core` is left with its root's tree and map.
pub(crate) fn recover(mut io: Io, pool: Pool, anchored: Option<&AnchorState>) -> Result<(Core, Recovered)> {
    let records = read_records(&mut io)?;
    records.check_chain()?;
    let mut report = Recovery { unreadable_records: records.unreadable, ..Recovery::default() };
    let newest = records.roots.last().ok_or(Error::NoRoot { unreadable: records.unreadable })?;
    let next = records.states().map(|(state, _)| state.sequence).max().unwrap_or_default() + 1;
    // A root was durable before its log began.
    if let Some(lost) = records.log.iter().find(|logged| logged.record.root.sequence > newest.clear.sequence)
    {
        return Err(Error::Corrupted { what: "log, whose root is gone", slot: lost.slot });
    }
    let (mut base, mut log) = (newest, records.log_of(newest.state())?);
    let reserved = reserved(io.keys.version());
    let mut core = Core::at(io, pool, Space::new(SEGMENT, reserved), base.root());
    if log.is_empty()
        && let Some(slot) = find_torn(&mut core.io, base)?
    {
        // A commit whose blocks are not all there was never finished; its predecessor was, before it began.
        report.discarded = Some((base.clear.sequence, slot));
        let before = records.find(base.previous())?;
        (base, log) = before.ok_or(Error::Corrupted { what: "only commit that is left", slot })?;
        core.root = base.root();
    }
    let recovered = Recovered { base: base.clone(), log, next, report };
    check_anchor(anchored, recovered.state(), &records)?;
    let mut items = Vec::new();
    core.scan(Key::map(0), |key, value| {
        key.as_map().map(|region| items.push((region, value.to_vec()))).is_some()
    })?;
    core.space = Space::load(base.record.slots, reserved, &items, &base.record.delta)
        .ok_or(Error::Corrupted { what: "allocation map", slot: base.record.root.slot })?;
    Ok((core, recovered))
}

/// Finds the newest state whose root reads, for an owner who wants what is left: whatever is broken below it, whether or not it
/// was finished, and without its map, which only a writer needs.
pub(crate) fn salvage(mut io: Io, pool: Pool) -> Result<(Core, Recovered)> {
    let records = read_records(&mut io)?;
    let mut broken = Error::NoRoot { unreadable: records.unreadable };
    let mut page = Box::new([0; SLOT]);
    for base in records.roots.iter().rev() {
        let root = base.root();
        match io.get(&root.pointer, Place::Node { level: root.level }, &mut page) {
            Ok(()) => {
                let report = Recovery { unreadable_records: records.unreadable, ..Recovery::default() };
                let space = Space::new(SEGMENT, reserved(io.keys.version()));
                let core = Core { tolerant: true, ..Core::at(io, pool, space, root) };
                let log = records.log_of(base.state()).unwrap_or_default();
                let next = base.clear.sequence + 1;
                return Ok((core, Recovered { base: base.clone(), log, next, report }));
            }
            Err(error) => broken = error,
        }
    }
    Err(broken)
}

/// The anchor's word: this state, its announced successor, or, where commits are not announced one by one, a later one.
fn check_anchor(anchored: Option<&AnchorState>, state: State, records: &Records) -> Result<()> {
    let Some(anchor) = anchored else { return Ok(()) };
    let found = Successor { sequence: state.sequence, tag: state.tag };
    if found == anchor.current || Some(found) == anchor.pending {
        return Ok(());
    }
    if found.sequence < anchor.current.sequence {
        return Err(Error::Rollback { found: found.sequence, anchored: anchor.current.sequence });
    }
    // The anchored state itself must not be contradicted where its record is still there.
    let mut states = records.states().map(|(state, _)| state);
    let other = states.any(|s| s.sequence == anchor.current.sequence && s.tag != anchor.current.tag);
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
