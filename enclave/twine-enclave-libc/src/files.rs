//! Files: there are none. Diagnostics that std writes to descriptor 2 go to the log of a debug enclave.

use core::ffi::{c_char, c_int, c_void};

use twine_abi::calls::{Stream, Write};
use twine_abi::wire::MAX_PAYLOAD;
use twine_enclave::{border, identity};

use crate::errno::fail;

/// Functions that fail with one error whatever they are asked.
macro_rules! absent {
    ($($name:ident($($arg:ident: $type:ty),*) = $error:ident;)*) => {
        $(#[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> c_int {
            $(let _ = $arg;)*
            fail(libc::$error)
        })*
    };
}

absent! {
    open(path: *const c_char, flags: c_int) = ENOENT;
    open64(path: *const c_char, flags: c_int) = ENOENT;
    stat64(path: *const c_char, out: *mut c_void) = ENOENT;
    fstat64(fd: c_int, out: *mut c_void) = EBADF;
    close(fd: c_int) = EBADF;
    fcntl(fd: c_int, command: c_int) = EBADF;
    ioctl(fd: c_int, request: u64) = EBADF;
    dup2(from: c_int, to: c_int) = EBADF;
    poll(fds: *mut c_void, count: u64, timeout: c_int) = ENOSYS;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn read(_: c_int, _: *mut c_void, _: usize) -> isize {
    fail(libc::EBADF)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn readlink(_: *const c_char, _: *mut c_char, _: usize) -> isize {
    fail(libc::ENOENT)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn lseek64(_: c_int, _: i64, _: c_int) -> i64 {
    fail(libc::EBADF)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn realpath(_: *const c_char, _: *mut c_char) -> *mut c_char {
    fail::<i32>(libc::ENOENT);
    core::ptr::null_mut()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getcwd(_: *mut c_char, _: usize) -> *mut c_char {
    fail::<i32>(libc::ENOENT);
    core::ptr::null_mut()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, count: usize) -> isize {
    if fd != 2 {
        return fail(libc::EBADF);
    }
    if identity::is_debug() {
        // SAFETY: the caller gives `count` bytes.
        let bytes = unsafe { core::slice::from_raw_parts(bytes.cast::<u8>(), count.min(MAX_PAYLOAD)) };
        let _ = border::call(&Write { stream: Stream::Log as u64 }, bytes, &mut []);
    }
    count as isize
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn writev(fd: c_int, pieces: *const libc::iovec, count: c_int) -> isize {
    let mut total = 0;
    for i in 0..count {
        // SAFETY: the caller gives `count` pieces of as many bytes as each says.
        let written = unsafe {
            let piece = &*pieces.add(i as usize);
            write(fd, piece.iov_base, piece.iov_len)
        };
        if written < 0 {
            return written;
        }
        total += written;
    }
    total
}
