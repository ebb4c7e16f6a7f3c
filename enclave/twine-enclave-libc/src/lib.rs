//! Trusted: the C symbols that std and the dependencies call, and no others.
//!
//! The image is linked without any library; a symbol that is missing here fails the link, and one that nobody calls is
//! thrown away by it. Functions answer against the enclave's own memory manager, threads and clocks. There is no file
//! system, no environment and no process behind them: those calls fail as on an empty machine, and the ones that could
//! only be reached by a mistake of ours end the enclave.
#![no_builtins]
#![allow(missing_docs, reason = "the C standard and POSIX document these")]
#![allow(clippy::missing_safety_doc, reason = "the C standard and POSIX say what callers promise")]

mod errno;
mod files;
mod memory;
mod pthread;
mod signal;
mod string;
mod system;
mod unwind;
