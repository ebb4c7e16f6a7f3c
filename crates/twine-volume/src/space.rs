//! Which slots are used: the allocation map in memory, its delta to the stored map, and what the host was given back.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::format::cursor::{Reader, put_varint};
use crate::format::{REGION, SEGMENT};

const WORDS: usize = (REGION / 64) as usize;
type Bits = [u64; WORDS];

/// One region's slots, three times: a slot may be written only if it is used in neither `committed` nor `next`.
#[derive(Clone)]
struct Region {
    /// In the last committed state.
    committed: Bits,
    /// If this were committed now.
    next: Bits,
    /// In the map items of the tree.
    mapped: Bits,
    /// One bit for each segment that the host holds no space for.
    absent: u8,
}

/// Writable slots in a row that several small allocations share.
const RUN: u32 = 16;

const EMPTY: Region = Region { committed: [0; WORDS], next: [0; WORDS], mapped: [0; WORDS], absent: 0 };
const SEGMENTS: u32 = REGION / SEGMENT;

impl Region {
    /// Slots of one word that may be written.
    fn free_word(&self, word: usize) -> u64 {
        let segment = word as u32 * 64 / SEGMENT;
        if self.absent >> segment & 1 == 1 { 0 } else { !(self.committed[word] | self.next[word]) }
    }

    fn free(&self) -> u32 {
        (0..WORDS).map(|w| self.free_word(w).count_ones()).sum()
    }
}

/// See the module.
pub(crate) struct Space {
    regions: Vec<Region>,
    /// Writable slots in each region.
    free: Vec<u32>,
    /// Slots before the first block.
    reserved: u32,
    /// Slots of the store.
    slots: u32,
    /// No region before this one has a writable slot.
    hint: usize,
    free_total: u32,
    used_total: u32,
    /// Freed since the last commit, writable after it.
    waiting: u32,
    /// The slot after the last one that was allocated.
    cursor: u32,
    /// Nothing was allocated since the last commit.
    begins: bool,
    /// There was no run of `RUN` writable slots when one was last looked for.
    scattered: bool,
    /// Regions where `next` and `committed` may differ.
    touched: BTreeSet<u32>,
    /// Regions where `next` and `mapped` may differ.
    unmapped: BTreeSet<u32>,
}

impl Space {
    /// A map of `slots` slots with only the `reserved` ones used.
    pub(crate) fn new(slots: u32, reserved: u32) -> Space {
        let mut space = Space {
            reserved,
            regions: Vec::new(),
            free: Vec::new(),
            slots: 0,
            hint: 0,
            free_total: 0,
            used_total: 0,
            waiting: 0,
            cursor: 0,
            begins: true,
            scattered: false,
            touched: BTreeSet::new(),
            unmapped: BTreeSet::new(),
        };
        space.set_slots(slots);
        let first = &mut space.regions[0];
        for slot in 0..reserved {
            let (_, word, bit) = place(slot);
            first.committed[word] |= bit;
            first.next[word] |= bit;
            first.mapped[word] |= bit;
        }
        space.recount();
        space
    }

    /// A map as stored: map items, then the record's delta. `None`: a position out of range.
    pub(crate) fn load(slots: u32, reserved: u32, items: &[(u32, Vec<u8>)], delta: &[u8]) -> Option<Space> {
        if slots < SEGMENT || !slots.is_multiple_of(SEGMENT) {
            return None;
        }
        let mut space = Space::new(slots, reserved);
        for (region, bytes) in items {
            let mut reader = Reader::new(bytes);
            // The store may have been cut since: what is past its end must be free.
            let Some(region) = space.regions.get_mut(*region as usize) else {
                reader.finish_zero()?;
                continue;
            };
            for word in &mut region.mapped {
                *word = reader.u64()?;
            }
            reader.finish()?;
            region.next = region.mapped;
        }
        let mut reader = Reader::new(delta);
        let mut at = 0u32;
        while !reader.is_empty() {
            let start = at.checked_add(reader.varint()?)?;
            let end = start.checked_add(reader.varint()?)?;
            if end <= start || end > slots {
                return None;
            }
            (start..end).for_each(|slot| space.flip(slot));
            at = end;
        }
        for region in &mut space.regions {
            region.committed = region.next;
            // What holds nothing may have been punched: it is allocated again before it is used.
            for segment in 0..SEGMENTS {
                if region.segment_is_empty(segment) {
                    region.absent |= 1 << segment;
                }
            }
        }
        let beyond = (slots..space.regions.len() as u32 * REGION).any(|slot| space.is_used(slot));
        let reserved = (0..reserved).all(|slot| space.is_used(slot));
        space.recount();
        (!beyond && reserved).then_some(space)
    }

