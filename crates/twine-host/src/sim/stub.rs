//! The assembly: where the host executes EENTER and ERESUME, and the entry of every signal handler.
#![allow(unsafe_code)]

use std::arch::naked_asm;

use super::elrange::{HIGH, LOW};
use super::signals::{enclave_signal, host_signal};
use super::thread::{Block, STACK_SIZE};
use crate::backend::Regs;

/// Executes the leaf and returns after the exit, whichever it was; the thread's block says which.
///
/// HLT stands for ENCLU here: it is #GP for user mode on every processor, while ENCLU is #UD on some, which hypervisors
/// intercept (8 us a trap instead of 2).
///
/// The enclave must preserve RBP, as the vDSO demands too: that of its latest EENTER or ERESUME, which is U_RBP in the SSA.
/// Other callee-saved registers, MXCSR, the x87 control word and the direction and alignment flags come back as they were.
///
/// # Safety
/// The thread is prepared (see [`super::thread`]) and its block names the enclave of `tcs`. The enclave may do anything.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn enclu(leaf: u32, tcs: u64, regs: *mut Regs) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 24",
        "mov rbp, rsp",
        "stmxcsr [rbp]",
        "fnstcw [rbp + 4]",
        "mov [rbp + 8], rdx",
        "mov eax, edi",
        "mov rbx, rsi",
        "lea rcx, [rip + 2f]",
        "mov r10, rdx",
        "mov rdi, [r10]",
        "mov rsi, [r10 + 8]",
        "mov rdx, [r10 + 16]",
        "mov r8, [r10 + 24]",
        "mov r9, [r10 + 32]",
        ".hidden twine_sim_enter_trap",
        ".globl twine_sim_enter_trap",
        "twine_sim_enter_trap:",
        "hlt",
        // EEXIT comes back here, and so does an asynchronous exit.
        "2:",
        "mov rsp, rbp",
        "pushfq",
        "and dword ptr [rsp], 0xfffbfbff",
        "popfq",
        "mov r10, [rbp + 8]",
        "mov [r10], rdi",
        "mov [r10 + 8], rsi",
        "mov [r10 + 16], rdx",
        "mov [r10 + 24], r8",
        "mov [r10 + 32], r9",
        "fninit",
        "ldmxcsr [rbp]",
        "fldcw [rbp + 4]",
        "add rsp, 24",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

unsafe extern "C" {
    safe static twine_sim_enter_trap: u8;
}

/// The address of the instruction in [`enclu`] that stands for ENCLU.
pub(super) fn trap_address() -> u64 {
    &raw const twine_sim_enter_trap as u64
}

/// Length of that instruction.
pub(super) const TRAP_LEN: u64 = 1;

/// Entry of every signal handler (the kernel neither sets nor restores the FS base for a handler).
///
/// If the thread was in an enclave (RIP or the FS base lies where enclaves are), the thread's block is at the aligned base of
/// the stack, the host's bases are restored from it, and the bases that the handler chose are written last. Otherwise the
/// bases are the host's already.
///
/// # Safety
/// Called by the kernel only.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn signal_entry() {
    naked_asm!(
        // The kernel clears DF and TF for a handler, but not AC.
        "pushfq",
        "and dword ptr [rsp], 0xfffbffff",
        "popfq",
        "mov rcx, {low}",
        "mov r8, {span}",
        "mov rax, [rdx + {rip}]",
        "sub rax, rcx",
        "cmp rax, r8",
        "jb 3f",
        "rdfsbase rax",
        "sub rax, rcx",
        "cmp rax, r8",
        "jb 3f",
        "sub rsp, 8",
        "call {host}",
        "test rax, rax",
        "jz 2f",
        "mov rcx, [rax + {next_fs}]",
        "wrfsbase rcx",
        "mov rcx, [rax + {next_gs}]",
        "wrgsbase rcx",
        "2:",
        "add rsp, 8",
        "ret",
        "3:",
        "push rbx",
        "mov rbx, rsp",
        "and rbx, -{stack}",
        "rdfsbase rax",
        "mov [rbx + {enclave_fs}], rax",
        "rdgsbase rax",
        "mov [rbx + {enclave_gs}], rax",
        "mov rax, [rbx + {host_fs}]",
        "wrfsbase rax",
        "mov rax, [rbx + {host_gs}]",
        "wrgsbase rax",
        "mov rcx, rbx",
        "call {enclave}",
        "mov rax, [rbx + {next_fs}]",
        "wrfsbase rax",
        "mov rax, [rbx + {next_gs}]",
        "wrgsbase rax",
        "pop rbx",
        "ret",
        low = const LOW,
        span = const HIGH - LOW,
        rip = const RIP_IN_CONTEXT,
        stack = const STACK_SIZE,
        host_fs = const std::mem::offset_of!(Block, host_fs),
        host_gs = const std::mem::offset_of!(Block, host_gs),
        next_fs = const std::mem::offset_of!(Block, next_fs),
        next_gs = const std::mem::offset_of!(Block, next_gs),
        enclave_fs = const std::mem::offset_of!(Block, enclave_fs),
        enclave_gs = const std::mem::offset_of!(Block, enclave_gs),
        host = sym host_signal,
        enclave = sym enclave_signal,
    )
}

/// Offset of RIP in the kernel's struct ucontext.
const RIP_IN_CONTEXT: usize = std::mem::offset_of!(libc::ucontext_t, uc_mcontext)
    + std::mem::offset_of!(libc::mcontext_t, gregs)
    + libc::REG_RIP as usize * 8;
