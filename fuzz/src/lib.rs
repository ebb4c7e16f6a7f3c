//! Gives a target of `twine-fuzz` to libFuzzer.

pub use libfuzzer_sys::fuzz_target;
pub use twine_fuzz::target;

/// The target with this name.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        $crate::fuzz_target!(|data: &[u8]| {
            static RUN: std::sync::LazyLock<fn(&[u8])> =
                std::sync::LazyLock::new(|| $crate::target($name).expect("a target").run);
            RUN(data);
        });
    };
}
