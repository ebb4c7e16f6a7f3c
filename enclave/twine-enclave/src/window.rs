//! Windows: memory of the host that the enclave only reads, and that stays where it is.

use crate::{layout, untrusted};

/// A stretch of memory outside, checked once. What is read from it is the host's word, and may be another at the next
/// read: it is copied in once and verified then. A place that is not there ends the enclave, as leaving it would.
pub struct Window {
    address: u64,
    length: u64,
}

impl Window {
    /// The window that the host names; `None` unless all of it lies outside and is aligned.
    pub fn new(address: u64, length: u64) -> Option<Self> {
        let usable = address != 0 && address.is_multiple_of(64) && layout::is_outside(address, length);
        usable.then_some(Self { address, length })
    }

    /// Copies what is at `offset`, a multiple of 8, to `into`; false if that is not all in the window.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> bool {
        let within =
            offset.checked_add(into.len() as u64).is_some_and(|end| end.next_multiple_of(8) <= self.length);
        if !within || !offset.is_multiple_of(8) {
            return false;
        }
        // SAFETY: aligned and outside, as `new` and the lines above have checked.
        unsafe { untrusted::copy_in(self.address + offset, into) };
        true
    }
}
