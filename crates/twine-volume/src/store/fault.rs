//! A store that fails as disks, power cuts and hostile hosts do. For tests of this crate and of those above it.

use std::sync::{Arc, Mutex, PoisonError};

use super::memory::{read_from, write_to};
use super::{ReadAt, Store, StoreError, WriteAt};

/// What a power cut keeps or loses whole.
const SECTOR: usize = 512;

/// What happens at the n-th changing call (write, sync, allocate, punch, truncate; the first is 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The power goes: this call and all later ones fail; see [`FaultyStore::crash`].
    Kill,
    /// This call alone fails with an I/O error.
    Fail,
    /// From here on the disk is full: `allocate` refuses.
    Full,
}

/// A memory store that remembers what no barrier covered yet. Clones share one state.
#[derive(Clone, Default)]
pub struct FaultyStore(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// What a running process reads.
    current: Vec<u8>,
    /// What the last barrier made durable.
    durable: Vec<u8>,
    pending: Vec<Change>,
    fault: Option<(u64, Fault)>,
    calls: u64,
    syncs: u64,
    reads: u64,
    dead: bool,
}

enum Change {
    Write(u64, Vec<u8>),
    Extend(u64),
    Truncate(u64),
    Punch(u64, u64),
}

impl FaultyStore {
    /// A store whose durable contents are these.
    pub fn new(bytes: Vec<u8>) -> Self {
        FaultyStore(Arc::new(Mutex::new(State {
            current: bytes.clone(),
            durable: bytes,
            ..State::default()
        })))
    }

    /// Arms one fault at the given changing call from the store's beginning.
    pub fn arm(&self, call: u64, fault: Fault) {
        self.lock().fault = Some((call, fault));
    }

    /// The process starts again and the power never went: what no barrier covered is still only in the cache.
    pub fn revive(&self) {
        let mut state = self.lock();
        (state.dead, state.fault) = (false, None);
    }

    /// Changing calls so far.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Barriers so far.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Reading calls so far.
    pub fn reads(&self) -> u64 {
        self.lock().reads
    }

    /// What a running process sees: a kill without a power cut leaves this.
    pub fn image(&self) -> Vec<u8> {
        self.lock().current.clone()
    }

    /// What a power cut may leave: of every unsynced write an arbitrary part of its sectors, by `random`'s choice, and
    /// a prefix of the unsynced changes of length.
    pub fn crash(&self, random: &mut dyn FnMut() -> u64) -> Vec<u8> {
        let state = self.lock();
        let mut image = state.durable.clone();
        let lengths = state.pending.iter().filter(|c| !matches!(c, Change::Write(..))).count() as u64;
        let mut lengths_left = random() % (lengths + 1);
        // Some cuts lose nearly everything, some nearly nothing: a uniform choice would hardly ever try either.
        let keep = [0, 8, 128, 248, 256][(random() % 5) as usize];
        for change in &state.pending {
            match change {
                Change::Write(offset, bytes) => {
                    for (i, sector) in bytes.chunks(SECTOR).enumerate() {
                        let at = offset + (i * SECTOR) as u64;
                        let fits = at as usize + sector.len() <= image.len();
                        if fits && random() % 256 < keep {
                            image[at as usize..at as usize + sector.len()].copy_from_slice(sector);
                        }
                    }
                    continue;
                }
                _ if lengths_left == 0 => continue,
                Change::Extend(len) => image.resize(image.len().max(*len as usize), 0),
                Change::Truncate(len) => image.truncate(*len as usize),
                Change::Punch(start, end) => {
                    let end = (*end as usize).min(image.len());
                    image[(*start as usize).min(end)..end].fill(0);
                }
            }
            lengths_left -= 1;
        }
        image
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const KILLED: StoreError = StoreError::Failed { operation: "a call after the power went", code: 5 };

impl State {
    fn change(&mut self, operation: &'static str) -> Result<(), StoreError> {
        if self.dead {
            return Err(KILLED);
        }
        let call = self.calls;
        self.calls += 1;
        match self.fault {
            Some((at, Fault::Kill)) if at == call => {
                self.dead = true;
                Err(KILLED)
            }
            Some((at, Fault::Fail)) if at == call => Err(StoreError::Failed { operation, code: 5 }),
            Some((at, Fault::Full)) if at <= call && operation == "allocate" => Err(StoreError::NoSpace),
            _ => Ok(()),
        }
    }
}

impl Store for FaultyStore {
    fn length(&mut self) -> Result<u64, StoreError> {
        Ok(self.lock().current.len() as u64)
    }

    fn read(&mut self, pieces: &mut [ReadAt<'_>]) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.dead {
            return Err(KILLED);
        }
        state.reads += 1;
        pieces.iter_mut().for_each(|piece| read_from(&state.current, piece));
        Ok(())
    }

    fn write(&mut self, pieces: &[WriteAt<'_>]) -> Result<(), StoreError> {
        let mut state = self.lock();
        let outcome = state.change("write");
        // A write that is cut short or fails may still have happened in part.
        for piece in pieces {
            state.pending.push(Change::Write(piece.offset, piece.bytes.to_vec()));
        }
        outcome?;
        pieces.iter().try_for_each(|piece| write_to(&mut state.current, piece.offset, piece.bytes))
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.change("sync")?;
        state.syncs += 1;
        state.pending.clear();
        state.durable = state.current.clone();
        Ok(())
    }

    fn allocate(&mut self, offset: u64, len: u64) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.change("allocate")?;
        let end = offset.saturating_add(len);
        if (state.current.len() as u64) < end {
            state.current.resize(end as usize, 0);
            state.pending.push(Change::Extend(end));
        }
        Ok(())
    }

    fn punch(&mut self, offset: u64, len: u64) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.change("punch")?;
        let end = (offset.saturating_add(len) as usize).min(state.current.len());
        let start = (offset as usize).min(end);
        state.current[start..end].fill(0);
        state.pending.push(Change::Punch(offset, offset.saturating_add(len)));
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.change("truncate")?;
        state.current.truncate(len as usize);
        state.pending.push(Change::Truncate(len));
        Ok(())
    }
}
