//! EINIT: launch control.

use rsa::{BigUint, Pkcs1v15Sign, RsaPublicKey};
use sha2::{Digest, Sha256};
use twine_sgx::{
    AttributesFlags, ErrorCode, SIGSTRUCT_HEADER1, SIGSTRUCT_HEADER2, SIGSTRUCT_SIZE, Secs, Sigstruct,
    sigstruct_from_bytes,
};

use crate::backend::LoadError;

/// What EINIT takes over from SIGSTRUCT beyond the fields that SECS has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Identity {
    pub isvfamilyid: [u8; 16],
    pub isvextprodid: [u8; 16],
}

/// The checks of EINIT (SDM leaf EINIT, "Operation") on a finished measurement; completes SECS.
///
/// Launch is flexible: IA32_SGXLEPUBKEYHASH is the signer's, as Linux sets it, so no EINITTOKEN is needed.
///
/// # Errors
/// [`LoadError::Launch`] with EINIT's error code.
pub(super) fn einit(secs: &mut Secs, sigstruct: &[u8; SIGSTRUCT_SIZE]) -> Result<Identity, LoadError> {
    let sig = sigstruct_from_bytes(sigstruct);
    let refuse = |code, reason| Err(LoadError::Launch { code, reason });
    if let Err(reason) = check_form(&sig) {
        return refuse(ErrorCode::InvalidSigStruct, reason);
    }
    if let Err(reason) = check_signature(&sig) {
        return refuse(ErrorCode::InvalidSignature, reason);
    }
    if sig.enclavehash != secs.mrenclave {
        return refuse(ErrorCode::InvalidMeasurement, "MRENCLAVE is not SIGSTRUCT.ENCLAVEHASH");
    }
    let flags = secs.attributes.flags.bits();
    let masked = |value: u64, wanted: u64, mask: u64| value & mask == wanted & mask;
    if !masked(flags, sig.attributes.flags.bits(), sig.attributemask[0])
        || !masked(secs.attributes.xfrm, sig.attributes.xfrm, sig.attributemask[1])
    {
        return refuse(ErrorCode::InvalidAttribute, "ATTRIBUTES differ from SIGSTRUCT under its mask");
    }
    if !masked(secs.miscselect.into(), sig.miscselect.bits().into(), sig.miscmask.into()) {
        return refuse(ErrorCode::InvalidAttribute, "MISCSELECT differs from SIGSTRUCT under its mask");
    }
    if secs.cet_attributes & sig.cet_attributes_mask != sig.cet_attributes & sig.cet_attributes_mask {
        return refuse(ErrorCode::InvalidAttribute, "CET_ATTRIBUTES differ from SIGSTRUCT under its mask");
    }
    let kss = secs.attributes.flags.contains(AttributesFlags::KSS);
    if !kss && (sig.isvfamilyid != [0; 16] || sig.isvextprodid != [0; 16]) {
        return refuse(
            ErrorCode::InvalidSigStruct,
            "ISVFAMILYID or ISVEXTPRODID is set without ATTRIBUTES.KSS",
        );
    }
    secs.attributes.flags |= AttributesFlags::INIT;
    secs.mrsigner = Sha256::digest(sig.modulus).into();
    secs.isvprodid = sig.isvprodid;
    secs.isvsvn = sig.isvsvn;
    Ok(Identity { isvfamilyid: sig.isvfamilyid, isvextprodid: sig.isvextprodid })
}

fn check_form(sig: &Sigstruct) -> Result<(), &'static str> {
    if sig.header != SIGSTRUCT_HEADER1 || sig.header2 != SIGSTRUCT_HEADER2 {
        return Err("SIGSTRUCT.HEADER is not that of a SIGSTRUCT");
    }
    if sig.vendor != 0 && sig.vendor != 0x8086 {
        return Err("SIGSTRUCT.VENDOR is neither 0 nor 8086h");
    }
    if sig.exponent != 3 {
        return Err("SIGSTRUCT.EXPONENT is not 3");
    }
    let reserved = [&sig._reserved1[..], &sig._reserved2.to_le_bytes(), &sig._reserved3, &sig._reserved4];
    if reserved.iter().any(|field| field.iter().any(|b| *b != 0)) {
        return Err("SIGSTRUCT has a reserved field set");
    }
    Ok(())
}

/// RSASSA-PKCS1-v1_5 with SHA-256, 3072 bits, exponent 3, and the quotients Q1 and Q2 that the processor multiplies with.
fn check_signature(sig: &Sigstruct) -> Result<(), &'static str> {
    let n = BigUint::from_bytes_le(&sig.modulus);
    let s = BigUint::from_bytes_le(&sig.signature);
    if n.bits() != 3072 || s >= n {
        return Err("SIGSTRUCT.MODULUS is not of 3072 bits, or SIGNATURE exceeds it");
    }
    let squared = &s * &s;
    let remainder = &squared % &n;
    if &squared / &n != BigUint::from_bytes_le(&sig.q1)
        || &remainder * &s / &n != BigUint::from_bytes_le(&sig.q2)
    {
        return Err("SIGSTRUCT.Q1 or Q2 is not the quotient of the signature's powers");
    }
    let key =
        RsaPublicKey::new(n, BigUint::from(3_u32)).map_err(|_| "SIGSTRUCT.MODULUS is no RSA modulus")?;
    let (first, second) = sig.signature_data();
    let digest = Sha256::new().chain_update(first).chain_update(second).finalize();
    let mut signature = sig.signature;
    signature.reverse();
    key.verify(Pkcs1v15Sign::new::<Sha256>(), &digest, &signature)
        .map_err(|_| "SIGSTRUCT.SIGNATURE does not verify")
}
