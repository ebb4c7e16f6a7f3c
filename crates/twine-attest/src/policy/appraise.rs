//! Verified evidence against a policy: every check by its name.

use std::time::Duration;

use twine_sgx::{AttributesFlags, Report};
use twine_workload::{
    Candidate, Digest, Freshness, Identity, MountSource, Workload, manifest::FreshnessWord, owner_config_id,
    sha256,
};

use super::tables::{Policy, digits};
use crate::{
    Check, QuoteVerified, Root,
    claims::{self, AnyClaims, Claims, ProgramClaims},
    verify::{hex, rfc3339},
};

/// What one verification expects beyond the policy.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The workload that should run: it must be the quote's, and its volumes must be as fresh as the policy says.
    pub workload: Option<Candidate>,
    /// The workload goes to the enclave after this verification: its digest need not be claimed before.
    pub workload_is_delivered: bool,
    /// REPORTDATA must be this.
    pub report_data: Option<[u8; 64]>,
    /// The claims buffer that came with the quote: REPORTDATA must bind it.
    pub claims: Option<Vec<u8>>,
    /// The nonce that the claims must carry.
    pub nonce: Option<Vec<u8>>,
    /// The claims must be a program's, over this data.
    pub program_data: Option<Vec<u8>>,
}

/// Evidence that a policy accepts. Only [`Policy::appraise`] makes one.
#[derive(Clone, Debug)]
pub struct PolicyMatched {
    quote: QuoteVerified,
    claims: Option<AnyClaims>,
}

impl PolicyMatched {
    /// The verified quote.
    pub fn quote(&self) -> &QuoteVerified {
        &self.quote
    }

    /// The session's claims that its REPORTDATA binds, if any were expected.
    pub fn claims(&self) -> Option<&Claims> {
        match &self.claims {
            Some(AnyClaims::Session(claims)) => Some(claims),
            _ => None,
        }
    }

    /// The program's claims that its REPORTDATA binds, if any were expected.
    pub fn program_claims(&self) -> Option<&ProgramClaims> {
        match &self.claims {
            Some(AnyClaims::Program(claims)) => Some(claims),
            _ => None,
        }
    }
}

impl Policy {
    /// Judges verified evidence. Every check is made and told of; all must pass.
    pub fn appraise(&self, quote: QuoteVerified, expected: &Expected) -> (Vec<Check>, Option<PolicyMatched>) {
        let report = quote.report();
        let mut checks = vec![
            self.check_enclave(report),
            self.check_attributes(report),
            self.check_debug(report),
            self.check_workload(report),
            self.check_root(&quote),
            self.check_tcb_status(&quote),
            self.check_advisories(&quote),
        ];
        checks.extend(self.check_evaluation(&quote));
        checks.extend(self.check_age(&quote));
        checks.extend(self.check_freshness(expected));
        checks.extend(self.evidence.report_data.as_deref().map(|data| check_report_data(report, data)));
        checks.extend(expected.report_data.map(|data| check_report_data(report, &hex(&data))));
        checks.extend(expected.workload.as_ref().map(|workload| check_expected_workload(report, workload)));
        let (claim_checks, claims) = check_claims(report, expected);
        checks.extend(claim_checks);
        let matched = checks.iter().all(|check| check.pass).then_some(PolicyMatched { quote, claims });
        (checks, matched)
    }

    fn check_enclave(&self, report: &Report) -> Check {
        let (mrenclave, mrsigner) = (hex(&report.mrenclave), hex(&report.mrsigner));
        let by_image = self.enclave.image.iter().any(|rule| {
            rule.mrenclave.eq_ignore_ascii_case(&mrenclave) && rule.mrsigner.eq_ignore_ascii_case(&mrsigner)
        });
        let by_signer = self.enclave.signer.iter().any(|rule| {
            rule.mrsigner.eq_ignore_ascii_case(&mrsigner)
                && rule.product == report.isvprodid
                && rule.min_isvsvn <= report.isvsvn
        });
        let (product, svn) = (report.isvprodid, report.isvsvn);
        let detail = format!("MRENCLAVE {mrenclave}, MRSIGNER {mrsigner}, ISVPRODID {product}, ISVSVN {svn}");
        Check::new("enclave.identity", by_image || by_signer, detail)
    }

