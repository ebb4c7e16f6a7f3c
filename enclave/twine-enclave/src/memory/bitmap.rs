//! Which pages of ELRANGE are committed: one bit each, the bits themselves committed as they are needed.

use twine_abi::layout::{ELRANGE, PAGE_SIZE};

use super::{Error, epc};
use crate::layout;

const WORDS: u64 = ELRANGE / PAGE_SIZE / 64;
/// Bytes of ELRANGE that one page of bits stands for.
const REACH: u64 = PAGE_SIZE * 8 * PAGE_SIZE;
const PAGES: usize = (WORDS * 8 / PAGE_SIZE) as usize;

pub struct Bitmap {
    words: *mut u64,
    /// Pages of bits that are committed.
    there: [u64; PAGES / 64],
}

// SAFETY: the words are reached through the manager's lock alone.
unsafe impl Send for Bitmap {}

impl Bitmap {
    /// Address space that it wants, in bytes.
    pub const fn space() -> u64 {
        WORDS * 8
    }

    pub fn new(address: u64) -> Self {
        Self { words: address as *mut u64, there: [0; PAGES / 64] }
    }

    /// Makes the bits of a range writable.
    pub fn cover(&mut self, start: u64, end: u64) -> Result<(), Error> {
        for page in self.index(start)..=self.index(end - 1) {
            if self.there[page / 64] & 1 << (page % 64) == 0 {
                let address = self.words as u64 + page as u64 * PAGE_SIZE;
                epc::accept_new(address, address + PAGE_SIZE)?;
                self.there[page / 64] |= 1 << (page % 64);
            }
        }
        Ok(())
    }

    pub fn get(&self, address: u64) -> bool {
        let bit = self.bit(address);
        self.word(bit / 64).is_some_and(|word| word & 1 << (bit % 64) != 0)
    }

    /// Sets the bits of a range that is covered.
    pub fn set(&mut self, start: u64, end: u64, value: bool) {
        let (mut bit, last) = (self.bit(start), self.bit(end - 1) + 1);
        while bit < last {
            let count = (64 - bit % 64).min(last - bit);
            let mask = (u64::MAX >> (64 - count)) << (bit % 64);
            // SAFETY: `cover` has committed the page of this word, and the manager's lock is held.
            unsafe {
                let word = self.words.add((bit / 64) as usize);
                *word = if value { *word | mask } else { *word & !mask };
            }
            bit += count;
        }
    }

    /// The first committed run of a range.
    pub fn next_run(&self, start: u64, end: u64) -> Option<(u64, u64)> {
        let from = self.seek(start, end, true)?;
        Some((from, self.seek(from, end, false).unwrap_or(end)))
    }

    /// The first run of a range that is not committed.
    pub fn next_gap(&self, start: u64, end: u64) -> Option<(u64, u64)> {
        let from = self.seek(start, end, false)?;
        Some((from, self.seek(from, end, true).unwrap_or(end)))
    }

    /// All committed runs of a range.
    pub fn runs(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, u64)> {
        let mut at = start;
        core::iter::from_fn(move || {
            let run = self.next_run(at, end)?;
            at = run.1;
            Some(run)
        })
    }

    /// The first page in a range whose bit is `value`.
    fn seek(&self, start: u64, end: u64, value: bool) -> Option<u64> {
        if start >= end {
            return None;
        }
        let (mut bit, last) = (self.bit(start), self.bit(end - 1) + 1);
        while bit < last {
            let Some(word) = self.word(bit / 64) else {
                if !value {
                    return Some(layout::base() + bit * PAGE_SIZE);
                }
                bit = (bit / (PAGE_SIZE * 8) + 1) * PAGE_SIZE * 8;
                continue;
            };
            let word = (if value { word } else { !word }) >> (bit % 64);
            if word != 0 {
                let found = bit + u64::from(word.trailing_zeros());
                return (found < last).then(|| layout::base() + found * PAGE_SIZE);
            }
            bit = (bit / 64 + 1) * 64;
        }
        None
    }

    /// `None`: nothing of the 128 MiB around it is committed.
    fn word(&self, word: u64) -> Option<u64> {
        let page = (word * 8 / PAGE_SIZE) as usize;
        if self.there[page / 64] & 1 << (page % 64) == 0 {
            return None;
        }
        // SAFETY: the word's page is committed, and the manager's lock is held.
        Some(unsafe { *self.words.add(word as usize) })
    }

    fn bit(&self, address: u64) -> u64 {
        (address - layout::base()) / PAGE_SIZE
    }

    fn index(&self, address: u64) -> usize {
        ((address - layout::base()) / REACH) as usize
    }
}
