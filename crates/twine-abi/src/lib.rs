//! The border between the host and the enclave: host calls, wire format, entry convention, image layout.
//!
//! Both sides compile this crate, so that two builds which disagree refuse to meet ([`ABI_VERSION`] is in the image
//! and checked by the loader). It is `no_std`, has no dependency and no unsafe code.
#![no_std]
#![forbid(unsafe_code)]

pub mod layout;

/// Version of everything in this crate. Raise it with any change of numbering, types or layout.
pub const ABI_VERSION: u64 = 1;
