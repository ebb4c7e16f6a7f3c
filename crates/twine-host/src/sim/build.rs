//! ECREATE, EADD, EEXTEND: an enclave under construction, and its measurement.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ops::Range;

use sha2::{Digest, Sha256};
use twine_sgx::{
    MEAS_EADD, MEAS_ECREATE, PAGE_SIZE, PageType, Secinfo, SecinfoFlags, Secs, Tcs, TcsFlags, page_type,
};

use super::elrange::Elrange;
use super::epcm::{Entry, Page, RunMap};
use super::secs;
use super::stream::{CHUNK, HEADER};
use crate::backend::{LoadError, PageError, Perms};

/// Pages are made accessible and populated this many at a time while loading.
const WINDOW: u64 = 256;

/// An enclave between ECREATE and EINIT.
pub(super) struct Build {
    pub elrange: Elrange,
    pub secs: Secs,
    pub epcm: RunMap<Entry>,
    pub tcs: BTreeMap<u64, Tcs>,
    measurement: Sha256,
    /// The page that was EADDed last and its type.
    current: Option<(u64, PageType)>,
    /// Pages that were made accessible for loading.
    window: Range<Page>,
}

impl Build {
    /// ECREATE: reserves ELRANGE and starts the measurement. BASEADDR is chosen here.
    pub fn create(mut secs: Secs) -> Result<Self, LoadError> {
        let fault = |reason| LoadError::Fault { leaf: "ECREATE", reason };
        secs::check(&Secs { baseaddr: 0, ..secs.clone() }).map_err(fault)?;
        let elrange = Elrange::reserve(secs.size)?;
        secs.baseaddr = elrange.base();
        let mut record = [0; 64];
        record[..8].copy_from_slice(&MEAS_ECREATE.to_le_bytes());
        record[8..12].copy_from_slice(&secs.ssaframesize.to_le_bytes());
        record[12..20].copy_from_slice(&secs.size.to_le_bytes());
        Ok(Self {
            elrange,
            secs,
            epcm: RunMap::new(),
            tcs: BTreeMap::new(),
            measurement: Sha256::new_with_prefix(record),
            current: None,
            window: 0..0,
        })
    }

    /// EADD of a zero page, whose contents follow as chunks.
    pub fn add(&mut self, offset: u64, flags: SecinfoFlags) -> Result<(), LoadError> {
        let fault = |reason| LoadError::Fault { leaf: "EADD", reason };
        self.finish_page()?;
        if !offset.is_multiple_of(PAGE_SIZE) || offset >= self.secs.size {
            return Err(fault("a page lies outside ELRANGE or is not page-aligned"));
        }
        let known = SecinfoFlags::R | SecinfoFlags::W | SecinfoFlags::X | SecinfoFlags::PT_MASK;
        if flags.bits() & !known.bits() != 0 {
            return Err(fault("SECINFO has a reserved bit set"));
        }
        let declared = perms_of(flags);
        let (page_type, perms, max) = match page_type(flags) {
            Ok(PageType::Reg) if declared.contains(Perms::W) && !declared.contains(Perms::R) => {
                return Err(fault("SECINFO asks for a page that is writable and not readable"));
            }
            Ok(PageType::Reg) => (PageType::Reg, declared, declared),
            // The EPCM gives software no access to a TCS; Linux maps it readable and writable.
            Ok(PageType::Tcs) => (PageType::Tcs, Perms::empty(), Perms::RW),
            _ => return Err(fault("SECINFO has a page type other than PT_REG and PT_TCS")),
        };
        let page = offset / PAGE_SIZE;
        if self.epcm.get(page).0.is_some() {
            return Err(fault("a page is added twice"));
        }
        if !self.window.contains(&page) {
            self.open_window(page)?;
        }
        self.epcm.set(page..page + 1, Some(Entry::added(page_type, perms, max)));
        self.current = Some((page, page_type));
        let mut record = [0; 64];
        record[..8].copy_from_slice(&MEAS_EADD.to_le_bytes());
        record[8..16].copy_from_slice(&offset.to_le_bytes());
        record[16..].copy_from_slice(&Secinfo::new(flags).to_bytes()[..48]);
        self.measurement.update(record);
        Ok(())
    }