    fn flip(&mut self, slot: u32) {
        let (region, word, bit) = place(slot);
        if let Some(r) = self.regions.get_mut(region) {
            r.next[word] ^= bit;
            self.unmapped.insert(region as u32);
        }
    }

    fn set_slots(&mut self, slots: u32) {
        self.slots = slots;
        self.regions.resize(slots.div_ceil(REGION) as usize, EMPTY);
        self.free.resize(self.regions.len(), 0);
        // Segments past the end are not there.
        for (i, region) in (0..).zip(&mut self.regions) {
            for segment in 0..SEGMENTS {
                if i * REGION + segment * SEGMENT >= slots {
                    region.absent |= 1 << segment;
                }
            }
        }
    }

    fn recount(&mut self) {
        self.used_total = self.regions.iter().flat_map(|r| r.next.iter()).map(|w| w.count_ones()).sum();
        for (count, region) in self.free.iter_mut().zip(&self.regions) {
            *count = region.free();
        }
        self.free_total = self.free.iter().sum();
        self.hint = 0;
        self.scattered = false;
    }

    /// Slots of the store.
    pub(crate) fn slots(&self) -> u32 {
        self.slots
    }

    /// Slots that may be written now.
    pub(crate) fn free(&self) -> u32 {
        self.free_total
    }

    /// Slots of the state in memory, reserved ones included.
    pub(crate) fn used(&self) -> u32 {
        self.used_total
    }

    /// Slots that the next commit frees.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Whether more is unused than garbage may take: roots give it back, the log does not.
    pub(crate) fn is_wasteful(&self) -> bool {
        self.free_total + self.waiting > self.used_total / 4 + 2 * SEGMENT
    }

    /// In how many runs they lie.
    pub(crate) fn waiting_runs(&self) -> u32 {
        let mut runs = 0;
        for region in self.touched.iter().filter_map(|index| self.regions.get(*index as usize)) {
            let mut before = 0;
            for (committed, next) in region.committed.iter().zip(&region.next) {
                let waiting = committed & !next;
                runs += (waiting & !(waiting << 1 | before)).count_ones();
                before = waiting >> 63;
            }
        }
        runs
    }

    pub(crate) fn is_used(&self, slot: u32) -> bool {
        let (region, word, bit) = place(slot);
        self.regions.get(region).is_some_and(|r| r.next[word] & bit != 0)
    }

    /// Whether the last root's state uses a slot.
    pub(crate) fn is_committed(&self, slot: u32) -> bool {
        let (region, word, bit) = place(slot);
        self.regions.get(region).is_some_and(|r| r.committed[word] & bit != 0)
    }

    /// Whether a slot belongs to the transaction in memory alone, so that it may be written again.
    pub(crate) fn is_fresh(&self, slot: u32) -> bool {
        let (region, word, bit) = place(slot);
        self.regions.get(region).is_some_and(|r| r.next[word] & !r.committed[word] & bit != 0)
    }

    /// Up to `want` consecutive slots: behind those that were taken last, since a disk writes sooner what stands together;
    /// else the first place with room for more; else the first that has them all, or the longest.
    pub(crate) fn allocate(&mut self, want: u32) -> Result<(u32, u32)> {
        while self.free.get(self.hint) == Some(&0) {
            self.hint += 1;
        }
        let (slot, n) = match self.place_for(want) {
            Some(slot) => (slot, want),
            None => self.best_place(want)?,
        };
        (slot..slot + n).for_each(|s| self.set_used(s));
        self.cursor = slot + n;
        Ok((slot, n))
    }

    /// Where `want` slots stand behind the last ones, or at the head of a long run. A transaction begins at the foremost
    /// one, so that the end of the store can become free.
    fn place_for(&mut self, want: u32) -> Option<u32> {
        if std::mem::take(&mut self.begins)
            && let Some(run) = self.long_run(want)
            && run / SEGMENT < self.cursor / SEGMENT
        {
            self.cursor = run;
        }
        if (self.cursor..self.cursor + want).all(|slot| self.is_writable(slot)) {
            return Some(self.cursor);
        }
        self.long_run(want)
    }

    /// The first run of `RUN` writable slots, or of `want` if that is more.
    fn long_run(&mut self, want: u32) -> Option<u32> {
        if self.scattered {
            return None;
        }
        let least = want.max(RUN);
        let regions = (self.hint..self.regions.len()).filter(|i| self.free[*i] >= least).take(32);
        let found =
            regions.map(|i| (i, longest_run(&self.regions[i], least))).find(|(_, run)| run.1 == least);
        self.scattered = found.is_none();
        found.map(|(i, run)| i as u32 * REGION + run.0)
    }

    /// Whether what is allocated next stands together.
    pub(crate) fn has_run(&mut self) -> bool {
        self.place_for(1).is_some()
    }

