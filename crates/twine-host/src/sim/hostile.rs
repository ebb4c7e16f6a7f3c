//! What a hostile host does to the registers and the timing of an enclave, for tests of images.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::frame::{Frame, Reg, flag};
use super::xstate;

/// What of it.
#[derive(Clone, Debug, Default)]
pub struct Hostility {
    /// Each EENTER finds DF and AC set, the x87 stack full, every floating-point exception unmasked, rounding changed, and
    /// something in every vector register.
    pub dirty_entry: bool,
    /// How many times from now a thread is interrupted after a single instruction inside, as SGX-Step does it with the
    /// timer.
    pub single_steps: Arc<AtomicU64>,
    /// Takes the registers of each EEXIT, as the host finds them.
    pub watch: Option<Arc<Mutex<Vec<Registers>>>>,
}

/// Registers at an EEXIT.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "they are registers")]
pub struct Registers {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rsp: u64,
    pub rbp: u64,
    pub r8_to_r15: [u64; 8],
    pub rflags: u64,
    /// XSAVE area in standard form: x87, SSE, AVX; components in their initial state have its values.
    pub extended: Vec<u8>,
}

const HIGH: [Reg; 8] = [Reg::R8, Reg::R9, Reg::R10, Reg::R11, Reg::R12, Reg::R13, Reg::R14, Reg::R15];

impl Hostility {
    /// Whether an EENTER finds more than the host put there.
    pub(super) fn at_entry(&self) -> bool {
        self.dirty_entry || self.single_steps.load(Ordering::Relaxed) != 0
    }

    /// The thread is about to be inside by EENTER.
    pub(super) fn enter(&self, frame: &mut Frame) {
        if self.dirty_entry {
            frame.set(Reg::Rflags, frame.get(Reg::Rflags) | flag::DF | flag::AC | flag::STATUS);
            frame.xstate().dirty();
            for reg in HIGH {
                frame.set(reg, 0xD1D1_D1D1_D1D1_D1D1);
            }
        }
        self.step(frame);
    }

    /// The thread is about to execute in the enclave.
    pub(super) fn step(&self, frame: &mut Frame) {
        if self.single_steps.load(Ordering::Relaxed) != 0 {
            frame.set(Reg::Rflags, frame.get(Reg::Rflags) | flag::TF);
        }
    }

    /// An instruction was executed in the enclave; whether that is one of the steps.
    pub(super) fn stepped(&self) -> bool {
        let left = |left: u64| left.checked_sub(1);
        self.single_steps.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok()
    }

    /// The thread leaves by EEXIT.
    pub(super) fn exit(&self, xfrm: u64, frame: &mut Frame) {
        frame.set(Reg::Rflags, frame.get(Reg::Rflags) & !flag::TF);
        if let Some(watch) = &self.watch {
            let mut extended = vec![0; xstate::area_size(xfrm) as usize];
            frame.xstate().save(xfrm, &mut extended);
            watch.lock().unwrap_or_else(PoisonError::into_inner).push(Registers {
                rax: frame.get(Reg::Rax),
                rbx: frame.get(Reg::Rbx),
                rcx: frame.get(Reg::Rcx),
                rdx: frame.get(Reg::Rdx),
                rsi: frame.get(Reg::Rsi),
                rdi: frame.get(Reg::Rdi),
                rsp: frame.get(Reg::Rsp),
                rbp: frame.get(Reg::Rbp),
                r8_to_r15: HIGH.map(|reg| frame.get(reg)),
                rflags: frame.get(Reg::Rflags),
                extended,
            });
        }
    }
}
