//! The simulated platform's quoting side.

use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use twine_attest::sim::{self, QuotingEnclave};
use twine_host::quote::{QuoteError, QuoteProvider};
use twine_host::sim::Processor;

/// The quoting enclave in software, on the simulated processor that makes the reports.
pub(crate) struct SimulatedQuotes {
    processor: Arc<Processor>,
    /// Made for the first quote: its keys and its certificate cost milliseconds, and most runs have no need of one.
    enclave: OnceLock<QuotingEnclave>,
}

impl SimulatedQuotes {
    pub(crate) fn new(processor: Arc<Processor>) -> Self {
        Self { processor, enclave: OnceLock::new() }
    }

    fn enclave(&self) -> &QuotingEnclave {
        self.enclave.get_or_init(|| {
            let secret = self.processor.platform_secret(b"provisioning");
            QuotingEnclave::new(self.processor.cpusvn(), &secret)
        })
    }
}

impl QuoteProvider for SimulatedQuotes {
    fn target(&self) -> Result<[u8; 512], QuoteError> {
        Ok(self.enclave().target().to_bytes())
    }

    fn quote(&self, report: &[u8; 432]) -> Result<Vec<u8>, QuoteError> {
        self.enclave()
            .quote(report, |target, keyid| self.processor.report_key(target, keyid))
            .map_err(|error| QuoteError(error.to_string()))
    }

    /// The simulated service's, issued now: what anybody could sign.
    fn collateral(&self, _: &[u8]) -> Result<Vec<u8>, QuoteError> {
        // A clock before 1970 is no time at which collateral is valid.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        sim::collateral(now, sim::BASE_CPUSVN)
            .map(|collateral| collateral.to_json().into_bytes())
            .map_err(|error| QuoteError(error.to_string()))
    }
}
