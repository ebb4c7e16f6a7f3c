//! `twine verify`: whether a quote is authentic and what a policy asks for. Needs no SGX.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Serialize;
use twine::Program;
use twine::workload::manifest::Config;
use twine_attest::{Expected, Inputs, Judgement, Policy, Quote, Summary, Verdict, judge, sim};

use super::failure::Failure;
use super::output::{Output, Status, note};

pub const SCHEMA: &str = "twine.verify/1";

/// Options of `twine verify`.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Options {
    /// The quote
    quote: PathBuf,
    /// What is accepted (policy.toml, docs/attestation.md)
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Collateral for the quote's platform, as PCCS clients write it (JSON)
    #[arg(long, value_name = "FILE")]
    collateral: Option<PathBuf>,
    /// Judge as of this time (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<u64>,
    /// The quote must be of the workload that this manifest makes
    #[arg(short = 'c', long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// REPORTDATA must be these 64 bytes
    #[arg(long, value_name = "HEX", value_parser = bytes::<64>)]
    report_data: Option<[u8; 64]>,
    /// REPORTDATA must bind this claims buffer
    #[arg(long, value_name = "FILE")]
    claims: Option<PathBuf>,
    /// The claims must carry this nonce
    #[arg(long, value_name = "HEX", value_parser = nonce, requires = "claims")]
    nonce: Option<Nonce>,
    /// Accept a simulated processor, which protects nothing; its collateral is made here if none is given
    #[arg(long)]
    allow_simulation: bool,
}

const EXIT_CODES: &str = "\
Exit codes: 0 accepted, 1 refused, 2 malformed quote or collateral, 3 collateral missing or expired";

/// Bytes of any number: clap takes a plain Vec for repeated values.
type Nonce = std::sync::Arc<[u8]>;

#[derive(Serialize)]
#[serde(transparent)]
struct Data(Judgement);

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        let read = |path: &PathBuf| fs::read(path).map_err(Failure::reading(path));
        let quote = read(&self.quote)?;
        let file = self.policy.display().to_string();
        let text = fs::read_to_string(&self.policy).map_err(Failure::reading(&self.policy))?;
        let policy = Policy::from_toml(&text, &file)?;
        let at = self.at.unwrap_or_else(|| {
            // A clock before 1970 is no time at which collateral is valid.
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
        });
        let collateral = match &self.collateral {
            Some(path) => Some(read(path)?),
            None => self.simulated_collateral(&quote, at),
        };
        let expected = Expected {
            workload: self.manifest.as_ref().map(|path| workload(path)).transpose()?,
            report_data: self.report_data,
            claims: self.claims.as_ref().map(read).transpose()?,
            nonce: self.nonce.as_deref().map(<[u8]>::to_vec),
            workload_is_delivered: false,
        };
        let judgement = judge(Inputs {
            quote: &quote,
            collateral: collateral.as_deref(),
            policy: &policy,
            expected: &expected,
            at,
            insecure_allow_simulation: self.allow_simulation,
        });
        if judgement.evidence.as_ref().is_some_and(|evidence| evidence.simulated) {
            note("simulated processor: the evidence proves nothing");
        }
        let status = match judgement.verdict {
            Verdict::Accepted => Status::Success,
            Verdict::Refused => Status::Fail,
            Verdict::Malformed | Verdict::NoCollateral => Status::Error,
        };
        let code = ExitCode::from(judgement.verdict.exit_code());
        output.result(SCHEMA, status, &Data(judgement));
        Ok(code)
    }

    /// The simulation's collateral says what anybody could sign.
    fn simulated_collateral(&self, quote: &[u8], at: u64) -> Option<Vec<u8>> {
        let quote = Quote::parse(quote).ok()?;
        let simulated = quote.pck_chain().last() == Some(&sim::root_certificate());
        (simulated && self.allow_simulation)
            .then(|| sim::collateral(at, sim::BASE_CPUSVN).ok())?
            .map(|collateral| collateral.to_json().into_bytes())
    }
}

fn workload(path: &std::path::Path) -> Result<twine::workload::Candidate, Failure> {
    Ok(Program::from_config(&Config::read(path)?)?.candidate().clone())
}

fn time(text: &str) -> Result<u64, String> {
    let time = humantime::parse_rfc3339_weak(text)
        .map_err(|e| format!("{e}; write it like 2026-06-01T12:00:00Z"))?;
    time.duration_since(UNIX_EPOCH).map(|since| since.as_secs()).map_err(|_| "it is before 1970".into())
}

fn bytes<const N: usize>(text: &str) -> Result<[u8; N], String> {
    let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| format!("write {} hex digits", 2 * N))
}

fn nonce(text: &str) -> Result<Nonce, String> {
    hex::decode(text).map(Nonce::from).map_err(|e| format!("{e}; write it in hex"))
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Checks(&self.0).fmt(f)
    }
}

/// A judgement as people read it: every check, and the verdict.
pub struct Checks<'a>(pub &'a Judgement);

impl fmt::Display for Checks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.0.checks {
            writeln!(f, "{:4} {:24} {}", if check.pass { "ok" } else { "FAIL" }, check.id, check.detail)?;
        }
        if let Some(evidence) = &self.0.evidence {
            evidence_lines(f, evidence)?;
        }
        let verdict = match self.0.verdict {
            Verdict::Accepted => "accepted",
            Verdict::Refused => "refused",
            Verdict::Malformed => "malformed",
            Verdict::NoCollateral => "collateral missing or not valid at this time",
        };
        writeln!(f, "{verdict}")
    }
}

fn evidence_lines(f: &mut fmt::Formatter<'_>, evidence: &Summary) -> fmt::Result {
    let Summary { report_data, cpusvn, fmspc, collateral_issued, verified_at, .. } = evidence;
    writeln!(f, "     REPORTDATA               {report_data}")?;
    writeln!(f, "     CPUSVN                   {cpusvn}, FMSPC {fmspc}")?;
    writeln!(f, "     as of                    {verified_at}, collateral issued {collateral_issued}")
}
