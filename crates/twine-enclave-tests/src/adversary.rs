//! A host that is not honest: it stands between an honest one and the enclave, and changes what passes.
#![expect(unsafe_code, reason = "looks into the memory that both sides use")]

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use twine_abi::calls::Call;
use twine_abi::entry::Exit as Left;
use twine_host::backend::{Enclave, EntryFault, Exit, Leaf, PageError, Perms, Regs};

/// A reply on its way to the enclave.
pub struct Reply<'a> {
    /// The call that it answers.
    pub call: Call,
    /// Replies before this one, all threads.
    pub before: usize,
    /// The buffer, with the honest reply at its start.
    pub buffer: &'a mut [u8],
    /// Bytes of the reply: what the enclave is told.
    pub length: u64,
}

impl Reply<'_> {
    /// A word of the reply.
    pub fn word(&self, index: usize) -> u64 {
        let bytes = self.buffer.get(8 * index..8 * index + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    }

    /// Changes a word of the reply.
    pub fn set_word(&mut self, index: usize, value: u64) {
        if let Some(bytes) = self.buffer.get_mut(8 * index..8 * index + 8) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
    }

    /// The bytes of the reply.
    pub fn bytes(&mut self) -> &mut [u8] {
        let length = usize::try_from(self.length).unwrap_or(usize::MAX).min(self.buffer.len());
        &mut self.buffer[..length]
    }
}

/// What an adversary does. Without a change it is honest.
pub trait Plan: Send {
    /// A reply is about to reach the enclave.
    fn reply(&mut self, reply: &mut Reply<'_>) {
        let _ = reply;
    }

    /// The enclave is about to be entered.
    fn enter(&mut self, leaf: Leaf, tcs: u64, regs: &mut Regs) {
        let _ = (leaf, tcs, regs);
    }

    /// The enclave was left; the adversary may enter it again before the host hears of it.
    fn left(&mut self, enclave: &dyn Enclave, tcs: u64, exit: Exit, regs: &Regs) {
        let _ = (enclave, tcs, exit, regs);
    }

    /// The enclave wants pages changed: whether to do so. A host that does not says that it has.
    fn change_pages(&mut self) -> bool {
        true
    }
}

/// What the adversary knows of a thread.
#[derive(Clone, Copy, Default)]
struct Thread {
    buffer: u64,
    size: u64,
    /// The call that waits for its reply.
    call: Option<Call>,
}

/// An enclave behind an adversary.
pub struct Adversary<P> {
    enclave: Arc<dyn Enclave>,
    state: Mutex<(P, HashMap<u64, Thread>, usize)>,
}

impl<P: Plan> Adversary<P> {
    /// Puts `plan` before `enclave`.
    pub fn new(enclave: Arc<dyn Enclave>, plan: P) -> Self {
        Self { enclave, state: Mutex::new((plan, HashMap::new(), 0)) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (P, HashMap<u64, Thread>, usize)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the plan.
    pub fn with<T>(&self, look: impl FnOnce(&mut P) -> T) -> T {
        look(&mut self.lock().0)
    }
}

impl<P: Plan> Enclave for Adversary<P> {
    fn base(&self) -> u64 {
        self.enclave.base()
    }

    fn size(&self) -> u64 {
        self.enclave.size()
    }

    fn tcs(&self) -> Vec<u64> {
        self.enclave.tcs()
    }

    fn mrenclave(&self) -> [u8; 32] {
        self.enclave.mrenclave()
    }

    fn mrsigner(&self) -> [u8; 32] {
        self.enclave.mrsigner()
    }

    fn enter(&self, leaf: Leaf, tcs: u64, regs: &mut Regs) -> Result<Exit, EntryFault> {
        {
            let (plan, threads, replies) = &mut *self.lock();
            let thread = threads.entry(tcs).or_default();
            if thread.buffer == 0 {
                (thread.buffer, thread.size) = (regs.rdi, regs.rsi);
            } else if leaf == Leaf::Eenter
                && let Some(call) = thread.call.take()
            {
                let size = usize::try_from(thread.size).unwrap_or(0);
                // SAFETY: the host's buffer of this thread, which is outside the enclave and waits for this call.
                let buffer = unsafe { std::slice::from_raw_parts_mut(thread.buffer as *mut u8, size) };
                let mut reply = Reply { call, before: *replies, buffer, length: regs.rdi };
                plan.reply(&mut reply);
                regs.rdi = reply.length;
                *replies += 1;
            }
            plan.enter(leaf, tcs, regs);
        }
        let exit = self.enclave.enter(leaf, tcs, regs)?;
        let (plan, threads, _) = &mut *self.lock();
        let thread = threads.entry(tcs).or_default();
        if exit == Exit::Exited {
            match Left::from_register(regs.rdi) {
                // SAFETY: as above; the request's first word is its number.
                Some(Left::Call) => thread.call = Call::from_word(unsafe { *(thread.buffer as *const u64) }),
                // The next thread on this TCS brings a buffer of its own.
                Some(Left::Idle | Left::Dead) => *thread = Thread::default(),
                _ => {}
            }
        }
        plan.left(&*self.enclave, tcs, exit, regs);
        Ok(exit)
    }

    fn interrupt(&self, tcs: u64) -> bool {
        self.enclave.interrupt(tcs)
    }

    fn protect(&self, range: Range<u64>, perms: Perms) -> Result<(), PageError> {
        if self.lock().0.change_pages() { self.enclave.protect(range, perms) } else { Ok(()) }
    }

    fn restrict(&self, range: Range<u64>, perms: Perms) -> Result<(), PageError> {
        if self.lock().0.change_pages() { self.enclave.restrict(range, perms) } else { Ok(()) }
    }

    fn trim(&self, range: Range<u64>) -> Result<(), PageError> {
        if self.lock().0.change_pages() { self.enclave.trim(range) } else { Ok(()) }
    }

    fn make_tcs(&self, range: Range<u64>) -> Result<(), PageError> {
        self.enclave.make_tcs(range)
    }

    fn remove(&self, range: Range<u64>) -> Result<(), PageError> {
        if self.lock().0.change_pages() { self.enclave.remove(range) } else { Ok(()) }
    }
}
