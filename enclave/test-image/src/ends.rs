//! Ways to end that are no return from main: each test must not come back.

use core::arch::asm;
use std::hint::black_box;

use twine_enclave::memory::{self, Protection};

use crate::{Test, Verdict};

pub const TESTS: &[Test] = &[
    ("ends/panic", panic),
    ("ends/panic-in-thread", panic_in_thread),
    ("ends/abort", || std::process::abort()),
    ("ends/ud2", ud2),
    ("ends/null", || write(0)),
    ("ends/code", || write(code as *const () as u64)),
    ("ends/execute-data", execute_data),
    ("ends/stack-overflow", || Err(format!("{}", overflow(1)))),
    ("ends/misaligned-vector", misaligned_vector),
    ("ends/divide", divide),
];

/// What a production enclave must keep to itself.
const SECRET: &str = "the password is swordfish";

fn panic() -> Verdict {
    let secret = black_box(SECRET);
    panic!("{secret}")
}

fn panic_in_thread() -> Verdict {
    let _ = std::thread::spawn(|| panic!("{}", black_box(SECRET))).join();
    Err("the thread's panic was survived".to_owned())
}

fn ud2() -> Verdict {
    // SAFETY: ends the enclave.
    unsafe { asm!("ud2") };
    Err("ud2 was executed".to_owned())
}

fn code() {}

fn write(address: u64) -> Verdict {
    // SAFETY: ends the enclave.
    unsafe { core::ptr::write_volatile(address as *mut u8, 1) };
    Err(format!("{address:#x} was written"))
}

fn execute_data() -> Verdict {
    let at = memory::reserve(4096, 1, true, Protection::RW).map_err(|error| format!("{error:?}"))?;
    // SAFETY: fresh memory; the jump ends the enclave.
    unsafe {
        core::ptr::write_volatile(at as *mut u8, 0xC3);
        asm!("call {}", in(reg) at, clobber_abi("C"));
    }
    Err("data was executed".to_owned())
}

#[expect(unconditional_recursion, reason = "the test's purpose")]
fn overflow(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    overflow(depth + 1) + frame[black_box(3)]
}

fn misaligned_vector() -> Verdict {
    let bytes = black_box([0_u8; 64]);
    let odd = (bytes.as_ptr() as u64 & !15) + 17;
    // SAFETY: ends the enclave.
    unsafe { asm!("movaps xmm0, [{}]", in(reg) odd, out("xmm0") _) };
    Err("a misaligned access was executed".to_owned())
}

fn divide() -> Verdict {
    // SAFETY: ends the enclave.
    unsafe { asm!("xor ecx, ecx", "div ecx", out("eax") _, out("ecx") _, out("edx") _) };
    Err("a division by zero was executed".to_owned())
}
