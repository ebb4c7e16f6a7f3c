//! Random numbers.

use std::collections::HashSet;

use twine_enclave::random;

use crate::{Test, Verdict, ensure};

pub const TESTS: &[Test] = &[("random/fill", fill)];

fn fill() -> Verdict {
    let mut seen = HashSet::new();
    for _ in 0..10_000 {
        let mut bytes = [0_u8; 16];
        random::fill(&mut bytes);
        ensure!(seen.insert(bytes), "{bytes:?} came twice");
    }
    // Over the border of a seed, and each length exactly.
    for length in [0, 1, 7, 8, 9, (1 << 20) - 1, (1 << 20) + 1, 3 << 20] {
        let mut bytes = vec![0_u8; length + 8];
        random::fill(&mut bytes[..length]);
        ensure!(bytes[length..].iter().all(|&byte| byte == 0), "{length} bytes and more");
        let ones: u64 = bytes.iter().map(|byte| u64::from(byte.count_ones())).sum();
        // Half of the bits, within some twenty standard deviations.
        let (bits, spread) = (8 * length as u64, 10 * (8.0 * length as f64).sqrt() as u64 + 8);
        ensure!(ones.abs_diff(bits / 2) <= spread, "{ones} ones in {bits} bits");
    }
    Ok(())
}
