//! The thread control block: the page that FS and GS point to.
//!
//! The image builder fills in the words of `twine_abi::layout::tcb`, the rest starts as zero. Offsets are used by the
//! entry code in assembly and pinned here once.

use core::arch::asm;
use twine_abi::layout::tcb as image;

/// The block's own address; the x86-64 ABI wants it at FS:0.
pub const SELF: usize = 0x00;
/// Slot number.
pub const INDEX: usize = image::INDEX;
/// Offset of SSA frame 0 from the enclave's base.
pub const SSA: usize = image::SSA;
/// Offset of this block from the enclave's base.
pub const OFFSET: usize = image::OFFSET;
/// Top of the thread's stack; 0: the slot cannot run yet.
pub const STACK: usize = 0x58;
/// The stack pointer of a thread that is in a host call; 0: none.
pub const CALL_RSP: usize = 0x60;
/// One of the states below.
pub const STATE: usize = 0x68;
/// The host's RSP, RBP and the address to exit to, of the entry at CSSA 0.
pub const HOST_RSP: usize = 0x70;
/// See [`HOST_RSP`].
pub const HOST_RBP: usize = 0x78;
/// See [`HOST_RSP`].
pub const EXIT: usize = 0x80;
/// Top of the exception stack.
pub const HANDLER_STACK: usize = 0x88;
/// The same three as above, of the entry at CSSA 1.
pub const HANDLER_HOST_RSP: usize = 0x90;
/// See [`HANDLER_HOST_RSP`].
pub const HANDLER_HOST_RBP: usize = 0x98;
/// See [`HANDLER_HOST_RSP`].
pub const HANDLER_EXIT: usize = 0xA0;
/// The untrusted buffer.
pub const BUFFER: usize = 0xA8;
/// `errno`.
pub const ERRNO: usize = 0xB0;

/// 1: slot 0 has begun to start the enclave. Here and not in a static, which only relocation makes reachable.
pub const STARTED: usize = 0xB8;

/// Not inside, or on the way in or out: exceptions are refused.
pub const OUTSIDE: u64 = 0;
/// Inside, on its own stack: an exception may be handled.
pub const RUNNING: u64 = 1;
/// In the exception handler.
pub const HANDLING: u64 = 2;

const _: () = assert!(STACK == image::FREE, "the first word that is ours");

/// Reads a word of the current thread's block.
pub fn read(offset: usize) -> u64 {
    let value;
    // SAFETY: GS points to the TCB page for as long as the thread is inside; the offset stays in the page.
    unsafe {
        asm!("mov {}, gs:[{}]", out(reg) value, in(reg) offset & 0xff8, options(nostack, preserves_flags, readonly));
    }
    value
}

/// Writes a word of the current thread's block.
pub fn write(offset: usize, value: u64) {
    // SAFETY: as in `read`; only the thread itself writes here, through the constants above.
    unsafe {
        asm!("mov gs:[{}], {}", in(reg) offset & 0xff8, in(reg) value, options(nostack, preserves_flags));
    }
}

/// Slot number of the current thread.
pub fn index() -> usize {
    read(INDEX) as usize
}

/// Whether the current thread is in the exception handler, where neither a page fault nor a host call may happen.
pub fn is_handling() -> bool {
    read(STATE) == HANDLING
}

/// The current thread's `errno`.
pub fn errno() -> *mut i32 {
    (read(SELF) as usize + ERRNO) as *mut i32
}
