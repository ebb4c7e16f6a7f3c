//! EENTER, ERESUME, EEXIT and the asynchronous exit: registers, SSA and TCS (SDM chapters "Enclave Access Control and Data
//! Structures" and "Enclave Exiting Events").
#![allow(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use twine_sgx::ssa::{self, Exinfo, Exitinfo, Gprsgx, pfec, vector};
use twine_sgx::{Miscselect, PAGE_SIZE, leaf};

use super::enclave::{Pages, SimEnclave};
use super::frame::{Frame, Reg, flag};
use super::signals::MASK_INSIDE;
use super::stub;
use super::tcs::TcsState;
use super::thread::{Block, Outcome};
use super::xstate;
use crate::backend::{Exception, Exit, Perms};

/// What makes a thread leave asynchronously, or a leaf fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Interrupt,
    Exception { vector: u8, error_code: u32, address: u64 },
}

impl Event {
    pub fn exception(vector: u8) -> Self {
        Self::Exception { vector, error_code: 0, address: 0 }
    }

    /// #PF at `address`; accesses from an enclave are user accesses.
    pub fn page_fault(address: u64, error_code: u32) -> Self {
        Self::Exception { vector: vector::PF, error_code: error_code | pfec::U, address }
    }
}

/// A register and its place in GPRSGX.
type Place = (Reg, fn(&mut Gprsgx) -> &mut u64);

/// Registers that the SSA keeps as they are.
const SAVED: [Place; 18] = [
    (Reg::Rax, |g| &mut g.rax),
    (Reg::Rcx, |g| &mut g.rcx),
    (Reg::Rdx, |g| &mut g.rdx),
    (Reg::Rbx, |g| &mut g.rbx),
    (Reg::Rsp, |g| &mut g.rsp),
    (Reg::Rbp, |g| &mut g.rbp),
    (Reg::Rsi, |g| &mut g.rsi),
    (Reg::Rdi, |g| &mut g.rdi),
    (Reg::R8, |g| &mut g.r8),
    (Reg::R9, |g| &mut g.r9),
    (Reg::R10, |g| &mut g.r10),
    (Reg::R11, |g| &mut g.r11),
    (Reg::R12, |g| &mut g.r12),
    (Reg::R13, |g| &mut g.r13),
    (Reg::R14, |g| &mut g.r14),
    (Reg::R15, |g| &mut g.r15),
    (Reg::Rip, |g| &mut g.rip),
    (Reg::Rflags, |g| &mut g.rflags),
];

/// Offset of U_RSP and U_RBP in GPRSGX.
const URSP: u64 = 144;

/// What EENTER and ERESUME take from the registers outside.
struct Outside {
    /// RBX.
    tcs: u64,
    /// RCX.
    aep: u64,
    rsp: u64,
    rbp: u64,
}

impl Outside {
    fn of(frame: &Frame) -> Self {
        let [tcs, aep, rsp, rbp] = [Reg::Rbx, Reg::Rcx, Reg::Rsp, Reg::Rbp].map(|reg| frame.get(reg));
        Self { tcs, aep, rsp, rbp }
    }
}

/// EENTER, trapped at a host address. Says whether the thread is inside now.
pub(super) fn eenter(enclave: &SimEnclave, block: &mut Block, frame: &mut Frame) -> bool {
    if !begin(enclave, block, &Outside::of(frame)) {
        return false;
    }
    let next = frame.get(Reg::Rip).wrapping_add(stub::TRAP_LEN);
    frame.set(Reg::Rax, block.cssa);
    frame.set(Reg::Rcx, next);
    frame.set(Reg::Rip, block.entry);
    enclave.hostility.enter(frame);
    mask(block, frame);
    true
}

/// EENTER without a trap, but for the mask and the registers. Says whether they are to follow.
///
/// # Safety
/// Called by the assembly with the thread's block, which names the enclave; `stack` is both RSP and RBP.
pub(super) unsafe extern "C" fn eenter_directly(block: *mut Block, tcs: u64, stack: u64, aep: u64) -> bool {
    // SAFETY: the caller's contract; nobody else on this thread uses the block before the thread is inside.
    let Some(block) = (unsafe { block.as_mut() }) else { return false };
    // SAFETY: the enclave outlives the call to `enter` that set the pointer.
    let Some(enclave) = (unsafe { block.enclave.as_ref() }) else { return false };
    begin(enclave, block, &Outside { tcs, aep, rsp: stack, rbp: stack })
}

