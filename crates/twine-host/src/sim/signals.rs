//! Signals: which are the simulated processor's, and what they mean there.
#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::{Once, OnceLock};

use libc::{
    SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP, SIGURG, c_int, sigaction, siginfo_t, ucontext_t,
};
use twine_sgx::leaf;
use twine_sgx::ssa::{pfec, vector};

use super::enclave::SimEnclave;
use super::enclu;
use super::forbidden;
use super::frame::{Frame, Reg};
use super::stub;
use super::thread::{self, Block};
use super::transition::{self, Event};

/// The signal that interrupts a thread in an enclave: ignored by default, so a late one harms nobody.
pub(super) const INTERRUPT: c_int = SIGURG;
const TAKEN: [c_int; 7] = [SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGTRAP, SIGSYS, INTERRUPT];

/// What ENCLU becomes where it is #UD, after its first execution: HLT in place of its first byte. Hypervisors intercept #UD,
/// which makes it several times slower than the #GP of HLT.
const QUICK_ENCLU: [u8; 3] = [QUICK, leaf::ENCLU[1], leaf::ENCLU[2]];
/// HLT.
pub(super) const QUICK: u8 = 0xF4;

/// The encoding of CPUID.
const CPUID: [u8; 2] = [0x0F, 0xA2];

/// The mask of a thread that is inside: its handlers would run with the enclave's FS base.
pub(super) const MASK_INSIDE: u64 = {
    let mut mask = !0;
    let mut i = 0;
    while i < TAKEN.len() {
        mask &= !(1 << (TAKEN[i] - 1));
        i += 1;
    }
    mask
};

/// What handled these signals before.
static PREVIOUS: OnceLock<[sigaction; TAKEN.len()]> = OnceLock::new();

/// Installs the handlers, once per process. Handlers that others install later must hand on what is not theirs, and must
/// not use thread-local storage before.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: an all-zero sigaction is a valid one.
        let mut previous = [unsafe { std::mem::zeroed::<sigaction>() }; TAKEN.len()];
        for (signal, old) in TAKEN.iter().zip(&mut previous) {
            // SAFETY: reads the present action.
            unsafe { libc::sigaction(*signal, std::ptr::null(), old) };
        }
        PREVIOUS.get_or_init(|| previous);
        for signal in TAKEN {
            // SAFETY: as above; the handler is the assembly that takes the three arguments of SA_SIGINFO.
            unsafe {
                let mut action: sigaction = std::mem::zeroed();
                action.sa_sigaction = stub::signal_entry as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
                libc::sigfillset(&mut action.sa_mask);
                libc::sigaction(signal, &action, std::ptr::null_mut());
            }
        }
    });
}

/// A signal that came outside enclaves. Returns the thread's block if the bases are to be switched, else null.
///
/// # Safety
/// Called by the assembly with the kernel's arguments.
pub(super) unsafe extern "C" fn host_signal(
    signal: c_int,
    info: *mut siginfo_t,
    context: *mut ucontext_t,
) -> *mut Block {
    let Some(found) = NonNull::new(context) else { return std::ptr::null_mut() };
    // SAFETY: the kernel's argument, which nobody else uses while the handler runs.
    let mut frame = unsafe { Frame::new(found) };
    let block = thread::block();
    // SAFETY: this thread's block. No reference to it: the signal may have come while EENTER holds one.
    let enclave = (!block.is_null()).then(|| unsafe { (&raw const (*block).enclave).read() });
    // SAFETY: the enclave outlives the call to `enter` that set the pointer.
    if let Some(enclave) = enclave.and_then(|enclave| unsafe { enclave.as_ref() }) {
        if signal == INTERRUPT {
            // The thread enters or has left just now, so there is nobody to interrupt.
            return std::ptr::null_mut();
        }
        if signal == SIGSEGV && frame.get(Reg::Rip) == stub::trap_address() {
            // SAFETY: nobody else on this thread holds a reference while a leaf traps.
            let inside = unsafe { &mut *block };
            let entered = match frame.get(Reg::Rax) as u32 {
                leaf::EENTER => transition::eenter(enclave, inside, &mut frame),
                _ => transition::eresume(enclave, inside, &mut frame),
            };
            if entered {
                return block;
            }
            // Control goes to the AEP, as the vDSO's does on a fault of its ENCLU.
            frame.set(Reg::Rip, frame.get(Reg::Rcx));
            return std::ptr::null_mut();
        }
    }
    // SAFETY: an exception other than a page fault means that RIP was fetched.
    if is_exception(&frame, signal) && forbidden::can_fault_cpuid() && unsafe { at(&frame, &CPUID) } {
        forbidden::host_cpuid(&mut frame);
        return std::ptr::null_mut();
    }
    // SAFETY: the kernel's arguments.
    unsafe { hand_on(signal, info, context) };
    std::ptr::null_mut()
}

