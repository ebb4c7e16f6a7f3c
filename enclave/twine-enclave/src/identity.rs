//! Who this enclave is, by its own report, and the keys that follow from it.

use core::sync::atomic::{AtomicBool, Ordering};
use twine_sgx::{AttributesFlags, Keyname, Keypolicy, Keyrequest, Miscselect, Report, Targetinfo};
use twine_sgx::{REPORT_SIZE, report_from_bytes};

use crate::{entry, fatal};

static DEBUG: AtomicBool = AtomicBool::new(false);

#[repr(C, align(512))]
struct Aligned<const N: usize>([u8; N]);

/// Whether this is a debug enclave, which the host can read. False until the enclave has looked.
pub fn is_debug() -> bool {
    DEBUG.load(Ordering::Relaxed)
}

/// EREPORT for `target` over 64 bytes of `data`.
pub fn report(target: &Targetinfo, data: &[u8; 64]) -> Report {
    let target = Aligned(target.to_bytes());
    let data = Aligned(*data);
    let mut report = Aligned([0; REPORT_SIZE]);
    // SAFETY: all three are inside, 512-byte aligned and of the size that EREPORT wants.
    unsafe { entry::twine_enclu_report(target.0.as_ptr(), data.0.as_ptr(), report.0.as_mut_ptr()) };
    report_from_bytes(&report.0)
}

/// The enclave's report on itself: MAC or not, the processor wrote it.
pub fn own_report() -> Report {
    report(&Targetinfo::default(), &[0; 64])
}

/// Refuses to go on unless the processor says what the image was made for: 64-bit mode, KSS, no provisioning key,
/// EXINFO (else page faults could not be told apart), and exactly the XFRM that the answers of `cpuid` assume.
pub(crate) fn check() {
    let report = own_report();
    let flags = report.attributes.flags;
    DEBUG.store(flags.contains(AttributesFlags::DEBUG), Ordering::Relaxed);
    let expected = AttributesFlags::INIT | AttributesFlags::MODE64BIT | AttributesFlags::KSS;
    if flags - AttributesFlags::DEBUG != expected
        || report.attributes.xfrm != twine_abi::layout::XFRM
        || report.miscselect != Miscselect::EXINFO
    {
        fatal::die(
            "the enclave was launched with attributes it was not made for",
            format_args!(": {:?}", report.attributes),
        );
    }
}

/// Which images get a sealing key, beside CONFIGID, which every key of ours depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealTo {
    /// Exactly this one.
    Enclave,
    /// Every one of this signer and product.
    Signer,
}

/// The security versions that a sealing key belongs to; none above the enclave's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealVersions {
    /// The image's.
    pub isvsvn: u16,
    /// The workload's.
    pub configsvn: u16,
    /// The processor's.
    pub cpusvn: [u8; 16],
}

/// EGETKEY of the sealing key for `key_id` and these versions.
///
/// # Errors
/// The leaf's error code (SDM Vol. 3D, EGETKEY): an SVN above one's own, mostly.
pub fn seal_key(to: SealTo, versions: SealVersions, key_id: [u8; 32]) -> Result<[u8; 16], u32> {
    let policy = match to {
        SealTo::Enclave => Keypolicy::MRENCLAVE | Keypolicy::MRSIGNER,
        SealTo::Signer => Keypolicy::MRSIGNER,
    };
    key(Keyrequest {
        keyname: Keyname::Seal as u16,
        keypolicy: policy | Keypolicy::CONFIGID,
        isvsvn: versions.isvsvn,
        cpusvn: versions.cpusvn,
        // All of ATTRIBUTES and MISCSELECT: they are fixed for this image anyway.
        attributemask: u64::MAX,
        xfrmmask: u64::MAX,
        miscmask: u32::MAX,
        keyid: key_id,
        configsvn: versions.configsvn,
        ..Default::default()
    })
}

/// The key that seals compiled code: MRENCLAVE alone. Not the workload (CONFIGID), since the artefact of a module is the
/// same whoever runs it; and debug enclaves get another one, as DEBUG is in the mask.
///
/// # Errors
/// As [`seal_key`].
pub fn artefact_key() -> Result<[u8; 16], u32> {
    let own = own_report();
    key(Keyrequest {
        keyname: Keyname::Seal as u16,
        keypolicy: Keypolicy::MRENCLAVE,
        isvsvn: own.isvsvn,
        cpusvn: own.cpusvn,
        attributemask: u64::MAX,
        xfrmmask: u64::MAX,
        miscmask: u32::MAX,
        keyid: *b"twine compiled artefact key v1  ",
        ..Default::default()
    })
}

fn key(request: Keyrequest) -> Result<[u8; 16], u32> {
    let request = Aligned(request.to_bytes());
    let mut key = Aligned([0; 16]);
    // SAFETY: both are inside and aligned as EGETKEY wants.
    match unsafe { entry::twine_enclu_key(request.0.as_ptr(), key.0.as_mut_ptr()) } {
        0 => Ok(key.0),
        error => Err(error),
    }
}
