//! EACCEPT (SDM leaf EACCEPT), with Linux's EAUG of absent pages on the way.
#![allow(unsafe_code)]

use twine_sgx::ssa::{pfec, vector};
use twine_sgx::{ErrorCode, PAGE_SIZE, PageType, SecinfoFlags, page_type};

use super::{After, run, secinfo};
use crate::backend::Perms;
use crate::sim::build::{check_tcs, perms_of};
use crate::sim::enclave::{Pages, SimEnclave};
use crate::sim::epcm::{Entry, Page};
use crate::sim::frame::{Frame, Reg};
use crate::sim::tcs::TcsState;
use crate::sim::transition::Event;

/// Why a page was not accepted.
enum Refused {
    Code(ErrorCode),
    Fault(Event),
}

pub(super) fn execute(enclave: &SimEnclave, frame: &mut Frame) -> Result<After, Event> {
    let mut pages = enclave.lock();
    let flags = secinfo(enclave, &mut pages, frame.get(Reg::Rbx))?;
    let target = frame.get(Reg::Rcx);
    if !target.is_multiple_of(PAGE_SIZE) || !enclave.elrange().contains(target) || !is_request(flags) {
        return Err(Event::exception(vector::GP));
    }
    let run = run::recognise(enclave, &pages, frame);
    let first = run.pages.start;
    let before = pages.epcm.parts(run.pages.clone());
    let mut page = first;
    let mut refused = None;
    while page < run.pages.end && refused.is_none() {
        match accept(enclave, &mut pages, page, run.pages.end, flags) {
            Ok(end) => page = end,
            Err(refusal) => refused = Some(refusal),
        }
    }
    if page > first && enclave.apply(&pages, first..page).is_err() {
        // The system is out of mappings: as if EAUG had found no page, and nothing was accepted.
        for (part, entry) in before {
            pages.epcm.set(part, entry);
        }
        refused = Some(Refused::Fault(Event::page_fault(target, 0)));
        page = first;
    }
    if page > first && flags.contains(SecinfoFlags::PENDING | SecinfoFlags::W) {
        // What is EAUGed is memory of the EPC from then on: nothing of it faults again.
        enclave.elrange().populate(first..page);
    }
    let next = if page > first { run.advance(frame, page - first) } else { None };
    match refused {
        Some(Refused::Fault(event)) => {
            frame.set(Reg::Rax, twine_sgx::leaf::EACCEPT.into());
            Err(event)
        }
        Some(Refused::Code(code)) => {
            frame.result(code as u64);
            Ok(After::Next)
        }
        None => match next {
            Some(rip) => {
                // What the loop's last MOV left there.
                frame.set(Reg::Rax, twine_sgx::leaf::EACCEPT.into());
                Ok(After::At(rip))
            }
            None => {
                frame.result(0);
                Ok(After::Next)
            }
        },
    }
}

/// Whether the combination of type, PR, PENDING and MODIFIED is one that can be accepted.
fn is_request(flags: SecinfoFlags) -> bool {
    let has = |bit| flags.contains(bit);
    match page_type(flags) {
        Ok(PageType::Reg) => {
            (has(SecinfoFlags::PR) || has(SecinfoFlags::PENDING)) && !has(SecinfoFlags::MODIFIED)
        }
        Ok(PageType::Tcs | PageType::Trim) => {
            has(SecinfoFlags::MODIFIED) && !has(SecinfoFlags::PR) && !has(SecinfoFlags::PENDING)
        }
        _ => false,
    }
}

/// Accepts pages from `page` on that are in one state, at most to `limit`; answers where it ended.
fn accept(
    enclave: &SimEnclave,
    pages: &mut Pages,
    page: Page,
    limit: Page,
    flags: SecinfoFlags,
) -> Result<Page, Refused> {
    let address = enclave.elrange().address(page);
    let (entry, entry_end) = pages.epcm.get(page);
    let (mapped, mapped_end) = pages.mapping.get(page);
    let end = entry_end.min(mapped_end).min(limit);
    if !mapped.is_some_and(|perms| perms.contains(Perms::R)) {
        let present = if entry.is_some() { pfec::P } else { 0 };
        return Err(Refused::Fault(Event::page_fault(address, present)));
    }
    let entry = entry.unwrap_or(Entry::augmented());
    let same = Ok(entry.page_type) == page_type(flags)
        && entry.perms == perms_of(flags)
        && entry.pending == flags.contains(SecinfoFlags::PENDING)
        && entry.modified == flags.contains(SecinfoFlags::MODIFIED);
    if !same {
        // The page was EAUGed all the same.
        pages.epcm.set(page..page + 1, Some(entry));
        return Err(Refused::Code(ErrorCode::PageAttributesMismatch));
    }
    let accepted = Entry { pending: false, modified: false, pr: false, ..entry };
    if entry.page_type != PageType::Tcs {
        pages.epcm.set(page..end, Some(accepted));
        return Ok(end);
    }
    let tcs = read_tcs(enclave, page).filter(|tcs| tcs.flags == 0 && tcs.cssa < tcs.nssa);
    let Some(tcs) = tcs else { return Err(Refused::Fault(Event::exception(vector::GP))) };
    pages.tcs.insert(page, TcsState::new(address, &tcs).into());
    pages.epcm.set(page..page + 1, Some(accepted));
    Ok(page + 1)
}

/// The contents of a page that is becoming a TCS; it is accessible to nobody, so it is opened for the copy.
fn read_tcs(enclave: &SimEnclave, page: Page) -> Option<twine_sgx::Tcs> {
    let elrange = enclave.elrange();
    elrange.protect(page..page + 1, Perms::R).ok()?;
    // SAFETY: readable since the line above, and the lock on the pages keeps it so.
    let bytes = unsafe { elrange.read(elrange.address(page)) };
    elrange.protect(page..page + 1, Perms::empty()).ok()?;
    check_tcs(&bytes).ok()
}
