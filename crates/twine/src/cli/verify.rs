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
use twine_attest::ratls::Evidence;
use twine_attest::{Expected, Inputs, Judgement, Policy, Quote, Summary, Verdict, judge};

use super::collateral;
use super::failure::Failure;
use super::output::{Output, Status, note};

pub const SCHEMA: &str = "twine.verify/1";

/// Options of `twine verify`.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Options {
    /// The quote, or a program's evidence (docs/guest-api.md), which holds a quote and claims
    quote: PathBuf,
    /// What is accepted (policy.toml, docs/attestation.md)
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    #[command(flatten)]
    collateral: collateral::Source,
    /// Keep the fetched collateral in this file, for --collateral
    #[arg(long, value_name = "FILE", requires = "pccs", conflicts_with = "collateral")]
    save_collateral: Option<PathBuf>,
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
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    nonce: Option<Nonce>,
    /// The claims must be a program's, over exactly the bytes of this file
    #[arg(long, value_name = "FILE")]
    program_data: Option<PathBuf>,
    /// Print the result as an EAT Attestation Result (draft-ietf-rats-ear), unsigned JSON
    #[arg(long, conflicts_with = "json")]
    ear: bool,
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
        let given = read(&self.quote)?;
        let file = self.policy.display().to_string();
        let text = fs::read_to_string(&self.policy).map_err(Failure::reading(&self.policy))?;
        let policy = Policy::from_toml(&text, &file)?;
        let at = self.at.unwrap_or_else(|| {
            // A clock before 1970 is no time at which collateral is valid.
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
        });
        let (quote, claims) = match split(given) {
            Ok((_, Some(_))) if self.claims.is_some() => {
                return Err(Failure::usage("--claims: the evidence holds its claims; leave the option out"));
            }
            Ok(parts) => parts,
            Err(judgement) => return Ok(self.print(output, at, *judgement)),
        };
        let source = self.collateral.source()?;
        // A quote that is none has no collateral, and is refused for what it is.
        let parsed = Quote::parse(&quote).map_err(|e| e.to_string());
        let collateral = parsed.and_then(|quote| source.collateral(&quote, at));
        if let (Some(path), Ok(json)) = (&self.save_collateral, &collateral) {
            fs::write(path, json).map_err(Failure::writing(path))?;
        }
        let expected = Expected {
            workload: self.manifest.as_ref().map(|path| workload(path)).transpose()?,
            report_data: self.report_data,
            claims: claims
                .map_or_else(|| self.claims.as_ref().map(read).transpose(), |claims| Ok(Some(claims)))?,
            nonce: self.nonce.as_deref().map(<[u8]>::to_vec),
            program_data: self.program_data.as_ref().map(read).transpose()?,
            workload_is_delivered: false,
        };
        let judgement = judge(Inputs {
            quote: &quote,
            collateral: collateral.as_deref().map_err(String::as_str),
            policy: &policy,
            expected: &expected,
            at,
            insecure_allow_simulation: self.collateral.allow_simulation,
        });
        if judgement.evidence.as_ref().is_some_and(|evidence| evidence.simulated) {
            note("simulated processor: the evidence proves nothing");
        }
        Ok(self.print(output, at, judgement))
    }

    fn print(&self, output: &Output, at: u64, judgement: Judgement) -> ExitCode {
        let status = match judgement.verdict {
            Verdict::Accepted => Status::Success,
            Verdict::Refused => Status::Fail,
            Verdict::Malformed | Verdict::NoCollateral => Status::Error,
        };
        let code = ExitCode::from(judgement.verdict.exit_code());
        match self.ear {
            true => println!("{}", judgement.to_ear(at)),
            false => output.result(SCHEMA, status, &Data(judgement)),
        }
        code
    }
}

/// A quote, and the claims that came with it.
type Parts = (Vec<u8>, Option<Vec<u8>>);

/// A program's evidence into quote and claims; a quote stays what it is.
fn split(given: Vec<u8>) -> Result<Parts, Box<Judgement>> {
    if !given.starts_with(&Evidence::PREFIX) {
        return Ok((given, None));
    }
    match Evidence::from_bytes(&given) {
        Ok(Evidence { quote, claims }) => Ok((quote, Some(claims))),
        Err(e) => Err(Box::new(Judgement::malformed("evidence.format", e))),
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
        if let Some(data) = self.0.claims.as_ref().and_then(|claims| claims.data.as_ref()) {
            // Whatever a program says, it says it on one line.
            let data = hex::decode(data).unwrap_or_default();
            writeln!(f, "     program says             {}", data.escape_ascii())?;
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
