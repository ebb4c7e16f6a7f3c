//! The first Rust code of a thread: the enclave's own start on slot 0, the next closure on the others.

use core::arch::asm;
use twine_abi::entry::Exit;

use crate::{border, entry, fatal, identity, layout, memory, tcb, thread};

unsafe extern "C" {
    /// The image's own main function, on slot 0, with everything of this crate at work.
    fn twine_main();
}

/// Entered by the entry code with the address and size of the thread's untrusted buffer.
pub(crate) extern "C" fn start(buffer: u64, size: u64) -> ! {
    if tcb::index() == 0 {
        // Nothing up to the end of `relocate` may need a relocation itself.
        if tcb::read(tcb::STARTED) == 0 {
            tcb::write(tcb::STARTED, 1);
            boot(buffer, size);
        }
    } else if !fatal::is_dead() {
        thread::run(buffer, size);
    }
    leave(if fatal::is_dead() { Exit::Dead } else { Exit::Idle })
}

fn leave(how: Exit) -> ! {
    // SAFETY: the thread is done; nothing on its stack is needed again.
    unsafe { entry::twine_enclu_leave(how as u64, 0) }
}

fn boot(buffer: u64, size: u64) -> ! {
    let base: u64;
    // SAFETY: computes an address.
    unsafe { asm!("lea {}, [rip + __ehdr_start]", out(reg) base, options(nomem, nostack, preserves_flags)) };
    let image = layout::layout();
    // SAFETY: this thread is the only one, and nothing has used a relocated word yet.
    unsafe { relocate(base, image.relr) };
    layout::set_base(base);
    thread::init_block(base + image.tcb);
    // Exceptions may come from here on: the handler finds the SSA now.
    tcb::write(tcb::STATE, tcb::RUNNING);
    border::set_buffer(buffer, size);
    identity::check();
    fatal::install_panic_hook();
    memory::init(image.heap);
    if memory::seal_static(image.relro).is_err() {
        fatal::host_misbehaved("relocated pages cannot be made read-only");
    }
    match thread::new_stack() {
        // SAFETY: a fresh stack, and nothing of the boot stack is needed again.
        Ok(top) => unsafe { entry::twine_switch_stack(top, main) },
        Err(error) => fatal::die("no memory for the main stack", format_args!(": {error:?}")),
    }
}

extern "C" fn main() -> ! {
    // SAFETY: the image crate defines it with this signature.
    unsafe { twine_main() };
    leave(Exit::Idle)
}

/// Applies DT_RELR (packed relative relocations): a word with bit 0 clear is an address, one with it set a map of the
/// 63 words that follow.
///
/// # Safety
/// Once, before anything uses a relocated word. Uses none itself.
unsafe fn relocate(base: u64, [offset, size]: [u64; 2]) {
    let mut place = base;
    for i in 0..size / 8 {
        // SAFETY: the table and what it names lie in the image; the builder has checked it.
        unsafe {
            let entry = *((base + offset) as *const u64).add(i as usize);
            if entry & 1 == 0 {
                place = base + entry;
                *(place as *mut u64) += base;
                place += 8;
            } else {
                let mut map = entry >> 1;
                let mut word = place;
                while map != 0 {
                    if map & 1 != 0 {
                        *(word as *mut u64) += base;
                    }
                    map >>= 1;
                    word += 8;
                }
                place += 63 * 8;
            }
        }
    }
}
