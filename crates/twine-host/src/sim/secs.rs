//! ECREATE: which SECS the processor accepts.

use twine_sgx::{Attributes, AttributesFlags, Miscselect, PAGE_SIZE, Secs};

use super::xstate;

/// The largest ELRANGE of a 64-bit enclave, as a power of two (CPUID.12H.0:EDX[15:8]).
const MAX_SIZE_LOG2: u32 = 45;

/// The checks of ECREATE (SDM leaf ECREATE, "Operation").
///
/// # Errors
/// What #GP it would raise.
pub(super) fn check(secs: &Secs) -> Result<(), &'static str> {
    if !secs.size.is_power_of_two() || secs.size < 2 * PAGE_SIZE || secs.size > 1 << MAX_SIZE_LOG2 {
        return Err("SECS.SIZE is not a power of two between two pages and the processor's maximum");
    }
    if !secs.baseaddr.is_multiple_of(secs.size) {
        return Err("SECS.BASEADDR is not naturally aligned");
    }
    let flags = secs.attributes.flags;
    let supported = AttributesFlags::DEBUG
        | AttributesFlags::MODE64BIT
        | AttributesFlags::PROVISIONKEY
        | AttributesFlags::EINITTOKENKEY
        | AttributesFlags::KSS;
    if flags.bits() & !supported.bits() != 0 {
        return Err("SECS.ATTRIBUTES has a bit that this processor does not support");
    }
    if !flags.contains(AttributesFlags::MODE64BIT) {
        return Err("SECS.ATTRIBUTES.MODE64BIT is 0; 32-bit enclaves are not simulated");
    }
    if secs.miscselect & !Miscselect::EXINFO.bits() != 0 {
        return Err("SECS.MISCSELECT has a bit that this processor does not support");
    }
    if !flags.contains(AttributesFlags::KSS) && (secs.configid != [0; 64] || secs.configsvn != 0) {
        return Err("CONFIGID or CONFIGSVN is set without ATTRIBUTES.KSS");
    }
    check_xfrm(secs.attributes)?;
    let needed = xstate::area_size(secs.attributes.xfrm)
        + twine_sgx::ssa::Exinfo::SIZE as u64
        + twine_sgx::ssa::Gprsgx::SIZE as u64;
    if u64::from(secs.ssaframesize) * PAGE_SIZE < needed {
        return Err("SECS.SSAFRAMESIZE is too small for XFRM");
    }
    Ok(())
}

fn check_xfrm(attributes: Attributes) -> Result<(), &'static str> {
    let xfrm = attributes.xfrm;
    if xfrm & 3 != 3 {
        return Err("SECS.ATTRIBUTES.XFRM lacks x87 or SSE");
    }
    let avx512 = 0b1110_0000;
    if xfrm & avx512 != 0 && (xfrm & avx512 != avx512 || xfrm & 4 == 0) {
        return Err("SECS.ATTRIBUTES.XFRM has a part of AVX-512 without the rest");
    }
    if xfrm & !xstate::supported() != 0 {
        return Err("SECS.ATTRIBUTES.XFRM has a feature that this processor or system does not support");
    }
    Ok(())
}
