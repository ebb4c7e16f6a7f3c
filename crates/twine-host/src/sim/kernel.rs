//! What Linux's driver does for an enclave's host: mprotect and the ioctls of EDMM.

use std::ops::Range;

use twine_sgx::{PAGE_SIZE, PageType};

use super::enclave::{Pages, SimEnclave};
use super::epcm::{Entry, Page};
use crate::backend::{PageError, Perms};

impl SimEnclave {
    fn pages_of(&self, range: &Range<u64>) -> Result<Range<Page>, PageError> {
        let aligned = range.start.is_multiple_of(PAGE_SIZE) && range.end.is_multiple_of(PAGE_SIZE);
        if range.is_empty() || !aligned || range.end > self.secs.size {
            return Err(PageError::Range { start: range.start, end: range.end });
        }
        Ok(range.start / PAGE_SIZE..range.end / PAGE_SIZE)
    }

    pub(super) fn map(&self, range: Range<u64>, perms: Perms) -> Result<(), PageError> {
        let range = self.pages_of(&range)?;
        let mut pages = self.lock();
        for (run, entry) in pages.epcm.parts(range.clone()) {
            if entry.is_some_and(|entry| !entry.max.contains(perms)) {
                return Err(state(run.start, "mapping it with more than its SECINFO had is not allowed"));
            }
        }
        let before = pages.mapping.parts(range.clone());
        pages.mapping.set(range.clone(), Some(perms).filter(|perms| !perms.is_empty()));
        let applied = self.apply(&pages, range.clone());
        if applied.is_err() {
            for (run, perms) in before {
                pages.mapping.set(run, perms);
            }
            // Back to what there was: if even that fails, pages stay less accessible than they may be, and fault.
            let _ = self.apply(&pages, range);
        }
        applied
    }

    pub(super) fn emodpr(&self, range: Range<u64>, perms: Perms) -> Result<(), PageError> {
        if perms.contains(Perms::W) && !perms.contains(Perms::R) {
            return Err(state(range.start / PAGE_SIZE, "a page cannot be writable and not readable"));
        }
        self.change(range, |entry| match entry {
            Some(entry) if entry.page_type != PageType::Reg => Err("only regular pages have permissions"),
            Some(entry) if entry.pending || entry.modified => Err("an earlier change is not accepted yet"),
            Some(entry) => Ok(Some(Entry { perms: entry.perms & perms, pr: true, ..entry })),
            None => Err("there is no page"),
        })
    }

    pub(super) fn emodt(&self, range: Range<u64>, page_type: PageType) -> Result<(), PageError> {
        self.change(range, |entry| match entry {
            None => Err("there is no page"),
            Some(entry) if entry.pending || entry.modified => Err("an earlier change is not accepted yet"),
            Some(entry) if entry.page_type == PageType::Trim => Err("the page is trimmed already"),
            Some(entry) if entry.page_type == PageType::Tcs && page_type == PageType::Tcs => {
                Err("the page is a TCS already")
            }
            Some(entry) if page_type == PageType::Tcs && !entry.max.contains(Perms::RW) => {
                Err("a TCS needs a page that was readable and writable")
            }
            // EMODT sets no permissions; a TCS and a trimmed page have none.
            Some(entry) => {
                let max = if page_type == PageType::Tcs { Perms::RW } else { entry.max };
                Ok(Some(Entry { page_type, perms: Perms::empty(), modified: true, pr: false, max, ..entry }))
            }
        })
    }

    pub(super) fn eremove(&self, range: Range<u64>) -> Result<(), PageError> {
        self.change(range, |entry| match entry {
            None => Err("there is no page"),
            Some(entry) if entry.page_type != PageType::Trim => Err("only trimmed pages can be removed"),
            Some(entry) if entry.modified => Err("the enclave has not accepted the trimming yet"),
            Some(_) => Ok(None),
        })
    }

    /// Changes entries run by run; the first run that cannot be changed ends it.
    fn change(
        &self,
        range: Range<u64>,
        next: impl Fn(Option<Entry>) -> Result<Option<Entry>, &'static str>,
    ) -> Result<(), PageError> {
        let range = self.pages_of(&range)?;
        let mut pages = self.lock();
        let mut done = range.start;
        let mut result = Ok(());
        for (run, entry) in pages.epcm.parts(range.clone()) {
            match next(entry) {
                Ok(entry) => {
                    done = run.end;
                    self.commit(&mut pages, run, entry);
                }
                Err(reason) => {
                    result = Err(state(run.start, reason));
                    break;
                }
            }
        }
        self.apply(&pages, range.start..done).and(result)
    }

    fn commit(&self, pages: &mut Pages, run: Range<Page>, entry: Option<Entry>) {
        pages.epcm.set(run.clone(), entry);
        if entry.is_none_or(|entry| entry.page_type != PageType::Tcs) {
            for page in run.clone() {
                if pages.tcs.is_empty() {
                    break;
                }
                pages.tcs.remove(&page);
            }
        }
        if entry.is_none() {
            self.elrange().discard(run);
        }
    }
}

fn state(page: Page, reason: &'static str) -> PageError {
    PageError::State { offset: page * PAGE_SIZE, reason }
}
