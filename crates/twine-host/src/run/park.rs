//! Where parked enclave threads sleep.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// One slot's bed: a wake-up that comes first is kept.
#[derive(Default)]
pub struct Bed {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Bed {
    /// Sleeps until [`Bed::wake`] or the timeout.
    pub fn sleep(&self, timeout: Option<Duration>) {
        let woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut woken = match timeout {
            None => self.changed.wait_while(woken, |woken| !*woken).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                self.changed
                    .wait_timeout_while(woken, timeout, |woken| !*woken)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        *woken = false;
    }

    /// Wakes the sleeper, or the next one at once.
    pub fn wake(&self) {
        *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }
}
