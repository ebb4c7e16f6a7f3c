//! memcpy and its like.
//!
//! Short copies are overlapping loads and stores, long ones `rep movsb` (ERMS and FSRM are in the processor that the
//! image is made for). The crate is `no_builtins`, so that the compiler does not turn these into calls of themselves.

use core::arch::asm;
use core::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_set1_epi8, _mm_storeu_si128};
use core::ffi::{c_char, c_int, c_void};

/// From here on `rep movsb` wins.
const LONG: usize = 1024;
/// From here on `rep stosb` does.
const LONG_FILL: usize = 3072;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, count: usize) -> *mut c_void {
    // SAFETY: the caller's promises.
    unsafe {
        if count < LONG || alias(to as usize, from as usize) {
            short(to.cast(), from.cast(), count);
        } else {
            asm!("rep movsb", inout("rcx") count => _, inout("rdi") to => _, inout("rsi") from => _,
                 options(nostack, preserves_flags));
        }
    }
    to
}

/// Whether `to` follows `from` closely but for whole pages: AMD's processors (Zen 3 and 4) then copy by bytes, which takes
/// ten times as long.
fn alias(to: usize, from: usize) -> bool {
    (1..64).contains(&(to.wrapping_sub(from) % 4096))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn memmove(to: *mut c_void, from: *const c_void, count: usize) -> *mut c_void {
    let distance = (to as usize).wrapping_sub(from as usize);
    // SAFETY: the caller's promises.
    unsafe {
        if distance >= count {
            // Upwards is right where `to` lies below, too: no copy reads behind what it has written.
            memcpy(to, from, count);
        } else {
            backward(to.cast(), from.cast(), count);
        }
    }
    to
}

/// Reads everything it writes before it writes it where `count <= 32`; beyond that only without overlap.
unsafe fn short(to: *mut u8, from: *const u8, count: usize) {
    // SAFETY: every access stays within `count` bytes of its pointer.
    unsafe {
        if count >= 16 {
            if count <= 32 {
                let (first, last) = (load(from), load(from.add(count - 16)));
                store(to, first);
                store(to.add(count - 16), last);
                return;
            }
            let last = load(from.add(count - 16));
            let mut at = 0;
            // Loads before stores: a load waits for a store before it at the same place of another page.
            while at + 64 <= count {
                let (a, b) = (load(from.add(at)), load(from.add(at + 16)));
                let (c, d) = (load(from.add(at + 32)), load(from.add(at + 48)));
                store(to.add(at), a);
                store(to.add(at + 16), b);
                store(to.add(at + 32), c);
                store(to.add(at + 48), d);
                at += 64;
            }
            while at + 16 < count {
                store(to.add(at), load(from.add(at)));
                at += 16;
            }
            store(to.add(count - 16), last);
        } else if count >= 8 {
            pieces::<u64>(to, from, count);
        } else if count >= 4 {
            pieces::<u32>(to, from, count);
        } else if count >= 2 {
            pieces::<u16>(to, from, count);
        } else if count == 1 {
            *to = *from;
        }
    }
}

/// Two overlapping pieces: the first and the last.
unsafe fn pieces<T: Copy>(to: *mut u8, from: *const u8, count: usize) {
    let last = count - size_of::<T>();
    // SAFETY: `count` is at least the size of one piece and at most of two.
    unsafe {
        let (a, b) = (from.cast::<T>().read_unaligned(), from.add(last).cast::<T>().read_unaligned());
        to.cast::<T>().write_unaligned(a);
        to.add(last).cast::<T>().write_unaligned(b);
    }
}

unsafe fn load(from: *const u8) -> __m128i {
    // SAFETY: the caller's promise: 16 readable bytes.
    unsafe { _mm_loadu_si128(from.cast()) }
}

unsafe fn store(to: *mut u8, value: __m128i) {
    // SAFETY: the caller's promise: 16 writable bytes.
    unsafe { _mm_storeu_si128(to.cast(), value) }
}

/// Any count, `to` above `from`.
unsafe fn backward(to: *mut u8, from: *const u8, count: usize) {
    // SAFETY: within `count`; what is small reads all before it writes, else the first piece is read first.
    unsafe {
        if count <= 32 {
            return short(to, from, count);
        }
        let first = load(from);
        let mut at = count;
        while at > 16 {
            at -= 16;
            store(to.add(at), load(from.add(at)));
        }
        store(to, first);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn memset(to: *mut c_void, value: c_int, count: usize) -> *mut c_void {
    let bytes = u64::from(value as u8).wrapping_mul(0x0101_0101_0101_0101);
    let to8 = to.cast::<u8>();
    // SAFETY: every access stays within `count` bytes; SSE2 is part of x86-64.
    unsafe {
        if count >= LONG_FILL {
            asm!("rep stosb", inout("rcx") count => _, inout("rdi") to => _, in("al") value as u8,
                 options(nostack, preserves_flags));
        } else if count >= 16 {
            let piece = _mm_set1_epi8(value as i8);
            let mut at = 0;
            while at + 64 <= count {
                for part in [0, 16, 32, 48] {
                    store(to8.add(at + part), piece);
                }
                at += 64;
            }
            while at + 16 < count {
                store(to8.add(at), piece);
                at += 16;
            }
            store(to8.add(count - 16), piece);
        } else if count >= 8 {
            to8.cast::<u64>().write_unaligned(bytes);
            to8.add(count - 8).cast::<u64>().write_unaligned(bytes);
        } else {
            let mut at = 0;
            while at < count {
                to8.add(at).write_volatile(value as u8);
                at += 1;
            }
        }
    }
    to
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcmp(a: *const c_void, b: *const c_void, count: usize) -> c_int {
    let (a, b) = (a.cast::<u8>(), b.cast::<u8>());
    let mut at = 0;
    // SAFETY: both hold `count` bytes.
    unsafe {
        while at + 8 <= count {
            let (x, y) = (a.add(at).cast::<u64>().read_unaligned(), b.add(at).cast::<u64>().read_unaligned());
            if x != y {
                return if x.swap_bytes() < y.swap_bytes() { -1 } else { 1 };
            }
            at += 8;
        }
        while at < count {
            let (x, y) = (*a.add(at), *b.add(at));
            if x != y {
                return c_int::from(x) - c_int::from(y);
            }
            at += 1;
        }
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bcmp(a: *const c_void, b: *const c_void, count: usize) -> c_int {
    // SAFETY: the caller's promises.
    unsafe { memcmp(a, b, count) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strlen(text: *const c_char) -> usize {
    let mut length = 0;
    // SAFETY: the text ends with a zero.
    unsafe {
        while *text.add(length) != 0 {
            length += 1;
        }
    }
    length
}
