//! The memory manager: regions of ELRANGE, committed on demand and given back.
//!
//! A region has a protection; its pages are committed (EAUG by the host's kernel, EACCEPT by us) when they are first
//! touched, in runs that double, or at once where the caller knows that they will be. What may be accessed is decided
//! by the region table alone: an access outside it is a fault, whatever the host maps. Pages are never writable and
//! executable at once: EMODPR to R first, EMODPE to RX then.
//!
//! Nothing here touches memory that is not committed yet while the lock is held, so that the fault handler can take it.
//! Stacks grow by faults as well: what the lock's holder needs of its own is touched before.

mod bitmap;
mod epc;
mod lock;
mod regions;

use core::sync::atomic::{AtomicU64, Ordering};
use twine_abi::layout::PAGE_SIZE;

use crate::{fatal, layout};
use bitmap::Bitmap;
pub(crate) use lock::Lock;
use regions::{Region, Regions};

/// What may be done with the pages of a region: SECINFO's bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection(u8);

impl Protection {
    /// Reserved addresses; every access is a fault.
    pub const NONE: Self = Self(0);
    /// Read.
    pub const R: Self = Self(1);
    /// Read and write.
    pub const RW: Self = Self(3);
    /// Read and execute.
    pub const RX: Self = Self(5);
}

/// Why memory could not be had or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// No addresses, no table space or over the limit.
    Exhausted,
    /// Addresses that are not in one region, or not page-aligned.
    Invalid,
    /// The host would not.
    Host,
}

/// Smallest and largest run that a fault commits, in pages: 64 KiB and 2 MiB.
const RUN: (u64, u64) = (16, 512);

struct Manager {
    regions: Regions,
    committed: Bitmap,
    /// Where the last reservation ended; the next search starts here.
    hint: u64,
}

static MANAGER: Lock<Option<Manager>> = Lock::new(None);
static PAGES: AtomicU64 = AtomicU64::new(0);
static PEAK: AtomicU64 = AtomicU64::new(0);
static FAULTS: AtomicU64 = AtomicU64::new(0);

/// Dynamic pages committed now and at most.
pub fn committed_pages() -> (u64, u64) {
    (PAGES.load(Ordering::Relaxed), PEAK.load(Ordering::Relaxed))
}

/// Page faults that committed memory so far.
pub fn faults() -> u64 {
    FAULTS.load(Ordering::Relaxed)
}

/// Takes over the dynamic part of ELRANGE.
pub(crate) fn init(heap: [u64; 2]) {
    let (start, end) = (layout::base() + heap[0], layout::base() + heap[1]);
    if epc::map(start, end).is_err() {
        fatal::host_misbehaved("dynamic memory cannot be mapped");
    }
    let bitmap_end = start + Bitmap::space();
    let table_end = bitmap_end + Regions::SPACE;
    let manager = Manager {
        regions: Regions::new(bitmap_end, table_end, end),
        committed: Bitmap::new(start),
        hint: table_end,
    };
    *MANAGER.lock() = Some(manager);
}

/// Makes pages of the image that were written by relocation read-only.
pub(crate) fn seal_static([offset, length]: [u64; 2]) -> Result<(), Error> {
    if length == 0 {
        return Ok(());
    }
    let start = layout::base() + offset;
    epc::change(start, start + length, Protection::RW, Protection::R)
}

fn with<T>(act: impl FnOnce(&mut Manager) -> T) -> T {
    match MANAGER.lock().as_mut() {
        Some(manager) => act(manager),
        None => fatal::die("memory was used before it was there", format_args!("")),
    }
}

/// Reserves `length` bytes (whole pages) at addresses that are a multiple of `align`, with a guard page before and
/// after where `guarded`.
pub fn reserve(length: u64, align: u64, guarded: bool, protection: Protection) -> Result<u64, Error> {
    if length == 0 || length > twine_abi::layout::ELRANGE {
        return Err(Error::Invalid);
    }
    with(|manager| manager.reserve(layout::page_up(length), align.max(PAGE_SIZE), guarded, protection))
}

/// Gives the addresses and the committed pages back. The range may be part of a region, or span several and gaps.
pub fn release(address: u64, length: u64) -> Result<(), Error> {
    let (start, end) = range(address, length)?;
    with(|manager| {
        manager.decommit(start, end)?;
        manager.regions.remove(start, end)
    })
}

/// Changes the protection of a range that is reserved as a whole.
pub fn protect(address: u64, length: u64, protection: Protection) -> Result<(), Error> {
    let (start, end) = range(address, length)?;
    with(|manager| manager.protect(start, end, protection))
}

/// Gives the committed pages back and keeps the addresses: they read as zero again.
pub fn decommit(address: u64, length: u64) -> Result<(), Error> {
    let (start, end) = range(address, length)?;
    with(|manager| {
        if !manager.regions.covers(start, end) {
            return Err(Error::Invalid);
        }
        manager.decommit(start, end)
    })
}

