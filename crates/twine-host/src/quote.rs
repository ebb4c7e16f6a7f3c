//! Who turns an enclave's report into a quote that other machines can verify.
//!
//! On hardware that is Intel's quoting enclave behind AESM; on the simulated processor one in software. What it gives
//! back is evidence for the relying party, who checks it; the enclave only checks that it is about its own report.

#[cfg(feature = "aesm")]
mod aesm;

use twine_sgx::{REPORT_SIZE, Targetinfo};

#[cfg(feature = "aesm")]
pub use aesm::{AesmQuotes, SOCKET};

/// A quoting side.
pub trait QuoteProvider: Send + Sync {
    /// Whom an enclave addresses the report to that is to be quoted.
    ///
    /// # Errors
    /// [`QuoteError`]: the quoting side is not there.
    fn target(&self) -> Result<[u8; Targetinfo::SIZE], QuoteError>;

    /// Quotes a report that was made for [`QuoteProvider::target`], after checking its MAC.
    ///
    /// # Errors
    /// [`QuoteError`]: the report is not this processor's, or the quoting side does not answer.
    fn quote(&self, report: &[u8; REPORT_SIZE]) -> Result<Vec<u8>, QuoteError>;

    /// Collateral for a peer's quote, as JSON, for a program that judges it and has none.
    ///
    /// # Errors
    /// [`QuoteError`]: there is none here.
    fn collateral(&self, quote: &[u8]) -> Result<Vec<u8>, QuoteError> {
        let _ = quote;
        Err(QuoteError("this host has no collateral to give; pass it to the program".to_owned()))
    }
}

/// Why there is no quote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct QuoteError(pub String);
