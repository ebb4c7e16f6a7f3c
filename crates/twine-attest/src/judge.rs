//! The whole verification in one call, with every check told of, for the command line and for logs.

use serde::Serialize;
use twine_sgx::AttributesFlags;

use crate::{
    Collateral, Expected, Malformed, Policy, PolicyMatched, Quote, QuoteVerified, Root, Verifier,
    VerifyError,
    claims::AnyClaims,
    verify::{hex, rfc3339},
};

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// A name that does not change, as in docs/attestation.md.
    pub id: &'static str,
    /// Whether it holds.
    pub pass: bool,
    /// What was found.
    pub detail: String,
}

impl Check {
    pub(crate) fn new(id: &'static str, pass: bool, detail: impl Into<String>) -> Self {
        Self { id, pass, detail: detail.into() }
    }
}

/// How a verification ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Authentic, and what the policy asks for.
    Accepted,
    /// Not authentic, or not what the policy asks for.
    Refused,
    /// Quote or collateral has not the form that it must have.
    Malformed,
    /// There is no collateral, or it is not valid at this time.
    NoCollateral,
}

impl Verdict {
    /// Exit status of `twine verify`.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::Refused => 1,
            Self::Malformed => 2,
            Self::NoCollateral => 3,
        }
    }
}

/// What [`judge`] judges.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The quote.
    pub quote: &'a [u8],
    /// Collateral as JSON, or why there is none.
    pub collateral: Result<&'a [u8], &'a str>,
    /// The policy.
    pub policy: &'a Policy,
    /// What is expected beyond the policy.
    pub expected: &'a Expected,
    /// As of when, in seconds since 1970.
    pub at: u64,
    /// Accept simulated processors, as the policy may as well.
    pub insecure_allow_simulation: bool,
}

/// The verdict and how it came about.
#[derive(Clone, Debug, Serialize)]
pub struct Judgement {
    /// How it ends.
    pub verdict: Verdict,
    /// Every check that was made; the first that failed explains a verdict other than accepted.
    pub checks: Vec<Check>,
    /// What the quote says, if it is authentic.
    pub evidence: Option<Summary>,
    /// What the claims say, if an authentic quote binds them.
    pub claims: Option<ClaimsSummary>,
    /// The evidence as a type to act on; only if accepted.
    #[serde(skip)]
    pub matched: Option<PolicyMatched>,
}

impl Judgement {
    /// Of what has not even the form of evidence: the check `id` says so.
    pub fn malformed(id: &'static str, error: Malformed) -> Self {
        let checks = vec![Check::new(id, false, error.to_string())];
        Self { verdict: Verdict::Malformed, checks, evidence: None, claims: None, matched: None }
    }
}

/// What an authentic quote says; digests in hex, times in RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// MRENCLAVE.
    pub mrenclave: String,
    /// MRSIGNER.
    pub mrsigner: String,
    /// ISVPRODID.
    pub isvprodid: u16,
    /// ISVSVN.
    pub isvsvn: u16,
    /// CONFIGID.
    pub configid: String,
    /// CONFIGSVN.
    pub configsvn: u16,
    /// CPUSVN.
    pub cpusvn: String,
    /// Whether ATTRIBUTES.DEBUG is set.
    pub debug: bool,
    /// Whether the platform is simulated.
    pub simulated: bool,
    /// REPORTDATA.
    pub report_data: String,
    /// TCB status.
    pub tcb_status: String,
    /// Advisories.
    pub advisories: Vec<String>,
    /// TCB recovery that the status was judged by.
    pub tcb_evaluation_data_number: u32,
    /// Platform model.
    pub fmspc: String,
    /// When the collateral was issued.
    pub collateral_issued: String,
    /// As of when this was judged.
    pub verified_at: String,
}

/// What bound claims say; bytes in hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClaimsSummary {
    /// `session`: a channel that ends in the runtime; `program`: the program's own data.
    pub kind: &'static str,
    /// SHA-256 of the session's public key.
    pub key_hash: Option<String>,
    /// The program's data.
    pub data: Option<String>,
    /// The nonce.
    pub nonce: Option<String>,
    /// Digest of the workload.
    pub workload: Option<String>,
}

