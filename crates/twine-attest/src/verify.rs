//! From a quote and collateral to verified evidence: every signature up to a root that the verifier has itself.

use dcap_qvl::{QuoteClaims, QuotePolicy, TcbStatus, verify::QuoteVerifier};
use twine_sgx::Report;
use twine_workload::sha256;

use crate::{Collateral, Malformed, Quote, chain};

/// SHA-256 of the certificate "Intel SGX Root CA" (DER), which signs all of Intel's SGX certificates. The certificate
/// itself is at a chain's end.
const INTEL_ROOT: [u8; 32] = [
    0x44, 0xa0, 0x19, 0x6b, 0x2b, 0x99, 0xf8, 0x89, 0xb8, 0xe1, 0x49, 0xe9, 0x5b, 0x80, 0x7a, 0x35, 0x0e,
    0x74, 0x24, 0x96, 0x43, 0x99, 0xe8, 0x85, 0xa7, 0xcb, 0xb8, 0xcc, 0xfa, 0xb6, 0x74, 0xd3,
];

/// The same of the simulation's root, so that who judges needs nothing of the simulation ([`crate::sim`]).
pub(crate) const SIMULATED_ROOT: [u8; 32] = [
    0x3f, 0x39, 0xc7, 0x05, 0x9a, 0xce, 0xb3, 0x23, 0x7a, 0x0a, 0x28, 0xa7, 0xfa, 0xf4, 0xeb, 0x90, 0x56,
    0x36, 0xdf, 0xb0, 0x53, 0x6a, 0x88, 0xfc, 0x8f, 0x55, 0x54, 0x32, 0xf1, 0xd4, 0x39, 0x5c,
];

/// Whose root key vouches for a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// Intel's: hardware.
    Intel,
    /// The simulation's, whose key everybody knows: proves nothing.
    Simulation,
}

/// Verifies quotes under Intel's root.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verifier {
    allow_simulation: bool,
}

