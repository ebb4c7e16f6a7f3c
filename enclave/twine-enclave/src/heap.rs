//! The heap: dlmalloc on pages of the memory manager, and pages of their own for large blocks.
//!
//! A large block, a module or its compiled code, say, goes back to the host when it is freed; between dlmalloc's small ones it
//! would stay for good. Both kinds are committed as a whole when they are taken: Wasmtime's fault handler allocates (a
//! backtrace), and in the exception handler there is nobody to answer a page fault, and no host call to give pages back by.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::memory::{self, Protection};
use crate::tcb;
use dlmalloc::Dlmalloc;
use twine_abi::layout::PAGE_SIZE;

/// Pages are asked for in steps of this, in bytes.
const STEP: usize = 1 << 20;

/// Blocks from this size on, in bytes, have pages of their own.
const LARGE: usize = STEP;

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

// SAFETY: dlmalloc keeps the promises of the trait, one call at a time; so do pages, which nobody else has. A block's kind
// follows from its size, which the caller gives again when it frees.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() >= LARGE {
            return noted(pages(layout), layout.size());
        }
        // SAFETY: the caller's promises are dlmalloc's.
        noted(unsafe { DLMALLOC.lock().malloc(layout.size(), layout.align()) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() >= LARGE {
            return noted(pages(layout), layout.size());
        }
        // SAFETY: the caller's promises are dlmalloc's.
        noted(unsafe { DLMALLOC.lock().calloc(layout.size(), layout.align()) }, layout.size())
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if layout.size() >= LARGE {
            give_back(pointer, layout.size());
            return;
        }
        // SAFETY: the caller's promises are dlmalloc's.
        unsafe { DLMALLOC.lock().free(pointer, layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.size() < LARGE && size < LARGE {
            // SAFETY: the caller's promises are dlmalloc's.
            let block = unsafe { DLMALLOC.lock().realloc(pointer, layout.size(), layout.align(), size) };
            return noted(block, size);
        }
        let large = layout.size() >= LARGE && size >= LARGE;
        if large && whole_pages(size) == whole_pages(layout.size()) {
            return pointer;
        }
        // SAFETY: the caller promises that the size is valid for the alignment; the blocks are two different ones.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                core::ptr::copy_nonoverlapping(pointer, new, size.min(layout.size()));
                self.dealloc(pointer, layout);
            }
            new
        }
    }
}

fn whole_pages(size: usize) -> usize {
    size.next_multiple_of(PAGE_SIZE as usize)
}

/// Fresh zero pages, or null.
fn pages(layout: Layout) -> *mut u8 {
    let size = whole_pages(layout.size()) as u64;
    let taken = memory::reserve(size, layout.align() as u64, false, Protection::RW);
    let taken = taken.and_then(|address| {
        memory::commit(address, size).inspect_err(|_| {
            let _ = memory::release(address, size);
        })?;
        Ok(address)
    });
    taken.map_or(core::ptr::null_mut(), |address| address as *mut u8)
}

/// The end of [`pages`]; whether the memory is gone.
fn give_back(pointer: *mut u8, size: usize) -> bool {
    !tcb::is_handling() && memory::release(pointer as u64, size as u64).is_ok()
}

/// Where dlmalloc gets its segments from.
struct Pages;

// SAFETY: hands out fresh memory of the manager, zero, page-aligned, to one owner.
unsafe impl dlmalloc::Allocator for Pages {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let Ok(layout) = Layout::from_size_align(size.next_multiple_of(STEP), PAGE_SIZE as usize) else {
            return (core::ptr::null_mut(), 0, 0);
        };
        match pages(layout) {
            segment if segment.is_null() => (segment, 0, 0),
            segment => (segment, layout.size(), 0),
        }
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        core::ptr::null_mut()
    }

    fn free_part(&self, pointer: *mut u8, old: usize, new: usize) -> bool {
        give_back(pointer.wrapping_add(new), old - new)
    }

    fn free(&self, pointer: *mut u8, size: usize) -> bool {
        give_back(pointer, size)
    }

    fn can_release_part(&self, _: u32) -> bool {
        true
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE_SIZE as usize
    }
}
