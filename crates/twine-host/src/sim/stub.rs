//! The assembly: where the host executes EENTER and ERESUME, and the entry of every signal handler.
#![allow(unsafe_code)]

use std::arch::naked_asm;

use super::elrange::{HIGH, LOW};
use super::signals::{MASK_INSIDE, enclave_signal, host_signal};
use super::thread::{Block, STACK_SIZE};
use super::transition::eenter_directly;
use crate::backend::Regs;

/// Executes the leaf and returns after the exit, whichever it was; the thread's block says which.
///
/// HLT stands for ENCLU here: it is #GP for user mode on every processor, while ENCLU is #UD on some, which hypervisors
/// intercept (8 us a trap instead of 2). EENTER needs no trap where nobody wants to change its registers: with a `block`, it
/// is a call, the signal mask and a jump. A signal that still comes after the mask is an interrupt, which is dropped.
///
/// The enclave must preserve RBP, as the vDSO demands too: that of its latest EENTER or ERESUME, which is U_RBP in the SSA.
/// Other callee-saved registers, MXCSR, the x87 control word and the direction and alignment flags come back as they were.
///
/// # Safety
/// The thread is prepared (see [`super::thread`]) and its block, which is `block` if that is not null, names the enclave of
/// `tcs`. The enclave may do anything.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn enclu(leaf: u32, tcs: u64, regs: *mut Regs, block: *mut Block) {
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
        "mov rbx, rsi",
        "test rcx, rcx",
        "jz 4f",
        "mov r12, rcx",
        "mov rdi, rcx",
        "mov rdx, rbp",
        "lea rcx, [rip + 2f]",
        "call {eenter}",
        "test al, al",
        "jz 3f",
        "movabs rax, {mask}",
        "mov [rbp + 16], rax",
        "mov eax, {sigprocmask}",
        "mov edi, {setmask}",
        "lea rsi, [rbp + 16]",
        "lea rdx, [r12 + {host_mask}]",
        "mov r10d, 8",
        "syscall",
        ".hidden twine_sim_entering",
        ".globl twine_sim_entering",
        "twine_sim_entering:",
        "mov rax, [r12 + {next_fs}]",
        "wrfsbase rax",
        "mov rax, [r12 + {next_gs}]",
        "wrgsbase rax",
        "mov r10, [rbp + 8]",
        "mov rdi, [r10]",
        "mov rsi, [r10 + 8]",
        "mov rdx, [r10 + 16]",
        "mov r8, [r10 + 24]",
        "mov r9, [r10 + 32]",
        "mov rax, [r12 + {cssa}]",
        "lea rcx, [rip + 2f]",
        ".hidden twine_sim_entered",
        ".globl twine_sim_entered",
        "twine_sim_entered:",
        "jmp [r12 + {entry}]",
        "4:",
        "mov eax, edi",
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
        "3:",
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
        eenter = sym eenter_directly,
        mask = const MASK_INSIDE as i64,
        sigprocmask = const libc::SYS_rt_sigprocmask,
        setmask = const libc::SIG_SETMASK,
        host_mask = const std::mem::offset_of!(Block, host_mask),
        next_fs = const std::mem::offset_of!(Block, next_fs),
        next_gs = const std::mem::offset_of!(Block, next_gs),
        cssa = const std::mem::offset_of!(Block, cssa),
        entry = const std::mem::offset_of!(Block, entry),
    )
}

unsafe extern "C" {
    safe static twine_sim_enter_trap: u8;
    safe static twine_sim_entering: u8;
    safe static twine_sim_entered: u8;
}

/// The address of the instruction in [`enclu`] that stands for ENCLU.
pub(super) fn trap_address() -> u64 {
    &raw const twine_sim_enter_trap as u64
}

/// Length of that instruction.
pub(super) const TRAP_LEN: u64 = 1;

/// Whether [`enclu`] is entering without a trap there: the mask is the enclave's, and the bases are or become so.
pub(super) fn is_entering(rip: u64) -> bool {
    (&raw const twine_sim_entering as u64..=&raw const twine_sim_entered as u64).contains(&rip)
}

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
