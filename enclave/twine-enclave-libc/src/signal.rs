//! Signals: how Wasmtime hears of faults. The exception handler's hook builds what a signal handler expects from the SSA
//! frame and copies back what it may change; no signal ever comes from the host.

use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

use twine_enclave::exception::{self, Exception};
use twine_sgx::ssa::vector;

use crate::errno::fail;

/// Handlers by signal number; 0 is SIG_DFL.
static HANDLERS: [AtomicUsize; 32] = [const { AtomicUsize::new(libc::SIG_DFL) }; 32];

type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigaction(
    signal: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> c_int {
    let Some(slot) = HANDLERS.get(signal as usize) else { return fail(libc::EINVAL) };
    // SAFETY: the caller's own structures, or null.
    unsafe {
        if !old.is_null() {
            *old = core::mem::zeroed();
            (*old).sa_sigaction = slot.load(Ordering::Acquire);
            (*old).sa_flags = if (*old).sa_sigaction == libc::SIG_DFL { 0 } else { libc::SA_SIGINFO };
        }
        if !new.is_null() {
            slot.store((*new).sa_sigaction, Ordering::Release);
            exception::set_hook(deliver);
        }
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigemptyset(set: *mut libc::sigset_t) -> c_int {
    // SAFETY: the caller's own.
    unsafe { *set = core::mem::zeroed() };
    0
}

/// There is a stack for exceptions, large enough; nobody needs to bring one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigaltstack(_: *const libc::stack_t, old: *mut libc::stack_t) -> c_int {
    if !old.is_null() {
        // SAFETY: the caller's own.
        unsafe {
            *old = core::mem::zeroed();
            (*old).ss_size = 1 << 20;
        }
    }
    0
}

fn deliver(exception: &mut Exception) -> bool {
    let signal = match exception.vector {
        vector::PF | vector::GP => libc::SIGSEGV,
        vector::UD => libc::SIGILL,
        vector::DE | vector::MF | vector::XM => libc::SIGFPE,
        _ => return false,
    };
    let slot = &HANDLERS[signal as usize];
    let handler = slot.load(Ordering::Acquire);
    if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
        return false;
    }
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut context = MaybeUninit::<libc::ucontext_t>::zeroed();
    let registers = &mut exception.registers;
    // SAFETY: zero is a valid value of both; si_addr is the first word after the three leading integers and padding.
    unsafe {
        (*info.as_mut_ptr()).si_signo = signal;
        info.as_mut_ptr().cast::<u64>().add(2).write(exception.address);
        let gregs = &mut (*context.as_mut_ptr()).uc_mcontext.gregs;
        for (register, value) in [
            (libc::REG_RIP, registers.rip),
            (libc::REG_RSP, registers.rsp),
            (libc::REG_RBP, registers.rbp),
            (libc::REG_RAX, registers.rax),
            (libc::REG_RDX, registers.rdx),
        ] {
            gregs[register as usize] = value as i64;
        }
        core::mem::transmute::<usize, Handler>(handler)(
            signal,
            info.as_mut_ptr(),
            context.as_mut_ptr().cast(),
        );
        let gregs = &(*context.as_ptr()).uc_mcontext.gregs;
        registers.rip = gregs[libc::REG_RIP as usize] as u64;
        registers.rsp = gregs[libc::REG_RSP as usize] as u64;
        registers.rbp = gregs[libc::REG_RBP as usize] as u64;
        registers.rax = gregs[libc::REG_RAX as usize] as u64;
        registers.rdx = gregs[libc::REG_RDX as usize] as u64;
    }
    // A handler that does not know the fault puts SIG_DFL back and returns, to fault again and die.
    slot.load(Ordering::Acquire) == handler
}
