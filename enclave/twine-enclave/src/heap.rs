//! The heap: dlmalloc on pages of the memory manager.
//!
//! Segments are committed as a whole when they are taken: Wasmtime's fault handler allocates (a backtrace), and in the
//! exception handler there is nobody to answer a page fault, and no host call to give pages back by.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::memory::{self, Protection};
use crate::tcb;
use dlmalloc::Dlmalloc;

/// Pages are asked for in steps of this, in bytes.
const STEP: usize = 1 << 20;

/// The allocator; one for the enclave.
pub struct Heap;

#[global_allocator]
static GLOBAL: Heap = Heap;

static DLMALLOC: memory::Lock<Dlmalloc<Pages>> = memory::Lock::new(Dlmalloc::new_with_allocator(Pages));

/// Gives what is free back to the host, as far as whole pages are.
pub fn trim() {
    // SAFETY: no allocation changes by it.
    unsafe { DLMALLOC.lock().trim(0) };
}

/// Bytes of the allocation that was refused last; 0: none was.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// What std could not get if it aborts now.
pub fn refused() -> Option<usize> {
    Some(REFUSED.load(Ordering::Relaxed)).filter(|&size| size != 0)
}

/// Remembers a refusal, and forgets it with the next success: std aborts right after the one that it cannot do without.
fn noted(block: *mut u8, size: usize) -> *mut u8 {
    let refused = if block.is_null() { size } else { 0 };
    if REFUSED.load(Ordering::Relaxed) != refused {
        REFUSED.store(refused, Ordering::Relaxed);
    }
    block
}

// SAFETY: dlmalloc keeps the promises of the trait, one call at a time.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are dlmalloc's.
        noted(unsafe { DLMALLOC.lock().malloc(layout.size(), layout.align()) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are dlmalloc's.
        noted(unsafe { DLMALLOC.lock().calloc(layout.size(), layout.align()) }, layout.size())
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are dlmalloc's.
        unsafe { DLMALLOC.lock().free(pointer, layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promises are dlmalloc's.
        noted(unsafe { DLMALLOC.lock().realloc(pointer, layout.size(), layout.align(), size) }, size)
    }
}

/// Where dlmalloc gets its segments from.
struct Pages;

// SAFETY: hands out fresh memory of the manager, zero, page-aligned, to one owner.
unsafe impl dlmalloc::Allocator for Pages {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let size = size.next_multiple_of(STEP);
        let taken = memory::reserve(size as u64, 1, false, Protection::RW).and_then(|address| {
            memory::commit(address, size as u64).inspect_err(|_| {
                let _ = memory::release(address, size as u64);
            })?;
            Ok(address)
        });
        match taken {
            Ok(address) => (address as *mut u8, size, 0),
            Err(_) => (core::ptr::null_mut(), 0, 0),
        }
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        core::ptr::null_mut()
    }

    fn free_part(&self, pointer: *mut u8, old: usize, new: usize) -> bool {
        !tcb::is_handling() && memory::release(pointer as u64 + new as u64, (old - new) as u64).is_ok()
    }

    fn free(&self, pointer: *mut u8, size: usize) -> bool {
        !tcb::is_handling() && memory::release(pointer as u64, size as u64).is_ok()
    }

    fn can_release_part(&self, _: u32) -> bool {
        true
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        twine_abi::layout::PAGE_SIZE as usize
    }
}
