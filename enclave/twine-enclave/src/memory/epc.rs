//! Pages of the EPC by Linux's protocol: what the host's kernel does, and the EACCEPT that proves it.

use twine_abi::calls::{Remove, Restrict, Trim};
use twine_abi::layout::PAGE_SIZE;

use super::{Error, Protection};
use crate::{border, entry, layout};

/// SECINFO.FLAGS (SDM Vol. 3D, "SECINFO.FLAGS"): state bits and page types beside the permissions.
const PENDING: u64 = 1 << 3;
const MODIFIED: u64 = 1 << 4;
const PR: u64 = 1 << 5;
const PT_REG: u64 = 2 << 8;
const PT_TRIM: u64 = 4 << 8;

/// A permission mask that the host leaves as it is.
const ANY: u64 = 7;

#[repr(C, align(64))]
struct SecInfo([u64; 8]);

impl SecInfo {
    fn new(flags: u64) -> Self {
        Self([flags, 0, 0, 0, 0, 0, 0, 0])
    }

    fn pointer(&self) -> *const u8 {
        self.0.as_ptr().cast()
    }
}

fn accept(start: u64, end: u64, flags: u64) -> Result<(), Error> {
    // SAFETY: EACCEPT changes the state of EPC pages that the manager owns; contents stay.
    match unsafe { entry::twine_enclu_accept(SecInfo::new(flags).pointer(), start, end) } {
        0 => Ok(()),
        _ => Err(Error::Host),
    }
}

/// Has addresses mapped read-write, so that the host's kernel adds a page (EAUG) when one is touched or accepted.
pub fn map(start: u64, end: u64) -> Result<(), Error> {
    let map = Restrict {
        offset: start - layout::base(),
        length: end - start,
        permissions: ANY,
        mapping: u64::from(Protection::RW.0),
    };
    border::call(&map, &[], &mut []).map_err(|_| Error::Host)?;
    Ok(())
}

/// Takes fresh zero pages in.
pub fn accept_new(start: u64, end: u64) -> Result<(), Error> {
    accept(start, end, u64::from(Protection::RW.0) | PENDING | PT_REG)
}

/// Changes the permissions of committed pages: less by the host (EMODPR) and our EACCEPT, then more by EMODPE, so that
/// no page is ever writable and executable.
pub fn change(start: u64, end: u64, old: Protection, new: Protection) -> Result<(), Error> {
    let common = old.0 & new.0;
    let restrict = Restrict {
        offset: start - layout::base(),
        length: end - start,
        permissions: if common == old.0 { ANY } else { u64::from(common) },
        // EACCEPT wants the page mapped, even one that nothing may be done with: the EPCM forbids it.
        mapping: u64::from(if new == Protection::NONE { Protection::R.0 } else { new.0 }),
    };
    border::call(&restrict, &[], &mut []).map_err(|_| Error::Host)?;
    if common != old.0 {
        accept(start, end, u64::from(common) | PR | PT_REG)?;
    }
    if common != new.0 {
        // SAFETY: EMODPE extends the permissions of pages that the manager owns.
        unsafe {
            entry::twine_enclu_extend(SecInfo::new(u64::from(new.0) | PT_REG).pointer(), start, end);
        }
    }
    Ok(())
}

/// Gives pages back: PT_TRIM by the host, our EACCEPT, removal by the host.
pub fn remove(start: u64, end: u64) -> Result<(), Error> {
    let (offset, length) = (start - layout::base(), end - start);
    debug_assert!(offset.is_multiple_of(PAGE_SIZE));
    border::call(&Trim { offset, length }, &[], &mut []).map_err(|_| Error::Host)?;
    accept(start, end, MODIFIED | PT_TRIM)?;
    border::call(&Remove { offset, length }, &[], &mut []).map_err(|_| Error::Host)?;
    Ok(())
}