    /// An enclave that is initialised, in 64-bit mode, with KSS where CONFIGID matters, without access to the
    /// provisioning key.
    fn check_attributes(&self, report: &Report) -> Check {
        let mut needed = AttributesFlags::INIT | AttributesFlags::MODE64BIT;
        if !self.workload.insecure_any {
            needed |= AttributesFlags::KSS;
        }
        let flags = report.attributes.flags;
        let pass = flags.contains(needed) && !flags.contains(AttributesFlags::PROVISIONKEY);
        Check::new("enclave.attributes", pass, format!("ATTRIBUTES.FLAGS {:#x}", flags.bits()))
    }

    fn check_debug(&self, report: &Report) -> Check {
        let debug = report.attributes.flags.contains(AttributesFlags::DEBUG);
        let detail = if debug { "a debugger may read the enclave" } else { "not a debug enclave" };
        Check::new("enclave.debug", !debug || self.enclave.insecure_debug, detail)
    }

    fn check_workload(&self, report: &Report) -> Check {
        let (id, svn) = (hex(&report.configid), report.configsvn);
        let by_digest =
            svn == 0 && self.workload.digest.iter().any(|accepted| accepted.eq_ignore_ascii_case(&id));
        let by_owner = self.workload.owner.iter().any(|rule| {
            let config_id = digits("", &rule.key).map(|key| owner_config_id(&key, &rule.name));
            config_id.is_ok_and(|config_id| config_id.0 == report.configid) && rule.min_version <= svn
        });
        let pass = by_digest || by_owner || self.workload.insecure_any;
        Check::new("workload.identity", pass, format!("CONFIGID {id}, CONFIGSVN {svn}"))
    }

    /// That simulation is allowed was checked before the quote was verified under its root.
    fn check_root(&self, quote: &QuoteVerified) -> Check {
        let detail = match quote.root() {
            Root::Intel => "Intel's root",
            Root::Simulation => "the simulation's root, which protects nothing; simulation is allowed",
        };
        Check::new("platform.root", true, detail)
    }

    fn check_tcb_status(&self, quote: &QuoteVerified) -> Check {
        let status = quote.tcb_status().to_string();
        let pass = self.platform.tcb_status.contains(&status);
        Check::new("platform.tcb-status", pass, status)
    }

    fn check_advisories(&self, quote: &QuoteVerified) -> Check {
        let applying = quote.advisories();
        let refused: Vec<_> =
            applying.iter().filter(|id| !self.platform.advisories.contains(id)).cloned().collect();
        let detail = match (applying.is_empty(), refused.is_empty()) {
            (true, _) => "none apply".into(),
            (false, true) => format!("{}: accepted", applying.join(", ")),
            (false, false) => format!("{}: not accepted", refused.join(", ")),
        };
        Check::new("platform.advisories", refused.is_empty(), detail)
    }

    fn check_evaluation(&self, quote: &QuoteVerified) -> Option<Check> {
        let (least, found) =
            (self.platform.min_tcb_evaluation_data_number?, quote.tcb_evaluation_data_number());
        let detail = format!("TCB recovery {found}, at least {least}");
        Some(Check::new("platform.tcb-evaluation", found >= least, detail))
    }

    fn check_age(&self, quote: &QuoteVerified) -> Option<Check> {
        // A policy whose age cannot be read was refused.
        let most = self.max_age().ok()??;
        let age = Duration::from_secs(quote.verified_at().saturating_sub(quote.collateral_issued()));
        let (issued, most_text) = (rfc3339(quote.collateral_issued()), humantime::format_duration(most));
        let detail = format!(
            "collateral issued {issued}, {} ago, at most {most_text}",
            humantime::format_duration(age)
        );
        Some(Check::new("evidence.age", age <= most, detail))
    }

    fn check_freshness(&self, expected: &Expected) -> Option<Check> {
        let least = self.workload.freshness?;
        let Some(workload) = &expected.workload else {
            let detail = "the policy asks for a freshness, but the workload to judge by was not given";
            return Some(Check::new("workload.freshness", false, detail));
        };
        let below = stalest(workload.workload(), least);
        let detail = below.clone().unwrap_or_else(|| "every volume is as fresh as asked".into());
        Some(Check::new("workload.freshness", below.is_none(), detail))
    }
}

