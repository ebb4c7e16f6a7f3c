//! `errno` and its words.

use core::ffi::{c_char, c_int};

/// Sets `errno` and answers -1.
pub fn fail<T: From<i8>>(error: c_int) -> T {
    // SAFETY: the word is the current thread's own.
    unsafe { *__errno_location() = error };
    T::from(-1)
}

#[unsafe(no_mangle)]
pub extern "C" fn __errno_location() -> *mut c_int {
    twine_enclave::errno()
}

/// strerror_r (XSI): the number is all there is to say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __xpg_strerror_r(error: c_int, buffer: *mut c_char, size: usize) -> c_int {
    let text = format!("error {error}\0");
    if text.len() > size {
        return libc::ERANGE;
    }
    // SAFETY: the caller gives `size` bytes, and the text fits.
    unsafe { core::ptr::copy_nonoverlapping(text.as_ptr().cast(), buffer, text.len()) };
    0
}
