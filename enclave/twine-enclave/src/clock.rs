//! Time, the host's word, read without an exit.
//!
//! The host tells its clocks at a sync; between two syncs time is the time-stamp counter times a rate that is learnt
//! from the syncs themselves. RDTSC is legal in enclaves of processors with SGX2 (SDM Vol. 3D, "Illegal instructions
//! inside an enclave") and worth as much as an exit's answer: the host sets both. What the enclave adds is that
//! monotonic time never runs backwards, whatever the host says.

use core::arch::global_asm;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;
use twine_abi::calls::Clock;

use crate::border;

global_asm!(
    ".section .text.twine_rdtsc,\"ax\",@progbits",
    ".globl twine_rdtsc",
    ".type twine_rdtsc,@function",
    "twine_rdtsc:",
    "rdtsc",
    "shl rdx, 32",
    "or rax, rdx",
    "ret",
    ".size twine_rdtsc, . - twine_rdtsc",
);

unsafe extern "C" {
    fn twine_rdtsc() -> u64;
}

/// Nanoseconds for which a rate learnt over a shorter time is used: a tenth of what it was learnt over, within these.
const TRUST: (u64, u64) = (1_000_000, 100_000_000);

/// One answer of the host and the counter around it.
#[derive(Clone, Copy)]
struct Sync {
    counter: u64,
    monotonic: u64,
    realtime: u64,
}

struct State {
    first: Sync,
    last: Sync,
    /// Counter value at which the next sync is due.
    due: u64,
    /// Nanoseconds per count, times 2^32; 0: not known yet.
    rate: u64,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);
static MONOTONIC: AtomicU64 = AtomicU64::new(0);

/// Host's CLOCK_MONOTONIC in nanoseconds; never smaller than any answer before.
pub fn monotonic() -> u64 {
    let now = now().0;
    now.max(MONOTONIC.fetch_max(now, Ordering::Relaxed))
}

/// Host's CLOCK_REALTIME in nanoseconds since 1970-01-01 UTC.
pub fn realtime() -> u64 {
    now().1
}

fn now() -> (u64, u64) {
    // SAFETY: reads a counter.
    let counter = unsafe { twine_rdtsc() };
    let mut slot = STATE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(state) = slot.as_ref()
        && counter >= state.last.counter
        && counter < state.due
    {
        let passed = ((u128::from(counter - state.last.counter) * u128::from(state.rate)) >> 32) as u64;
        return (state.last.monotonic.saturating_add(passed), state.last.realtime.saturating_add(passed));
    }
    let sync = ask();
    let state = slot.get_or_insert(State { first: sync, last: sync, due: 0, rate: 0 });
    let (counts, nanoseconds) = (
        sync.counter.saturating_sub(state.first.counter),
        sync.monotonic.saturating_sub(state.first.monotonic),
    );
    // The host may say anything: a rate is taken only where it can be one (0.1 to 10 GHz).
    if counts / 10 <= nanoseconds && nanoseconds <= counts.saturating_mul(10) && nanoseconds > 100_000 {
        let trust = (nanoseconds / 10).clamp(TRUST.0, TRUST.1);
        state.rate = ((u128::from(nanoseconds) << 32) / u128::from(counts.max(1))) as u64;
        state.due = sync
            .counter
            .saturating_add((u128::from(trust) * u128::from(counts) / u128::from(nanoseconds)) as u64);
    }
    state.last = sync;
    (sync.monotonic, sync.realtime)
}

fn ask() -> Sync {
    match border::call(&Clock {}, &[], &mut []) {
        Ok((reply, _)) => {
            // SAFETY: reads a counter.
            let counter = unsafe { twine_rdtsc() };
            Sync { counter, monotonic: reply.monotonic, realtime: reply.realtime }
        }
        Err(status) => crate::fatal::die("the host has no clock", format_args!(": {status:?}")),
    }
}
