//! The untrusted side: loader, backends (simulated processor, hardware), host-call server.
//!
//! Nothing here is trusted by the enclave. [`backend`] is what the rest of the host sees of a processor; [`sim`] is the
//! simulated one. Unsafe code is confined to the modules of `sim` that touch enclave memory, signals and registers.

#![deny(unsafe_code)]

pub mod backend;
pub mod platform;
pub mod quote;
pub mod run;
pub mod sim;
