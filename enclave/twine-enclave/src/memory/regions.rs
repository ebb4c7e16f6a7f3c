//! The region table: sorted, without overlaps, in memory of its own.

use twine_abi::layout::PAGE_SIZE;

use super::{Error, Protection, epc};

/// One reservation or a part of it.
#[derive(Clone, Copy)]
pub struct Region {
    pub start: u64,
    pub end: u64,
    pub protection: Protection,
    /// Pages of the last run that a fault committed, and where a sequential program faults next.
    pub run: u64,
    pub next_fault: u64,
}

impl Region {
    pub fn new(start: u64, end: u64, protection: Protection) -> Self {
        Self { start, end, protection, run: 0, next_fault: 0 }
    }
}

pub struct Regions {
    table: *mut Region,
    count: usize,
    /// Bytes of the table that are committed.
    committed: u64,
    /// Addresses that regions may have.
    first: u64,
    last: u64,
}

// SAFETY: the table is reached through the manager's lock alone.
unsafe impl Send for Regions {}

impl Regions {
    /// Address space that the table wants, in bytes: some 400,000 regions.
    pub const SPACE: u64 = 16 << 20;
    /// The table grows by this, in bytes.
    const STEP: u64 = 64 << 10;

    pub fn new(table: u64, first: u64, last: u64) -> Self {
        Self { table: table as *mut Region, count: 0, committed: 0, first, last }
    }

    fn all(&self) -> &[Region] {
        // SAFETY: `count` entries are initialised and committed.
        unsafe { core::slice::from_raw_parts(self.table, self.count) }
    }

    fn all_mut(&mut self) -> &mut [Region] {
        // SAFETY: as in `all`.
        unsafe { core::slice::from_raw_parts_mut(self.table, self.count) }
    }

    /// The first region that ends after `address`.
    fn position(&self, address: u64) -> usize {
        self.all().partition_point(|region| region.end <= address)
    }

    pub fn find(&mut self, address: u64) -> Option<&mut Region> {
        let at = self.position(address);
        self.all_mut().get_mut(at).filter(|region| region.start <= address)
    }

    pub fn overlapping(&self, start: u64, end: u64) -> impl Iterator<Item = &Region> {
        self.all()[self.position(start)..].iter().take_while(move |region| region.start < end)
    }

    pub fn overlapping_mut(&mut self, start: u64, end: u64) -> impl Iterator<Item = &mut Region> {
        let at = self.position(start);
        self.all_mut()[at..].iter_mut().take_while(move |region| region.start < end)
    }

    /// Whether a range is reserved without a gap.
    pub fn covers(&self, start: u64, end: u64) -> bool {
        let mut reached = start;
        for region in self.overlapping(start, end) {
            if region.start > reached {
                return false;
            }
            reached = region.end;
        }
        reached >= end
    }

    /// Free addresses for `length` bytes with `gap` bytes free on both sides, first after `hint`, then anywhere.
    pub fn gap(&self, hint: u64, length: u64, align: u64, gap: u64) -> Option<u64> {
        self.gap_from(hint, length, align, gap).or_else(|| self.gap_from(self.first, length, align, gap))
    }

    fn gap_from(&self, from: u64, length: u64, align: u64, gap: u64) -> Option<u64> {
        let mut free = from;
        for region in &self.all()[self.position(from)..] {
            let start = (free + gap).next_multiple_of(align);
            if start + length + gap <= region.start {
                return Some(start);
            }
            free = region.end.max(free);
        }
        let start = (free + gap).next_multiple_of(align);
        (start + length + gap <= self.last).then_some(start)
    }

    pub fn insert(&mut self, region: Region) -> Result<(), Error> {
        if ((self.count + 1) * size_of::<Region>()) as u64 > self.committed {
            if self.committed + Self::STEP > Self::SPACE {
                return Err(Error::Exhausted);
            }
            let address = self.table as u64 + self.committed;
            epc::accept_new(address, address + Self::STEP)?;
            self.committed += Self::STEP;
        }
        let at = self.position(region.start);
        // SAFETY: there is room for one more entry, and the ones above move up by one.
        unsafe {
            let slot = self.table.add(at);
            core::ptr::copy(slot, slot.add(1), self.count - at);
            slot.write(region);
        }
        self.count += 1;
        Ok(())
    }

    /// Makes `address` a border between two regions where it lies inside one.
    pub fn split(&mut self, address: u64) -> Result<(), Error> {
        debug_assert!(address.is_multiple_of(PAGE_SIZE));
        let Some(region) = self.find(address) else { return Ok(()) };
        if region.start == address {
            return Ok(());
        }
        let upper = Region { start: address, ..*region };
        let end = region.end;
        region.end = address;
        self.insert(upper).inspect_err(|_| {
            if let Some(region) = self.find(address - 1) {
                region.end = end;
            }
        })
    }

    /// Makes one region of two that meet at `address` and differ in nothing: a linear memory that grows page by page
    /// stays one entry, and its faults stay a sequence.
    pub fn join(&mut self, address: u64) {
        let at = self.position(address);
        let Some([below, above]) = at.checked_sub(1).and_then(|below| self.all_mut().get_mut(below..=at))
        else {
            return;
        };
        if below.end != address || above.start != address || below.protection != above.protection {
            return;
        }
        below.end = above.end;
        // SAFETY: entries above `at` move down over it.
        unsafe { core::ptr::copy(self.table.add(at + 1), self.table.add(at), self.count - at - 1) };
        self.count -= 1;
    }

    /// Forgets what lies in a range.
    pub fn remove(&mut self, start: u64, end: u64) -> Result<(), Error> {
        self.split(start)?;
        self.split(end)?;
        let from = self.position(start);
        let to = from + self.overlapping(start, end).count();
        // SAFETY: entries `to..count` move down over the removed ones.
        unsafe { core::ptr::copy(self.table.add(to), self.table.add(from), self.count - to) };
        self.count -= to - from;
        Ok(())
    }
}
