//! The official WebAssembly tests as flat steps, and what executes them.
//!
//! A test outside reads the scripts (`.wast`), turns their modules into binaries and their directives into [`Step`]s. The
//! steps are executed twice, by the same code and with the engine that every program gets: outside, and in an enclave.
//! What passes outside must pass inside.

#![forbid(unsafe_code)]

mod execute;
mod script;
mod spectest;
mod value;

pub use execute::execute;
/// Wasmtime's.
pub use wasmtime::Engine;

pub use script::{Action, Argument, Execute, Expected, Failure, Float, Heap, Report, Script, Step};

/// Scripts as the bytes that cross the border.
///
/// # Errors
/// None that a script could cause.
pub fn encode(scripts: &[Script]) -> Result<Vec<u8>, postcard::Error> {
    postcard::to_allocvec(scripts)
}

/// The scripts of [`encode`].
///
/// # Errors
/// Bytes that it did not write.
pub fn decode(bytes: &[u8]) -> Result<Vec<Script>, postcard::Error> {
    postcard::from_bytes(bytes)
}

/// Reports as the bytes that cross the border.
///
/// # Errors
/// None that a report could cause.
pub fn encode_reports(reports: &[Report]) -> Result<Vec<u8>, postcard::Error> {
    postcard::to_allocvec(reports)
}

/// The reports of [`encode_reports`].
///
/// # Errors
/// Bytes that it did not write.
pub fn decode_reports(bytes: &[u8]) -> Result<Vec<Report>, postcard::Error> {
    postcard::from_bytes(bytes)
}
