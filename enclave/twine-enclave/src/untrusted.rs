//! Copies across the border: aligned pieces of 8 bytes, each byte once (ÆPIC, MMIO stale data; CVE-2022-21233).

use core::arch::asm;

/// Copies words from untrusted memory at `from` (8-byte aligned) to `into`.
///
/// # Safety
/// `into.len()` rounded up to 8 bytes must be readable at `from`, outside ELRANGE.
pub unsafe fn copy_in(from: u64, into: &mut [u8]) {
    debug_assert_eq!(from % 8, 0);
    let whole = into.len() / 8;
    let rest = into.len() % 8;
    // SAFETY: the caller vouches for `from`; `into` holds `whole` words.
    unsafe {
        asm!("mfence", "lfence", "rep movsq",
             inout("rcx") whole => _, inout("rsi") from => _, inout("rdi") into.as_mut_ptr() => _,
             options(nostack, preserves_flags));
    }
    if rest != 0 {
        // SAFETY: the last word is readable as a whole.
        let word = unsafe { core::ptr::read_volatile((from + whole as u64 * 8) as *const u64) };
        into[whole * 8..].copy_from_slice(&word.to_le_bytes()[..rest]);
    }
    // SAFETY: a fence.
    unsafe { asm!("lfence", options(nostack, preserves_flags)) };
}

/// Copies `from` to untrusted memory at `to` (8-byte aligned), the last word padded with zeros.
///
/// # Safety
/// `from.len()` rounded up to 8 bytes must be writable at `to`, outside ELRANGE.
pub unsafe fn copy_out(from: &[u8], to: u64) {
    debug_assert_eq!(to % 8, 0);
    let whole = from.len() / 8;
    // SAFETY: the caller vouches for `to`; `from` holds `whole` words.
    unsafe {
        asm!("rep movsq",
             inout("rcx") whole => _, inout("rsi") from.as_ptr() => _, inout("rdi") to => _,
             options(nostack, preserves_flags));
    }
    let rest = &from[whole * 8..];
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        // SAFETY: the last word is writable as a whole.
        unsafe { core::ptr::write_volatile((to + whole as u64 * 8) as *mut u64, u64::from_le_bytes(word)) };
    }
    // SAFETY: fences.
    unsafe { asm!("mfence", "lfence", options(nostack, preserves_flags)) };
}