/// What EENTER does but for registers: the TCS is taken, and the block says where to go. Says whether it may.
fn begin(enclave: &SimEnclave, block: &mut Block, outside: &Outside) -> bool {
    let mut pages = enclave.lock();
    let Some(tcs) = acquire(enclave, &pages, block, outside) else { return false };
    let cssa = tcs.cssa.load(Relaxed);
    if cssa >= tcs.nssa {
        return let_go(&tcs, block, "no SSA frame is left (CSSA = NSSA)");
    }
    let Some(at) = enter_frame(enclave, &mut pages, &tcs, cssa, block) else { return false };
    // SAFETY: the frame is accessible, and the lock keeps it so.
    unsafe { save_outside(enclave, at, &tcs, outside) };
    drop(pages);
    let base = enclave.secs.baseaddr;
    block.cssa = cssa.into();
    block.entry = base.wrapping_add(tcs.oentry);
    block.next_fs = base.wrapping_add(tcs.ofsbasgx);
    block.next_gs = base.wrapping_add(tcs.ogsbasgx);
    block.tcs = Some(tcs);
    true
}

/// ERESUME, trapped at a host address. Says whether the thread is inside now.
pub(super) fn eresume(enclave: &SimEnclave, block: &mut Block, frame: &mut Frame) -> bool {
    let mut pages = enclave.lock();
    let outside = Outside::of(frame);
    let Some(tcs) = acquire(enclave, &pages, block, &outside) else { return false };
    let Some(cssa) = tcs.cssa.load(Relaxed).checked_sub(1) else {
        return let_go(&tcs, block, "no SSA frame is in use (CSSA = 0)");
    };
    let Some(at) = enter_frame(enclave, &mut pages, &tcs, cssa, block) else { return false };
    let xfrm = enclave.secs.attributes.xfrm;
    let gprs_at = at + ssa::gprsgx_offset(enclave.secs.ssaframesize);
    // SAFETY: the frame is accessible, and the lock keeps it so.
    let (area, gprs): ([u8; PAGE_SIZE as usize], [u8; Gprsgx::SIZE]) =
        unsafe { (enclave.elrange().read(at), enclave.elrange().read(gprs_at)) };
    // The enclave may have scribbled over reserved bytes; the processor ignores them.
    let mut gprs = parse_gprs(gprs);
    if !is_canonical(gprs.fsbase) || !is_canonical(gprs.gsbase) || !is_canonical(gprs.rip) {
        enclave.close(&mut pages);
        return let_go(&tcs, block, "a base or RIP in the SSA is not canonical");
    }
    if let Err(reason) = frame.xstate().restore(xfrm, &area) {
        enclave.close(&mut pages);
        return let_go(&tcs, block, reason);
    }
    // SAFETY: as above.
    unsafe { save_outside(enclave, at, &tcs, &outside) };
    for (reg, field) in SAVED {
        frame.set(reg, *field(&mut gprs));
    }
    block.next_fs = gprs.fsbase;
    block.next_gs = gprs.gsbase;
    enclave.hostility.step(frame);
    tcs.cssa.store(cssa, Relaxed);
    drop(pages);
    block.tcs = Some(tcs);
    mask(block, frame);
    true
}

/// EEXIT.
pub(super) fn eexit(enclave: &SimEnclave, block: &mut Block, frame: &mut Frame) -> Option<Event> {
    let target = frame.get(Reg::Rbx);
    if !is_canonical(target) {
        return Some(Event::exception(vector::GP));
    }
    if let Some(tcs) = outside(enclave, block, frame, Outcome::Exit(Exit::Exited)) {
        frame.set(Reg::Rip, target);
        frame.set(Reg::Rcx, tcs.aep.load(Relaxed));
        enclave.hostility.exit(enclave.secs.attributes.xfrm, frame);
        tcs.release();
    }
    None
}

