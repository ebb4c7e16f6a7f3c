//! EACCEPTCOPY (SDM leaf EACCEPTCOPY), with Linux's EAUG of an absent destination on the way.
#![allow(unsafe_code)]

use twine_sgx::ssa::{pfec, vector};
use twine_sgx::{ErrorCode, PAGE_SIZE, PageType, page_type};

use super::{After, secinfo};
use crate::backend::Perms;
use crate::sim::build::perms_of;
use crate::sim::enclave::SimEnclave;
use crate::sim::epcm::Entry;
use crate::sim::frame::{Frame, Reg};
use crate::sim::transition::Event;

pub(super) fn execute(enclave: &SimEnclave, frame: &mut Frame) -> Result<After, Event> {
    let (to, from) = (frame.get(Reg::Rcx), frame.get(Reg::Rdx));
    let elrange = enclave.elrange();
    let mut pages = enclave.lock();
    let flags = secinfo(enclave, &mut pages, frame.get(Reg::Rbx))?;
    let perms = perms_of(flags);
    if page_type(flags) != Ok(PageType::Reg)
        || perms.contains(Perms::W) && !perms.contains(Perms::R)
        || !to.is_multiple_of(PAGE_SIZE)
        || !elrange.contains(to)
    {
        return Err(Event::exception(vector::GP));
    }
    enclave.operand(&mut pages, from, PAGE_SIZE, 0)?;
    let page = elrange.page(to);
    let (entry, _) = pages.epcm.get(page);
    let mapped = pages.mapping.get(page).0.unwrap_or(Perms::empty());
    if !mapped.contains(Perms::R) {
        return Err(Event::page_fault(to, entry.map_or(0, |_| pfec::P) | pfec::W));
    }
    let entry = entry.unwrap_or(Entry::augmented());
    if entry != Entry::augmented() {
        frame.result(ErrorCode::PageAttributesMismatch as u64);
        return Ok(After::Next);
    }
    // The copy goes through the stack: source and destination are never open at once for longer than needed.
    // SAFETY: the source is readable, and the lock on the pages keeps it so.
    let contents: [u8; PAGE_SIZE as usize] = unsafe { elrange.read(from) };
    let out_of_mappings = |_| Event::page_fault(to, pfec::W);
    elrange.protect(page..page + 1, Perms::RW).map_err(out_of_mappings)?;
    // SAFETY: writable since the line above.
    unsafe { elrange.write(to, &contents) };
    pages.epcm.set(page..page + 1, Some(Entry { pending: false, perms, ..entry }));
    enclave.apply(&pages, page..page + 1).map_err(out_of_mappings)?;
    frame.result(0);
    Ok(After::Next)
}
