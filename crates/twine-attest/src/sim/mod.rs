//! A simulated platform: what Intel's provisioning service, quoting enclave and PCS are on hardware.
//!
//! **It protects nothing.** The root's secret key follows from a constant in this file, so anybody can make evidence
//! under it. Formats, names and checks are those of real evidence, so that one verifier takes both and only the
//! trust anchor differs.

mod keys;
mod pcs;
mod pki;
mod quoting;
#[cfg(test)]
mod tests;

pub use pcs::{BASE_CPUSVN, PCESVN, collateral};
pub use pki::root_certificate;
pub use quoting::{QuotingEnclave, QuotingError};