fn check_report_data(report: &Report, expected: &str) -> Check {
    let found = hex(&report.reportdata);
    Check::new("evidence.report-data", found.eq_ignore_ascii_case(expected), format!("REPORTDATA {found}"))
}

fn check_expected_workload(report: &Report, workload: &Candidate) -> Check {
    let pass = workload.config_id().0 == report.configid && workload.config_svn() == report.configsvn;
    let detail = format!("expected CONFIGID {}, CONFIGSVN {}", workload.config_id(), workload.config_svn());
    Check::new("workload.expected", pass, detail)
}

/// Claims count only if REPORTDATA binds them.
fn check_claims(report: &Report, expected: &Expected) -> (Vec<Check>, Option<AnyClaims>) {
    let Some(bytes) = &expected.claims else {
        let missing = |id, what| {
            let detail = format!("{what} expected, but the claims that would carry it were not given");
            Check::new(id, false, detail)
        };
        let nonce = expected.nonce.as_ref().map(|_| missing("evidence.nonce", "a nonce is"));
        let data = expected.program_data.as_ref();
        let data = data.map(|_| missing("evidence.program-data", "a program's data is"));
        return (nonce.into_iter().chain(data).collect(), None);
    };
    let bound = report.reportdata == claims::report_data(bytes);
    let detail = if bound { "REPORTDATA is the claims' hash" } else { "REPORTDATA is not the claims' hash" };
    let mut checks = vec![Check::new("evidence.claims", bound, detail)];
    let claims = match AnyClaims::from_bytes(bytes) {
        Ok(claims) => claims,
        Err(e) => {
            checks.push(Check::new("evidence.claims-format", false, e.to_string()));
            return (checks, None);
        }
    };
    if let Some(nonce) = &expected.nonce {
        let found = claims.nonce().map_or("none".into(), hex);
        let pass = claims.nonce() == Some(nonce);
        checks.push(Check::new("evidence.nonce", pass, format!("expected {}, found {found}", hex(nonce))));
    }
    if let Some(data) = &expected.program_data {
        let (pass, detail) = match &claims {
            AnyClaims::Session(_) => (false, "the claims are of a channel, not of a program's data".into()),
            AnyClaims::Program(claims) if claims.data == *data => {
                (true, format!("{} bytes, as expected", data.len()))
            }
            AnyClaims::Program(claims) => {
                let (expected, found) = (sha256(data), sha256(&claims.data));
                (
                    false,
                    format!(
                        "expected {} bytes, SHA-256 {expected}; found {} bytes, SHA-256 {found}",
                        data.len(),
                        claims.data.len()
                    ),
                )
            }
        };
        checks.push(Check::new("evidence.program-data", pass, detail));
    }
    // Under an owner's identity the claims tell which of its workloads runs.
    if let Some(workload) = &expected.workload
        && !(expected.workload_is_delivered && claims.workload().is_none())
        && matches!(workload.workload().identity, Identity::Owner { .. })
    {
        let found = claims.workload().map_or("none".into(), |Digest(digest)| hex(&digest));
        let pass = claims.workload() == Some(workload.digest());
        let detail = format!("expected digest {}, claimed {found}", workload.digest());
        checks.push(Check::new("workload.digest", pass, detail));
    }
    (checks, Some(claims))
}

/// A volume that is less fresh than `least`.
fn stalest(workload: &Workload, least: FreshnessWord) -> Option<String> {
    let rank = |word| match word {
        FreshnessWord::Run => 0,
        FreshnessWord::InsecureFile => 1,
        FreshnessWord::Service => 2,
    };
    workload.mounts.iter().find_map(|mount| match &mount.source {
        MountSource::Volume { name, freshness, .. } => {
            let word = match freshness {
                Freshness::Run => FreshnessWord::Run,
                Freshness::InsecureFile { .. } => FreshnessWord::InsecureFile,
                Freshness::Service { .. } => FreshnessWord::Service,
            };
            (rank(word) < rank(least))
                .then(|| format!("volume {name:?} has freshness {word:?}, not {least:?}"))
        }
        _ => None,
    })
}
