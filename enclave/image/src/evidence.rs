//! Evidence about this enclave: its report, quoted by a side that other machines trust.
//!
//! The host carries report and quote. It can withhold them, or have somebody else's report quoted; the first is denial of
//! service, the second is seen here. Whether a quote is authentic is for the relying party to judge.

use std::fmt;

use twine_abi::calls::{MAX_QUOTE, Quote, QuoteTarget};
use twine_abi::wire::Status;
use twine_enclave::{border, identity};
use twine_sgx::{REPORT_BODY_SIZE, Targetinfo, report_to_bytes};

/// Bytes of a quote before its report body (DCAP ECDSA quote, version 3: the header).
const HEADER: usize = 48;

/// Why there is no quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoQuote {
    /// The host has no quoting side.
    Absent,
    /// It has one that failed, and says why in its own log.
    Failed(Status),
    /// What it gave as a target is no TARGETINFO.
    Target,
    /// What it gave as a quote is not about the report that it was asked to have quoted.
    Foreign,
}

impl fmt::Display for NoQuote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => {
                f.write_str("the host has nobody who quotes reports; `twine platform` says what is missing")
            }
            Self::Failed(status) => {
                write!(f, "the host's quoting side failed ({status:?}); its log says why")
            }
            Self::Target => f.write_str("the host gave no target for a report"),
            Self::Foreign => f.write_str("the host gave a quote of another report"),
        }
    }
}

impl From<Status> for NoQuote {
    fn from(status: Status) -> Self {
        match status {
            Status::Unsupported => Self::Absent,
            status => Self::Failed(status),
        }
    }
}

/// A quote of this enclave with `data` as REPORTDATA.
pub fn quote(data: &[u8; 64]) -> Result<Vec<u8>, NoQuote> {
    let mut target = [0; Targetinfo::SIZE];
    let (_, got) = border::call(&QuoteTarget {}, &[], &mut target)?;
    // Reserved bytes that are not zero would be copied into nothing: EREPORT refuses them with a fault.
    let target = Targetinfo::from_bytes(&target).ok().filter(|_| got == Targetinfo::SIZE);
    let report = report_to_bytes(&identity::report(&target.ok_or(NoQuote::Target)?, data));
    let mut quote = vec![0; MAX_QUOTE];
    let (_, got) = border::call(&Quote {}, &report, &mut quote)?;
    quote.truncate(got);
    let body = quote.get(HEADER..HEADER + REPORT_BODY_SIZE);
    if body.is_none_or(|body| !report.starts_with(body)) {
        return Err(NoQuote::Foreign);
    }
    Ok(quote)
}