    fn is_writable(&self, slot: u32) -> bool {
        let (region, word, bit) = place(slot);
        self.regions.get(region).is_some_and(|r| r.free_word(word) & bit != 0)
    }

    fn best_place(&self, want: u32) -> Result<(u32, u32)> {
        let mut best: Option<(u32, u32)> = None;
        // A look at 32 regions with space (128 MiB) keeps the search short in a fragmented store.
        for index in (self.hint..self.regions.len()).filter(|i| self.free[*i] > 0).take(32) {
            let run = longest_run(&self.regions[index], want);
            if run.1 > best.map_or(0, |b| b.1) {
                best = Some((index as u32 * REGION + run.0, run.1));
            }
            if run.1 == want {
                break;
            }
        }
        // Callers reserve before they change anything: to come here without a slot would leave a change half done.
        best.ok_or(Error::Bug("the reserve of free slots did not suffice"))
    }

    fn set_used(&mut self, slot: u32) {
        let (region, word, bit) = place(slot);
        self.regions[region].next[word] |= bit;
        self.free[region] -= 1;
        self.free_total -= 1;
        self.used_total += 1;
        self.touched.insert(region as u32);
        self.unmapped.insert(region as u32);
    }

    /// Frees a slot: at once if only this transaction knew it, else when the transaction is committed.
    pub(crate) fn release(&mut self, slot: u32) -> Result<()> {
        let (region, word, bit) = place(slot);
        let r = self.regions.get_mut(region).ok_or(Error::Bug("released a slot outside the store"))?;
        if r.next[word] & bit == 0 || slot < self.reserved {
            return Err(Error::Corrupted { what: "allocation map (a slot freed twice)", slot });
        }
        r.next[word] &= !bit;
        self.used_total -= 1;
        if r.committed[word] & bit != 0 {
            self.waiting += 1;
        } else if r.free_word(word) & bit != 0 {
            self.free[region] += 1;
            self.free_total += 1;
            self.hint = self.hint.min(region);
        }
        self.touched.insert(region as u32);
        self.unmapped.insert(region as u32);
        Ok(())
    }

    /// The state in memory is durable now.
    pub(crate) fn committed(&mut self) {
        for index in std::mem::take(&mut self.touched) {
            let i = index as usize;
            self.regions[i].committed = self.regions[i].next;
            let free = self.regions[i].free();
            self.free_total = self.free_total - self.free[i] + free;
            self.free[i] = free;
            if free > 0 {
                self.hint = self.hint.min(i);
            }
        }
        self.waiting = 0;
        self.begins = true;
        self.scattered = false;
    }

    /// What the map items lack, encoded for a record.
    pub(crate) fn delta(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut last_end = 0;
        let mut run: Option<(u32, u32)> = None;
        let mut push = |(start, end): (u32, u32)| {
            put_varint(&mut out, start - last_end);
            put_varint(&mut out, end - start);
            last_end = end;
        };
        for index in &self.unmapped {
            let region = &self.regions[*index as usize];
            for (word, (next, mapped)) in (0..).zip(region.next.iter().zip(&region.mapped)) {
                let mut changed = next ^ mapped;
                while changed != 0 {
                    let slot = index * REGION + word * 64 + changed.trailing_zeros();
                    changed &= changed - 1;
                    run = match run {
                        Some((start, end)) if end == slot => Some((start, slot + 1)),
                        other => {
                            other.into_iter().for_each(&mut push);
                            Some((slot, slot + 1))
                        }
                    };
                }
            }
        }
        run.into_iter().for_each(&mut push);
        out
    }

    /// The map items that differ from the tree's, which are the tree's from now on.
    pub(crate) fn take_map_items(&mut self) -> Vec<(u32, [u8; WORDS * 8])> {
        let mut items = Vec::new();
        for index in std::mem::take(&mut self.unmapped) {
            let region = &mut self.regions[index as usize];
            if region.mapped == region.next {
                continue;
            }
            region.mapped = region.next;
            let mut bytes = [0; WORDS * 8];
            for (to, word) in bytes.chunks_exact_mut(8).zip(&region.next) {
                to.copy_from_slice(&word.to_le_bytes());
            }
            items.push((index, bytes));
        }
        items
    }

    /// Takes the free slots from a segment's start on out of use until they are allocated again.
    pub(crate) fn close_from(&mut self, start: u32) {
        for slot in (start..self.slots).step_by(SEGMENT as usize) {
            self.regions[(slot / REGION) as usize].absent |= 1 << (slot % REGION / SEGMENT);
        }
        self.recount();
    }

