//! The state that the processor keeps of a TCS.

use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use twine_sgx::Tcs;

/// A TCS of an initialised enclave. Its page is nobody's to touch, so the processor's copy is the only one.
#[derive(Debug)]
pub(super) struct TcsState {
    /// Address.
    pub address: u64,
    pub ossa: u64,
    pub nssa: u32,
    pub oentry: u64,
    pub ofsbasgx: u64,
    pub ogsbasgx: u64,
    /// Changed by the thread inside only.
    pub cssa: AtomicU32,
    pub aep: AtomicU64,
    /// The thread inside; 0 if none.
    thread: AtomicI32,
}

impl TcsState {
    pub fn new(address: u64, tcs: &Tcs) -> Self {
        Self {
            address,
            ossa: tcs.ossa,
            nssa: tcs.nssa,
            oentry: tcs.oentry,
            ofsbasgx: tcs.ofsbasgx,
            ogsbasgx: tcs.ogsbasgx,
            cssa: AtomicU32::new(tcs.cssa),
            aep: AtomicU64::new(0),
            thread: AtomicI32::new(0),
        }
    }

    /// Takes the TCS for `thread`, unless one is inside.
    pub fn acquire(&self, thread: i32) -> bool {
        self.thread.compare_exchange(0, thread, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    pub fn release(&self) {
        self.thread.store(0, Ordering::Release);
    }

    /// The thread inside; 0 if none.
    pub fn thread(&self) -> i32 {
        self.thread.load(Ordering::Relaxed)
    }
}
