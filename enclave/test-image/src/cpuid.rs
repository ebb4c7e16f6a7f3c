//! `cpuid`: a fixed answer, by way of an exception.

use core::arch::x86_64::{__cpuid_count, CpuidResult};

use twine_abi::layout::XFRM;

use crate::{Test, Verdict, ensure};

pub const TESTS: &[Test] = &[("cpuid/answers", answers)];

#[inline(never)]
fn cpuid(leaf: u32, subleaf: u32) -> CpuidResult {
    __cpuid_count(leaf, subleaf)
}

fn answers() -> Verdict {
    let CpuidResult { eax, ebx, ecx, edx } = cpuid(0, 0);
    ensure!(eax == 0xD && ebx.to_le_bytes() == *b"Genu" && edx.to_le_bytes() == *b"ineI", "{ecx:#x}");
    ensure!(u64::from(cpuid(0xD, 0).eax) == XFRM, "state beyond XFRM");
    const AVX512F: u32 = 1 << 16;
    ensure!(cpuid(7, 0).ebx & AVX512F == 0, "AVX-512, which XFRM does not have");
    let zero = CpuidResult { eax: 0, ebx: 0, ecx: 0, edx: 0 };
    for (leaf, subleaf) in [(2, 0), (7, 1), (0xD, 1), (0x12, 0), (0x4000_0000, 0), (u32::MAX, u32::MAX)] {
        ensure!(cpuid(leaf, subleaf) == zero, "leaf {leaf:#x}, {subleaf}");
    }
    ensure!(std::arch::is_x86_feature_detected!("avx2") && !std::arch::is_x86_feature_detected!("avx512f"));
    // The other registers come back as they were.
    let mut kept = [1_u64, 2, 3, 4];
    let before = kept;
    for leaf in 0..1000 {
        std::hint::black_box(cpuid(leaf & 1, 0));
        kept = std::hint::black_box(kept);
    }
    ensure!(kept == before);
    Ok(())
}