    /// The next stretch to ask the host for: absent segments inside first, then past the end. In slots.
    pub(crate) fn growth(&self, want: u32, limit: u32) -> Option<(u32, u32)> {
        for (index, region) in (0..).zip(&self.regions) {
            for segment in (0..SEGMENTS).filter(|s| region.absent >> s & 1 == 1) {
                let start = index * REGION + segment * SEGMENT;
                if start < self.slots {
                    return Some((start, SEGMENT));
                }
            }
        }
        // An eighth of the store, 1 to 64 MiB, and no less than what is wanted now.
        let step = (self.slots / 8).clamp(SEGMENT, 64 * SEGMENT).max(want.min(64 * SEGMENT));
        let step = step.next_multiple_of(SEGMENT).min(limit.saturating_sub(self.slots) / SEGMENT * SEGMENT);
        (step > 0).then_some((self.slots, step))
    }

    /// The host has allocated this stretch.
    pub(crate) fn grown(&mut self, start: u32, len: u32) {
        if start + len > self.slots {
            self.set_slots(start + len);
        }
        for slot in (start..start + len).step_by(SEGMENT as usize) {
            let index = (slot / REGION) as usize;
            self.regions[index].absent &= !(1 << (slot % REGION / SEGMENT));
            let free = self.regions[index].free();
            self.free_total = self.free_total - self.free[index] + free;
            self.free[index] = free;
            self.hint = self.hint.min(index);
        }
        self.scattered = false;
    }

    fn segment_is_free(&self, slot: u32) -> bool {
        let region = &self.regions[(slot / REGION) as usize];
        region.segment_is_empty(slot % REGION / SEGMENT)
    }

    /// Whether the tree's map items still call a slot of the segment used: the delta must go on saying otherwise.
    fn segment_is_mapped(&self, slot: u32) -> bool {
        let region = &self.regions[(slot / REGION) as usize];
        let words = SEGMENT as usize / 64;
        region.mapped.iter().skip((slot % REGION) as usize / 64).take(words).any(|w| *w != 0)
    }

    /// Cuts off free segments at the end, keeping `keep` free slots; the store's new length in slots if it changes.
    pub(crate) fn cut_tail(&mut self, keep: u32) -> Option<u32> {
        let mut slots = self.slots;
        let mut free = self.free_total;
        while slots > SEGMENT
            && self.segment_is_free(slots - SEGMENT)
            && !self.segment_is_mapped(slots - SEGMENT)
        {
            let present = !self.is_absent(slots - SEGMENT);
            if present && free < keep + SEGMENT {
                break;
            }
            free -= if present { SEGMENT } else { 0 };
            slots -= SEGMENT;
        }
        if slots == self.slots {
            return None;
        }
        self.set_slots(slots);
        self.touched.retain(|r| r * REGION < slots);
        self.unmapped.retain(|r| r * REGION < slots);
        self.recount();
        Some(slots)
    }

    fn is_absent(&self, slot: u32) -> bool {
        self.regions[(slot / REGION) as usize].absent >> (slot % REGION / SEGMENT) & 1 == 1
    }

    /// Free segments that may be punched while `keep` free slots stay; they count as absent from now on.
    pub(crate) fn take_punchable(&mut self, keep: u32) -> Vec<u32> {
        let mut out = Vec::new();
        // From the end, where new data comes last.
        for slot in (0..self.slots / SEGMENT).rev().map(|s| s * SEGMENT) {
            if self.free_total < keep + SEGMENT {
                break;
            }
            if !self.is_absent(slot) && self.segment_is_free(slot) {
                let index = (slot / REGION) as usize;
                self.regions[index].absent |= 1 << (slot % REGION / SEGMENT);
                self.free[index] -= SEGMENT;
                self.free_total -= SEGMENT;
                out.push(slot);
            }
        }
        out
    }
}

impl Region {
    /// No slot of the segment is used, now or in the last commit.
    fn segment_is_empty(&self, segment: u32) -> bool {
        let words = SEGMENT as usize / 64;
        let first = segment as usize * words;
        let used = self.committed[first..first + words].iter().zip(&self.next[first..first + words]);
        used.into_iter().all(|(a, b)| a | b == 0)
    }
}

fn place(slot: u32) -> (usize, usize, u64) {
    ((slot / REGION) as usize, (slot % REGION / 64) as usize, 1 << (slot % 64))
}

/// The first run of `want` free slots in a region, or its longest: (first slot, length).
fn longest_run(region: &Region, want: u32) -> (u32, u32) {
    let (mut best, mut start, mut length) = ((0, 0), 0, 0);
    for word in 0..WORDS {
        let free = region.free_word(word);
        let base = word as u32 * 64;
        if free == 0 {
            length = 0;
            continue;
        }
        for bit in 0..64 {
            if free >> bit & 1 == 0 {
                length = 0;
                continue;
            }
            if length == 0 {
                start = base + bit;
            }
            length += 1;
            if length > best.1 {
                best = (start, length);
                if length == want {
                    return best;
                }
            }
        }
    }
    best
}
