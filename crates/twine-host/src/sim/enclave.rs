//! An initialised enclave: its SECS, and the state of its pages as EPCM and page tables have it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use twine_sgx::ssa::{pfec, vector};
use twine_sgx::{PAGE_SIZE, PageType, Secs};

use super::build::Build;
use super::elrange::Elrange;
use super::epcm::{Entry, Page, RunMap};
use super::hostile::Hostility;
use super::keys::Processor;
use super::launch::Identity;
use super::signals::{ACCESS, QUICK};
use super::tcs::TcsState;
use super::transition::Event;
use crate::backend::{LoadError, PageError, Perms};

/// An enclave on the simulated processor.
pub(super) struct SimEnclave {
    elrange: Elrange,
    pub secs: Secs,
    pub identity: Identity,
    pub processor: Arc<Processor>,
    /// TCS pages of the image.
    pub image_tcs: Vec<u64>,
    /// Whether pages are inaccessible while no thread is inside.
    checked: bool,
    pub hostility: Hostility,
    pages: Mutex<Pages>,
}

/// What changes while an enclave runs. Signal handlers lock it too: they only ever interrupt enclave code or the stub, never
/// a holder on the same thread.
pub(super) struct Pages {
    pub epcm: RunMap<Entry>,
    /// The mapping's permissions, as mmap and mprotect left them.
    pub mapping: RunMap<Perms>,
    pub tcs: BTreeMap<Page, Arc<TcsState>>,
    /// Threads inside, counted in checked mode.
    inside: usize,
}

impl SimEnclave {
    /// The enclave that EINIT has accepted, mapped page by page as SECINFO says.
    pub fn new(
        build: Build,
        identity: Identity,
        processor: Arc<Processor>,
        checked: bool,
        hostility: Hostility,
    ) -> Result<Self, LoadError> {
        let Build { elrange, secs, epcm, tcs, .. } = build;
        let mut mapping = RunMap::new();
        for (run, entry) in epcm.iter() {
            mapping.set(run, Some(entry.max));
        }
        let tcs: BTreeMap<_, _> = tcs
            .iter()
            .map(|(page, tcs)| (*page, Arc::new(TcsState::new(elrange.address(*page), tcs))))
            .collect();
        let image_tcs = tcs.values().map(|tcs| tcs.address).collect();
        let pages = Pages { epcm, mapping, tcs, inside: 0 };
        let pages = Mutex::new(pages);
        let enclave = Self { elrange, secs, identity, processor, image_tcs, checked, hostility, pages };
        let all = 0..enclave.secs.size / PAGE_SIZE;
        let applied = match checked {
            true => enclave.elrange.protect(all, Perms::empty()),
            false => enclave.apply(&enclave.lock(), all),
        };
        match applied {
            Err(PageError::System { call, error }) => Err(LoadError::System { call, error }),
            _ => Ok(enclave),
        }
    }

    pub fn elrange(&self) -> &Elrange {
        &self.elrange
    }

    pub fn lock(&self) -> MutexGuard<'_, Pages> {
        // Nothing panics while holding the lock with the maps half-changed.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the host's page tables allow what EPCM and mapping allow together, one call per run.
    pub fn apply(&self, pages: &Pages, range: Range<Page>) -> Result<(), PageError> {
        if self.checked && pages.inside == 0 {
            return Ok(());
        }
        let mut pending: Option<(Range<Page>, Perms)> = None;
        let mut page = range.start;
        while page < range.end {
            let (entry, entry_end) = pages.epcm.get(page);
            let (mapped, mapped_end) = pages.mapping.get(page);
            let end = entry_end.min(mapped_end).min(range.end);
            let perms = entry.map_or(Perms::empty(), Entry::access) & mapped.unwrap_or(Perms::empty());
            match &mut pending {
                Some((run, same)) if *same == perms => run.end = end,
                _ => {
                    if let Some((run, perms)) = pending.replace((page..end, perms)) {
                        self.elrange.protect(run, perms)?;
                    }
                }
            }
            page = end;
        }
        match pending {
            Some((run, perms)) => self.elrange.protect(run, perms),
            None => Ok(()),
        }
    }

    /// A thread goes in: in checked mode the first one opens the enclave's memory.
    pub fn open(&self, pages: &mut Pages) -> Result<(), PageError> {
        if self.checked {
            pages.inside += 1;
            if pages.inside == 1 {
                let applied = self.apply(pages, 0..self.secs.size / PAGE_SIZE);
                if applied.is_err() {
                    pages.inside = 0;
                }
                return applied;
            }
        }
        Ok(())
    }

