//! EENTER, EEXIT, asynchronous exits and ERESUME.
#![allow(unsafe_code, reason = "the test enclave is assembly")]

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::*;
use twine_host::backend::{Exception, Exit, Leaf, Perms, Regs};
use twine_host::platform;
use twine_sgx::Miscselect;
use twine_sgx::ssa::{self, Exinfo, Exitinfo, Gprsgx, pfec, vector};

fn exception(vector: u8) -> Exit {
    Exit::Exception(Exception { vector, error_code: 0, address: 0 })
}

fn gprsgx(f: &Fixture) -> Gprsgx {
    // The routine runs at CSSA 1 and reads frame 0.
    Gprsgx::from_bytes(&f.peek(SSA + ssa::gprsgx_offset(1))).unwrap()
}

fn exinfo(f: &Fixture) -> Exinfo {
    Exinfo::from_bytes(&f.peek(SSA + ssa::exinfo_offset(1))).unwrap()
}

#[test]
fn eenter_and_eexit_pass_registers() {
    let f = Fixture::new();
    let mut regs = Regs { rsi: routine!(test_exit), ..Default::default() };
    assert_eq!(f.enclave.enter(Leaf::Eenter, f.address(TCS), &mut regs), Ok(Exit::Exited));
    // RDI comes back as RAX was on entry: CSSA.
    assert_eq!(regs, Regs { rdi: 0, rsi: 0x5151, rdx: 0xD1D1, r8: 0x8888, r9: 0x9999 });
}

#[test]
fn bases_are_the_enclaves_inside_and_the_hosts_outside() {
    let f = Fixture::new();
    let mut block = [0; 2];
    f.run(routine!(test_bases), &mut block);
    assert_eq!(block, [f.address(DATA), f.address(SSA)]);
    // Thread-local storage works, so the FS base is the host's again.
    assert_eq!(std::thread::current().name(), Some("bases_are_the_enclaves_inside_and_the_hosts_outside"));
}

#[test]
fn an_exception_saves_all_state_and_eresume_restores_it() {
    let f = Fixture::new();
    let target = f.address(HEAP) + 0x123;
    let mut block = [0_u64; 32];
    block[0] = target;
    block[1] = 0x1FA0;
    block[4..8].copy_from_slice(&[0xA1, 0xB2, 0xC3, 0xD4]);
    let mut regs = Regs { rdi: block.as_mut_ptr() as u64, rsi: routine!(test_fault), ..Default::default() };
    let exit = f.enclave.enter(Leaf::Eenter, f.address(TCS), &mut regs);
    let fault = Exception { vector: vector::PF, error_code: pfec::W | pfec::U, address: target & !0xFFF };
    assert_eq!(exit, Ok(Exit::Exception(fault)));
    // The synthetic state leaks nothing.
    let mut vector_register = [0_u64; 4];
    // SAFETY: stores a register that no code on the way back uses.
    unsafe { std::arch::asm!("vmovdqu [{}], ymm3", in(reg) vector_register.as_mut_ptr()) };
    assert_ne!(vector_register, [0xA1, 0xB2, 0xC3, 0xD4]);
    assert_eq!(regs, Regs::default());

    let saved = gprsgx(&f);
    let general = [saved.rax, saved.rbx, saved.rcx, saved.rdx, saved.rsi, saved.rdi, saved.r8, saved.r9];
    assert_eq!(general, [0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666, 0x7777, 0x8888]);
    assert_eq!((saved.r10, saved.r11, saved.r14), (0x9999, 0xAAAA, block.as_ptr() as u64));
    assert_eq!(saved.rip, f.address(routine!(test_fault_at)));
    assert_eq!(saved.rflags >> 10 & 1, 1, "DF was set");
    assert_eq!((saved.fsbase, saved.gsbase), (f.address(DATA), f.address(SSA)));
    assert_eq!(saved.exitinfo, Exitinfo::exception(vector::PF, Exitinfo::HARDWARE));
    assert_eq!(exinfo(&f), Exinfo { maddr: target, errcd: pfec::W | pfec::U });

    // The XSAVE area: MXCSR, and YMM3 in its two halves.
    let area: [u8; 832] = f.peek(SSA);
    assert_eq!(area[24..28], 0x1FA0_u32.to_le_bytes());
    assert_eq!(area[208..216], 0xA1_u64.to_le_bytes());
    assert_eq!(area[576 + 48..576 + 56], 0xC3_u64.to_le_bytes());
    assert_eq!(area[464..512], [0; 48], "the kernel's software-reserved bytes are not the enclave's");
    assert_eq!(area[512] & !7, 0, "XSTATE_BV has nothing beyond XFRM");

    // Skip the store and go on: registers and vector state come back.
    let skip: [u8; 8] = (saved.rip + 3).to_le_bytes();
    f.poke(SSA + ssa::gprsgx_offset(1) + 136, &skip);
    assert_eq!(f.resume(TCS), Ok(Exit::Exited));
    let restored = &block[8..18];
    assert_eq!(restored, [0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666, 0x7777, 0x8888, 0x9999, 0xAAAA]);
    assert_eq!(block[18] as u32, 0x1FA0);
    assert_eq!(block[20..24], [0xA1, 0xB2, 0xC3, 0xD4]);
}

