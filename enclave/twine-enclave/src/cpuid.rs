//! What `cpuid` answers: a fixed processor, bounded by XFRM 7, never the host's word.
//!
//! `cpuid` raises #UD in an enclave (SDM Vol. 3D, "Illegal instructions inside an enclave"); the image builder has
//! turned each into `ud2` at a listed address, and the exception handler answers from this table. It is the common
//! part of the processors that have SGX2 with EDMM and EXINFO (Ice Lake SP and later) and of those that run the
//! simulation (Zen 3 and later): what is not here is not used.

use twine_abi::layout::XFRM;

/// EAX, EBX, ECX, EDX.
pub type Answer = [u32; 4];

const fn bits(set: &[u32]) -> u32 {
    let mut word = 0;
    let mut i = 0;
    while i < set.len() {
        word |= 1 << set[i];
        i += 1;
    }
    word
}

/// EBX, ECX, EDX of leaf 0.
const VENDOR: [u32; 3] =
    [u32::from_le_bytes(*b"Genu"), u32::from_le_bytes(*b"ntel"), u32::from_le_bytes(*b"ineI")];
/// Family 6, model 6AH, stepping 6.
const SIGNATURE: u32 = 0x606A6;
/// SSE3 PCLMULQDQ SSSE3 FMA CMPXCHG16B SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE OSXSAVE AVX F16C RDRAND.
const FEATURES_C: u32 = bits(&[0, 1, 9, 12, 13, 19, 20, 22, 23, 25, 26, 27, 28, 29, 30]);
/// FPU TSC CX8 CMOV CLFSH MMX FXSR SSE SSE2.
const FEATURES_D: u32 = bits(&[0, 4, 8, 15, 19, 23, 24, 25, 26]);
/// FSGSBASE BMI1 AVX2 BMI2 ERMS RDSEED ADX SHA.
const FEATURES_7B: u32 = bits(&[0, 3, 5, 8, 9, 18, 19, 29]);
/// GFNI VAES VPCLMULQDQ.
const FEATURES_7C: u32 = bits(&[8, 9, 10]);
/// FSRM.
const FEATURES_7D: u32 = bits(&[4]);
/// 512 legacy + 64 header + 256 AVX.
const XSAVE_SIZE: u32 = 832;

/// The answer to `leaf` and `subleaf`; zeros for what the table does not have.
pub fn cpuid(leaf: u32, subleaf: u32) -> Answer {
    match (leaf, subleaf) {
        (0, _) => [0xD, VENDOR[0], VENDOR[1], VENDOR[2]],
        (1, _) => [SIGNATURE, 8 << 8, FEATURES_C, FEATURES_D],
        (7, 0) => [0, FEATURES_7B, FEATURES_7C, FEATURES_7D],
        (0xD, 0) => [XFRM as u32, XSAVE_SIZE, XSAVE_SIZE, 0],
        (0xD, 2) => [256, 576, 0, 0],
        (0x8000_0000, _) => [0x8000_0008, 0, 0, 0],
        // LAHF/SAHF LZCNT PREFETCHW; NX, long mode.
        (0x8000_0001, _) => [0, 0, bits(&[0, 5, 8]), bits(&[20, 29])],
        // 46-bit physical, 48-bit linear addresses.
        (0x8000_0008, _) => [0x302E, 0, 0, 0],
        _ => [0; 4],
    }
}
