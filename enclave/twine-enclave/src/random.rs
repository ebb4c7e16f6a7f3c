//! Random numbers: ChaCha20, seeded and reseeded by RDSEED and RDRAND. The host has no part in it.

use core::arch::x86_64::{_rdrand64_step, _rdseed64_step};
use std::sync::Mutex;

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

use crate::fatal;

/// Bytes from one seed, at most.
const RESEED: usize = 1 << 20;

struct Generator {
    rng: ChaCha20Rng,
    left: usize,
}

static GENERATOR: Mutex<Option<Generator>> = Mutex::new(None);

/// Fills `bytes`.
pub fn fill(bytes: &mut [u8]) {
    let mut slot = GENERATOR.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for piece in bytes.chunks_mut(RESEED) {
        let generator = match slot.as_mut() {
            Some(generator) if generator.left >= piece.len() => generator,
            _ => slot.insert(Generator { rng: ChaCha20Rng::from_seed(seed()), left: RESEED }),
        };
        generator.rng.fill_bytes(piece);
        generator.left -= piece.len();
    }
}

/// 256 bits of the processor's entropy. RDSEED may run dry under load, RDRAND does not (SDM Vol. 1, 7.3.17).
fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    let mut last = 0;
    for word in seed.chunks_exact_mut(8) {
        // SAFETY: the image is made for processors that have both; #UD ends the enclave on any other.
        let drawn = unsafe { draw() };
        match drawn {
            // Broken generators answer all ones, or the same again and again, with success.
            Some(value) if value != u64::MAX && value != last => {
                word.copy_from_slice(&value.to_le_bytes());
                last = value;
            }
            _ => fatal::die("the processor has no random numbers", format_args!("")),
        }
    }
    seed
}

#[target_feature(enable = "rdseed,rdrand")]
fn draw() -> Option<u64> {
    let mut value = 0;
    for _ in 0..64 {
        if _rdseed64_step(&mut value) == 1 {
            return Some(value);
        }
        core::hint::spin_loop();
    }
    (0..16).any(|_| _rdrand64_step(&mut value) == 1).then_some(value)
}
