//! Where things are: the image's own layout, filled in by the image builder.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};
use twine_abi::layout::{ImageLayout, PAGE_SIZE};

#[used]
#[unsafe(link_section = ".twine.layout")]
static LAYOUT: ImageLayout = ImageLayout::UNFILLED;

static BASE: AtomicU64 = AtomicU64::new(0);

/// The layout. Addressed without the global offset table, since it is needed before relocation, and read as volatile,
/// since the builder changes it after the compiler has seen it.
pub fn layout() -> ImageLayout {
    let place: *const ImageLayout;
    // SAFETY: computes an address; LAYOUT is a valid value of its type before and after the builder fills it in.
    unsafe {
        asm!("lea {}, [rip + {}]", out(reg) place, sym LAYOUT, options(nomem, nostack, preserves_flags));
        core::ptr::read_volatile(place)
    }
}

/// The enclave's base address.
pub fn base() -> u64 {
    BASE.load(Ordering::Relaxed)
}

pub(crate) fn set_base(base: u64) {
    BASE.store(base, Ordering::Relaxed);
}

/// The end of ELRANGE.
pub fn end() -> u64 {
    base() + twine_abi::layout::ELRANGE
}

/// Whether `length` bytes at `address` lie inside ELRANGE, every one of them.
pub fn is_inside(address: u64, length: u64) -> bool {
    address >= base() && address.checked_add(length).is_some_and(|to| to <= end())
}

/// Whether `length` bytes at `address` lie outside ELRANGE, every one of them, and do not wrap.
pub fn is_outside(address: u64, length: u64) -> bool {
    address.checked_add(length).is_some_and(|to| to <= base() || address >= end())
}

/// Rounds up to whole pages.
pub fn page_up(bytes: u64) -> u64 {
    bytes.next_multiple_of(PAGE_SIZE)
}