/// A signal that came inside an enclave.
///
/// # Safety
/// Called by the assembly with the kernel's arguments and the block at the base of this stack.
pub(super) unsafe extern "C" fn enclave_signal(
    signal: c_int,
    info: *mut siginfo_t,
    context: *mut ucontext_t,
    block: *mut Block,
) {
    let (Some(mut block), Some(found)) = (NonNull::new(block), NonNull::new(context)) else { return };
    // SAFETY: as in host_signal.
    let (block, mut frame) = unsafe { (block.as_mut(), Frame::new(found)) };
    block.next_fs = block.enclave_fs;
    block.next_gs = block.enclave_gs;
    // SAFETY: as in host_signal.
    let Some(enclave) = (unsafe { block.enclave.as_ref() }).filter(|_| block.tcs.is_some()) else {
        // Host code jumped into an enclave without EENTER: no processor does that.
        // SAFETY: the kernel's arguments.
        unsafe { hand_on(signal, info, context) };
        return;
    };
    // SAFETY: the kernel's argument.
    let event = match unsafe { is_sent(info) } {
        // The thread enters just now, so there is nobody to interrupt yet.
        true if stub::is_entering(frame.get(Reg::Rip)) => None,
        true => Some(Event::Interrupt),
        false => classify(enclave, block, &mut frame, signal),
    };
    if let Some(event) = event {
        transition::asynchronous_exit(enclave, block, &mut frame, event);
    }
}

/// What the signal is to the enclave; none if it was dealt with.
fn classify(enclave: &SimEnclave, block: &mut Block, frame: &mut Frame, signal: c_int) -> Option<Event> {
    let rip = frame.get(Reg::Rip);
    if signal == SIGSYS {
        // The kernel has advanced RIP over `syscall` or `int 0x80`, two bytes both.
        frame.set(Reg::Rip, rip.wrapping_sub(2));
        return Some(Event::exception(vector::UD));
    }
    if !enclave.elrange().contains(rip) {
        // Instructions come from ELRANGE only.
        return Some(Event::exception(vector::GP));
    }
    match frame.vector() {
        vector::PF => enclave.page_fault(frame.fault_address(), frame.error_code()),
        vector::DB if enclave.hostility.stepped() => Some(Event::Interrupt),
        vector::GP | vector::UD if is_exception(frame, signal) => {
            // SAFETY: the instruction at RIP was fetched, and it lies in ELRANGE.
            let found = |bytes| unsafe { at(frame, bytes) };
            if found(&leaf::ENCLU) {
                if signal == SIGILL {
                    enclave.quicken(rip);
                }
                enclu::execute(enclave, block, frame)
            } else if found(&QUICK_ENCLU) {
                enclu::execute(enclave, block, frame)
            } else if found(&CPUID) {
                // Faulting CPUID is #GP outside enclaves and #UD inside.
                Some(Event::exception(vector::UD))
            } else {
                Some(Event::exception(frame.vector()))
            }
        }
        other => Some(Event::exception(other)),
    }
}

/// Whether RIP was fetched and the processor refused what is there.
fn is_exception(frame: &Frame, signal: c_int) -> bool {
    matches!((signal, frame.vector()), (SIGSEGV, vector::GP) | (SIGILL, vector::UD))
}

/// Whether the instruction at RIP starts with `bytes`.
///
/// # Safety
/// The processor decoded the instruction at RIP, so each byte is readable as long as those before it are an instruction's
/// beginning.
unsafe fn at(frame: &Frame, bytes: &[u8]) -> bool {
    let rip = frame.get(Reg::Rip) as *const u8;
    // SAFETY: the caller's contract; `all` stops at the first difference.
    bytes.iter().enumerate().all(|(i, byte)| unsafe { rip.wrapping_add(i).read_volatile() } == *byte)
}

/// Whether somebody sent the signal, so that it says nothing about the instruction at RIP.
///
/// # Safety
/// `info` is the kernel's argument.
unsafe fn is_sent(info: *const siginfo_t) -> bool {
    // SAFETY: the caller's contract.
    unsafe { info.as_ref() }.is_some_and(|info| info.si_code <= 0)
}

/// Lets whoever handled the signal before handle it.
///
/// # Safety
/// The arguments are the kernel's.
unsafe fn hand_on(signal: c_int, info: *mut siginfo_t, context: *mut ucontext_t) {
    let index = TAKEN.iter().position(|taken| *taken == signal);
    let Some(previous) = PREVIOUS.get().zip(index).map(|(all, index)| &all[index]) else { return };
    // SAFETY: the kernel's argument.
    let sent = unsafe { is_sent(info) };
    match previous.sa_sigaction {
        libc::SIG_IGN if sent => {}
        libc::SIG_DFL if signal == INTERRUPT => {}
        // SAFETY: restores the default. An instruction faults again, a sent signal is sent again, and either ends the process
        // with the right status.
        libc::SIG_DFL | libc::SIG_IGN => unsafe {
            let mut action: sigaction = std::mem::zeroed();
            action.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(signal, &action, std::ptr::null_mut());
            if sent {
                libc::raise(signal);
            }
        },
        // SAFETY: a handler of the type that its flags say.
        handler => unsafe {
            if previous.sa_flags & libc::SA_SIGINFO != 0 {
                let handler: extern "C" fn(c_int, *mut siginfo_t, *mut ucontext_t) =
                    std::mem::transmute(handler);
                handler(signal, info, context);
            } else {
                let handler: extern "C" fn(c_int) = std::mem::transmute(handler);
                handler(signal);
            }
        },
    }
}

/// The bits of a hardware error code that an access keeps.
pub(super) const ACCESS: u32 = pfec::W | pfec::I;
