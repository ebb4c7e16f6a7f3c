//! The end: a message for a person where the enclave is a debug enclave, a bare fact where it is not.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};
use twine_abi::entry::Exit;

use crate::{entry, identity, tcb, untrusted};

/// Whether the enclave has ended. The entry code looks at it too.
pub(crate) static DEAD: AtomicBool = AtomicBool::new(false);
const MESSAGE: usize = 1024;

/// Whether the enclave has ended; every later entry only says so.
pub fn is_dead() -> bool {
    DEAD.load(Ordering::Acquire)
}

/// The host broke the protocol. Says how in debug enclaves.
pub fn host_misbehaved(how: &str) -> ! {
    die("the host broke the border protocol", format_args!(": {how}"))
}

/// Ends the enclave. `public` must not depend on any secret; `detail` is shown by debug enclaves only.
pub fn die(public: &str, detail: fmt::Arguments<'_>) -> ! {
    let first = !DEAD.swap(true, Ordering::AcqRel);
    let mut message = Message { bytes: [0; MESSAGE], used: 0 };
    if first && tcb::read(tcb::BUFFER) != 0 {
        let _ = message.write_str(public);
        if identity::is_debug() {
            let _ = message.write_fmt(detail);
        }
        // SAFETY: the buffer was checked when it was set, and is larger than a message.
        unsafe { untrusted::copy_out(&message.bytes[..message.used], tcb::read(tcb::BUFFER)) };
    }
    // SAFETY: never comes back, so that the abandoned stack does not matter.
    unsafe { entry::twine_enclu_leave(Exit::Dead as u64, message.used as u64) }
}

/// A message without the heap; what does not fit is cut.
struct Message {
    bytes: [u8; MESSAGE],
    used: usize,
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let free = &mut self.bytes[self.used..];
        let take = text.len().min(free.len());
        free[..take].copy_from_slice(&text.as_bytes()[..take]);
        self.used += take;
        Ok(())
    }
}

/// Makes panics end the enclave through [`die`].
pub(crate) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| die("panicked", format_args!(": {panic}"))));
}
