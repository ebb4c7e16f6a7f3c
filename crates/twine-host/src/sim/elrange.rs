//! The addresses of an enclave: one reservation, 4 KiB pages, protections as the processor would enforce them.
#![allow(unsafe_code)]

use std::io::Error;
use std::ops::Range;

use libc::{
    MAP_ANONYMOUS, MAP_FIXED_NOREPLACE, MAP_NORESERVE, MAP_PRIVATE, PROT_EXEC, PROT_NONE, PROT_READ,
    PROT_WRITE,
};
use twine_sgx::PAGE_SIZE;

use super::epcm::Page;
use crate::backend::{LoadError, PageError, Perms};

/// Enclaves lie in this range and nothing of the host does, so one range serves syscall user dispatch.
pub(super) const LOW: u64 = 0x80_0000_0000;
/// One past the last address that an enclave may have.
pub(super) const HIGH: u64 = 0x5000_0000_0000;

/// A reserved ELRANGE.
#[derive(Debug)]
pub(super) struct Elrange {
    base: u64,
    size: u64,
}

impl Elrange {
    /// Reserves `size` bytes (a power of two), naturally aligned and inaccessible.
    pub fn reserve(size: u64) -> Result<Self, LoadError> {
        let stride = size.max(LOW);
        let mut base = stride;
        while base.saturating_add(size) <= HIGH {
            // SAFETY: a new mapping that replaces nothing.
            let at = unsafe {
                libc::mmap(
                    base as *mut _,
                    size as usize,
                    PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
                    -1,
                    0,
                )
            };
            if at as u64 == base {
                let range = Self { base, size };
                // EPC pages are 4 KiB, and enclaves do not survive fork(2).
                for advice in [libc::MADV_NOHUGEPAGE, libc::MADV_DONTFORK, libc::MADV_DONTDUMP] {
                    range.advise(0..size / PAGE_SIZE, advice);
                }
                return Ok(range);
            }
            let error = Error::last_os_error();
            if at != libc::MAP_FAILED {
                // An old kernel takes MAP_FIXED_NOREPLACE for a hint.
                // SAFETY: the mapping was made above and nobody knows it.
                unsafe { libc::munmap(at, size as usize) };
            } else if error.raw_os_error() != Some(libc::EEXIST) {
                return Err(LoadError::System { call: "mmap", error });
            }
            base += stride;
        }
        Err(LoadError::Unsupported {
            what: "no free address range is large enough for the enclave",
            remedy: "unload another enclave, or raise the address-space limit (ulimit -v)",
        })
    }

    pub fn base(&self) -> u64 {
        self.base
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn contains(&self, address: u64) -> bool {
        address.wrapping_sub(self.base) < self.size
    }

    /// The page of an address inside.
    pub fn page(&self, address: u64) -> Page {
        (address - self.base) / PAGE_SIZE
    }

    /// First address of a page.
    pub fn address(&self, page: Page) -> u64 {
        self.base + page * PAGE_SIZE
    }

    fn bytes(&self, pages: &Range<Page>) -> (*mut libc::c_void, usize) {
        assert!(pages.start <= pages.end && pages.end <= self.size / PAGE_SIZE);
        (self.address(pages.start) as *mut _, ((pages.end - pages.start) * PAGE_SIZE) as usize)
    }

    /// Lets this process access the pages so.
    pub fn protect(&self, pages: Range<Page>, perms: Perms) -> Result<(), PageError> {
        let mut prot = PROT_NONE;
        for (perm, flag) in [
            (Perms::R, PROT_READ),
            (Perms::W, PROT_READ | PROT_WRITE),
            // Execute-only would hide instructions from the signal handler where the kernel has protection keys.
            (Perms::X, PROT_READ | PROT_EXEC),
        ] {
            if perms.contains(perm) {
                prot |= flag;
            }
        }
        let (at, len) = self.bytes(&pages);
        // SAFETY: pages of the reservation; what they hold is the enclave's, never a Rust object.
        if unsafe { libc::mprotect(at, len, prot) } == 0 {
            Ok(())
        } else {
            Err(PageError::System { call: "mprotect", error: Error::last_os_error() })
        }
    }

    fn advise(&self, pages: Range<Page>, advice: libc::c_int) {
        let (at, len) = self.bytes(&pages);
        // SAFETY: as in protect. Advice that an old kernel lacks costs fidelity only.
        unsafe { libc::madvise(at, len, advice) };
    }

    /// Gives the pages' memory back; they read as zero when they become accessible again.
    pub fn discard(&self, pages: Range<Page>) {
        self.advise(pages, libc::MADV_DONTNEED);
    }

    /// Faults writable pages in at once; where the kernel cannot, they fault when they are touched.
    pub fn populate(&self, pages: Range<Page>) {
        self.advise(pages, libc::MADV_POPULATE_WRITE);
    }

    /// Copies bytes to an address inside.
    ///
    /// # Safety
    /// The bytes at `address` are accessible for writing, and no other thread changes that meanwhile.
    pub unsafe fn write(&self, address: u64, bytes: &[u8]) {
        assert!(self.contains(address) && bytes.len() as u64 <= self.base + self.size - address);
        // SAFETY: inside the reservation, accessible by the caller's word.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, bytes.len()) };
    }

    /// Copies bytes from an address inside.
    ///
    /// # Safety
    /// The bytes at `address` are accessible for reading, and no other thread changes that meanwhile.
    pub unsafe fn read<const N: usize>(&self, address: u64) -> [u8; N] {
        assert!(self.contains(address) && N as u64 <= self.base + self.size - address);
        let mut bytes = [0; N];
        // SAFETY: inside the reservation, accessible by the caller's word.
        unsafe { std::ptr::copy_nonoverlapping(address as *const u8, bytes.as_mut_ptr(), N) };
        bytes
    }
}

impl Drop for Elrange {
    fn drop(&mut self) {
        // SAFETY: the reservation is ours, and no thread is inside while its enclave is being dropped.
        unsafe { libc::munmap(self.base as *mut _, self.size as usize) };
    }
}