impl ClaimsSummary {
    fn of(claims: &AnyClaims) -> Self {
        let (kind, key_hash, data) = match claims {
            AnyClaims::Session(claims) => ("session", Some(hex(&claims.key_hash)), None),
            AnyClaims::Program(claims) => ("program", None, Some(hex(&claims.data))),
        };
        let workload = claims.workload().map(|digest| digest.to_string());
        Self { kind, key_hash, data, nonce: claims.nonce().map(hex), workload }
    }
}

/// Parses, verifies and appraises.
pub fn judge(inputs: Inputs<'_>) -> Judgement {
    let mut checks = Vec::new();
    match steps(inputs, &mut checks) {
        Ok((summary, matched)) => {
            let verdict = if matched.is_some() { Verdict::Accepted } else { Verdict::Refused };
            let bound = inputs
                .expected
                .claims
                .as_ref()
                .filter(|_| checks.iter().any(|check| check.id == "evidence.claims" && check.pass));
            let claims = bound.and_then(|bytes| AnyClaims::from_bytes(bytes).ok());
            let claims = claims.as_ref().map(ClaimsSummary::of);
            Judgement { verdict, checks, evidence: Some(summary), claims, matched }
        }
        Err((verdict, failed)) => {
            checks.push(failed);
            Judgement { verdict, checks, evidence: None, claims: None, matched: None }
        }
    }
}

fn steps(
    inputs: Inputs<'_>,
    checks: &mut Vec<Check>,
) -> Result<(Summary, Option<PolicyMatched>), (Verdict, Check)> {
    let malformed = |id| move |e: Malformed| (Verdict::Malformed, Check::new(id, false, e.to_string()));
    let quote = Quote::parse(inputs.quote).map_err(malformed("quote.format"))?;
    checks.push(Check::new("quote.format", true, "version 3, SGX, ECDSA P-256"));
    let text = inputs
        .collateral
        .map_err(|why| (Verdict::NoCollateral, Check::new("collateral.present", false, why)))?;
    let collateral = Collateral::from_json(text).map_err(malformed("collateral.format"))?;
    checks.push(Check::new(
        "collateral.format",
        true,
        format!("valid until {}", rfc3339(collateral.valid_until())),
    ));
    let allow = inputs.insecure_allow_simulation || inputs.policy.evidence.insecure_simulation;
    let verifier = Verifier::new().insecure_allow_simulation(allow);
    let verified = verifier.verify(&quote, &collateral, inputs.at).map_err(|e| {
        let (verdict, id) = match &e {
            VerifyError::Malformed(_) => (Verdict::Malformed, "quote.format"),
            VerifyError::Expired { .. } => (Verdict::NoCollateral, "collateral.valid"),
            VerifyError::Simulated | VerifyError::Root(_) => (Verdict::Refused, "quote.root"),
            VerifyError::Foreign(_) => (Verdict::Refused, "collateral.fits"),
            VerifyError::NotAuthentic(_) => (Verdict::Refused, "quote.authentic"),
        };
        (verdict, Check::new(id, false, e.to_string()))
    })?;
    checks.push(Check::new("quote.authentic", true, "every signature up to the root, nothing revoked"));
    let summary = summary(&verified);
    let (appraised, matched) = inputs.policy.appraise(verified, inputs.expected);
    checks.extend(appraised);
    Ok((summary, matched))
}

fn summary(quote: &QuoteVerified) -> Summary {
    let report = quote.report();
    Summary {
        mrenclave: hex(&report.mrenclave),
        mrsigner: hex(&report.mrsigner),
        isvprodid: report.isvprodid,
        isvsvn: report.isvsvn,
        configid: hex(&report.configid),
        configsvn: report.configsvn,
        cpusvn: hex(&report.cpusvn),
        debug: report.attributes.flags.contains(AttributesFlags::DEBUG),
        simulated: quote.root() == Root::Simulation,
        report_data: hex(&report.reportdata),
        tcb_status: quote.tcb_status().to_string(),
        advisories: quote.advisories(),
        tcb_evaluation_data_number: quote.tcb_evaluation_data_number(),
        fmspc: hex(&quote.fmspc()),
        collateral_issued: rfc3339(quote.collateral_issued()),
        verified_at: rfc3339(quote.verified_at()),
    }
}
