//! The tables of policy.toml, and what makes a policy meaningless.

use std::time::Duration;

use dcap_qvl::TcbStatus;
use schemars::JsonSchema;
use serde::Deserialize;
use twine_workload::manifest::{FileError, FreshnessWord, tomlfile};

/// policy.toml, version 1: what a relying party accepts. Everything that is not allowed here is refused.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Version of this file's format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// Which runtime.
    pub enclave: EnclaveTable,
    /// Which program and configuration.
    pub workload: WorkloadTable,
    /// On what hardware.
    #[serde(default)]
    pub platform: PlatformTable,
    /// How recent, and bound to what.
    #[serde(default)]
    pub evidence: EvidenceTable,
}

/// Which runtime: one of `image`, or one of `signer`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnclaveTable {
    /// Accepted images.
    pub image: Vec<ImageRule>,
    /// Accepted signers.
    pub signer: Vec<SignerRule>,
    /// Accept enclaves that a debugger may read.
    pub insecure_debug: bool,
}

/// One image, by whoever's signature it must be launched with: anybody can sign an image again and launch it, and what it
/// seals to its signer is then sealed to a stranger.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageRule {
    /// MRENCLAVE, 64 hex digits.
    pub mrenclave: String,
    /// MRSIGNER, 64 hex digits.
    pub mrsigner: String,
}

/// Any image of a signer from some security version on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignerRule {
    /// MRSIGNER, 64 hex digits.
    pub mrsigner: String,
    /// ISVPRODID.
    pub product: u16,
    /// Lowest accepted ISVSVN.
    pub min_isvsvn: u16,
}

/// Which program and configuration: one of `digest`, or one of `owner`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorkloadTable {
    /// Digests of accepted workloads with `digest` identity, 128 hex digits each.
    pub digest: Vec<String>,
    /// Accepted workloads of owners.
    pub owner: Vec<OwnerRule>,
    /// Least freshness of every volume. Needs the workload itself to judge by.
    pub freshness: Option<FreshnessWord>,
    /// Accept any program and configuration: the evidence then says nothing about what runs.
    pub insecure_any: bool,
}

/// Any version of an owner's workload from some version on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnerRule {
    /// The owner's Ed25519 public key, 64 hex digits.
    pub key: String,
    /// The workload's name.
    pub name: String,
    /// Lowest accepted CONFIGSVN.
    pub min_version: u16,
}

/// On what hardware. Status and advisories must both hold.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlatformTable {
    /// Accepted TCB statuses, in Intel's words; `UpToDate` if not given.
    pub tcb_status: Vec<String>,
    /// Advisories that may apply to the platform, like "INTEL-SA-00289"; none if not given.
    pub advisories: Vec<String>,
    /// Lowest number of the TCB recovery (tcbEvaluationDataNumber) to judge by.
    pub min_tcb_evaluation_data_number: Option<u32>,
}

impl Default for PlatformTable {
    fn default() -> Self {
        let tcb_status = vec![TcbStatus::UpToDate.to_string()];
        Self { tcb_status, advisories: Vec::new(), min_tcb_evaluation_data_number: None }
    }
}

/// How recent, and bound to what.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvidenceTable {
    /// Accept simulated processors, which protect nothing.
    pub insecure_simulation: bool,
    /// Greatest age of TCB info, QE identity and revocation lists, like "7days".
    pub max_age: Option<String>,
    /// REPORTDATA, 128 hex digits; a nonce is given per verification, not here.
    pub report_data: Option<String>,
}

impl Policy {
    /// Reads a policy that errors call `file`.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, FileError> {
        let (policy, _) = tomlfile::read::<Self>(text, file)?;
        policy.check().map_err(|e| e.at(file))?;
        Ok(policy)
    }

    /// Refuses a policy that cannot mean what it says.
    fn check(&self) -> Result<(), FileError> {
        if self.version != 1 {
            let message = format!("found {}; this program knows version 1", self.version);
            return Err(FileError::value("version", message, "write version = 1, or use a newer twine"));
        }
        let (enclave, workload) = (&self.enclave, &self.workload);
        for (i, rule) in enclave.image.iter().enumerate() {
            digits::<32>(&format!("enclave.image.{i}.mrenclave"), &rule.mrenclave)?;
            digits::<32>(&format!("enclave.image.{i}.mrsigner"), &rule.mrsigner)?;
        }
        for (i, rule) in enclave.signer.iter().enumerate() {
            digits::<32>(&format!("enclave.signer.{i}.mrsigner"), &rule.mrsigner)?;
        }
        if enclave.image.is_empty() && enclave.signer.is_empty() {
            let remedy = "name an image in [[enclave.image]], or a signer in [[enclave.signer]]";
            return Err(FileError::value("enclave", "no runtime is accepted", remedy));
        }
        for (i, text) in workload.digest.iter().enumerate() {
            digits::<64>(&format!("workload.digest.{i}"), text)?;
        }
        for (i, rule) in workload.owner.iter().enumerate() {
            digits::<32>(&format!("workload.owner.{i}.key"), &rule.key)?;
        }
        let named = !workload.digest.is_empty() || !workload.owner.is_empty();
        if named == workload.insecure_any {
            let (message, remedy) = if named {
                ("workloads are named, but insecure_any accepts all", "leave out one of the two")
            } else {
                ("no workload is accepted", "name digests in digest, or an owner in [[workload.owner]]")
            };
            return Err(FileError::value("workload", message, remedy));
        }
        for (i, status) in self.platform.tcb_status.iter().enumerate() {
            tcb_status(&format!("platform.tcb_status.{i}"), status)?;
        }
        if let Some(text) = &self.evidence.report_data {
            digits::<64>("evidence.report_data", text)?;
        }
        self.max_age().map(drop)
    }

    pub(super) fn max_age(&self) -> Result<Option<Duration>, FileError> {
        let parse = |text: &String| {
            humantime::parse_duration(text).map_err(|e| {
                FileError::value(
                    "evidence.max_age",
                    format!("found {text:?}: {e}"),
                    "write it like \"7days\"",
                )
            })
        };
        self.evidence.max_age.as_ref().map(parse).transpose()
    }
}

/// The JSON Schema of [`Policy`], pretty-printed with a newline at the end.
pub fn json_schema() -> String {
    // A schema is a tree of strings and numbers: it always prints.
    serde_json::to_string_pretty(&schemars::schema_for!(Policy)).unwrap_or_default() + "\n"
}

fn tcb_status(field: &str, text: &str) -> Result<(), FileError> {
    // Intel's words for SGX; TDX has more, and Revoked is never accepted.
    let known = [
        TcbStatus::UpToDate,
        TcbStatus::SWHardeningNeeded,
        TcbStatus::ConfigurationNeeded,
        TcbStatus::ConfigurationAndSWHardeningNeeded,
        TcbStatus::OutOfDate,
        TcbStatus::OutOfDateConfigurationNeeded,
    ]
    .map(|status| status.to_string());
    if known.iter().any(|status| status == text) {
        return Ok(());
    }
    Err(FileError::value(field, format!("found {text:?}"), format!("one of {}", known.join(", "))))
}

pub(super) fn digits<const N: usize>(field: &str, text: &str) -> Result<[u8; N], FileError> {
    let wrong = || FileError::value(field, format!("found {text:?}"), format!("write {} hex digits", 2 * N));
    let digits: Vec<u8> = text.chars().map_while(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    if digits.len() != 2 * N || text.len() != 2 * N {
        return Err(wrong());
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().fold(0, |byte, digit| byte << 4 | digit);
    }
    Ok(bytes)
}