#[test]
fn state_that_was_never_used_is_saved_as_initial() {
    let f = Fixture::new();
    // Dirty the area first, so that zero must have been written.
    f.poke(SSA, &[0xEE; 832]);
    assert_eq!(f.enter(TCS, routine!(test_ud2), &mut []), Ok(exception(vector::UD)));
    let area: [u8; 832] = f.peek(SSA);
    assert_eq!(area[..2], 0x037F_u16.to_le_bytes(), "FCW");
    assert_eq!(area[24..28], 0x1F80_u32.to_le_bytes(), "MXCSR");
    if area[512] & 4 == 0 {
        assert_eq!(area[576..832], [0; 256]);
    }
    assert_eq!(area[520..576], [0; 56], "XCOMP_BV and reserved bytes of the header");
}

#[test]
fn exceptions_have_their_vectors() {
    let f = Fixture::new();
    let cases = [
        (routine!(test_ud2), vector::UD, Exitinfo::HARDWARE),
        (routine!(test_divide), vector::DE, Exitinfo::HARDWARE),
        (routine!(test_hlt), vector::GP, Exitinfo::HARDWARE),
        (routine!(test_int3), vector::BP, Exitinfo::SOFTWARE),
    ];
    for (routine, number, kind) in cases {
        assert_eq!(f.enter(TCS, routine, &mut []), Ok(exception(number)));
        let saved = gprsgx(&f);
        assert_eq!(saved.exitinfo, Exitinfo::exception(number, kind));
        if number != vector::DE {
            assert_eq!(saved.rip, f.address(routine));
        }
        f.recover();
    }
}

#[test]
fn without_exinfo_page_faults_are_not_reported() {
    let f = Fixture::on(&sim(), |sig| sig.miscselect = Miscselect::empty(), &Default::default());
    f.poke(SSA + ssa::exinfo_offset(1), &[0xEE; 16]);
    let mut block = [f.address(HEAP)];
    let exit = f.enter(TCS, routine!(test_load), &mut block);
    assert!(matches!(exit, Ok(Exit::Exception(Exception { vector: vector::PF, .. }))));
    assert_eq!(gprsgx(&f).exitinfo, Exitinfo::default());
    assert_eq!(f.peek::<16>(SSA + ssa::exinfo_offset(1)), [0xEE; 16]);
}

#[test]
fn faults_outside_the_enclave_name_the_host_address() {
    let f = Fixture::new();
    let mut block = [0x1238];
    let fault = Exception { vector: vector::PF, error_code: pfec::U, address: 0x1000 };
    assert_eq!(f.enter(TCS, routine!(test_load), &mut block), Ok(Exit::Exception(fault)));
    assert_eq!(exinfo(&f).maddr, 0x1238);
}

#[test]
fn a_jump_out_of_elrange_is_a_fault_of_the_enclave() {
    let f = Fixture::new();
    let mut block = [0x10];
    assert_eq!(f.enter(TCS, routine!(test_jump), &mut block), Ok(exception(vector::GP)));
    assert_eq!(gprsgx(&f).rip, 0x10);
}

#[test]
fn system_calls_are_illegal_inside() {
    if !offers("sim-syscall-dispatch") {
        println!("this kernel has no syscall user dispatch: nothing to test");
        return;
    }
    let f = Fixture::new();
    for routine in [routine!(test_syscall), routine!(test_int80)] {
        assert_eq!(f.enter(TCS, routine, &mut []), Ok(exception(vector::UD)));
        let saved = gprsgx(&f);
        assert_eq!(saved.exitinfo, Exitinfo::exception(vector::UD, Exitinfo::HARDWARE));
        assert_eq!(saved.rip, f.address(routine) + 5);
        f.recover();
    }
    // The host's own still work on this thread.
    assert!(std::fs::metadata("/").is_ok());
}

/// Whether a check of the platform passes.
fn offers(id: &str) -> bool {
    platform::probe(std::path::Path::new("")).iter().any(|check| check.id == id && check.pass)
}

