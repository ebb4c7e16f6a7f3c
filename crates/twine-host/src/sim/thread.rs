//! What a thread needs before it can enter an enclave: a signal stack with its block, and no system calls from inside.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::io::Error;
use std::sync::Arc;

use libc::{MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, PROT_NONE, PROT_READ, PROT_WRITE};
use twine_sgx::ssa::vector;

use super::enclave::SimEnclave;
use super::forbidden;
use super::signals::INTERRUPT;
use super::stub;
use super::tcs::TcsState;
use crate::backend::{Exit, Leaf, LoadError, Regs};

/// Size and alignment of a signal stack; the thread's block is at its base.
pub(super) const STACK_SIZE: usize = 256 << 10;
const PAGE: usize = 4096;

/// A thread's state, at the aligned base of its signal stack. The assembly knows the first nine fields.
#[repr(C)]
pub(super) struct Block {
    pub host_fs: u64,
    pub host_gs: u64,
    /// Bases that the signal handler leaves with.
    pub next_fs: u64,
    pub next_gs: u64,
    /// Bases that the enclave had when the signal came.
    pub enclave_fs: u64,
    pub enclave_gs: u64,
    /// The host's signal mask while inside.
    pub host_mask: u64,
    /// Where EENTER goes, and the CSSA that it hands in.
    pub entry: u64,
    pub cssa: u64,
    /// The enclave of the call to `enter` in progress, else null.
    pub enclave: *const SimEnclave,
    /// The TCS that the thread is inside at.
    pub tcs: Option<Arc<TcsState>>,
    /// How the leaf or the stay ended.
    pub outcome: Outcome,
    /// This thread's id.
    pub thread: i32,
}

/// How a call to `enter` ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    Exit(Exit),
    Fault { vector: u8, address: u64, reason: &'static str },
}

thread_local! {
    /// This thread's block. Readable in a signal handler: constant, no destructor.
    static BLOCK: Cell<*mut Block> = const { Cell::new(std::ptr::null_mut()) };
    static STACK: Cell<Option<Stack>> = const { Cell::new(None) };
}

/// This thread's block, or null if the thread never entered an enclave.
pub(super) fn block() -> *mut Block {
    BLOCK.get()
}

/// Prepares the thread once.
pub(super) fn prepare() -> Result<*mut Block, LoadError> {
    let known = BLOCK.get();
    if !known.is_null() {
        return Ok(known);
    }
    let stack = Stack::new()?;
    let block = stack.0.cast::<Block>();
    // SAFETY: the first page of the fresh mapping is ours and large enough.
    unsafe {
        block.write(Block {
            host_fs: fs_base(),
            host_gs: gs_base(),
            next_fs: 0,
            next_gs: 0,
            enclave_fs: 0,
            enclave_gs: 0,
            host_mask: 0,
            entry: 0,
            cssa: 0,
            enclave: std::ptr::null(),
            tcs: None,
            outcome: Outcome::Exit(Exit::Exited),
            thread: libc::gettid(),
        });
    }
    forbidden::arm();
    STACK.set(Some(stack));
    BLOCK.set(block);
    Ok(block)
}

/// A signal stack, in use by this thread until dropped at the thread's end.
struct Stack(*mut u8);

impl Stack {
    fn new() -> Result<Self, LoadError> {
        let failed = |call| move || LoadError::System { call, error: Error::last_os_error() };
        // SAFETY: a new mapping, twice the size so that an aligned one lies within.
        let area = unsafe {
            libc::mmap(std::ptr::null_mut(), 2 * STACK_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        };
        if area == libc::MAP_FAILED {
            return Err(failed("mmap")());
        }
        let base = (area as usize).next_multiple_of(STACK_SIZE);
        let before = base - area as usize;
        // SAFETY: parts of the mapping above: what precedes and follows the aligned part is given back, the block's page
        // and the stack become accessible, and the page between them stays a guard.
        let ok = unsafe {
            (before == 0 || libc::munmap(area, before) == 0)
                && libc::munmap((base + STACK_SIZE) as *mut _, STACK_SIZE - before) == 0
                && map(base, PAGE)
                && map(base + 2 * PAGE, STACK_SIZE - 2 * PAGE)
        };
        let stack = Self(base as *mut u8);
        if !ok {
            return Err(failed("mmap")());
        }
        let alternate =
            libc::stack_t { ss_sp: (base + 2 * PAGE) as *mut _, ss_flags: 0, ss_size: STACK_SIZE - 2 * PAGE };
        // SAFETY: the stack lives until Drop switches it off.
        if unsafe { libc::sigaltstack(&alternate, std::ptr::null_mut()) } != 0 {
            return Err(failed("sigaltstack")());
        }
        Ok(stack)
    }
}

/// # Safety
/// The range is part of a mapping that nobody else uses.
unsafe fn map(at: usize, len: usize) -> bool {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    // SAFETY: the caller's contract.
    unsafe { libc::mmap(at as *mut _, len, PROT_READ | PROT_WRITE, flags, -1, 0) != libc::MAP_FAILED }
}

impl Drop for Stack {
    fn drop(&mut self) {
        BLOCK.set(std::ptr::null_mut());
        let none = libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        // SAFETY: the thread ends, outside any enclave; nothing runs on the stack, and nobody else knows it.
        unsafe {
            libc::sigaltstack(&none, std::ptr::null_mut());
            libc::munmap(self.0.cast(), STACK_SIZE);
        }
    }
}

fn fs_base() -> u64 {
    let base;
    // SAFETY: reads a register; sim::new checked that user mode may.
    unsafe { std::arch::asm!("rdfsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)) };
    base
}

fn gs_base() -> u64 {
    let base;
    // SAFETY: as in fs_base.
    unsafe { std::arch::asm!("rdgsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)) };
    base
}

/// One entry and the exit that ends it, on this thread.
pub(super) fn enter(
    enclave: &SimEnclave,
    leaf: Leaf,
    tcs: u64,
    regs: &mut Regs,
) -> Result<Outcome, LoadError> {
    let block = prepare()?;
    let (number, direct) = match leaf {
        Leaf::Eenter if !enclave.hostility.at_entry() => (twine_sgx::leaf::EENTER, block),
        Leaf::Eenter => (twine_sgx::leaf::EENTER, std::ptr::null_mut()),
        Leaf::Eresume => (twine_sgx::leaf::ERESUME, std::ptr::null_mut()),
    };
    // SAFETY: this thread's block; the pointer to the enclave is taken back before the borrow of it ends. No reference into
    // the block exists while the stub runs. An enclave that damages this process could do so on hardware as well.
    let outcome = unsafe {
        (*block).outcome = Outcome::Fault { vector: vector::UD, address: 0, reason: "ENCLU did not trap" };
        (*block).enclave = enclave;
        stub::enclu(number, tcs, regs, direct);
        (*block).enclave = std::ptr::null();
        (*block).outcome
    };
    Ok(outcome)
}

/// Interrupts the thread that is inside at this TCS, if one is.
pub(super) fn interrupt(tcs: &TcsState) -> bool {
    let thread = tcs.thread();
    // SAFETY: sends a signal that this process handles; to a thread that has ended it fails.
    thread != 0 && unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, INTERRUPT) } == 0
}
