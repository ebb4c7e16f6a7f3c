//! Instructions that are illegal inside and that user mode can execute: system calls and CPUID. Where kernel and processor
//! can make them trap on a thread, they do; where not, they run (docs/simulation.md).
#![allow(unsafe_code)]

use std::arch::x86_64::__cpuid_count;
use std::sync::LazyLock;

use libc::{c_int, c_long, c_ulong};

use super::elrange::{HIGH, LOW};
use super::frame::{Frame, Reg};

const PR_SET_SYSCALL_USER_DISPATCH: c_int = 59;
const EXCLUSIVE: c_ulong = 1;
const INCLUSIVE: c_ulong = 2;
const ARCH_SET_CPUID: c_long = 0x1012;

/// Makes them trap on this thread, as far as possible.
pub(super) fn arm() {
    dispatch_system_calls();
    if can_fault_cpuid() {
        fault_cpuid(true);
    }
}

/// Whether `syscall` and `int 0x80` inside an enclave are #UD here.
pub(crate) fn can_dispatch_system_calls() -> bool {
    // Tried on a thread of its own: the setting is the thread's and ends with it.
    static CAN: LazyLock<bool> =
        LazyLock::new(|| std::thread::spawn(dispatch_system_calls).join().unwrap_or(false));
    *CAN
}

/// Whether CPUID inside an enclave is #UD here.
pub(crate) fn can_fault_cpuid() -> bool {
    // Allowing CPUID changes nothing, and fails where forbidding it would.
    static CAN: LazyLock<bool> = LazyLock::new(|| fault_cpuid(false));
    *CAN
}

/// Turns `syscall` and `int 0x80` at an enclave address into SIGSYS (Linux, Documentation/admin-guide/syscall-user-dispatch.rst).
fn dispatch_system_calls() -> bool {
    let set = |mode: c_ulong, start: u64, len: u64| {
        // SAFETY: affects this thread's system calls from the given addresses only.
        unsafe { libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, mode, start, len, 0_u64) == 0 }
    };
    // Older kernels know only one range that is allowed; all host code must lie in it.
    let host_is_high = arm as *const () as u64 >= HIGH;
    set(INCLUSIVE, LOW, HIGH - LOW) || host_is_high && set(EXCLUSIVE, HIGH, (1 << 47) - HIGH)
}

/// Makes CPUID raise #GP on this thread (and threads it starts), or allows it again.
fn fault_cpuid(fault: bool) -> bool {
    // SAFETY: affects one instruction on this thread, which the signal handler executes in its place.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_CPUID, c_long::from(!fault)) == 0 }
}

/// Executes CPUID for host code that trapped on it.
pub(super) fn host_cpuid(frame: &mut Frame) {
    fault_cpuid(false);
    let leaf = __cpuid_count(frame.get(Reg::Rax) as u32, frame.get(Reg::Rcx) as u32);
    fault_cpuid(true);
    for (reg, value) in
        [(Reg::Rax, leaf.eax), (Reg::Rbx, leaf.ebx), (Reg::Rcx, leaf.ecx), (Reg::Rdx, leaf.edx)]
    {
        frame.set(reg, value.into());
    }
    frame.set(Reg::Rip, frame.get(Reg::Rip).wrapping_add(2));
}
