//! Host calls in large numbers, for hosts that answer them wrongly.

use core::arch::asm;
use std::hint::black_box;

use twine_abi::calls::{
    CacheGet, Clock, ReadModule, ReadStdin, RunRequest, StoreOpen, StoreRead, Wait, Write,
};
use twine_abi::wire::{HostCall, Status};
use twine_enclave::border;

use crate::{Test, Verdict, ensure};

pub const TESTS: &[Test] =
    &[("border/calls", calls), ("border/state", state), ("border/stop", stop), ("border/idle", || Ok(()))];

/// Makes every kind of call with room for few, some and many bytes. Whatever comes back without an end of the enclave
/// must be within what was asked for, and must not have touched what lies around it.
fn calls() -> Verdict {
    for room in [0_usize, 1, 7, 8, 9, 63, 4096, 70_001] {
        let max = room as u64;
        one(&RunRequest { offset: 0, max }, room)?;
        one(&ReadModule { offset: 0, max }, room)?;
        one(&ReadStdin { max }, room)?;
        one(&CacheGet { offset: 0, max }, room)?;
        one(&StoreOpen { write: 0 }, room)?;
        one(&StoreRead { store: 0, pieces: 1 }, room)?;
        one(&Wait { stdin: 1, timeout: 0 }, room)?;
        one(&Clock {}, room)?;
        one(&Write { stream: 3 }, room)?;
    }
    Ok(())
}

fn one<C: HostCall>(call: &C, room: usize) -> Verdict {
    const GUARD: usize = 64;
    const FILL: u8 = 0xEE;
    let mut bytes = vec![FILL; GUARD + room + GUARD];
    let data = [0x11; 32];
    let answer = border::call(call, &data, &mut bytes[GUARD..GUARD + room]);
    let guards = bytes[..GUARD].iter().chain(&bytes[GUARD + room..]);
    ensure!(guards.copied().all(|byte| byte == FILL), "{:?} wrote beside its {room} bytes", C::CALL);
    match answer {
        Ok((_, count)) => {
            ensure!(count <= room, "{:?}: {count} bytes in a room for {room}", C::CALL);
            ensure!(bytes[GUARD + count..].iter().all(|&byte| byte == FILL), "{:?}: more than said", C::CALL);
        }
        Err(status) => {
            ensure!(status != Status::Ok, "{:?} is refused and done", C::CALL);
            ensure!(bytes.iter().all(|&byte| byte == FILL), "{:?} is refused and wrote", C::CALL);
        }
    }
    Ok(())
}

/// Flags, MXCSR and x87 control word of this moment.
fn control() -> (u64, u32, u16) {
    let (flags, mut mxcsr, mut x87): (u64, u32, u16);
    (mxcsr, x87) = (0, 0);
    // SAFETY: stores three control registers.
    unsafe {
        asm!("pushfq", "pop {}", "stmxcsr [{}]", "fnstcw [{}]", out(reg) flags,
             in(reg) &raw mut mxcsr, in(reg) &raw mut x87);
    }
    (flags, mxcsr, x87)
}

/// After each way in, the processor is as the ABI wants it, whatever the host left.
fn state() -> Verdict {
    const DF_AC_NT: u64 = 1 << 10 | 1 << 18 | 1 << 14;
    let check = |place: &str| {
        let (flags, mxcsr, x87) = control();
        ensure!(flags & DF_AC_NT == 0, "{place}: flags {flags:#x}");
        ensure!(mxcsr & !0x3F == 0x1F80 && x87 == 0x37F, "{place}: MXCSR {mxcsr:#x}, x87 {x87:#x}");
        ensure!(black_box(1.0_f64) / black_box(3.0) == 0.333_333_333_333_333_3, "{place}: another rounding");
        Ok(())
    };
    check("start")?;
    for _ in 0..100 {
        let _ = border::call(&Clock {}, &[], &mut []);
        check("host call")?;
        let _ = border::call(&Write { stream: 3 }, &[7; 100], &mut []);
        check("host call with bytes")?;
    }
    std::thread::spawn(move || check("thread"))
        .join()
        .unwrap_or_else(|_| Err("the thread is lost".to_owned()))?;
    // What a program sets is its own, and survives exceptions.
    let mut mxcsr = 0x9FC0_u32;
    // SAFETY: flush to zero and denormals are zero, for a moment.
    unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const mxcsr) };
    let survived = std::arch::x86_64::__cpuid_count(0, 0).eax;
    let (_, kept, _) = control();
    mxcsr = 0x1F80;
    // SAFETY: as it was.
    unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const mxcsr) };
    ensure!(survived == 0xD && kept & !0x3F == 0x9FC0 & !0x3F, "MXCSR {kept:#x} after an exception");
    Ok(())
}

/// Runs until the host asks to stop.
fn stop() -> Verdict {
    while !twine_enclave::stop_requested() {
        core::hint::spin_loop();
    }
    Ok(())
}
