//! The simulated platform's quoting side.

use std::sync::Arc;

use twine_attest::sim::QuotingEnclave;
use twine_host::quote::{QuoteError, QuoteProvider};
use twine_host::sim::Processor;

/// The quoting enclave in software, on the simulated processor that makes the reports.
pub(crate) struct SimulatedQuotes {
    processor: Arc<Processor>,
    enclave: QuotingEnclave,
}

impl SimulatedQuotes {
    pub(crate) fn new(processor: Arc<Processor>) -> Self {
        let secret = processor.platform_secret(b"provisioning");
        let enclave = QuotingEnclave::new(processor.cpusvn(), &secret);
        Self { processor, enclave }
    }
}

impl QuoteProvider for SimulatedQuotes {
    fn target(&self) -> Result<[u8; 512], QuoteError> {
        Ok(self.enclave.target().to_bytes())
    }

    fn quote(&self, report: &[u8; 432]) -> Result<Vec<u8>, QuoteError> {
        self.enclave
            .quote(report, |target, keyid| self.processor.report_key(target, keyid))
            .map_err(|error| QuoteError(error.to_string()))
    }
}