/// Saves the state in the SSA and puts the synthetic state in its place.
pub(super) fn asynchronous_exit(enclave: &SimEnclave, block: &mut Block, frame: &mut Frame, event: Event) {
    let (exit, exitinfo, exinfo) = describe(enclave, event);
    if exitinfo.vector() == vector::BP && exitinfo.valid() {
        // INT3 is reported as a fault: RIP is that of the instruction.
        frame.set(Reg::Rip, frame.get(Reg::Rip).wrapping_sub(1));
    }
    let (fs, gs) = (block.enclave_fs, block.enclave_gs);
    let Some(tcs) = block.tcs.clone() else { return };
    let size = enclave.secs.ssaframesize;
    let cssa = tcs.cssa.load(Relaxed);
    let at = enclave.secs.baseaddr + tcs.ossa + u64::from(cssa) * u64::from(size) * PAGE_SIZE;
    let gprs_at = at + ssa::gprsgx_offset(size);
    let first = enclave.elrange().page(at);
    let span = first..first + u64::from(size);

    let mut gprs = Gprsgx { exitinfo, fsbase: fs, gsbase: gs, ..Default::default() };
    for (reg, field) in SAVED {
        *field(&mut gprs) = frame.get(reg);
    }
    // Debug exceptions are the host's affair, never the enclave's.
    gprs.rflags &= !flag::TF;
    let xfrm = enclave.secs.attributes.xfrm;
    let mut area = [0; PAGE_SIZE as usize];
    frame.xstate().save_and_init(xfrm, &mut area);

    let mut pages = enclave.lock();
    let accessible = enclave.ssa_frame(&mut pages, &tcs, cssa).is_ok();
    if !accessible {
        // The processor holds the SSA's physical address since the entry; what the host did to it meanwhile does not count.
        let _ = enclave.elrange().protect(span.clone(), Perms::RW);
    }
    // SAFETY: the frame is accessible, and the lock keeps it so.
    unsafe {
        let outside: [u8; 16] = enclave.elrange().read(gprs_at + URSP);
        let (rsp, rbp) = outside.split_at(8);
        gprs.ursp = word(rsp);
        gprs.urbp = word(rbp);
        enclave.elrange().write(at, &area[..xstate::area_size(xfrm) as usize]);
        enclave.elrange().write(gprs_at, &gprs.to_bytes());
        if enclave.secs.miscselect & Miscselect::EXINFO.bits() != 0 {
            enclave.elrange().write(at + ssa::exinfo_offset(size), &exinfo.to_bytes());
        }
    }
    if !accessible {
        let _ = enclave.apply(&pages, span);
    }
    drop(pages);

    if outside(enclave, block, frame, Outcome::Exit(exit)).is_some() {
        tcs.cssa.store(cssa + 1, Relaxed);
        for (reg, _) in SAVED {
            if reg != Reg::Rflags {
                frame.set(reg, 0);
            }
        }
        let aep = tcs.aep.load(Relaxed);
        frame.set(Reg::Rax, leaf::ERESUME.into());
        frame.set(Reg::Rbx, tcs.address);
        frame.set(Reg::Rcx, aep);
        frame.set(Reg::Rip, aep);
        frame.set(Reg::Rsp, gprs.ursp);
        frame.set(Reg::Rbp, gprs.urbp);
        frame.set(Reg::Rflags, gprs.rflags & !(flag::STATUS | flag::TF | flag::RF));
        tcs.release();
    }
}

/// What the host and the SSA learn of an event.
fn describe(enclave: &SimEnclave, event: Event) -> (Exit, Exitinfo, Exinfo) {
    let Event::Exception { vector, error_code, address } = event else {
        return (Exit::Interrupted, Exitinfo::default(), Exinfo::default());
    };
    let exit = Exit::Exception(Exception { vector, error_code, address: address & !(PAGE_SIZE - 1) });
    let reported = match vector {
        vector::PF | vector::GP => enclave.secs.miscselect & Miscselect::EXINFO.bits() != 0,
        _ => true,
    };
    let exitinfo = match vector {
        _ if !reported => Exitinfo::default(),
        vector::BP => Exitinfo::exception(vector, Exitinfo::SOFTWARE),
        _ => Exitinfo::exception(vector, Exitinfo::HARDWARE),
    };
    let exinfo = match vector {
        vector::PF => Exinfo { maddr: address, errcd: error_code },
        vector::GP => Exinfo { maddr: 0, errcd: error_code },
        _ => Exinfo::default(),
    };
    (exit, exitinfo, exinfo)
}

