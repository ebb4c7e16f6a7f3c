//! `twine_tee_v1`: what a program can have of the enclave it runs in. Evidence over its own data, judgement of a peer's
//! evidence, sealed data.
//!
//! Trusted code over one small trait ([`Platform`]), free of SGX, so that it runs in a test as it runs in an enclave.
//! Who is trusted: the platform, as far as the trait says. Who is not: the program, whose pointers are checked before
//! anything happens, and everything that comes from a peer, a store or the host.
//!
//! `docs/guest-api.md` is the specification, `include/twine_tee.h` its form in C, the crate `twine-guest` in Rust.

#![forbid(unsafe_code)]

mod abi;
mod calls;
mod linker;
mod platform;
mod record;
pub mod sealed;

pub use abi::{MAX_AAD, MAX_DATA, MAX_EVIDENCE, MAX_INPUT, MAX_NONCE, MAX_SEALED};
pub use linker::{MODULE, TeeCtx, add_to_linker};
pub use platform::{KeyRequest, NoQuote, Platform, SealTo};
pub use record::{RECORD_LEN, Record};
