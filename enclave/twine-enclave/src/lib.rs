//! Trusted: entry, exceptions, memory, threads, time, random, identity.
//!
//! Everything here runs inside the enclave and treats the host as hostile. It is the one address of unsafe code that
//! deals with the processor: above it, `twine-runtime` and `twine-wasi` are ordinary safe Rust. What it is not: a C
//! library (that is `twine-enclave-libc`, on top of this) and a policy (that is the image crate).

pub mod border;
pub mod clock;
mod cpuid;
mod entry;
pub mod exception;
pub mod fatal;
pub mod futex;
pub mod heap;
pub mod identity;
pub mod layout;
pub mod memory;
pub mod random;
mod start;
mod tcb;
pub mod thread;
mod untrusted;
pub mod window;

pub use exception::stop_requested;
pub use tcb::errno;