/// The thread is inside: other handlers must not run.
fn mask(block: &mut Block, frame: &mut Frame) {
    block.host_mask = frame.mask();
    frame.set_mask(MASK_INSIDE);
}

/// The thread is outside: the host's bases and mask. The TCS is still taken.
fn outside(
    enclave: &SimEnclave,
    block: &mut Block,
    frame: &mut Frame,
    outcome: Outcome,
) -> Option<Arc<TcsState>> {
    let tcs = block.tcs.take()?;
    enclave.close(&mut enclave.lock());
    block.next_fs = block.host_fs;
    block.next_gs = block.host_gs;
    frame.set_mask(block.host_mask);
    block.outcome = outcome;
    Some(tcs)
}

/// The TCS in RBX, taken.
fn acquire(
    enclave: &SimEnclave,
    pages: &Pages,
    block: &mut Block,
    outside: &Outside,
) -> Option<Arc<TcsState>> {
    let Some(tcs) = enclave.tcs_at(pages, outside.tcs) else {
        refuse(block, "RBX is not the address of a TCS of this enclave");
        return None;
    };
    if !tcs.acquire(block.thread) {
        refuse(block, "the TCS is busy");
        return None;
    }
    Some(tcs)
}

/// The SSA frame to enter with, with the enclave's memory open.
fn enter_frame(
    enclave: &SimEnclave,
    pages: &mut Pages,
    tcs: &TcsState,
    cssa: u32,
    block: &mut Block,
) -> Option<u64> {
    if enclave.open(pages).is_err() {
        let_go(tcs, block, "the system's mapping limit is exhausted (vm.max_map_count)");
        return None;
    }
    match enclave.ssa_frame(pages, tcs, cssa) {
        Ok(at) => Some(at),
        Err(event) => {
            enclave.close(pages);
            let_go(tcs, block, "the SSA frame is not accessible");
            if let (Event::Exception { vector, address, .. }, Outcome::Fault { reason, .. }) =
                (event, block.outcome)
            {
                block.outcome = Outcome::Fault { vector, address, reason };
            }
            None
        }
    }
}

/// The leaf faults with #GP. Answers false.
fn refuse(block: &mut Block, reason: &'static str) -> bool {
    block.outcome = Outcome::Fault { vector: vector::GP, address: 0, reason };
    false
}

fn let_go(tcs: &TcsState, block: &mut Block, reason: &'static str) -> bool {
    tcs.release();
    refuse(block, reason)
}

/// # Safety
/// The SSA frame at `at` is accessible.
unsafe fn save_outside(enclave: &SimEnclave, at: u64, tcs: &TcsState, outside: &Outside) {
    tcs.aep.store(outside.aep, Relaxed);
    let mut stack = [0; 16];
    stack[..8].copy_from_slice(&outside.rsp.to_le_bytes());
    stack[8..].copy_from_slice(&outside.rbp.to_le_bytes());
    let gprs_at = at + ssa::gprsgx_offset(enclave.secs.ssaframesize);
    // SAFETY: the caller's contract.
    unsafe { enclave.elrange().write(gprs_at + URSP, &stack) };
}

fn parse_gprs(mut bytes: [u8; Gprsgx::SIZE]) -> Gprsgx {
    bytes[164..168].fill(0);
    Gprsgx::from_bytes(&bytes).unwrap_or_default()
}

fn word(bytes: &[u8]) -> u64 {
    let mut le = [0; 8];
    le.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(le)
}

fn is_canonical(address: u64) -> bool {
    (address as i64) << 16 >> 16 == address as i64
}
