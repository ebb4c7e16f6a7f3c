//! The wall-clock limit: ask first, drop the enclave later.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;

use super::thread::Shared;

/// How long an enclave may take to end in order, after it was asked to stop.
const GRACE: Duration = Duration::from_millis(500);
/// How often a thread that runs on is interrupted again.
const NUDGE: Duration = Duration::from_millis(10);

const RUNNING: u8 = 0;
const STOPPING: u8 = 1;
const DROPPED: u8 = 2;

/// Where a run stands.
pub struct Stop {
    state: AtomicU8,
    finished: Mutex<bool>,
    changed: Condvar,
    /// Readable from the moment that the enclave is asked to stop: wakes threads that wait in a host call.
    pub event: Option<OwnedFd>,
}

impl Stop {
    pub fn new() -> Self {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok();
        Self { state: AtomicU8::new(RUNNING), finished: Mutex::new(false), changed: Condvar::new(), event }
    }

    /// The enclave has been or shall be asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.state.load(Ordering::Acquire) != RUNNING
    }

    /// The enclave is not entered again.
    pub fn is_dropped(&self) -> bool {
        self.state.load(Ordering::Acquire) == DROPPED
    }

    /// The run is over.
    pub fn finish(&self) {
        *self.finished.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits until the run is over; false: the time passed first.
    fn wait_finished(&self, time: Duration) -> bool {
        let finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        let (finished, _) = self
            .changed
            .wait_timeout_while(finished, time, |finished| !*finished)
            .unwrap_or_else(PoisonError::into_inner);
        *finished
    }

    fn advance(&self, state: u8) {
        self.state.store(state, Ordering::Release);
        if let Some(event) = &self.event {
            let _ = rustix::io::write(event, &1u64.to_ne_bytes());
        }
    }
}

/// Starts the watchdog of a run that has a limit.
pub fn watch(shared: &Arc<Shared>) -> Option<JoinHandle<()>> {
    let limit = shared.timeout?;
    let shared = shared.clone();
    Some(std::thread::spawn(move || {
        if shared.stop.wait_finished(limit) {
            return;
        }
        shared.stop.advance(STOPPING);
        for _ in 0..GRACE.as_millis() / NUDGE.as_millis() {
            shared.interrupt_all();
            if shared.stop.wait_finished(NUDGE) {
                return;
            }
        }
        drop_enclave(&shared);
    }))
}

/// Makes every thread leave for good; returns when the run is over.
pub fn drop_enclave(shared: &Shared) {
    shared.stop.advance(DROPPED);
    while !shared.stop.wait_finished(NUDGE) {
        shared.interrupt_all();
    }
}
