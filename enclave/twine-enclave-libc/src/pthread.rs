//! Threads, and values that belong to them.

use core::cell::RefCell;
use core::ffi::{c_char, c_int, c_void};
use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use twine_enclave::{fatal, futex, thread};

type Start = extern "C" fn(*mut c_void) -> *mut c_void;
type Destructor = unsafe extern "C" fn(*mut c_void);

/// What a `pthread_t` points to; freed by join, or by the thread itself once detached.
struct Thread {
    /// See the states below.
    state: AtomicU32,
}

const RUNNING: u32 = 0;
const FINISHED: u32 = 1;
const DETACHED: u32 = 2;

struct Argument(Start, *mut c_void, *const Thread);

// SAFETY: pthread_create hands the pointer over to the new thread, which is its purpose.
unsafe impl Send for Argument {}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_create(
    out: *mut usize,
    _: *const c_void,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    let handle: *const Thread = Box::into_raw(Box::new(Thread { state: AtomicU32::new(RUNNING) }));
    let argument = Argument(start, argument, handle);
    let spawned = thread::spawn(Box::new(move || {
        let Argument(start, argument, handle) = { argument };
        start(argument);
        run_destructors();
        // SAFETY: the handle lives until it is joined, or until the detached thread frees it here.
        let end: thread::End = Box::new(move || unsafe {
            if (*handle).state.swap(FINISHED, Ordering::AcqRel) == DETACHED {
                drop(Box::from_raw(handle.cast_mut()));
            } else {
                futex::wake(&raw const (*handle).state, 1);
            }
        });
        end
    }));
    match spawned {
        Ok(()) => {
            // SAFETY: the caller's own.
            unsafe { *out = handle as usize };
            0
        }
        Err(_) => {
            // SAFETY: nobody else has it.
            drop(unsafe { Box::from_raw(handle.cast_mut()) });
            libc::EAGAIN
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_join(handle: usize, _: *mut *mut c_void) -> c_int {
    let handle = handle as *mut Thread;
    // SAFETY: a handle that was neither joined nor detached.
    unsafe {
        while (*handle).state.load(Ordering::Acquire) != FINISHED {
            futex::wait(&(*handle).state, RUNNING, None);
        }
        drop(Box::from_raw(handle));
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_detach(handle: usize) -> c_int {
    let handle = handle as *mut Thread;
    // SAFETY: a handle that was neither joined nor detached.
    unsafe {
        if (*handle).state.swap(DETACHED, Ordering::AcqRel) == FINISHED {
            drop(Box::from_raw(handle));
        }
    }
    0
}

#[unsafe(no_mangle)]
pub extern "C" fn pthread_self() -> usize {
    thread::id() as usize
}

/// Functions that have nothing to do: every stack is the same, names are for debuggers.
macro_rules! accepted {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {
        $(#[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> c_int {
            $(let _ = $arg;)*
            0
        })*
    };
}

accepted! {
    pthread_attr_init(attributes: *mut c_void);
    pthread_attr_destroy(attributes: *mut c_void);
    pthread_attr_setstacksize(attributes: *mut c_void, size: usize);
    pthread_setname_np(handle: usize, name: *const c_char);
    pthread_atfork(prepare: usize, parent: usize, child: usize);
}

/// Functions that would describe a thread's stack, for a handler of stack overflows; guard pages end the enclave here.
macro_rules! refused {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {
        $(#[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> c_int {
            $(let _ = $arg;)*
            libc::ENOSYS
        })*
    };
}

refused! {
    pthread_getattr_np(handle: usize, attributes: *mut c_void);
    pthread_attr_getguardsize(attributes: *const c_void, size: *mut usize);
    pthread_attr_getstack(attributes: *const c_void, address: *mut *mut c_void, size: *mut usize);
}

/// Destructors by key; 0: the key is free, 1: taken without one.
static KEYS: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];

thread_local! {
    static VALUES: RefCell<[usize; 64]> = const { RefCell::new([0; 64]) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_key_create(key: *mut u32, destructor: Option<Destructor>) -> c_int {
    let taken = destructor.map_or(1, |destructor| destructor as usize);
    // Key 0 stays unused: std takes it for "none yet".
    let free = (1..KEYS.len())
        .find(|&index| KEYS[index].compare_exchange(0, taken, Ordering::AcqRel, Ordering::Relaxed).is_ok());
    match free {
        Some(index) => {
            // SAFETY: the caller's own.
            unsafe { *key = index as u32 };
            0
        }
        None => libc::EAGAIN,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn pthread_key_delete(key: u32) -> c_int {
    if let Some(slot) = KEYS.get(key as usize) {
        slot.store(0, Ordering::Release);
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_setspecific(key: u32, value: *const c_void) -> c_int {
    VALUES.with_borrow_mut(|values| match values.get_mut(key as usize) {
        Some(slot) => {
            *slot = value as usize;
            0
        }
        None => libc::EINVAL,
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_getspecific(key: u32) -> *mut c_void {
    VALUES.with_borrow(|values| values.get(key as usize).copied().unwrap_or_default()) as *mut c_void
}

thread_local! {
    /// Destructors of std's thread-local values, in the order of registration.
    static AT_EXIT: RefCell<ManuallyDrop<Vec<(Destructor, usize)>>> =
        const { RefCell::new(ManuallyDrop::new(Vec::new())) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __cxa_thread_atexit_impl(
    destructor: Destructor,
    value: *mut c_void,
    _: *mut c_void,
) -> c_int {
    AT_EXIT.with_borrow_mut(|list| list.push((destructor, value as usize)));
    0
}

/// The crate `getrandom` takes a mutex before it opens /dev/urandom, which it never does: its first way does not fail.
#[unsafe(no_mangle)]
pub extern "C" fn pthread_mutex_lock(_: *mut c_void) -> c_int {
    fatal::die("random numbers from a file", format_args!(""))
}

/// As above.
#[unsafe(no_mangle)]
pub extern "C" fn pthread_mutex_unlock(_: *mut c_void) -> c_int {
    fatal::die("random numbers from a file", format_args!(""))
}

/// Runs what the thread's values ask for; a destructor may set values again, a few times (POSIX: at least 4).
fn run_destructors() {
    while let Some((destructor, value)) = AT_EXIT.with_borrow_mut(|list| list.pop()) {
        // SAFETY: std registered the pair for this moment.
        unsafe { destructor(value as *mut c_void) };
    }
    AT_EXIT.with_borrow_mut(|list| list.shrink_to_fit());
    for _ in 0..4 {
        let mut again = false;
        for (index, key) in KEYS.iter().enumerate() {
            let destructor = key.load(Ordering::Acquire);
            let value = VALUES.with_borrow_mut(|values| core::mem::take(&mut values[index]));
            if destructor > 1 && value != 0 {
                again = true;
                // SAFETY: only `pthread_key_create` stores there, and it stores a destructor for this value.
                unsafe { core::mem::transmute::<usize, Destructor>(destructor)(value as *mut c_void) };
            }
        }
        if !again {
            return;
        }
    }
}
