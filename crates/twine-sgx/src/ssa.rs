//! A frame of the State Save Area (SDM section "State Save Area (SSA) Frame").
//!
//! A frame of SSAFRAMESIZE pages starts with the XSAVE area (standard form) and ends with [`Gprsgx`]; what
//! MISCSELECT asks for grows downwards from there, so [`Exinfo`] is the 16 bytes before [`Gprsgx`].

use crate::field::{Field, structure};

/// EXITINFO: why an asynchronous exit happened (SDM table "Layout of EXITINFO Field").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exitinfo(pub u32);

impl Exitinfo {
    /// Exit type of an exception that the hardware raised.
    pub const HARDWARE: u8 = 0b011;
    /// Exit type of INT3 and INTO.
    pub const SOFTWARE: u8 = 0b110;

    /// Exception `vector` of type [`Exitinfo::HARDWARE`] or [`Exitinfo::SOFTWARE`], VALID.
    pub const fn exception(vector: u8, exit_type: u8) -> Self {
        Self(1 << 31 | ((exit_type & 7) as u32) << 8 | vector as u32)
    }

    /// Whether the exit was an exception that the enclave may see; all else is zero if not.
    pub const fn valid(self) -> bool {
        self.0 >> 31 != 0
    }

    /// The exception's [`vector`].
    pub const fn vector(self) -> u8 {
        self.0 as u8
    }

    /// [`Exitinfo::HARDWARE`] or [`Exitinfo::SOFTWARE`].
    pub const fn exit_type(self) -> u8 {
        (self.0 >> 8 & 7) as u8
    }
}

impl Field for Exitinfo {
    const SIZE: usize = 4;
    fn put(&self, out: &mut [u8]) {
        self.0.put(out);
    }
    fn get(bytes: &[u8]) -> Self {
        Self(u32::get(bytes))
    }
}

structure! {
    /// General registers of an interrupted enclave (SDM table "Layout of GPRSGX Portion of the State Save Area").
    Gprsgx, "GPRSGX", 184 {
        /// RAX.
        0 => rax: u64,
        /// RCX.
        8 => rcx: u64,
        /// RDX.
        16 => rdx: u64,
        /// RBX.
        24 => rbx: u64,
        /// RSP inside.
        32 => rsp: u64,
        /// RBP inside.
        40 => rbp: u64,
        /// RSI.
        48 => rsi: u64,
        /// RDI.
        56 => rdi: u64,
        /// R8.
        64 => r8: u64,
        /// R9.
        72 => r9: u64,
        /// R10.
        80 => r10: u64,
        /// R11.
        88 => r11: u64,
        /// R12.
        96 => r12: u64,
        /// R13.
        104 => r13: u64,
        /// R14.
        112 => r14: u64,
        /// R15.
        120 => r15: u64,
        /// RFLAGS.
        128 => rflags: u64,
        /// RIP.
        136 => rip: u64,
        /// RSP outside, saved at EENTER.
        144 => ursp: u64,
        /// RBP outside, saved at EENTER.
        152 => urbp: u64,
        /// Why the exit happened.
        160 => exitinfo: Exitinfo,
        /// AEXNOTIFY: bit 0 asks for an entry instead of a resumption.
        167 => aexnotify: u8,
        /// FS base inside.
        168 => fsbase: u64,
        /// GS base inside.
        176 => gsbase: u64,
    }
}

structure! {
    /// Details of #PF and #GP (SDM table "Layout of EXINFO Structure"), there if MISCSELECT.EXINFO.
    Exinfo, "EXINFO", 16 {
        /// The linear address of a #PF, else 0.
        0 => maddr: u64,
        /// The error code: [`pfec`] bits for a #PF.
        8 => errcd: u32,
    }
}

/// Exception vectors that EXITINFO reports (SDM table "Exception Vectors").
pub mod vector {
    /// Divide error.
    pub const DE: u8 = 0;
    /// Debug.
    pub const DB: u8 = 1;
    /// Breakpoint.
    pub const BP: u8 = 3;
    /// Bound range exceeded.
    pub const BR: u8 = 5;
    /// Invalid opcode.
    pub const UD: u8 = 6;
    /// General protection; reported with MISCSELECT.EXINFO only.
    pub const GP: u8 = 13;
    /// Page fault; reported with MISCSELECT.EXINFO only.
    pub const PF: u8 = 14;
    /// x87 floating-point error.
    pub const MF: u8 = 16;
    /// Alignment check.
    pub const AC: u8 = 17;
    /// SIMD floating-point error.
    pub const XM: u8 = 19;
}

/// Page-fault error code (SDM section "Page-Fault Exceptions").
pub mod pfec {
    /// The page was present.
    pub const P: u32 = 1 << 0;
    /// The access was a write.
    pub const W: u32 = 1 << 1;
    /// The access came from user mode; always so in an enclave.
    pub const U: u32 = 1 << 2;
    /// The access was an instruction fetch.
    pub const I: u32 = 1 << 4;
    /// The EPCM refused the access.
    pub const SGX: u32 = 1 << 15;
}

/// Offset of [`Gprsgx`] in a frame of `ssaframesize` pages.
pub const fn gprsgx_offset(ssaframesize: u32) -> u64 {
    ssaframesize as u64 * crate::PAGE_SIZE - Gprsgx::SIZE as u64
}

/// Offset of [`Exinfo`] in a frame of `ssaframesize` pages.
pub const fn exinfo_offset(ssaframesize: u32) -> u64 {
    gprsgx_offset(ssaframesize) - Exinfo::SIZE as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_ends_with_its_registers() {
        assert_eq!(gprsgx_offset(1), 3912);
        assert_eq!(exinfo_offset(1), 3896);
        let regs =
            Gprsgx { rip: 0x1122_3344_5566_7788, exitinfo: Exitinfo::exception(14, 3), ..Default::default() };
        let bytes = regs.to_bytes();
        assert_eq!(bytes[136..144], 0x1122_3344_5566_7788_u64.to_le_bytes());
        assert_eq!(bytes[160..164], [14, 3, 0, 0x80]);
        assert_eq!(Gprsgx::from_bytes(&bytes), Ok(regs));
    }

    #[test]
    fn exitinfo_takes_itself_apart() {
        let info = Exitinfo::exception(vector::BP, Exitinfo::SOFTWARE);
        assert!(info.valid());
        assert_eq!((info.vector(), info.exit_type()), (3, Exitinfo::SOFTWARE));
        assert!(!Exitinfo::default().valid());
    }
}