    /// A thread comes out: in checked mode the last one closes the enclave's memory.
    pub fn close(&self, pages: &mut Pages) {
        if self.checked {
            pages.inside -= 1;
            if pages.inside == 0 {
                // Protecting a whole reservation merges mappings, so no limit is in the way.
                let _ = self.elrange.protect(0..self.secs.size / PAGE_SIZE, Perms::empty());
            }
        }
    }

    /// A page fault in the enclave; none if the access is allowed by now.
    pub fn page_fault(&self, address: u64, error_code: u32) -> Option<Event> {
        if !self.elrange.contains(address) {
            return Some(Event::page_fault(address, error_code & (pfec::P | ACCESS)));
        }
        self.access(&mut self.lock(), address, error_code & ACCESS).err()
    }

    /// The access to an address in ELRANGE that `kind` ([`pfec::W`], [`pfec::I`], or 0 for a read) tells: nothing if it is
    /// allowed, else the #PF. As Linux does, an absent page of a mapped range is EAUGed on the way; being PENDING then, it
    /// faults all the same.
    pub fn access(&self, pages: &mut Pages, address: u64, kind: u32) -> Result<(), Event> {
        let page = self.elrange.page(address);
        let need = match kind {
            _ if kind & pfec::W != 0 => Perms::W,
            _ if kind & pfec::I != 0 => Perms::X,
            _ => Perms::R,
        };
        let (entry, _) = pages.epcm.get(page);
        let mapped = pages.mapping.get(page).0.unwrap_or(Perms::empty());
        if !mapped.contains(need) {
            let present = if entry.is_some() { pfec::P } else { 0 };
            return Err(Event::page_fault(address, kind | present));
        }
        match entry {
            Some(entry) if entry.access().contains(need) => Ok(()),
            _ => {
                if entry.is_none() {
                    pages.epcm.set(page..page + 1, Some(Entry::augmented()));
                }
                Err(Event::page_fault(address, kind | pfec::P | pfec::SGX))
            }
        }
    }

    /// An operand of a leaf function: `size` bytes, aligned to their size or a divisor of the page's.
    pub fn operand(&self, pages: &mut Pages, address: u64, align: u64, kind: u32) -> Result<(), Event> {
        if !address.is_multiple_of(align) || !self.elrange.contains(address) {
            return Err(Event::exception(vector::GP));
        }
        self.access(pages, address, kind)
    }

    /// Makes later executions of the ENCLU at `rip` trap as HLT. One byte changes, so a thread that executes there meanwhile
    /// meets either instruction, or a page fault that ends when this is done.
    #[allow(unsafe_code)]
    pub fn quicken(&self, rip: u64) {
        let page = self.elrange.page(rip);
        let pages = self.lock();
        if self.elrange.protect(page..page + 1, Perms::RW).is_ok() {
            // SAFETY: the page is writable since the line above, and the lock keeps it so.
            unsafe { self.elrange.write(rip, &[QUICK]) };
        }
        let _ = self.apply(&pages, page..page + 1);
    }

    /// Where the SSA frame begins that `tcs` uses when CSSA is `cssa`, if all of it is accessible.
    pub fn ssa_frame(&self, pages: &mut Pages, tcs: &TcsState, cssa: u32) -> Result<u64, Event> {
        let size = u64::from(self.secs.ssaframesize) * PAGE_SIZE;
        let offset = size.checked_mul(cssa.into()).and_then(|at| at.checked_add(tcs.ossa));
        let Some(offset) = offset.filter(|at| at.checked_add(size).is_some_and(|end| end <= self.secs.size))
        else {
            return Err(Event::exception(vector::GP));
        };
        let frame = self.elrange.base() + offset;
        for page in (frame..frame + size).step_by(PAGE_SIZE as usize) {
            self.access(pages, page, pfec::W)?;
        }
        Ok(frame)
    }

    /// The TCS at an address.
    pub fn tcs_at(&self, pages: &Pages, address: u64) -> Option<Arc<TcsState>> {
        let valid = |entry: Entry| entry.page_type == PageType::Tcs && !entry.modified;
        if !address.is_multiple_of(PAGE_SIZE) || !self.elrange.contains(address) {
            return None;
        }
        let page = self.elrange.page(address);
        pages.tcs.get(&page).filter(|_| pages.epcm.get(page).0.is_some_and(valid)).cloned()
    }
}
