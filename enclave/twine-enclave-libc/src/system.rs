//! The process that is not one: time, environment, processors, the few system calls that std makes by number.

use core::ffi::{c_char, c_int, c_long, c_void};
use core::sync::atomic::AtomicU32;
use std::time::Duration;

use twine_abi::layout::{PAGE_SIZE, THREADS};
use twine_enclave::{clock, fatal, futex, heap, random};

use crate::errno::fail;

#[unsafe(no_mangle)]
pub extern "C" fn abort() -> ! {
    match heap::refused() {
        Some(size) => fatal::die("out of memory", format_args!(": {size} bytes were not to be had")),
        None => fatal::die("aborted", format_args!("")),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: c_int, out: *mut libc::timespec) -> c_int {
    let now = match clock {
        libc::CLOCK_REALTIME => clock::realtime(),
        libc::CLOCK_MONOTONIC | libc::CLOCK_BOOTTIME => clock::monotonic(),
        _ => return fail(libc::EINVAL),
    };
    // SAFETY: the caller's own.
    unsafe {
        (*out).tv_sec = (now / 1_000_000_000) as i64;
        (*out).tv_nsec = (now % 1_000_000_000) as i64;
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getenv(_: *const c_char) -> *mut c_char {
    core::ptr::null_mut()
}

#[unsafe(no_mangle)]
pub extern "C" fn getpid() -> c_int {
    1
}

#[unsafe(no_mangle)]
pub extern "C" fn sysconf(name: c_int) -> c_long {
    match name {
        libc::_SC_PAGESIZE => PAGE_SIZE as c_long,
        libc::_SC_NPROCESSORS_ONLN | libc::_SC_NPROCESSORS_CONF => THREADS as c_long,
        _ => fail(libc::EINVAL),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn sched_yield() -> c_int {
    core::hint::spin_loop();
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sched_getaffinity(_: c_int, _: usize, _: *mut c_void) -> c_int {
    fail(libc::EINVAL)
}

/// No library to look in.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dlsym(_: *mut c_void, _: *const c_char) -> *mut c_void {
    core::ptr::null_mut()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(bytes: *mut c_void, count: usize, _: u32) -> isize {
    // SAFETY: the caller gives `count` bytes to fill.
    random::fill(unsafe { core::slice::from_raw_parts_mut(bytes.cast(), count) });
    count as isize
}

/// What std and its friends reach by number. Anything else would be a mistake of ours.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall(number: c_long, a: u64, b: u64, c: u64, d: u64, _: u64, _: u64) -> c_long {
    match number {
        // SAFETY: std's arguments.
        libc::SYS_getrandom => unsafe { getrandom(a as *mut c_void, b as usize, c as u32) as c_long },
        // SAFETY: std's arguments.
        libc::SYS_futex => unsafe { futex_call(a, b as c_int, c as u32, d) },
        libc::SYS_gettid => twine_enclave::thread::id() as c_long,
        // Not needed where threads see each other's stores anyway; std only asks whether it is there.
        libc::SYS_membarrier => fail(libc::ENOSYS),
        _ => fatal::die("a system call that does not exist", format_args!(": {number}")),
    }
}

unsafe fn futex_call(word: u64, operation: c_int, value: u32, timeout: u64) -> c_long {
    const COMMAND: c_int = !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);
    let timeout = timeout as *const libc::timespec;
    // SAFETY: std gives a valid word and, for a wait, a timeout or none.
    unsafe {
        let word = word as *const AtomicU32;
        match operation & COMMAND {
            // std waits until an absolute monotonic time.
            libc::FUTEX_WAIT_BITSET if operation & libc::FUTEX_CLOCK_REALTIME == 0 => {
                let left = timeout.as_ref().map(|until| {
                    let until = Duration::new(until.tv_sec as u64, until.tv_nsec as u32);
                    until.saturating_sub(Duration::from_nanos(clock::monotonic()))
                });
                if futex::wait(&*word, value, left) { 0 } else { fail(libc::ETIMEDOUT) }
            }
            libc::FUTEX_WAKE => futex::wake(word, value as usize) as c_long,
            other => fatal::die("a futex operation that does not exist", format_args!(": {other}")),
        }
    }
}

/// std asks for it weakly, which the link does not allow to stay open.
#[unsafe(no_mangle)]
pub extern "C" fn gettid() -> c_int {
    twine_enclave::thread::id() as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn statx(_: c_int, _: *const c_char, _: c_int, _: u32, _: *mut c_void) -> c_int {
    fail(libc::ENOSYS)
}

/// Thread-local access is local-exec in a linked image; the reference that the compiler leaves behind is never called.
#[unsafe(no_mangle)]
pub extern "C" fn __tls_get_addr() -> ! {
    fatal::die("dynamic thread-local storage in a static image", format_args!(""))
}

/// std would look here for the size of signal frames; there are none.
#[unsafe(no_mangle)]
pub extern "C" fn getauxval(_: u64) -> u64 {
    0
}

/// std waits here for a signal that never comes.
#[unsafe(no_mangle)]
pub extern "C" fn pause() -> ! {
    fatal::die("waited for a signal", format_args!(""))
}
