//! The loops around EACCEPT and EMODPE that the image has (their bytes are the contract): all iterations run at the first
//! trap, which costs one mprotect per run of pages instead of a trap per page. The outcome is that of the loop, always.
#![allow(unsafe_code)]

use std::ops::Range;

use twine_sgx::{PAGE_SIZE, leaf};

use crate::backend::Perms;
use crate::sim::enclave::{Pages, SimEnclave};
use crate::sim::epcm::Page;
use crate::sim::frame::{Frame, Reg, flag};

/// What follows ENCLU in the accept loop; the byte at `JNE_TARGET` is free.
///
/// ```text
/// 1: enclu; test eax, eax; jne 2f; add rcx, 0x1000; mov eax, 5; cmp rcx, rdx; jb 1b; 2:
/// ```
const ACCEPT: [u8; 21] = [
    0x85, 0xC0, 0x75, 0, 0x48, 0x81, 0xC1, 0x00, 0x10, 0x00, 0x00, 0xB8, 5, 0, 0, 0, 0x48, 0x39, 0xD1, 0x72,
    0xE8,
];
const JNE_TARGET: usize = 3;

/// What follows ENCLU in the extend loop: EMODPE reports nothing in RAX.
///
/// ```text
/// 1: enclu; add rcx, 0x1000; mov eax, 6; cmp rcx, rdx; jb 1b
/// ```
const EXTEND: [u8; 17] =
    [0x48, 0x81, 0xC1, 0x00, 0x10, 0x00, 0x00, 0xB8, 6, 0, 0, 0, 0x48, 0x39, 0xD1, 0x72, 0xEC];

/// The pages that a leaf at RIP is to be executed for.
pub(super) struct Run {
    /// Never empty; one page if there is no loop.
    pub pages: Range<Page>,
    /// Where the loop ends, if there is one.
    end: Option<u64>,
}

/// The run that begins at the page in RCX, which lies in ELRANGE, with the number of pages the loop counts to.
pub(super) fn recognise(enclave: &SimEnclave, pages: &Pages, frame: &Frame) -> Run {
    let (first, stop) = (frame.get(Reg::Rcx), frame.get(Reg::Rdx));
    let page = enclave.elrange().page(first);
    let single = Run { pages: page..page + 1, end: None };
    let after = frame.get(Reg::Rip).wrapping_add(leaf::ENCLU.len() as u64);
    // A loop that runs on past ELRANGE faults there, and that iteration is executed by itself.
    let limit = (enclave.elrange().base() + enclave.elrange().size()).min(stop);
    let len = match frame.get(Reg::Rax) as u32 {
        leaf::EACCEPT => code(enclave, pages, after)
            .filter(|code: &[u8; ACCEPT.len()]| {
                let (head, tail) = code.split_at(JNE_TARGET);
                head == &ACCEPT[..JNE_TARGET] && tail[1..] == ACCEPT[JNE_TARGET + 1..]
            })
            .map(|_| ACCEPT.len()),
        _ => code(enclave, pages, after).filter(|code| *code == EXTEND).map(|_| EXTEND.len()),
    };
    match len {
        Some(len) if first < limit => {
            Run { pages: page..page + (limit - first).div_ceil(PAGE_SIZE), end: Some(after + len as u64) }
        }
        _ => single,
    }
}

/// The code at an address, as far as it can be executed.
fn code<const N: usize>(enclave: &SimEnclave, pages: &Pages, at: u64) -> Option<[u8; N]> {
    if !executable(enclave, pages, at) || !executable(enclave, pages, at + N as u64 - 1) {
        return None;
    }
    // SAFETY: both ends are in readable pages, at most one page apart, and the lock on the pages keeps them so.
    Some(unsafe { enclave.elrange().read(at) })
}

impl Run {
    /// Leaves the registers as the loop has them after `done` successful iterations: at the ENCLU for the next page, or
    /// behind the loop if that was the last. Answers where execution goes on, none if at the ENCLU again.
    pub fn advance(&self, frame: &mut Frame, done: u64) -> Option<u64> {
        let end = self.end?;
        let next = frame.get(Reg::Rcx).wrapping_add(done * PAGE_SIZE);
        frame.set(Reg::Rcx, next);
        let stop = frame.get(Reg::Rdx);
        let status = compare(next, stop);
        frame.set(Reg::Rflags, frame.get(Reg::Rflags) & !flag::STATUS | status);
        (status & flag::CF == 0).then_some(end)
    }
}

fn executable(enclave: &SimEnclave, pages: &Pages, address: u64) -> bool {
    let allowed = |page| pages.epcm.get(page).0.is_some_and(|entry| entry.access().contains(Perms::X));
    enclave.elrange().contains(address) && allowed(enclave.elrange().page(address))
}

/// The status flags after `cmp a, b`.
fn compare(a: u64, b: u64) -> u64 {
    let (difference, borrow) = a.overflowing_sub(b);
    let overflow = (a ^ b) & (a ^ difference);
    let bits = [
        (borrow, flag::CF),
        ((difference as u8).count_ones().is_multiple_of(2), flag::PF),
        ((a ^ b ^ difference) & 0x10 != 0, flag::AF),
        (difference == 0, flag::ZF),
        (difference >> 63 == 1, flag::SF),
        (overflow >> 63 == 1, flag::OF),
    ];
    bits.iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_agrees_with_the_processor() {
        let values = [0, 1, 0x10, 0xFF, 0x1000, 1 << 39, 1 << 63, u64::MAX];
        for a in values {
            for b in values {
                let flags: u64;
                // SAFETY: compares two registers.
                unsafe {
                    std::arch::asm!("cmp {a}, {b}", "pushfq", "pop {f}", a = in(reg) a, b = in(reg) b, f = out(reg) flags);
                }
                assert_eq!(compare(a, b), flags & flag::STATUS, "cmp {a:#x}, {b:#x}");
            }
        }
    }
}
