//! A file in memory, for the enclave to read.
#![expect(unsafe_code, reason = "a mapping, which is given away as an address")]

use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;

use twine_abi::wire::Status;

/// A read-only mapping that also shows what the file grows to. Nothing on this side ever reads it.
pub struct Map {
    start: NonNull<libc::c_void>,
    room: usize,
}

// SAFETY: owns addresses and gives out only their number.
unsafe impl Send for Map {}

impl Map {
    /// Maps `room` bytes from a file's start.
    pub fn new(file: impl AsFd, room: u64) -> Result<Self, Status> {
        let room = usize::try_from(room).map_err(|_| Status::Exhausted)?;
        let (protection, flags) = (libc::PROT_READ, libc::MAP_SHARED | libc::MAP_NORESERVE);
        // SAFETY: a new mapping, at addresses that the kernel chooses.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), room, protection, flags, file.as_fd().as_raw_fd(), 0) };
        match NonNull::new(start).filter(|_| start != libc::MAP_FAILED) {
            Some(start) => Ok(Self { start, room }),
            None => Err(Status::Exhausted),
        }
    }

    pub fn address(&self) -> u64 {
        self.start.as_ptr() as u64
    }

    pub fn room(&self) -> u64 {
        self.room as u64
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: this mapping, which nothing refers to on this side.
        unsafe { libc::munmap(self.start.as_ptr(), self.room) };
    }
}
