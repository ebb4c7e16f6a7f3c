#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

pub mod calls;
pub mod entry;
pub mod folder;
pub mod layout;
pub mod run;
pub mod wire;

/// Version of everything in this crate. Raise it with any change of numbering, types or layout.
pub const ABI_VERSION: u64 = 1;
