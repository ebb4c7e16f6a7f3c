//! The WebAssembly runtime: Wasmtime, the sealed compilation cache, limits and trap reports.
//!
//! Trusted code, free of SGX and of WASI: it runs in a test as it runs in an enclave. Modules are validated and compiled
//! here, from bytes whose hash the caller has checked; native code from outside is never accepted, only what this
//! runtime itself has compiled and sealed ([`cache`]).
#![deny(unsafe_code)]

pub mod cache;
pub mod engine;
mod limits;
pub mod module;
pub mod run;

pub use engine::{Options, engine};
pub use limits::Limits;
pub use run::{Outcome, run};
