//! SGX architectural structures as the SDM defines them, with the KSS fields, for both sides of the border.
//!
//! What `sgx-isa` has right is re-exported; what it lacks is defined here: the KSS fields of [`Secs`], [`Targetinfo`]
//! and [`Keyrequest`], the upper [`Keypolicy`] bits, and the layout of an SSA frame ([`ssa`]). Structures defined here
//! are plain values that are parsed from and serialised to fixed-size byte arrays: little-endian, every byte outside
//! a field reserved, reserved bytes zero on output and refused on input ([`ReservedNotZero`]).
//!
//! Section, table and leaf names are those of the Intel SDM, volume 3D ("SDM" below), order number 332831.

#![no_std]
#![forbid(unsafe_code)]

mod field;
mod keyrequest;
pub mod leaf;
mod report;
mod secinfo;
mod secs;
mod sigstruct;
pub mod ssa;
mod targetinfo;
mod tcs;

pub use field::ReservedNotZero;
pub use keyrequest::{Keypolicy, Keyrequest};
pub use report::{REPORT_BODY_SIZE, REPORT_SIZE, mac_data, report_from_bytes, report_to_bytes};
pub use secinfo::{Secinfo, page_type};
pub use secs::Secs;
pub use sigstruct::{SIGSTRUCT_SIZE, sigstruct_from_bytes, sigstruct_to_bytes};
pub use targetinfo::Targetinfo;
pub use tcs::Tcs;

pub use sgx_isa::{
    Attributes, AttributesFlags, ErrorCode, Keyname, MEAS_EADD, MEAS_ECREATE, MEAS_EEXTEND, Miscselect,
    PageType, Report, SIGSTRUCT_HEADER1, SIGSTRUCT_HEADER2, SecinfoFlags, Sigstruct, TcsFlags,
};

/// Bytes of an EPC page, the only page size of an enclave (SDM "EPC").
pub const PAGE_SIZE: u64 = 4096;
