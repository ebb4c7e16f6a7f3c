//! The exception handler: runs at CSSA 1 on its own stack, believes the SSA frame alone (Sigy), resumes or ends.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use twine_abi::entry::Notice;
use twine_sgx::ssa::{Exinfo, Exitinfo, Gprsgx, exinfo_offset, gprsgx_offset, pfec, vector};

use crate::{cpuid, fatal, layout, memory, tcb};
use twine_abi::layout::SSA_FRAME_PAGES;

static STOP: AtomicBool = AtomicBool::new(false);
static HOOK: AtomicUsize = AtomicUsize::new(0);

/// Whether the host has asked the enclave to stop (`--timeout`). All that a host can do with it is what it could do
/// anyway: stop running the enclave; asked this way, the run ends in order.
pub fn stop_requested() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// A synchronous exception of the program, as the processor recorded it.
pub struct Exception {
    /// Vector (SDM Vol. 3A, table 6-1).
    pub vector: u8,
    /// The faulting address of a #PF, else 0.
    pub address: u64,
    /// Registers; changes take effect when the program resumes.
    pub registers: Gprsgx,
}

/// Takes an exception that is not the memory manager's or `cpuid`'s. True: resume with the registers as they are now.
pub type Hook = fn(&mut Exception) -> bool;

/// Sets the one hook.
pub fn set_hook(hook: Hook) {
    HOOK.store(hook as usize, Ordering::Release);
}

/// Called by the entry code in state HANDLING.
pub(crate) extern "C" fn handle(notice: u64, cssa: u64) {
    if cssa != 1 {
        fatal::die("an exception at an impossible depth", format_args!(": CSSA {cssa}"));
    }
    if notice == Notice::Stop as u64 {
        STOP.store(true, Ordering::Relaxed);
        return;
    }
    let frame = layout::base() + tcb::read(tcb::SSA);
    // SAFETY: SSA frame 0 of this thread; the processor wrote it at the AEX and nobody does while we are at CSSA 1.
    let (gpr, info) = unsafe {
        (
            core::ptr::read((frame + gprsgx_offset(SSA_FRAME_PAGES)) as *const [u8; Gprsgx::SIZE]),
            core::ptr::read((frame + exinfo_offset(SSA_FRAME_PAGES)) as *const [u8; Exinfo::SIZE]),
        )
    };
    let (Ok(mut registers), Ok(info)) = (Gprsgx::from_bytes(&gpr), Exinfo::from_bytes(&info)) else {
        fatal::die("the SSA frame is malformed", format_args!(""))
    };
    if !registers.exitinfo.valid() {
        // An interrupt, or the host made it up: nothing happened in here.
        return;
    }
    let vector = registers.exitinfo.vector();
    let address = if vector == vector::PF { info.maddr } else { 0 };
    if vector == vector::PF && memory::fault(address, info.errcd & pfec::W != 0, info.errcd & pfec::I != 0) {
        return;
    }
    if !(vector == vector::UD && emulate_cpuid(&mut registers)) {
        let mut exception = Exception { vector, address, registers };
        let hook = HOOK.load(Ordering::Acquire);
        // SAFETY: only `set_hook` stores there, and it stores a `Hook`.
        let resumed = hook != 0 && unsafe { core::mem::transmute::<usize, Hook>(hook) }(&mut exception);
        registers = exception.registers;
        if !resumed || !layout::is_inside(registers.rip, 1) {
            unhandled(vector, address, info.errcd, &registers);
        }
    }
    // Each exception is handled once, however often the host enters before it resumes.
    registers.exitinfo = Exitinfo::default();
    // SAFETY: as above; the processor reads it back at ERESUME.
    unsafe {
        core::ptr::write(
            (frame + gprsgx_offset(SSA_FRAME_PAGES)) as *mut [u8; Gprsgx::SIZE],
            registers.to_bytes(),
        );
    }
}

fn unhandled(vector: u8, address: u64, code: u32, registers: &Gprsgx) -> ! {
    let base = layout::base();
    fatal::die(
        "an unhandled exception",
        format_args!(
            ": vector {vector} (error code {code:#x}) at image offset {:#x}, address {address:#x} (offset {:#x}), rsp {:#x}; \
             symbolise with `addr2line -e twine.elf {:#x}`",
            registers.rip.wrapping_sub(base),
            address.wrapping_sub(base),
            registers.rsp.wrapping_sub(base),
            registers.rip.wrapping_sub(base),
        ),
    )
}

fn emulate_cpuid(registers: &mut Gprsgx) -> bool {
    let layout = layout::layout();
    let site = registers.rip.wrapping_sub(layout::base());
    let sites = &layout.cpuid_sites[..(layout.cpuid_count as usize).min(layout.cpuid_sites.len())];
    if sites.binary_search(&site).is_err() {
        return false;
    }
    let [a, b, c, d] = cpuid::cpuid(registers.rax as u32, registers.rcx as u32);
    (registers.rax, registers.rbx, registers.rcx, registers.rdx) = (a.into(), b.into(), c.into(), d.into());
    registers.rip += 2;
    true
}
