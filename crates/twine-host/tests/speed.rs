//! What simulation costs, printed: `cargo test --release -p twine-host --test speed -- --ignored --nocapture`.
#![allow(unsafe_code, reason = "the test enclave is assembly")]

mod common;

use std::time::Duration;

use common::*;
use sha2::{Digest, Sha256};
use twine_host::backend::{Backend, Config, Exit, Perms};
use twine_sgx::SecinfoFlags;

const IMAGE_PAGES: u64 = 3000;

/// Processor time of this thread: the machine may be busy with other things.
fn now() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the structure.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The median time of a few runs.
fn measure(what: impl FnMut()) -> Duration {
    let mut what = what;
    let mut times: Vec<_> = (0..7)
        .map(|_| {
            let start = now();
            what();
            now() - start
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

#[test]
#[ignore = "a measurement, meaningful in release builds on a quiet machine"]
fn loading_costs_at_most_twice_the_hashing() {
    let mut image = Image::new(1, 1 << 39);
    let page: Vec<u8> = (0..4096_u32).map(|i| (i.wrapping_mul(2654435761) >> 13) as u8).collect();
    for i in 0..IMAGE_PAGES {
        let flags = if i < IMAGE_PAGES * 2 / 3 { RX } else { RW };
        image.page(i * 4096, flags, &page);
    }
    let sig = sign(sigstruct(image.mrenclave()));
    let sim = sim();
    let hashing = measure(|| {
        std::hint::black_box(Sha256::digest(&image.bytes));
    });
    let loading = measure(|| {
        sim.load(&image.bytes, &sig, &Config::default()).unwrap();
    });
    println!(
        "image of {} MiB: hashing {hashing:?}, loading {loading:?}, ratio {:.2}",
        (IMAGE_PAGES * 4096) >> 20,
        loading.as_secs_f64() / hashing.as_secs_f64()
    );
    assert!(loading < 2 * hashing);
}

#[test]
#[ignore = "a measurement, meaningful in release builds on a quiet machine"]
fn a_call_costs_a_trap() {
    let f = Fixture::on(&sim(), |_| {}, &Config::default());
    const CALLS: u32 = 20_000;
    let time = measure(|| {
        for _ in 0..CALLS {
            assert_eq!(f.enter(TCS, routine!(test_exit), &mut []), Ok(Exit::Exited));
        }
    });
    println!("EENTER and EEXIT: {:?} a pair", time / CALLS);
}

#[test]
#[ignore = "a measurement, meaningful in release builds on a quiet machine"]
fn committing_costs_little_more_than_touching() {
    const PAGES: u64 = 16 << 10;
    let mut image = Image::test();
    image.bytes[12..20].copy_from_slice(&(1_u64 << 39).to_le_bytes());
    for run in [16, 512] {
        let enclave =
            sim().load(&image.bytes, &sign(sigstruct(image.mrenclave())), &Config::default()).unwrap();
        let f = Fixture { enclave };
        f.enclave.protect(HEAP..HEAP + PAGES * 4096, Perms::RW).unwrap();
        f.poke(DATA + 0x100, &secinfo(RW | SecinfoFlags::PENDING));
        let start = now();
        for first in (0..PAGES).step_by(run) {
            let from = f.address(HEAP + first * 4096);
            let mut block = [0, f.address(DATA + 0x100), from, from + run as u64 * 4096, 0];
            f.run(routine!(test_accept_loop), &mut block);
            for page in 0..run as u64 {
                // SAFETY: the enclave's memory, which is accessible outside checked mode.
                unsafe { ((from + page * 4096) as *mut u8).write_volatile(1) };
            }
        }
        println!("runs of {run} pages: {:?} a page, touched", (now() - start) / PAGES as u32);
    }
}
