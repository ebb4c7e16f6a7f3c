//! The EPCM and the page tables of one enclave, as maps of runs: cheap for any size of ELRANGE.

use std::collections::BTreeMap;
use std::ops::Range;

use twine_sgx::PageType;

use crate::backend::Perms;

/// Page number within ELRANGE.
pub(super) type Page = u64;

/// The EPCM's entry for a valid page (SDM section "Enclave Page Cache Map"), and what Linux remembers beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub page_type: PageType,
    pub perms: Perms,
    pub pending: bool,
    pub modified: bool,
    pub pr: bool,
    /// The permissions the mapping may have, from SECINFO at EADD (Linux's vm_max_prot_bits).
    pub max: Perms,
}

impl Entry {
    /// A page that was just EADDed.
    pub fn added(page_type: PageType, perms: Perms, max: Perms) -> Self {
        Self { page_type, perms, pending: false, modified: false, pr: false, max }
    }

    /// A page that was just EAUGed.
    pub fn augmented() -> Self {
        Self { pending: true, ..Self::added(PageType::Reg, Perms::RW, Perms::all()) }
    }

    /// What software in the enclave may do with the page.
    pub fn access(self) -> Perms {
        if self.page_type == PageType::Reg && !self.pending && !self.modified {
            self.perms
        } else {
            Perms::empty()
        }
    }
}

/// A map from pages to values that stores runs of equal neighbours once.
#[derive(Debug)]
pub(super) struct RunMap<T> {
    /// First page to (one past the last page, value); neighbours differ or do not touch.
    runs: BTreeMap<Page, (Page, T)>,
}

impl<T: Copy + PartialEq> RunMap<T> {
    pub fn new() -> Self {
        Self { runs: BTreeMap::new() }
    }

    /// The value at `page`, and where its run ends; or none and where the next run starts.
    pub fn get(&self, page: Page) -> (Option<T>, Page) {
        if let Some((_, &(end, value))) = self.runs.range(..=page).next_back()
            && page < end
        {
            return (Some(value), end);
        }
        (None, self.runs.range(page..).next().map_or(Page::MAX, |(start, _)| *start))
    }

    /// Gives all of `range` the value, or none.
    pub fn set(&mut self, range: Range<Page>, value: Option<T>) {
        if range.is_empty() {
            return;
        }
        let Range { mut start, mut end } = range;
        // The run that begins before: shorten it, keep what lies beyond.
        if let Some((&first, &(last, old))) = self.runs.range(..start).next_back()
            && last > start
        {
            self.runs.insert(first, (start, old));
            if last > end {
                self.runs.insert(end, (last, old));
            }
        }
        while let Some((&first, &(last, old))) = self.runs.range(start..end).next() {
            self.runs.remove(&first);
            if last > end {
                self.runs.insert(end, (last, old));
            }
        }
        let Some(value) = value else { return };
        if let Some((&first, &(last, old))) = self.runs.range(..start).next_back()
            && last == start
            && old == value
        {
            start = first;
        }
        if let Some(&(last, old)) = self.runs.get(&end)
            && old == value
        {
            self.runs.remove(&end);
            end = last;
        }
        self.runs.insert(start, (end, value));
    }

    /// The parts of `range` with their values, in order; gaps have none.
    pub fn parts(&self, range: Range<Page>) -> Vec<(Range<Page>, Option<T>)> {
        let mut parts = Vec::new();
        let mut page = range.start;
        while page < range.end {
            let (value, end) = self.get(page);
            let end = end.min(range.end);
            parts.push((page..end, value));
            page = end;
        }
        parts
    }

    /// How many runs there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// All runs, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Range<Page>, T)> {
        self.runs.iter().map(|(start, (end, value))| (*start..*end, *value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A linear congruential generator: enough to shuffle ranges, and repeatable from the printed seed.
    fn next(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        *seed >> 33
    }

    #[test]
    fn runs_agree_with_an_array_and_stay_coalesced() {
        let mut seed = std::time::UNIX_EPOCH.elapsed().map_or(1, |d| d.subsec_nanos() as u64);
        println!("seed {seed}");
        let mut map = RunMap::new();
        let mut model = [None; 64];
        for _ in 0..5000 {
            let (a, b) = (next(&mut seed) % 65, next(&mut seed) % 65);
            let range = a.min(b)..a.max(b);
            let value = Some(next(&mut seed) % 3).filter(|v| *v != 0);
            map.set(range.clone(), value);
            model[range.start as usize..range.end as usize].fill(value);
            for (page, expected) in model.iter().enumerate() {
                assert_eq!(map.get(page as u64).0, *expected, "page {page}");
            }
            let boundaries = model.chunk_by(|x, y| x == y).filter(|c| c[0].is_some()).count();
            assert_eq!(map.len(), boundaries);
            let parts = map.parts(range.clone());
            assert_eq!(parts.iter().map(|(r, _)| r.end - r.start).sum::<u64>(), range.end - range.start);
        }
    }
}
