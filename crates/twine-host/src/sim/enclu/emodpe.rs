//! EMODPE (SDM leaf EMODPE).

use twine_sgx::ssa::{pfec, vector};
use twine_sgx::{PAGE_SIZE, PageType, leaf};

use super::{After, run, secinfo};
use crate::backend::Perms;
use crate::sim::build::perms_of;
use crate::sim::enclave::{Pages, SimEnclave};
use crate::sim::epcm::{Entry, Page};
use crate::sim::frame::{Frame, Reg};
use crate::sim::transition::Event;

pub(super) fn execute(enclave: &SimEnclave, frame: &mut Frame) -> Result<After, Event> {
    let mut pages = enclave.lock();
    let add = perms_of(secinfo(enclave, &mut pages, frame.get(Reg::Rbx))?);
    let target = frame.get(Reg::Rcx);
    if !target.is_multiple_of(PAGE_SIZE) || !enclave.elrange().contains(target) {
        return Err(Event::exception(vector::GP));
    }
    let run = run::recognise(enclave, &pages, frame);
    let first = run.pages.start;
    let mut page = first;
    let mut fault = None;
    while page < run.pages.end && fault.is_none() {
        match extend(enclave, &mut pages, page, run.pages.end, add) {
            Ok(end) => page = end,
            Err(event) => fault = Some(event),
        }
    }
    // Wider permissions that the system cannot map yet fault when they are used.
    let _ = enclave.apply(&pages, first..page);
    let next = if page > first { run.advance(frame, page - first) } else { None };
    frame.set(Reg::Rax, leaf::EMODPE.into());
    match (fault, next) {
        (Some(event), _) => Err(event),
        (None, Some(rip)) => Ok(After::At(rip)),
        (None, None) => Ok(After::Next),
    }
}

/// Extends the permissions of pages from `page` on that are in one state, at most to `limit`; answers where it ended.
fn extend(
    enclave: &SimEnclave,
    pages: &mut Pages,
    page: Page,
    limit: Page,
    add: Perms,
) -> Result<Page, Event> {
    let (entry, end) = pages.epcm.get(page);
    let Some(entry) = entry.filter(|e| e.page_type == PageType::Reg && !e.pending && !e.modified) else {
        return Err(Event::page_fault(enclave.elrange().address(page), pfec::P | pfec::SGX));
    };
    if add.contains(Perms::W) && !(entry.perms | add).contains(Perms::R) {
        return Err(Event::exception(vector::GP));
    }
    let end = end.min(limit);
    pages.epcm.set(page..end, Some(Entry { perms: entry.perms | add, ..entry }));
    Ok(end)
}
