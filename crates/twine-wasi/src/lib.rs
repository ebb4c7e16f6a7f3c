//! WASI preview 1 over small traits, for use inside the enclave.
//!
//! All 46 functions of `wasi_snapshot_preview1` for a Wasmtime [`wasmtime::Linker`], on inodes of
//! [`twine_vfs::FileSystem`] and on the traits of time, randomness, streams and waiting that the embedder supplies.
//! There is no operating system below: descriptors, rights, paths and errors are decided here. `docs/wasi.md` has a
//! row for every function: who serves it, what the host learns, what the program may rely on.
//!
//! Who is trusted: the embedder's traits, as far as their types say. Who is not: the program. No value that it passes
//! makes this crate panic or touch anything but its own linear memory and what was preopened for it.

#![forbid(unsafe_code)]

mod abi;
mod calls;
mod context;
mod descriptor;
mod end;
mod errno;
mod host;
mod linker;
mod memory;
mod resolve;
mod stdio;
mod strings;
mod trace;

pub use context::{Access, BuildError, Sources, WasiCtx, WasiCtxBuilder};
pub use end::{Exit, Fault, Stopped};
pub use errno::Errno;
pub use host::{Clock, Output, Random, Stdin, StreamError, Waiter, Woken};
pub use linker::{MODULE, add_to_linker};
pub use memory::GuestMemory;
pub use trace::{Argument, TracedCall, TracedOutcome};