/// Commits all of a range that is reserved read-write.
pub fn commit(address: u64, length: u64) -> Result<(), Error> {
    let (start, end) = range(address, length)?;
    with(|manager| {
        if !manager.regions.covers(start, end) {
            return Err(Error::Invalid);
        }
        manager.commit(start, end)
    })
}

/// Answers a page fault: true when the page is there now and the access may be tried again.
pub(crate) fn fault(address: u64, write: bool, execute: bool) -> bool {
    with(|manager| {
        let page = address & !(PAGE_SIZE - 1);
        let Some(region) = manager.regions.find(address) else { return false };
        let allowed = match region.protection {
            Protection::RW => !execute,
            Protection::R => !write && !execute,
            Protection::RX => !write,
            _ => false,
        };
        // A committed page that faults although it may be accessed: another thread committed it meanwhile, or the
        // host took it away; trying again tells them apart, the second way never gets further.
        if !allowed {
            return false;
        }
        if manager.committed.get(page) {
            return true;
        }
        FAULTS.fetch_add(1, Ordering::Relaxed);
        let run = if region.next_fault == page { (region.run * 2).min(RUN.1) } else { RUN.0 };
        // Sequential growth goes up from the fault; a single touch takes its neighbourhood, which is aligned in its region:
        // pages of linear memory are.
        let start = if run > RUN.0 { page } else { page - (page - region.start) % (RUN.0 * PAGE_SIZE) };
        let end = (start + run * PAGE_SIZE).min(region.end);
        region.run = run;
        region.next_fault = end;
        if let Err(error) = manager.commit(start, end) {
            fatal::die("the host gives no memory", format_args!(": {error:?} for {address:#x}"));
        }
        true
    })
}

fn range(address: u64, length: u64) -> Result<(u64, u64), Error> {
    if !address.is_multiple_of(PAGE_SIZE) || !layout::is_inside(address, length) {
        return Err(Error::Invalid);
    }
    Ok((address, address + layout::page_up(length)))
}

impl Manager {
    fn reserve(
        &mut self,
        length: u64,
        align: u64,
        guarded: bool,
        protection: Protection,
    ) -> Result<u64, Error> {
        let gap = if guarded { PAGE_SIZE } else { 0 };
        let start = self.regions.gap(self.hint, length, align, gap).ok_or(Error::Exhausted)?;
        self.regions.insert(Region::new(start, start + length, protection))?;
        self.hint = start + length;
        Ok(start)
    }

    fn protect(&mut self, start: u64, end: u64, protection: Protection) -> Result<(), Error> {
        if !self.regions.covers(start, end) {
            return Err(Error::Invalid);
        }
        if protection != Protection::RW && protection != Protection::NONE {
            self.commit_writable(start, end)?;
        }
        self.regions.split(start)?;
        self.regions.split(end)?;
        let Self { regions, committed, .. } = self;
        for region in regions.overlapping_mut(start, end) {
            let old = region.protection;
            if old != protection {
                for (from, to) in committed.runs(region.start, region.end) {
                    epc::change(from, to, old, protection)?;
                }
                region.protection = protection;
            }
        }
        self.regions.join(start);
        self.regions.join(end);
        Ok(())
    }

    /// Commits the parts of a range that are read-write; what is there already stays as it is.
    fn commit_writable(&mut self, start: u64, end: u64) -> Result<(), Error> {
        let mut from = start;
        while from < end {
            let Some(region) = self.regions.find(from) else { return Err(Error::Invalid) };
            let (to, writable) = (region.end.min(end), region.protection == Protection::RW);
            if writable {
                self.commit(from, to)?;
            }
            from = to;
        }
        Ok(())
    }

    fn commit(&mut self, start: u64, end: u64) -> Result<(), Error> {
        self.committed.cover(start, end)?;
        let mut added = 0;
        while let Some((from, to)) = self.committed.next_gap(start, end) {
            epc::accept_new(from, to)?;
            self.committed.set(from, to, true);
            added += (to - from) / PAGE_SIZE;
        }
        let pages = PAGES.fetch_add(added, Ordering::Relaxed) + added;
        PEAK.fetch_max(pages, Ordering::Relaxed);
        Ok(())
    }

    fn decommit(&mut self, start: u64, end: u64) -> Result<(), Error> {
        while let Some((from, to)) = self.committed.next_run(start, end) {
            epc::remove(from, to)?;
            // The next page here is fresh, and comes readable and writable.
            if self.regions.overlapping(from, to).any(|region| region.protection != Protection::RW) {
                epc::map(from, to)?;
            }
            self.committed.set(from, to, false);
            PAGES.fetch_sub((to - from) / PAGE_SIZE, Ordering::Relaxed);
        }
        Ok(())
    }
}
