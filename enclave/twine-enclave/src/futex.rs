//! Waiting and waking inside: what std's locks, parking and joining stand on.
//!
//! Who waits for what is known here; the host only makes a thread sleep ([`Park`]) and stops that ([`Wake`]). A host
//! that wakes too early or too late costs time and nothing else.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use twine_abi::calls::{Park, Wake};
use twine_abi::layout::THREADS;

use crate::{border, clock, tcb};

/// Address that each slot waits on; 0: none.
static WAITING: [AtomicU64; THREADS] = [const { AtomicU64::new(0) }; THREADS];

/// Waits while `*futex == expected`, at most until `deadline` (monotonic nanoseconds). False: the deadline passed.
pub fn wait(futex: &AtomicU32, expected: u32, timeout: Option<Duration>) -> bool {
    let deadline = timeout.map(|timeout| {
        clock::monotonic().saturating_add(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX))
    });
    let slot = tcb::index();
    let address = core::ptr::from_ref(futex) as u64;
    // Announce first, then look: a waker that changes the value before our look finds the announcement after it.
    WAITING[slot].store(address, Ordering::SeqCst);
    while futex.load(Ordering::SeqCst) == expected && WAITING[slot].load(Ordering::SeqCst) == address {
        let left = match deadline {
            None => u64::MAX,
            Some(deadline) => match deadline.saturating_sub(clock::monotonic()) {
                0 => {
                    WAITING[slot].store(0, Ordering::SeqCst);
                    return false;
                }
                left => left,
            },
        };
        // A refusal is a spurious wake-up.
        let _ = border::call(&Park { slot: slot as u64, timeout: left }, &[], &mut []);
    }
    WAITING[slot].store(0, Ordering::SeqCst);
    true
}

/// Wakes at most `count` waiters; how many.
pub fn wake(futex: *const AtomicU32, count: usize) -> usize {
    let address = futex as u64;
    let mut woken = 0;
    for (slot, waiting) in WAITING.iter().enumerate() {
        if woken == count {
            break;
        }
        if waiting.compare_exchange(address, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            woken += 1;
            let _ = border::call(&Wake { slot: slot as u64 }, &[], &mut []);
        }
    }
    woken
}
