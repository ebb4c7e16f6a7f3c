//! Sealed blocks in and out of the store: batching, epochs, and what no barrier covers yet.

use crate::crypto::{BLOCKS_PER_EPOCH, Epoch, Keyring, Place};
use crate::error::{Error, Result};
use crate::format::pointer::{Pointer, Salt};
use crate::format::record::UNSYNCED_MAX;
use crate::format::{Page, SLOT, offset_of};
use crate::info::Counters;
use crate::provider::Entropy;
use crate::store::{ReadAt, Store, WriteAt};

/// Blocks gathered before the store is called.
const BATCH: usize = 128;

/// The store behind its keys.
pub(crate) struct Io {
    pub(crate) store: Box<dyn Store>,
    pub(crate) keys: Keyring,
    pub(crate) counters: Counters,
    writer: Option<Writer>,
}

struct Writer {
    entropy: Box<dyn Entropy>,
    epoch: Epoch,
    limit: u32,
    batch: Vec<u8>,
    slots: Vec<u32>,
    unsynced: Vec<(Salt, u32)>,
    since_barrier: u64,
}

impl Io {
    /// Reads only, until [`Io::start_writing`].
    pub(crate) fn new(store: Box<dyn Store>, keys: Keyring) -> Io {
        Io { store, keys, counters: Counters::default(), writer: None }
    }

    /// Begins the run's first epoch.
    pub(crate) fn start_writing(&mut self, mut entropy: Box<dyn Entropy>, limit: Option<u32>) -> Result<()> {
        let limit = limit.unwrap_or(BLOCKS_PER_EPOCH);
        let epoch = fresh_epoch(&self.keys, entropy.as_mut(), limit)?;
        let unsynced = vec![(epoch.salt(), 0)];
        self.writer = Some(Writer {
            entropy,
            epoch,
            limit,
            batch: Vec::with_capacity(BATCH * SLOT),
            slots: Vec::with_capacity(BATCH),
            unsynced,
            since_barrier: 0,
        });
        Ok(())
    }

    pub(crate) fn entropy(&mut self) -> Result<&mut dyn Entropy> {
        self.writer.as_mut().map(|w| w.entropy.as_mut() as &mut dyn Entropy).ok_or(Error::ReadOnly)
    }

    /// Seals a block and queues it for its slot.
    pub(crate) fn put(&mut self, place: Place, slot: u32, page: &[u8]) -> Result<Pointer> {
        let writer = self.writer.as_mut().ok_or(Error::ReadOnly)?;
        if writer.epoch.exhausted() {
            if writer.unsynced.len() >= UNSYNCED_MAX {
                self.barrier()?;
            }
            let writer = self.writer.as_mut().ok_or(Error::ReadOnly)?;
            writer.epoch = fresh_epoch(&self.keys, writer.entropy.as_mut(), writer.limit)?;
            writer.unsynced.push((writer.epoch.salt(), 0));
        }
        let writer = self.writer.as_mut().ok_or(Error::ReadOnly)?;
        let start = writer.batch.len();
        writer.batch.extend_from_slice(page);
        let sealed = writer.batch.get_mut(start..).ok_or(Error::Bug("batch"))?;
        let pointer =
            writer.epoch.seal(self.keys.id(), place, slot, sealed).ok_or(Error::Bug("exhausted epoch"))?;
        writer.slots.push(slot);
        writer.since_barrier += 1;
        if writer.slots.len() >= BATCH {
            self.flush()?;
        }
        Ok(pointer)
    }

    /// Writes the queue.
    fn flush(&mut self) -> Result<()> {
        self.write_queue(None)
    }

    /// Writes the queue and a record in one call, and makes all that was written durable.
    pub(crate) fn commit(&mut self, slot: u32, record: &[u8]) -> Result<()> {
        self.write_queue(Some((slot, record)))?;
        self.counters.syncs += 1;
        self.durable();
        Ok(())
    }

    /// Writes the queue; durably with a record.
    fn write_queue(&mut self, record: Option<(u32, &[u8])>) -> Result<()> {
        let Some(writer) = self.writer.as_mut() else { return Ok(()) };
        // In the order of the store, so that what stands together there is one write; of one slot the last contents come last.
        let mut order: Vec<usize> = (0..writer.slots.len()).collect();
        order.sort_by_key(|at| writer.slots[*at]);
        let block = |at: usize| &writer.batch[at * SLOT..(at + 1) * SLOT];
        let mut pieces: Vec<_> = order
            .iter()
            .map(|at| WriteAt { offset: offset_of(writer.slots[*at]), bytes: block(*at) })
            .collect();
        if let Some((slot, bytes)) = record {
            pieces.push(WriteAt { offset: offset_of(slot), bytes });
        }
        if pieces.is_empty() {
            return Ok(());
        }
        self.counters.writes += 1;
        self.counters.bytes_written += pieces.iter().map(|p| p.bytes.len() as u64).sum::<u64>();
        let outcome =
            if record.is_some() { self.store.write_durably(&pieces) } else { self.store.write(&pieces) };
        writer.batch.clear();
        writer.slots.clear();
        Ok(outcome?)
    }

