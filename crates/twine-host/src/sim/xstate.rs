//! Extended state: between a signal frame and the XSAVE area of an SSA frame.
#![allow(unsafe_code)]

use std::arch::x86_64::{__cpuid_count, _xgetbv};
use std::sync::LazyLock;

/// Legacy region and XSAVE header.
const HEADER_END: usize = 576;
const XSTATE_BV: usize = 512;
const MXCSR: usize = 24;
const MXCSR_INIT: u32 = 0x1F80;
const FCW_INIT: u16 = 0x037F;
/// Components that an enclave may have here: x87, SSE, AVX, AVX-512, PKRU. AMX does not fit a signal frame of default size.
const SIMULATED: u64 = 0x2E7;

struct Layout {
    supported: u64,
    /// Offset and size of each component in the standard form.
    components: [(usize, usize); 64],
}

static LAYOUT: LazyLock<Layout> = LazyLock::new(|| {
    let leaf1 = __cpuid_count(1, 0);
    let osxsave = leaf1.ecx >> 27 & 1 == 1;
    // SAFETY: XGETBV exists where OSXSAVE says so.
    let xcr0 = if osxsave { unsafe { xcr0() } } else { 3 };
    let mut components = [(0, 0); 64];
    for (i, component) in components.iter_mut().enumerate().skip(2) {
        if xcr0 >> i & 1 == 1 {
            let leaf = __cpuid_count(0xD, i as u32);
            *component = (leaf.ebx as usize, leaf.eax as usize);
        }
    }
    Layout { supported: xcr0 & SIMULATED, components }
});

#[target_feature(enable = "xsave")]
fn xcr0() -> u64 {
    // SAFETY: register 0 exists with XSAVE.
    unsafe { _xgetbv(0) }
}

/// The XFRM bits that an enclave may have.
pub(super) fn supported() -> u64 {
    LAYOUT.supported
}

/// Bytes of the XSAVE area for `xfrm`, standard form.
pub(super) fn area_size(xfrm: u64) -> u64 {
    let ends =
        (2..64).filter(|i| xfrm >> i & 1 == 1).map(|i| LAYOUT.components[i].0 + LAYOUT.components[i].1);
    ends.fold(HEADER_END, usize::max) as u64
}

/// The XSAVE area of a signal frame.
#[derive(Clone, Copy)]
pub(super) struct Area(*mut u8);

impl Area {
    /// # Safety
    /// `area` is the fpstate pointer of a live signal frame that the kernel wrote with XSAVE.
    pub unsafe fn new(area: *mut u8) -> Self {
        Self(area)
    }

    fn get<const N: usize>(self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        // SAFETY: inside the area by the constructor's contract.
        unsafe { std::ptr::copy_nonoverlapping(self.0.add(at), bytes.as_mut_ptr(), N) };
        bytes
    }

    fn set(self, at: usize, bytes: &[u8]) {
        // SAFETY: as in get.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0.add(at), bytes.len()) };
    }

    fn slice<'a>(self, (at, len): (usize, usize)) -> &'a [u8] {
        // SAFETY: as in get; nobody writes the frame while the slice is in use, which is within one statement below.
        unsafe { std::slice::from_raw_parts(self.0.add(at), len) }
    }

    /// What an asynchronous exit saves (XSAVE with XFRM) goes to `ssa`, which is zero; the frame gets the initial state.
    pub fn save_and_init(self, xfrm: u64, ssa: &mut [u8]) {
        self.save(xfrm, ssa);
        let present = u64::from_le_bytes(self.get(XSTATE_BV));
        self.set(XSTATE_BV, &(present & !xfrm).to_le_bytes());
        self.set(MXCSR, &MXCSR_INIT.to_le_bytes());
    }

    /// A state that no code expects: a full x87 stack in single precision, FTZ, DAZ and rounding towards zero, exceptions
    /// unmasked, something in every vector register.
    pub fn dirty(self) {
        self.set(0, &0x0000_u16.to_le_bytes());
        self.set(2, &0x0000_u16.to_le_bytes());
        self.set(4, &[0xFF]);
        self.set(MXCSR, &0xE040_u32.to_le_bytes());
        self.set(32, &[0xA5; 128 + 256]);
        let (at, len) = LAYOUT.components[2];
        (0..len).for_each(|byte| self.set(at + byte, &[0x5A]));
        let present = u64::from_le_bytes(self.get(XSTATE_BV));
        self.set(XSTATE_BV, &(present | LAYOUT.supported & 7).to_le_bytes());
    }

    /// XSAVE with XFRM to `ssa`, which is zero.
    pub fn save(self, xfrm: u64, ssa: &mut [u8]) {
        let present = u64::from_le_bytes(self.get(XSTATE_BV));
        let saved = present & xfrm;
        let Some((legacy, rest)) = ssa.split_at_mut_checked(HEADER_END) else { return };
        legacy[..2].copy_from_slice(&FCW_INIT.to_le_bytes());
        if saved & 1 != 0 {
            legacy[..MXCSR].copy_from_slice(self.slice((0, MXCSR)));
            legacy[32..160].copy_from_slice(self.slice((32, 128)));
        }
        // XSAVE writes MXCSR whatever XSTATE_BV says.
        legacy[MXCSR..MXCSR + 4].copy_from_slice(&self.get::<4>(MXCSR));
        legacy[MXCSR + 4..32].copy_from_slice(&0xFFFF_u32.to_le_bytes());
        if saved & 2 != 0 {
            legacy[160..416].copy_from_slice(self.slice((160, 256)));
        }
        legacy[XSTATE_BV..XSTATE_BV + 8].copy_from_slice(&saved.to_le_bytes());
        for i in (2..64).filter(|i| saved >> i & 1 == 1) {
            let (at, len) = LAYOUT.components[i];
            if let Some(to) = rest.get_mut(at - HEADER_END..at - HEADER_END + len) {
                to.copy_from_slice(self.slice((at, len)));
            }
        }
    }

    /// What ERESUME restores (XRSTOR with XFRM).
    ///
    /// # Errors
    /// What #GP XRSTOR would raise; the frame is unchanged then.
    pub fn restore(self, xfrm: u64, ssa: &[u8]) -> Result<(), &'static str> {
        let Some((legacy, rest)) = ssa.split_at_checked(HEADER_END) else { return Err("no XSAVE area") };
        let mut word = [0; 8];
        word.copy_from_slice(&legacy[XSTATE_BV..XSTATE_BV + 8]);
        let saved = u64::from_le_bytes(word);
        if saved & !xfrm != 0 || legacy[XSTATE_BV + 8..].iter().any(|b| *b != 0) {
            return Err("the XSAVE header in the SSA is invalid");
        }
        if legacy[MXCSR + 2..MXCSR + 4] != [0, 0] {
            return Err("MXCSR in the SSA has a reserved bit set");
        }
        self.set(0, &legacy[..MXCSR + 4]);
        self.set(32, &legacy[32..416]);
        for i in (2..64).filter(|i| saved >> i & 1 == 1) {
            let (at, len) = LAYOUT.components[i];
            if let Some(from) = rest.get(at - HEADER_END..at - HEADER_END + len) {
                self.set(at, from);
            }
        }
        let present = u64::from_le_bytes(self.get(XSTATE_BV));
        self.set(XSTATE_BV, &(present & !xfrm | saved).to_le_bytes());
        Ok(())
    }
}
