//! The untrusted buffer of one thread: the memory that both sides use.
#![expect(unsafe_code, reason = "memory that both sides of the border use")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

use twine_abi::wire::BUFFER_SIZE;

const LAYOUT: Layout = match Layout::from_size_align(BUFFER_SIZE, 4096) {
    Ok(layout) => layout,
    Err(_) => panic!("a constant size and alignment"),
};

/// Memory that the enclave reads and writes while its thread is inside, and we do while it is not.
pub struct Buffer(*mut u8);

impl Buffer {
    pub fn new() -> Self {
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(LAYOUT) };
        if memory.is_null() {
            handle_alloc_error(LAYOUT);
        }
        Self(memory)
    }

    pub fn address(&self) -> u64 {
        self.0 as u64
    }

    /// The contents; the thread that owns the buffer must not be inside.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: allocated with this size, initialised, and borrowed through `&mut self` alone.
        unsafe { std::slice::from_raw_parts_mut(self.0, BUFFER_SIZE) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.0, LAYOUT) };
    }
}