    /// Makes all that was written durable.
    pub(crate) fn barrier(&mut self) -> Result<()> {
        self.flush()?;
        self.counters.syncs += 1;
        self.store.sync()?;
        self.durable();
        Ok(())
    }

    /// A barrier has returned.
    fn durable(&mut self) {
        if let Some(writer) = self.writer.as_mut() {
            writer.unsynced = vec![(writer.epoch.salt(), writer.epoch.used())];
            writer.since_barrier = 0;
        }
    }

    /// Blocks sealed under the current epoch, and the most that it may seal.
    pub(crate) fn epoch_use(&self) -> (u32, u32) {
        self.writer.as_ref().map_or((0, 0), |w| (w.epoch.used(), w.limit.min(BLOCKS_PER_EPOCH)))
    }

    /// Blocks written since the last barrier.
    pub(crate) fn since_barrier(&self) -> u64 {
        self.writer.as_ref().map_or(0, |w| w.since_barrier)
    }

    /// For the next record.
    pub(crate) fn unsynced(&self) -> Vec<(Salt, u32)> {
        self.writer.as_ref().map(|w| w.unsynced.clone()).unwrap_or_default()
    }

    /// Seals a record.
    pub(crate) fn seal_record(
        &mut self,
        sequence: u64,
        body: &[u8; crate::format::record::SEALED],
    ) -> Result<(u32, Page, [u8; crate::format::TAG])> {
        let writer = self.writer.as_mut().ok_or(Error::ReadOnly)?;
        let slot = crate::format::record::slot_of(sequence);
        let (page, tag) = writer
            .epoch
            .seal_record(&self.keys, sequence, slot, body)
            .ok_or(Error::Bug("a sequence was sealed twice"))?;
        Ok((slot, page, tag))
    }

    /// Whether the epoch's key may seal another record of the log.
    pub(crate) fn may_log(&self) -> bool {
        self.writer.as_ref().is_some_and(|writer| !writer.epoch.exhausted())
    }

    /// Seals a record of the log for its slot, where it stands; its tag.
    pub(crate) fn seal_log_record(
        &mut self,
        sequence: u64,
        slot: u32,
        record: &mut [u8],
    ) -> Result<[u8; crate::format::TAG]> {
        let writer = self.writer.as_mut().ok_or(Error::ReadOnly)?;
        let sealed = writer.epoch.seal_log_record(&self.keys, sequence, slot, record);
        sealed.ok_or(Error::Bug("a sequence was sealed twice"))
    }

    /// Reads and verifies one block.
    pub(crate) fn get(&mut self, pointer: &Pointer, place: Place, page: &mut Page) -> Result<()> {
        self.before_reading(|slot| slot == pointer.slot)?;
        self.store.read(&mut [ReadAt { offset: offset_of(pointer.slot), buf: page }])?;
        self.verify(pointer, place, page)
    }

    /// Reads and verifies several blocks in one call of the store.
    pub(crate) fn get_all(&mut self, wanted: &[(Pointer, Place)], pages: &mut [Box<Page>]) -> Result<()> {
        self.before_reading(|slot| wanted.iter().any(|(pointer, _)| pointer.slot == slot))?;
        let mut pieces: Vec<_> = wanted
            .iter()
            .zip(pages.iter_mut())
            .map(|((pointer, _), page)| ReadAt { offset: offset_of(pointer.slot), buf: page.as_mut_slice() })
            .collect();
        self.store.read(&mut pieces)?;
        wanted.iter().zip(pages).try_for_each(|((pointer, place), page)| self.verify(pointer, *place, page))
    }

    fn before_reading(&mut self, wanted: impl Fn(u32) -> bool) -> Result<()> {
        self.counters.reads += 1;
        // A block evicted from the cache may still sit in the queue.
        let queued = self.writer.as_ref().is_some_and(|w| w.slots.iter().any(|slot| wanted(*slot)));
        if queued { self.flush() } else { Ok(()) }
    }

    fn verify(&mut self, pointer: &Pointer, place: Place, page: &mut Page) -> Result<()> {
        self.counters.blocks_read += 1;
        self.keys
            .open(pointer, place, page)
            .map_err(|_| Error::Corrupted { what: place.name(), slot: pointer.slot })
    }
}

/// Makes places that will be written a few slots at a time: in pieces, since the host's page cache keeps what came in one
/// piece as one, and then takes longer for each part of it (measured: 40 us a sync for pieces of 1 MiB, 10 for 64 KiB).
pub(crate) fn write_zeros(store: &mut dyn Store, start: u32, slots: u32) -> Result<()> {
    const PIECE: u32 = 4;
    for from in (start..start + slots).step_by(PIECE as usize) {
        let length = PIECE.min(start + slots - from) as usize * SLOT;
        store.write(&[WriteAt { offset: offset_of(from), bytes: &[0; PIECE as usize * SLOT][..length] }])?;
    }
    Ok(())
}

fn fresh_epoch(keys: &Keyring, entropy: &mut dyn Entropy, limit: u32) -> Result<Epoch> {
    let mut salt = [0; 16];
    entropy.fill(&mut salt).map_err(|_| Error::Entropy)?;
    Ok(Epoch::new(keys, Salt(salt), limit))
}