#[test]
fn cpuid_is_illegal_inside() {
    if !offers("sim-cpuid-faulting") {
        println!("this machine has no CPUID faulting: nothing to test");
        return;
    }
    let f = Fixture::new();
    assert_eq!(f.enter(TCS, routine!(test_cpuid), &mut []), Ok(exception(vector::UD)));
    assert_eq!(gprsgx(&f).rip, f.address(routine!(test_cpuid)) + 2);
    f.recover();
    // The host's own still answers on this thread.
    assert!(std::arch::x86_64::__cpuid(0).eax >= 7);
}

#[test]
fn entry_faults() {
    let f = Fixture::new();
    let reason = |exit: Result<Exit, twine_host::backend::EntryFault>| {
        let fault = exit.unwrap_err();
        (fault.fault.vector, fault.reason)
    };
    assert_eq!(reason(f.resume(TCS)), (vector::GP, "no SSA frame is in use (CSSA = 0)"));
    for no_tcs in [SSA, HEAP, SIZE, TCS + 8, 0u64.wrapping_sub(f.address(0))] {
        let fault = reason(f.enter(no_tcs, 0, &mut []));
        assert_eq!(fault, (vector::GP, "RBX is not the address of a TCS of this enclave"));
    }
    // Two frames: the third entry finds none.
    assert_eq!(f.enter(TCS, routine!(test_ud2), &mut []), Ok(exception(vector::UD)));
    assert_eq!(f.enter(TCS, routine!(test_ud2), &mut []), Ok(exception(vector::UD)));
    let fault = reason(f.enter(TCS, routine!(test_ud2), &mut []));
    assert_eq!(fault, (vector::GP, "no SSA frame is left (CSSA = NSSA)"));
    // The TCS is free again after a fault, and still in its state.
    assert_eq!(f.resume(TCS), Ok(exception(vector::UD)));
}

#[test]
fn an_inaccessible_ssa_frame_is_a_page_fault_of_eenter() {
    let f = Fixture::new();
    f.enclave.protect(SSA..SSA + 0x1000, Perms::R).unwrap();
    let fault = f.enter(TCS, routine!(test_exit), &mut []).unwrap_err().fault;
    assert_eq!((fault.vector, fault.address), (vector::PF, f.address(SSA)));
    f.enclave.protect(SSA..SSA + 0x1000, Perms::RW).unwrap();
    f.run(routine!(test_exit), &mut []);
}

#[test]
fn eresume_refuses_a_forged_xsave_area() {
    let f = Fixture::new();
    assert_eq!(f.enter(TCS, routine!(test_ud2), &mut []), Ok(exception(vector::UD)));
    for (offset, byte) in [(27, 1), (513, 1), (520, 1)] {
        let before: [u8; 1] = f.peek(SSA + offset);
        f.poke(SSA + offset, &[byte]);
        assert_eq!(f.resume(TCS).unwrap_err().fault.vector, vector::GP, "byte {offset}");
        f.poke(SSA + offset, &before);
    }
    f.recover();
}

/// Lets a second thread spin inside at `TCS`; `then` runs meanwhile, and the thread's exit is returned.
fn while_inside(
    f: &Fixture,
    then: impl FnOnce(&[AtomicU64; 2]),
) -> Result<Exit, twine_host::backend::EntryFault> {
    let block = [AtomicU64::new(0), AtomicU64::new(0)];
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            let mut regs =
                Regs { rdi: block.as_ptr() as u64, rsi: routine!(test_spin), ..Default::default() };
            f.enclave.enter(Leaf::Eenter, f.address(TCS), &mut regs)
        });
        while block[0].load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        then(&block);
        inside.join().unwrap()
    })
}

#[test]
fn a_busy_tcs_is_refused_and_another_is_not() {
    let f = Fixture::new();
    let exit = while_inside(&f, |block| {
        let fault = f.enter(TCS, routine!(test_exit), &mut []).unwrap_err();
        assert_eq!((fault.fault.vector, fault.reason), (vector::GP, "the TCS is busy"));
        assert_eq!(f.resume(TCS).unwrap_err().reason, "the TCS is busy");
        assert_eq!(f.enter(TCS2, routine!(test_exit), &mut []), Ok(Exit::Exited));
        block[1].store(1, Ordering::Release);
    });
    assert_eq!(exit, Ok(Exit::Exited));
}

#[test]
fn an_interrupt_is_an_asynchronous_exit_without_a_reason() {
    let f = Fixture::new();
    assert!(!f.enclave.interrupt(f.address(TCS)), "nobody is inside");
    let mut word = 0;
    let exit = while_inside(&f, |block| {
        word = block.as_ptr() as u64;
        assert!(f.enclave.interrupt(f.address(TCS)));
    });
    assert_eq!(exit, Ok(Exit::Interrupted));
    let saved = gprsgx(&f);
    assert_eq!(saved.exitinfo, Exitinfo::default());
    assert_eq!(saved.r14, word);
    f.recover();
}

