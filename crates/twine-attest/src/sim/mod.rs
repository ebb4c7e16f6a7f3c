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

use twine_workload::sha256;

use crate::{Quote, ratls::CollateralSource, verify::SIMULATED_ROOT};

/// Collateral for simulated quotes, made on the spot: it says what anybody could sign.
#[derive(Clone, Copy, Debug)]
pub struct Simulated;

impl CollateralSource for Simulated {
    fn collateral(&self, quote: &Quote, at: u64) -> Result<Vec<u8>, String> {
        if quote.pck_chain().last().is_none_or(|root| sha256(root).0 != SIMULATED_ROOT) {
            return Err("none was given: name a file or a service that has it".into());
        }
        collateral(at, BASE_CPUSVN).map(|made| made.to_json().into_bytes()).map_err(|e| e.to_string())
    }
}
