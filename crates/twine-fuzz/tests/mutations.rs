//! Every fuzz target on seeded mutations of its seeds: what a fuzzer would find in its first moments, in every test run.
//! `TWINE_SEED` repeats a run.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;
use twine_fuzz::{TARGETS, Target};

/// Changes an input a little, as fuzzers do.
fn mutate(rng: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[rng.usize(..seeds.len())].clone();
    for _ in 0..1 + rng.usize(..4) {
        let at = rng.usize(..=bytes.len());
        match rng.u32(..9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.u32(..8),
            1 if at < bytes.len() => bytes[at] = rng.u8(..),
            2 if at < bytes.len() => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][rng.usize(..5)],
            3 => bytes.truncate(at),
            4 => {
                let more = 1 + rng.usize(..16);
                bytes.splice(at..at, (0..more).map(|_| rng.u8(..)));
            }
            5 => {
                let end = (at + rng.usize(..32)).min(bytes.len());
                bytes.drain(at..end);
            }
            // Another part of this input, or of another one.
            6 => {
                let other = &seeds[rng.usize(..seeds.len())];
                let from = rng.usize(..=other.len());
                let part = other[from..(from + rng.usize(..64)).min(other.len())].to_vec();
                let end = (at + part.len()).min(bytes.len());
                bytes.splice(at..end, part);
            }
            // A number of some width.
            _ => {
                let width = [2, 4, 8][rng.usize(..3)];
                if let Some(place) = bytes.get_mut(at..at + width) {
                    let value = [0, 1, u64::from(u32::MAX), u64::MAX, 1 << 31, rng.u64(..)][rng.usize(..6)];
                    place.copy_from_slice(&value.to_le_bytes()[..width]);
                }
            }
        }
    }
    bytes
}

fn exercise(name: &str) {
    let Target { run, seeds, rounds, .. } = twine_fuzz::target(name).expect("a target");
    let seed =
        std::env::var("TWINE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(fastrand_seed);
    let mut rng = Rng::with_seed(seed);
    let seeds = seeds();
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|bytes| run(bytes));
    for round in 0..*rounds {
        let bytes = mutate(&mut rng, &seeds);
        if catch_unwind(AssertUnwindSafe(|| run(&bytes))).is_err() {
            panic!(
                "{name}, TWINE_SEED={seed}, round {round}: {} bytes {:02x?}",
                bytes.len(),
                &bytes[..bytes.len().min(4096)]
            );
        }
    }
}

fn fastrand_seed() -> u64 {
    let seed = fastrand::u64(..);
    println!("TWINE_SEED={seed}");
    seed
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            exercise(stringify!($name));
        })*

        /// No target is left out, here or in `fuzz/`.
        #[test]
        fn all_targets_are_there() {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
            let fuzz = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
            let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
            for name in names {
                let file = fuzz.join("fuzz_targets").join(name).with_extension("rs");
                assert!(file.exists() && manifest.contains(&format!("name = \"{name}\"")), "{}", file.display());
            }
        }
    };
}

targets! {
    run_request reply workload manifest sgxs elf sigstruct volume_parts volume artefact quote collateral policy claims
    certificate bundle sealed
}
