//! EREPORT (SDM leaf EREPORT).
#![allow(unsafe_code)]

use twine_sgx::ssa::{pfec, vector};
use twine_sgx::{Miscselect, Report, Targetinfo, report_to_bytes};

use super::After;
use crate::sim::enclave::SimEnclave;
use crate::sim::frame::{Frame, Reg};
use crate::sim::transition::Event;

pub(super) fn execute(enclave: &SimEnclave, frame: &mut Frame) -> Result<After, Event> {
    let (target_at, data_at, out_at) = (frame.get(Reg::Rbx), frame.get(Reg::Rcx), frame.get(Reg::Rdx));
    let mut pages = enclave.lock();
    enclave.operand(&mut pages, target_at, 512, 0)?;
    enclave.operand(&mut pages, data_at, 128, 0)?;
    enclave.operand(&mut pages, out_at, 512, pfec::W)?;
    // SAFETY: the operands are accessible, and the lock keeps them so.
    let (target, reportdata): ([u8; 512], [u8; 64]) =
        unsafe { (enclave.elrange().read(target_at), enclave.elrange().read(data_at)) };
    let target = Targetinfo::from_bytes(&target).map_err(|_| Event::exception(vector::GP))?;
    let secs = &enclave.secs;
    let mut report = Report {
        cpusvn: enclave.processor.cpusvn(),
        miscselect: Miscselect::from_bits_truncate(secs.miscselect),
        cet_attributes: secs.cet_attributes,
        isvextnprodid: enclave.identity.isvextprodid,
        attributes: secs.attributes,
        mrenclave: secs.mrenclave,
        mrsigner: secs.mrsigner,
        configid: secs.configid,
        isvprodid: secs.isvprodid,
        isvsvn: secs.isvsvn,
        configsvn: secs.configsvn,
        isvfamilyid: enclave.identity.isvfamilyid,
        reportdata,
        ..Default::default()
    };
    enclave.processor.sign_report(&mut report, &target);
    // SAFETY: as above.
    unsafe { enclave.elrange().write(out_at, &report_to_bytes(&report)) };
    Ok(After::Next)
}
