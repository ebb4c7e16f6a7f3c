//! The enclave image: from the linked ELF of the enclave to a measured and signed SGX image.
//!
//! ```text
//! staticlib ─ link ─► ELF ─ elf ─► Program ─ scan, layout ─► Image ─ sgxs ─► twine.sgxs, MRENCLAVE
//!                                                                      sigstruct ─► twine.sig, twine.debug.sig
//! ```
//!
//! [`build`] is all of it for a build script; [`inspect`] describes the results. The formats and the measurement
//! order are specified in `docs/image.md`.
#![forbid(unsafe_code)]

pub mod build;
pub mod elf;
pub mod inspect;
pub mod key;
pub mod layout;
pub mod paths;
pub mod scan;
pub mod sgxs;
pub mod sigstruct;