    /// Contents of 256 bytes of the page that was added last, and EEXTEND over them if `measured`. `record` is what
    /// EEXTEND hashes: its header, whose offset is `offset`, and the data.
    pub fn chunk(&mut self, offset: u64, record: &[u8; CHUNK], measured: bool) -> Result<(), LoadError> {
        let fault = |reason| LoadError::Fault { leaf: "EEXTEND", reason };
        let Some((page, _)) = self.current else { return Err(fault("there is no page yet")) };
        if !offset.is_multiple_of(256) || offset / PAGE_SIZE != page {
            return Err(fault("a chunk is not in the page before it, or not 256-byte aligned"));
        }
        // SAFETY: the page was made writable in `add`; the enclave is known to this thread only.
        unsafe { self.elrange.write(self.elrange.base() + offset, &record[HEADER..]) };
        if measured {
            self.measurement.update(record);
        }
        Ok(())
    }

    /// Makes pages from `page` on writable and present, so that filling them does not fault page by page.
    fn open_window(&mut self, page: Page) -> Result<(), LoadError> {
        self.close_window();
        let window = page..(page + WINDOW).min(self.secs.size / PAGE_SIZE);
        self.elrange.protect(window.clone(), Perms::RW).map_err(|error| match error {
            PageError::System { call, error } => LoadError::System { call, error },
            _ => LoadError::Fault { leaf: "EADD", reason: "a page lies outside ELRANGE" },
        })?;
        self.elrange.populate(window.clone());
        self.window = window;
        Ok(())
    }

    /// Gives pages of the window back that were not added.
    fn close_window(&mut self) {
        for (run, entry) in self.epcm.parts(std::mem::take(&mut self.window)) {
            if entry.is_none() {
                self.elrange.discard(run);
            }
        }
    }

    /// The checks of EADD that need the page's contents.
    fn finish_page(&mut self) -> Result<(), LoadError> {
        if let Some((page, PageType::Tcs)) = self.current.take() {
            // SAFETY: the page was made writable in `add`; the enclave is known to this thread only.
            let bytes = unsafe { self.elrange.read(self.elrange.address(page)) };
            let tcs = check_tcs(&bytes).map_err(|reason| LoadError::Fault { leaf: "EADD", reason })?;
            self.tcs.insert(page, tcs);
        }
        Ok(())
    }

    /// The first half of EINIT: nothing more can be added, and the measurement is final.
    pub fn finish(&mut self) -> Result<(), LoadError> {
        self.finish_page()?;
        self.close_window();
        self.secs.mrenclave = std::mem::take(&mut self.measurement).finalize().into();
        Ok(())
    }
}

/// R, W and X of SECINFO.FLAGS.
pub(super) fn perms_of(flags: SecinfoFlags) -> Perms {
    Perms::from_bits_truncate(flags.bits() as u8)
}

/// The checks of EADD and EACCEPT for a TCS page.
pub(super) fn check_tcs(bytes: &[u8; 4096]) -> Result<Tcs, &'static str> {
    let tcs = Tcs::from_bytes(bytes).map_err(|_| "a TCS has a reserved field set")?;
    if tcs.flags & !TcsFlags::DBGOPTIN.bits() != 0 {
        return Err("TCS.FLAGS has a bit that this processor does not support");
    }
    if !tcs.ossa.is_multiple_of(PAGE_SIZE)
        || !tcs.ofsbasgx.is_multiple_of(PAGE_SIZE)
        || !tcs.ogsbasgx.is_multiple_of(PAGE_SIZE)
    {
        return Err("TCS.OSSA, OFSBASGX or OGSBASGX is not page-aligned");
    }
    Ok(tcs)
}