#[test]
fn an_interrupt_while_a_thread_enters_is_nobodys() {
    let f = Fixture::new();
    // Pending, so that it comes with the mask that lets it through, between the host and the enclave.
    // SAFETY: changes this thread's mask, and sends this thread a signal that is blocked and has a handler.
    let pend = || unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGURG);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        libc::pthread_kill(libc::pthread_self(), libc::SIGURG)
    };
    assert_eq!(pend(), 0);
    let mut regs = Regs { rsi: routine!(test_exit), ..Default::default() };
    assert_eq!(f.enclave.enter(Leaf::Eenter, f.address(TCS), &mut regs), Ok(Exit::Exited));
    assert_eq!(regs, Regs { rdi: 0, rsi: 0x5151, rdx: 0xD1D1, r8: 0x8888, r9: 0x9999 });
    assert_eq!(pend(), 0);
    let mut block = [0; 2];
    f.run(routine!(test_bases), &mut block);
    assert_eq!(block, [f.address(DATA), f.address(SSA)]);
}

// A few instructions between host and enclave are meant: an interrupt meets them once in some seconds.
#[test]
#[ignore = "a soak of a minute"]
fn interrupts_find_threads_inside_or_not_at_all() {
    let f = Fixture::new();
    // SAFETY: reads this thread's id.
    let thread = unsafe { libc::gettid() };
    let done = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // SAFETY: sends a signal with a handler to a thread that lives as long as this scope.
                unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGURG) };
            }
        });
        let outcome = (0..10_000).try_for_each(|_| {
            let mut exit = f.enter(TCS, routine!(test_exit), &mut []);
            while exit == Ok(Exit::Interrupted) {
                let mut bytes = [0_u8; Gprsgx::SIZE];
                let from = f.address(SSA + ssa::gprsgx_offset(1));
                let mut block = [bytes.as_mut_ptr() as u64, from, bytes.len() as u64];
                let mut looked = f.enter(TCS2, routine!(test_copy), &mut block);
                while looked == Ok(Exit::Interrupted) {
                    looked = f.resume(TCS2);
                }
                let at = Gprsgx::from_bytes(&bytes).unwrap().rip.wrapping_sub(f.enclave.base());
                if at >= f.enclave.size() {
                    return Err(format!("{at:#x} is no place in the enclave"));
                }
                exit = f.resume(TCS);
            }
            if exit == Ok(Exit::Exited) { Ok(()) } else { Err(format!("{exit:?}")) }
        });
        done.store(true, Ordering::Relaxed);
        outcome
    });
    assert_eq!(outcome, Ok(()));
}

#[test]
fn other_signals_wait_outside() {
    let f = Fixture::new();
    let blocked = |thread: i32| {
        let status = std::fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:\t")).unwrap();
        u64::from_str_radix(mask, 16).unwrap()
    };
    // SAFETY: reads this thread's id.
    let here = || unsafe { libc::gettid() };
    let (send, receive) = std::sync::mpsc::channel();
    let block = [AtomicU64::new(0), AtomicU64::new(0)];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            send.send(here()).unwrap();
            let before = blocked(here());
            let mut regs =
                Regs { rdi: block.as_ptr() as u64, rsi: routine!(test_spin), ..Default::default() };
            f.enclave.enter(Leaf::Eenter, f.address(TCS), &mut regs).unwrap();
            assert_eq!(blocked(here()), before);
        });
        while block[0].load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        let inside = blocked(receive.recv().unwrap());
        block[1].store(1, Ordering::Release);
        let is_blocked = |signal: i32| inside >> (signal - 1) & 1 == 1;
        assert!(is_blocked(libc::SIGINT) && is_blocked(libc::SIGUSR1) && is_blocked(libc::SIGALRM));
        assert!(!is_blocked(libc::SIGURG) && !is_blocked(libc::SIGSEGV));
    });
}

#[test]
fn checked_mode_hides_the_enclave_while_the_host_runs() {
    let f = Fixture::new();
    f.poke(DATA, b"secret");
    // Reading through the kernel fails with EFAULT where reading directly would end the process.
    let readable = |address: u64| {
        let (read, write) = std::io::pipe().unwrap();
        use std::os::fd::AsRawFd;
        // SAFETY: the kernel checks the address.
        let written = unsafe { libc::write(write.as_raw_fd(), address as *const _, 6) };
        drop(read);
        written == 6
    };
    assert!(!readable(f.address(DATA)));
    let exit = while_inside(&f, |block| {
        assert!(readable(f.address(DATA)), "a thread is inside");
        block[1].store(1, Ordering::Release);
    });
    assert_eq!(exit, Ok(Exit::Exited));
    assert!(!readable(f.address(DATA)));
    assert_eq!(&f.peek::<6>(DATA), b"secret");
}
