//! The interrupted thread's registers, as the kernel saved them and will restore them.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use libc::{
    REG_CR2, REG_EFL, REG_ERR, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RAX,
    REG_RBP, REG_RBX, REG_RCX, REG_RDI, REG_RDX, REG_RIP, REG_RSI, REG_RSP, REG_TRAPNO, ucontext_t,
};

use super::xstate::Area;

/// A general register of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Reg {
    Rax = REG_RAX,
    Rbx = REG_RBX,
    Rcx = REG_RCX,
    Rdx = REG_RDX,
    Rsi = REG_RSI,
    Rdi = REG_RDI,
    Rbp = REG_RBP,
    Rsp = REG_RSP,
    R8 = REG_R8,
    R9 = REG_R9,
    R10 = REG_R10,
    R11 = REG_R11,
    R12 = REG_R12,
    R13 = REG_R13,
    R14 = REG_R14,
    R15 = REG_R15,
    Rip = REG_RIP,
    Rflags = REG_EFL,
}

/// Status flags in RFLAGS.
pub(super) mod flag {
    pub const CF: u64 = 1 << 0;
    pub const PF: u64 = 1 << 2;
    pub const AF: u64 = 1 << 4;
    pub const ZF: u64 = 1 << 6;
    pub const SF: u64 = 1 << 7;
    pub const TF: u64 = 1 << 8;
    pub const DF: u64 = 1 << 10;
    pub const OF: u64 = 1 << 11;
    pub const RF: u64 = 1 << 16;
    pub const AC: u64 = 1 << 18;
    pub const STATUS: u64 = CF | PF | AF | ZF | SF | OF;
}

/// A signal frame.
pub(super) struct Frame(NonNull<ucontext_t>);

impl Frame {
    /// # Safety
    /// `context` is what the kernel passed to the running signal handler.
    pub unsafe fn new(context: NonNull<ucontext_t>) -> Self {
        Self(context)
    }

    fn context(&self) -> &ucontext_t {
        // SAFETY: valid while the handler runs, by the constructor's contract.
        unsafe { self.0.as_ref() }
    }

    fn context_mut(&mut self) -> &mut ucontext_t {
        // SAFETY: as in context; this handler is the frame's only user.
        unsafe { self.0.as_mut() }
    }

    pub fn get(&self, reg: Reg) -> u64 {
        self.context().uc_mcontext.gregs[reg as usize] as u64
    }

    pub fn set(&mut self, reg: Reg, value: u64) {
        self.context_mut().uc_mcontext.gregs[reg as usize] = value as i64;
    }

    /// The vector of the exception, if it was one.
    pub fn vector(&self) -> u8 {
        self.context().uc_mcontext.gregs[REG_TRAPNO as usize] as u8
    }

    /// The error code of the exception.
    pub fn error_code(&self) -> u32 {
        self.context().uc_mcontext.gregs[REG_ERR as usize] as u32
    }

    /// The address of a page fault.
    pub fn fault_address(&self) -> u64 {
        self.context().uc_mcontext.gregs[REG_CR2 as usize] as u64
    }

    /// Status flags after a leaf that reports success or an error in RAX and ZF.
    pub fn result(&mut self, code: u64) {
        let flags = self.get(Reg::Rflags) & !flag::STATUS;
        self.set(Reg::Rflags, if code == 0 { flags } else { flags | flag::ZF });
        self.set(Reg::Rax, code);
    }

    /// The first 64 signals of the mask that will be in force, which are all that the kernel looks at.
    pub fn mask(&self) -> u64 {
        // SAFETY: the kernel wrote at least 8 bytes there.
        unsafe { (&raw const self.context().uc_sigmask).cast::<u64>().read_unaligned() }
    }

    pub fn set_mask(&mut self, mask: u64) {
        // SAFETY: as in mask.
        unsafe { (&raw mut self.context_mut().uc_sigmask).cast::<u64>().write_unaligned(mask) };
    }

    /// Extended state.
    pub fn xstate(&self) -> Area {
        // SAFETY: on x86-64 the frame always has it; sim::thread checked that the kernel uses XSAVE.
        unsafe { Area::new(self.context().uc_mcontext.fpregs.cast()) }
    }
}
