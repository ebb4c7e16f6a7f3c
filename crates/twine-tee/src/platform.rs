//! What the module needs of the enclave below it.

use twine_sgx::Report;
use twine_workload::Digest;

/// The enclave, for one program.
pub trait Platform {
    /// The enclave's report on itself.
    fn report(&self) -> Report;

    /// Digest of the workload that runs, which the enclave has computed itself.
    fn workload(&self) -> Digest;

    /// A quote over `report_data`.
    fn quote(&mut self, report_data: &[u8; 64]) -> Result<Vec<u8>, NoQuote>;

    /// Collateral for a peer's quote, as JSON. Whoever serves it is believed in nothing.
    fn collateral(&mut self, quote: &[u8]) -> Option<Vec<u8>>;

    /// The sealing key of this enclave and workload for `request`, or nothing where the processor refuses: a security
    /// version above one's own.
    fn seal_key(&mut self, request: &KeyRequest) -> Option<[u8; 16]>;

    /// Fills with random numbers.
    fn random(&mut self, buf: &mut [u8]);

    /// Seconds since 1970 by the host's word; nothing if the workload denies its program the clocks.
    fn now(&self) -> Option<u64>;

    /// Whether the run is to end.
    fn stop_requested(&self) -> bool;
}

/// Why there is no quote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoQuote(pub String);

/// What a sealing key depends on, beside CONFIGID, which every one depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SealTo {
    /// This image and signer.
    Enclave = 0,
    /// Every image of this signer and product with at least the security version at sealing.
    Signer = 1,
}

/// Which sealing key: what EGETKEY is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRequest {
    /// To what it is bound.
    pub to: SealTo,
    /// ISVSVN, at most the enclave's own.
    pub isv_svn: u16,
    /// CONFIGSVN, at most the enclave's own.
    pub config_svn: u16,
    /// CPUSVN, at most the processor's own.
    pub cpu_svn: [u8; 16],
    /// KEYID.
    pub key_id: [u8; 32],
}
