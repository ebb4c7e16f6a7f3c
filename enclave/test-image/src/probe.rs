//! Accesses that may fault: a fault at one of these instructions is an answer, not the end.

use core::arch::global_asm;
use std::sync::Once;

use twine_enclave::exception::{self, Exception};

global_asm!(
    ".section .text.twine_probe,\"ax\",@progbits",
    // u64 twine_probe_read(address), twine_probe_write(address): 1, or 0 after a fault.
    ".globl twine_probe_read",
    "twine_probe_read:",
    "mov al, [rdi]",
    "mov eax, 1",
    "ret",
    ".globl twine_probe_write",
    "twine_probe_write:",
    "mov byte ptr [rdi], 0x5A",
    "mov eax, 1",
    "ret",
    // Calls what is there, which returns at once.
    ".globl twine_probe_call",
    "twine_probe_call:",
    "push rbp",
    "mov rbp, rsp",
    ".globl twine_probe_jump",
    "twine_probe_jump:",
    "call rdi",
    "mov eax, 1",
    "pop rbp",
    "ret",
    ".globl twine_probe_fault",
    "twine_probe_fault:",
    "xor eax, eax",
    "ret",
    ".globl twine_probe_call_fault",
    "twine_probe_call_fault:",
    "xor eax, eax",
    "mov rsp, rbp",
    "pop rbp",
    "ret",
);

unsafe extern "C" {
    fn twine_probe_read(address: u64) -> u64;
    fn twine_probe_write(address: u64) -> u64;
    fn twine_probe_call(address: u64) -> u64;
    fn twine_probe_fault();
    fn twine_probe_call_fault();
}

fn hook(exception: &mut Exception) -> bool {
    let rip = exception.registers.rip;
    let read = twine_probe_read as *const () as u64;
    let write = twine_probe_write as *const () as u64;
    if rip == read || rip == write {
        exception.registers.rip = twine_probe_fault as *const () as u64;
        return true;
    }
    // A call that cannot be fetched faults at its target.
    if exception.address == rip && exception.registers.rdi == rip {
        exception.registers.rip = twine_probe_call_fault as *const () as u64;
        return true;
    }
    false
}

fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| exception::set_hook(hook));
}

/// Whether a byte can be read.
pub fn can_read(address: u64) -> bool {
    prepare();
    // SAFETY: a fault is caught, and a byte that can be read may be read.
    unsafe { twine_probe_read(address) == 1 }
}

/// Whether a byte can be written; it is 0x5A then.
pub fn can_write(address: u64) -> bool {
    prepare();
    // SAFETY: a fault is caught; the callers own the addresses.
    unsafe { twine_probe_write(address) == 1 }
}

/// Whether code can be called that consists of a `ret`.
pub fn can_call(address: u64) -> bool {
    prepare();
    // SAFETY: a fault is caught; the callers have put a `ret` there.
    unsafe { twine_probe_call(address) == 1 }
}
