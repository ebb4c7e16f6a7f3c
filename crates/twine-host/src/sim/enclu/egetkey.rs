//! EGETKEY (SDM leaf EGETKEY).
#![allow(unsafe_code)]

use twine_sgx::ssa::{pfec, vector};
use twine_sgx::{Attributes, AttributesFlags, ErrorCode, Keyname, Keypolicy, Keyrequest};

use super::After;
use crate::sim::enclave::SimEnclave;
use crate::sim::frame::{Frame, Reg};
use crate::sim::fuse::not_beyond;
use crate::sim::keys::Dependencies;
use crate::sim::transition::Event;

pub(super) fn execute(enclave: &SimEnclave, frame: &mut Frame) -> Result<After, Event> {
    let (request_at, out_at) = (frame.get(Reg::Rbx), frame.get(Reg::Rcx));
    let mut pages = enclave.lock();
    enclave.operand(&mut pages, request_at, Keyrequest::SIZE as u64, 0)?;
    enclave.operand(&mut pages, out_at, 16, pfec::W)?;
    // SAFETY: the operand is accessible, and the lock keeps it so.
    let request: [u8; Keyrequest::SIZE] = unsafe { enclave.elrange().read(request_at) };
    let request = Keyrequest::from_bytes(&request).map_err(|_| Event::exception(vector::GP))?;
    match dependencies(enclave, &request)? {
        Ok(on) => {
            let key = enclave.processor.derive(&on);
            // SAFETY: as above.
            unsafe { enclave.elrange().write(out_at, &key) };
            frame.result(0);
        }
        Err(code) => frame.result(code as u64),
    }
    Ok(After::Next)
}

/// What the requested key depends on, the error code that the enclave gets instead, or a fault.
fn dependencies(
    enclave: &SimEnclave,
    request: &Keyrequest,
) -> Result<Result<Dependencies, ErrorCode>, Event> {
    let (secs, policy) = (&enclave.secs, request.keypolicy);
    let kss = secs.attributes.flags.contains(AttributesFlags::KSS);
    if policy.bits() & !Keypolicy::all().bits() != 0
        || !kss && (policy.intersects(Keypolicy::KSS) || request.configsvn != 0)
    {
        return Err(Event::exception(vector::GP));
    }
    let name = Keyname::try_from(request.keyname);
    let privilege = match name {
        Err(_) => return Ok(Err(ErrorCode::InvalidKeyname)),
        Ok(Keyname::Report) => {
            let target = twine_sgx::Targetinfo {
                measurement: secs.mrenclave,
                attributes: secs.attributes,
                cet_attributes: secs.cet_attributes,
                configsvn: secs.configsvn,
                miscselect: secs.miscselect,
                configid: secs.configid,
            };
            return Ok(Ok(enclave.processor.report_dependencies(&target, &request.keyid)));
        }
        Ok(Keyname::Seal) => AttributesFlags::empty(),
        Ok(Keyname::Einittoken) => AttributesFlags::EINITTOKENKEY,
        Ok(Keyname::Provision | Keyname::ProvisionSeal) => AttributesFlags::PROVISIONKEY,
    };
    if !secs.attributes.flags.contains(privilege) {
        return Ok(Err(ErrorCode::InvalidAttribute));
    }
    if !not_beyond(&request.cpusvn, &enclave.processor.cpusvn()) {
        return Ok(Err(ErrorCode::InvalidCpusvn));
    }
    if request.isvsvn > secs.isvsvn || request.configsvn > secs.configsvn {
        return Ok(Err(ErrorCode::InvalidIsvsvn));
    }
    // INIT and DEBUG are always in.
    let always = (AttributesFlags::INIT | AttributesFlags::DEBUG).bits();
    let flags = (request.attributemask | always) & secs.attributes.flags.bits();
    let attributes = Attributes {
        flags: AttributesFlags::from_bits_truncate(flags),
        xfrm: request.xfrmmask & secs.attributes.xfrm,
    };
    let base = Dependencies {
        keyname: request.keyname,
        isvfamilyid: [0; 16],
        isvextprodid: [0; 16],
        isvprodid: secs.isvprodid,
        isvsvn: request.isvsvn,
        owner_epoch: false,
        attributes,
        attributemask: [0; 2],
        mrenclave: [0; 32],
        mrsigner: secs.mrsigner,
        keyid: [0; 32],
        seal_fuses: true,
        cpusvn: request.cpusvn,
        miscselect: request.miscmask & secs.miscselect,
        miscmask: 0,
        keypolicy: 0,
        configid: [0; 64],
        configsvn: 0,
        cet_attributes: request.cet_attributes_mask & secs.cet_attributes,
        cet_attributes_mask: request.cet_attributes_mask,
    };
    let masked = Dependencies {
        attributemask: [request.attributemask, request.xfrmmask],
        miscmask: !request.miscmask,
        ..base.clone()
    };
    Ok(Ok(match name {
        Ok(Keyname::Einittoken) => Dependencies { owner_epoch: true, keyid: request.keyid, ..base },
        Ok(Keyname::Provision) => Dependencies { seal_fuses: false, ..masked },
        Ok(Keyname::ProvisionSeal) => by_policy(enclave, request, masked),
        _ => Dependencies {
            owner_epoch: true,
            keyid: request.keyid,
            mrenclave: if policy.contains(Keypolicy::MRENCLAVE) { secs.mrenclave } else { [0; 32] },
            mrsigner: if policy.contains(Keypolicy::MRSIGNER) { secs.mrsigner } else { [0; 32] },
            ..by_policy(enclave, request, masked)
        },
    }))
}

/// The KSS part of a sealing key.
fn by_policy(enclave: &SimEnclave, request: &Keyrequest, on: Dependencies) -> Dependencies {
    let policy = request.keypolicy;
    let config = policy.contains(Keypolicy::CONFIGID);
    let when = |bit, id: [u8; 16]| if policy.contains(bit) { id } else { [0; 16] };
    Dependencies {
        keypolicy: policy.bits(),
        isvfamilyid: when(Keypolicy::ISVFAMILYID, enclave.identity.isvfamilyid),
        isvextprodid: when(Keypolicy::ISVEXTPRODID, enclave.identity.isvextprodid),
        isvprodid: if policy.contains(Keypolicy::NOISVPRODID) { 0 } else { enclave.secs.isvprodid },
        configid: if config { enclave.secs.configid } else { [0; 64] },
        configsvn: if config { request.configsvn } else { 0 },
        ..on
    }
}