/// Why a quote is not verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A part has not the form that it must have.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The collateral cannot be used at this time.
    #[error(
        "the collateral's {part} is valid from {from} until {until}, not at {at}: fetch fresh collateral"
    )]
    Expired {
        /// Which part.
        part: &'static str,
        /// RFC 3339.
        from: String,
        /// RFC 3339.
        until: String,
        /// RFC 3339.
        at: String,
    },
    /// The quote comes from a simulated processor.
    #[error(
        "the quote comes from a simulated processor, which protects nothing: it counts only if simulation is allowed"
    )]
    Simulated,
    /// A chain ends in another root, or has another length.
    #[error("the {0} does not lead to a root that is trusted here")]
    Root(&'static str),
    /// The collateral is for other quotes.
    #[error("the collateral does not belong to this quote: {0}")]
    Foreign(&'static str),
    /// A signature, a revocation or an identity check failed.
    #[error("the quote is not authentic: {0}")]
    NotAuthentic(String),
}

impl Verifier {
    /// Trusts Intel's root only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the simulation's root as well, which anybody can sign under.
    #[must_use]
    pub fn insecure_allow_simulation(self, allow: bool) -> Self {
        Self { allow_simulation: allow }
    }

    /// Verifies as of `at`, in seconds since 1970. A debug enclave's quote is authentic, too: that is for the policy.
    pub fn verify(
        &self,
        quote: &Quote,
        collateral: &Collateral,
        at: u64,
    ) -> Result<QuoteVerified, VerifyError> {
        let (root, root_der) = self.root(quote)?;
        if let Some(part) = collateral.unusable(at) {
            let (from, until, at) = (rfc3339(part.from), rfc3339(part.until), rfc3339(at));
            return Err(VerifyError::Expired { part: part.part, from, until, at });
        }
        check_chains(quote, collateral, &root_der)?;
        let mut parts = collateral.parts.clone();
        // The quote's own chain is the one to verify; another one beside it would leave the quote's unverified.
        parts.pck_certificate_chain = None;
        let claims = QuoteVerifier::new(root_der)
            .allow_debug(true)
            .verify_with_policy(quote.bytes(), parts, at, &QuotePolicy::claims_only(at))
            .map_err(|e| VerifyError::NotAuthentic(format!("{e:#}")))?;
        // FMSPC is compared by the library, PCEID is not; TCB info is for a pair of both.
        if !collateral.tcb_info.pce_id.eq_ignore_ascii_case(&hex(&claims.platform.pck.pce_id)) {
            return Err(VerifyError::Foreign("its TCB info is for another PCEID"));
        }
        Ok(QuoteVerified {
            report: quote.claimed_report().clone(),
            root,
            claims,
            issued: collateral.issued(),
            at,
        })
    }

    fn root(&self, quote: &Quote) -> Result<(Root, Vec<u8>), VerifyError> {
        let last = quote.pck_chain().last().ok_or(VerifyError::Root("quote's certificate chain"))?;
        let digest = sha256(last).0;
        let root = if digest == INTEL_ROOT {
            Root::Intel
        } else if digest != SIMULATED_ROOT {
            return Err(VerifyError::Root("quote's certificate chain"));
        } else if self.allow_simulation {
            Root::Simulation
        } else {
            return Err(VerifyError::Simulated);
        };
        Ok((root, last.clone()))
    }
}

/// A quote whose signatures lead to a root. Only [`Verifier::verify`] makes one.
#[derive(Clone, Debug)]
pub struct QuoteVerified {
    report: Report,
    root: Root,
    claims: QuoteClaims,
    issued: u64,
    at: u64,
}

impl QuoteVerified {
    /// The enclave's report; KEYID and MAC are not part of a quote and zero.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Who vouches for the platform.
    pub fn root(&self) -> Root {
        self.root
    }

    /// The worse of the platform's and the quoting enclave's TCB status.
    pub fn tcb_status(&self) -> TcbStatus {
        self.claims.tcb.status
    }

    /// Advisories that apply to the platform or the quoting enclave, sorted.
    pub fn advisories(&self) -> Vec<String> {
        let mut advisories = self.claims.tcb.advisory_ids.clone();
        advisories.sort();
        advisories
    }

    /// Number of the TCB recovery that the status was judged by.
    pub fn tcb_evaluation_data_number(&self) -> u32 {
        self.claims.tcb.eval_data_number
    }

    /// FMSPC: the platform model.
    pub fn fmspc(&self) -> [u8; 6] {
        self.claims.platform.pck.fmspc
    }

    /// When the collateral was issued, in seconds since 1970.
    pub fn collateral_issued(&self) -> u64 {
        self.issued
    }

    /// The time as of which the quote was verified, in seconds since 1970.
    pub fn verified_at(&self) -> u64 {
        self.at
    }
}

/// What the library leaves open: roots that come with a chain, certificates beside the path, the CRL's issuer.
fn check_chains(quote: &Quote, collateral: &Collateral, root: &[u8]) -> Result<(), VerifyError> {
    let parts = &collateral.parts;
    if !chain::ends_in(quote.pck_chain(), 3, root) {
        return Err(VerifyError::Root("quote's certificate chain"));
    }
    let mut chains = [
        (&parts.tcb_info_issuer_chain, "TCB info issuer chain"),
        (&parts.qe_identity_issuer_chain, "QE identity issuer chain"),
        (&parts.pck_crl_issuer_chain, "PCK CRL issuer chain"),
    ]
    .into_iter()
    .map(|(text, what)| {
        let chain = chain::split(text.as_bytes(), what)?;
        if chain::ends_in(&chain, 2, root) { Ok(chain) } else { Err(VerifyError::Root(what)) }
    })
    .collect::<Result<Vec<_>, _>>()?;
    let crl_issuer = chains.pop().unwrap_or_default();
    if crl_issuer.first() != quote.pck_chain().get(1) {
        return Err(VerifyError::Foreign("its PCK CRL has another issuer than the quote's PCK certificate"));
    }
    Ok(())
}

pub(crate) fn rfc3339(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok())
        .unwrap_or_else(|| format!("{seconds} seconds after 1970"))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
