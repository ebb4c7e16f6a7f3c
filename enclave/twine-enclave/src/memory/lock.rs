//! A spin lock: the memory manager works below everything that could sleep.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

use crate::{fatal, tcb, thread};

pub struct Lock<T> {
    /// Number of the thread that holds it; 0: none.
    holder: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through the guard, and there is one guard at a time.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    pub const fn new(value: T) -> Self {
        Self { holder: AtomicU32::new(0), value: UnsafeCell::new(value) }
    }

    pub fn lock(&self) -> Guard<'_, T> {
        touch_stack();
        let own = thread::id();
        while let Err(holder) =
            self.holder.compare_exchange_weak(0, own, Ordering::Acquire, Ordering::Relaxed)
        {
            // The exception handler of a thread that faulted while it held the lock: a host that takes pages away.
            if holder == own {
                fatal::die("the host gives no memory", format_args!(": a fault within the memory manager"));
            }
            core::hint::spin_loop();
        }
        Guard(self)
    }
}

/// Commits the stack that a holder may need: its page faults would be answered under the lock that it holds. The
/// exception stack is there as a whole.
fn touch_stack() {
    if tcb::is_handling() {
        return;
    }
    // SAFETY: changes nothing in 16 KiB below what is in use of the own stack.
    unsafe {
        asm!(
            "or byte ptr [rsp - 0x1000], 0",
            "or byte ptr [rsp - 0x2000], 0",
            "or byte ptr [rsp - 0x3000], 0",
            "or byte ptr [rsp - 0x4000], 0",
        );
    }
}

pub struct Guard<'a, T>(&'a Lock<T>);

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the guard is the only one.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard is the only one.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.0.holder.store(0, Ordering::Release);
    }
}
