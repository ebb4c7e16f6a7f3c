//! Threads on free TCSs.
//!
//! A slot is prepared here (stack, exception stack, closure) before the host is asked to enter it; entering a slot that
//! is not prepared does nothing. So a host that enters the wrong TCS, twice or never, costs time and nothing else.

use core::sync::atomic::{AtomicU8, Ordering};
use std::sync::Mutex;

use twine_abi::calls::Spawn;
use twine_abi::layout::{PAGE_SIZE, THREADS};

use crate::memory::{self, Protection};
use crate::{border, layout, tcb};

/// Address space of a thread's stack, committed as it is used; and of its exception stack, committed at once.
const STACK: u64 = 16 << 20;
const HANDLER_STACK: u64 = 64 << 10;

/// What a thread runs; what is left to do when its slot is free again, tell somebody who waits, say.
pub type Main = Box<dyn FnOnce() -> End + Send>;
/// The end of a thread.
pub type End = Box<dyn FnOnce()>;

const FREE: u8 = 0;
const TAKEN: u8 = 1;
const READY: u8 = 2;

struct Slot {
    state: AtomicU8,
    main: Mutex<Option<Main>>,
}

static SLOTS: [Slot; THREADS] =
    [const { Slot { state: AtomicU8::new(FREE), main: Mutex::new(None) } }; THREADS];

/// Why a thread could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// All TCSs are in use.
    NoSlot,
    /// No memory for its stacks.
    NoMemory,
    /// The host has no thread for it.
    Host,
}

/// Starts a thread on a free TCS.
pub fn spawn(main: Main) -> Result<(), SpawnError> {
    let (index, slot) = (1..THREADS)
        .map(|index| (index, &SLOTS[index]))
        .find(|(_, slot)| {
            slot.state.compare_exchange(FREE, TAKEN, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        })
        .ok_or(SpawnError::NoSlot)?;
    let prepared = prepare(index);
    if prepared.is_err() {
        slot.state.store(FREE, Ordering::Release);
        return Err(SpawnError::NoMemory);
    }
    *slot.main.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(main);
    slot.state.store(READY, Ordering::Release);
    border::call(&Spawn { slot: index as u64 }, &[], &mut []).map_err(|_| {
        if slot.state.compare_exchange(READY, TAKEN, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            slot.main.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
            slot.state.store(FREE, Ordering::Release);
        }
        SpawnError::Host
    })?;
    Ok(())
}

/// A stack with guards on both sides; its top.
pub(crate) fn new_stack() -> Result<u64, memory::Error> {
    Ok(memory::reserve(STACK, 1, true, Protection::RW)? + STACK)
}

/// Gives a slot its stacks, once: they stay for the threads after it.
fn prepare(index: usize) -> Result<(), memory::Error> {
    let image = layout::layout();
    let block = layout::base() + image.tcb + index as u64 * image.slot_stride;
    let word = |offset: usize| (block + offset as u64) as *mut u64;
    // SAFETY: the block of a slot that this thread has taken; no thread runs on it.
    unsafe {
        if *word(tcb::STACK) == 0 {
            let handler = memory::reserve(HANDLER_STACK, 1, true, Protection::RW)?;
            memory::commit(handler, HANDLER_STACK)?;
            *word(tcb::HANDLER_STACK) = handler + HANDLER_STACK;
            let top = new_stack()?;
            // The entry code uses it before exceptions can be taken.
            memory::commit(top - PAGE_SIZE, PAGE_SIZE)?;
            *word(tcb::STACK) = top;
        }
    }
    Ok(())
}

/// Runs what the current slot was prepared for, if it was.
pub(crate) fn run(buffer: u64, size: u64) {
    let slot = &SLOTS[tcb::index()];
    if slot.state.compare_exchange(READY, TAKEN, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        return;
    }
    init_block(layout::base() + tcb::read(tcb::OFFSET));
    border::set_buffer(buffer, size);
    let main = slot.main.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
    let end = main.map(|main| main());
    // The TCS stays busy until EEXIT: nobody enters this slot before this thread has left.
    slot.state.store(FREE, Ordering::Release);
    // Who joins a thread may start another one in its place.
    if let Some(end) = end {
        end();
    }
}

/// Sets up the current thread's control block and thread-local storage (variant II: the block ends at FS base).
pub(crate) fn init_block(block: u64) {
    let image = layout::layout();
    tcb::write(tcb::SELF, block);
    tcb::write(tcb::ERRNO, 0);
    let [template, in_file, in_memory, align] = image.tls;
    let storage = block - in_memory.next_multiple_of(align.max(1));
    // SAFETY: the builder has placed enough pages for the template right below the block; they are this thread's own.
    unsafe {
        core::ptr::copy_nonoverlapping(
            (layout::base() + template) as *const u8,
            storage as *mut u8,
            in_file as usize,
        );
        core::ptr::write_bytes((storage + in_file) as *mut u8, 0, (in_memory - in_file) as usize);
    }
}

/// A number for the current thread, from 1.
pub fn id() -> u32 {
    tcb::index() as u32 + 1
}
