//! malloc and mmap on the enclave's heap and memory manager.

use core::alloc::Layout;
use core::ffi::{c_int, c_void};
use std::alloc;

use twine_enclave::memory::{self, Error, Protection};

use crate::errno::fail;

/// What malloc remembers in front of each block: its size. 16 bytes keep the block aligned.
const HEAD: usize = 16;

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(HEAD)?, HEAD).ok()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    // SAFETY: the layout is not empty.
    unsafe { remember(layout(size).map(|layout| alloc::alloc(layout)), size) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let Some(size) = count.checked_mul(size) else { return core::ptr::null_mut() };
    // SAFETY: the layout is not empty.
    unsafe { remember(layout(size).map(|layout| alloc::alloc_zeroed(layout)), size) }
}

unsafe fn remember(block: Option<*mut u8>, size: usize) -> *mut c_void {
    match block {
        Some(block) if !block.is_null() => {
            // SAFETY: the block has room for the head, and is aligned for it.
            unsafe {
                block.cast::<usize>().write(size);
                block.add(HEAD).cast()
            }
        }
        _ => core::ptr::null_mut(),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    if block.is_null() {
        // SAFETY: as malloc.
        return unsafe { malloc(size) };
    }
    // SAFETY: a block of ours has its head in front.
    unsafe {
        let start = block.cast::<u8>().sub(HEAD);
        let (Some(old), Some(new)) = (layout(start.cast::<usize>().read()), layout(size)) else {
            return core::ptr::null_mut();
        };
        remember(Some(alloc::realloc(start, old, new.size())), size)
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(block: *mut c_void) {
    if block.is_null() {
        return;
    }
    // SAFETY: a block of ours has its head in front.
    unsafe {
        let start = block.cast::<u8>().sub(HEAD);
        if let Some(layout) = layout(start.cast::<usize>().read()) {
            alloc::dealloc(start, layout);
        }
    }
}

/// Only std's System allocator asks for this, which nothing uses: larger alignments go to the Rust heap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(out: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if align > HEAD {
        return libc::ENOMEM;
    }
    // SAFETY: `out` is the caller's.
    unsafe {
        *out = malloc(size);
        if (*out).is_null() { libc::ENOMEM } else { 0 }
    }
}

fn protection(bits: c_int) -> Option<Protection> {
    Some(match bits {
        libc::PROT_NONE => Protection::NONE,
        libc::PROT_READ => Protection::R,
        bits if bits == libc::PROT_READ | libc::PROT_WRITE || bits == libc::PROT_WRITE => Protection::RW,
        bits if bits == libc::PROT_READ | libc::PROT_EXEC => Protection::RX,
        // Writable and executable at once does not exist here.
        _ => return None,
    })
}

fn errno_of(error: Error) -> c_int {
    match error {
        Error::Exhausted | Error::Host => libc::ENOMEM,
        Error::Invalid => libc::EINVAL,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmap64(
    address: *mut c_void,
    length: usize,
    bits: c_int,
    flags: c_int,
    fd: c_int,
    _: i64,
) -> *mut c_void {
    let mapped = match protection(bits) {
        Some(protection) if flags & libc::MAP_ANONYMOUS != 0 && fd == -1 => {
            if flags & libc::MAP_FIXED != 0 {
                replace(address as u64, length as u64, protection)
            } else {
                memory::reserve(length as u64, 1, true, protection)
            }
        }
        _ => Err(Error::Invalid),
    };
    match mapped {
        Ok(address) => address as *mut c_void,
        Err(error) => {
            fail::<i64>(errno_of(error));
            libc::MAP_FAILED
        }
    }
}

/// MAP_FIXED over what is reserved already: zero pages with another protection.
fn replace(address: u64, length: u64, protection: Protection) -> Result<u64, Error> {
    memory::decommit(address, length)?;
    memory::protect(address, length, protection)?;
    Ok(address)
}

fn status(result: Result<(), Error>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => fail(errno_of(error)),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn munmap(address: *mut c_void, length: usize) -> c_int {
    if length == 0 {
        return fail(libc::EINVAL);
    }
    status(memory::release(address as u64, length as u64))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mprotect(address: *mut c_void, length: usize, bits: c_int) -> c_int {
    match protection(bits) {
        _ if length == 0 => 0,
        Some(protection) => status(memory::protect(address as u64, length as u64, protection)),
        None => fail(libc::EACCES),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int {
    match advice {
        libc::MADV_DONTNEED if length != 0 => status(memory::decommit(address as u64, length as u64)),
        _ => 0,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int {
    let _ = (address, length, advice);
    0
}
