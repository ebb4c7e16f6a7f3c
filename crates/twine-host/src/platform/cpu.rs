//! Features that the enclave's fixed CPUID answer promises to the code inside.

use super::{Check, Need};

const REMEDY: &str =
    "use an x86-64 processor of 2019 or later, or a virtual machine that passes its features through";

pub(super) fn checks() -> Vec<Check> {
    macro_rules! feature {
        ($id:literal, $feature:tt) => {
            ($id, std::arch::is_x86_feature_detected!($feature))
        };
    }
    let features = [
        feature!("cpu-xsave", "xsave"),
        feature!("cpu-sse42", "sse4.2"),
        feature!("cpu-popcnt", "popcnt"),
        feature!("cpu-cmpxchg16b", "cmpxchg16b"),
        feature!("cpu-movbe", "movbe"),
        feature!("cpu-avx", "avx"),
        feature!("cpu-avx2", "avx2"),
        feature!("cpu-fma", "fma"),
        feature!("cpu-bmi1", "bmi1"),
        feature!("cpu-bmi2", "bmi2"),
        feature!("cpu-lzcnt", "lzcnt"),
        feature!("cpu-aes", "aes"),
        feature!("cpu-pclmulqdq", "pclmulqdq"),
        feature!("cpu-sha", "sha"),
        feature!("cpu-rdrand", "rdrand"),
        feature!("cpu-rdseed", "rdseed"),
    ];
    let found = |pass| if pass { "the processor has it and the system lets it be used" } else { "not there" };
    features.map(|(id, pass)| Check::new(id, Need::Both, pass, found(pass), REMEDY, &[])).into()
}
