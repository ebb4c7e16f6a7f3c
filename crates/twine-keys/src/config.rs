//! keys.toml: what the service releases, to whom, and how much it puts up with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use twine_workload::manifest::{FileError, tomlfile};

/// keys.toml, version 1. Paths are relative to the file's directory.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of this file's format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// HOST:PORT to listen on.
    pub listen: String,
    /// The service's Ed25519 key, whose public half the workloads name in `delivery.key` (PEM, `twine key create`).
    pub key: PathBuf,
    /// Where the audit log goes: JSON lines, appended.
    pub audit: PathBuf,
    /// Collateral for the enclaves' platform (JSON), read again for each of them.
    #[serde(default)]
    pub collateral: Option<PathBuf>,
    /// URL of Intel's service or of a cache of it, to fetch each platform's collateral from.
    #[serde(default)]
    pub pccs: Option<String>,
    /// Authority (PEM) to trust for the cache's HTTPS, instead of the Web's.
    #[serde(default)]
    pub pccs_ca: Option<PathBuf>,
    /// How much the service puts up with.
    #[serde(default)]
    pub limits: LimitsTable,
    /// What it releases.
    pub workload: Vec<EntryTable>,
}

/// How much the service puts up with.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsTable {
    /// Connections that are served at once; as many again may wait.
    pub connections: u16,
    /// Connections per minute from one address.
    pub per_address: u32,
    /// How long a connection may take until it has its bundle, like "10s".
    pub timeout: String,
}

impl Default for LimitsTable {
    fn default() -> Self {
        Self { connections: 16, per_address: 600, timeout: "10s".into() }
    }
}

/// One workload.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryTable {
    /// What the audit log calls it.
    pub name: String,
    /// Its manifest; the module is delivered if host.module names its file.
    pub manifest: PathBuf,
    /// Who gets its secrets (policy.toml).
    pub policy: PathBuf,
    /// Its secrets (secrets.toml), if it has any.
    #[serde(default)]
    pub secrets: Option<PathBuf>,
    /// Deliveries per minute; not bounded if not given.
    #[serde(default)]
    pub per_minute: Option<u32>,
}

impl Config {
    /// Reads a configuration that errors call `file`.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, FileError> {
        let (config, _) = tomlfile::read::<Self>(text, file)?;
        config.check().map_err(|e| e.at(file))?;
        Ok(config)
    }

    /// The time that a connection may take.
    pub fn timeout(&self) -> Result<Duration, FileError> {
        let text = &self.limits.timeout;
        humantime::parse_duration(text).ok().filter(|time| !time.is_zero()).ok_or_else(|| {
            FileError::value("limits.timeout", format!("found {text:?}"), "write it like \"10s\"")
        })
    }

    fn check(&self) -> Result<(), FileError> {
        if self.version != 1 {
            let message = format!("found {}; this program knows version 1", self.version);
            return Err(FileError::value("version", message, "write version = 1, or use a newer twine"));
        }
        self.timeout()?;
        if self.collateral.is_some() && self.pccs.is_some() {
            let message = "collateral is given, too";
            return Err(FileError::value("pccs", message, "leave out one of the two"));
        }
        if self.pccs_ca.is_some() && self.pccs.is_none() {
            return Err(FileError::value("pccs_ca", "pccs is not given", "name the service in pccs"));
        }
        if self.limits.connections == 0 {
            return Err(FileError::value("limits.connections", "found 0", "allow at least one"));
        }
        if self.workload.is_empty() {
            return Err(FileError::value("workload", "nothing is released", "add a [[workload]]"));
        }
        for (i, entry) in self.workload.iter().enumerate() {
            let field = format!("workload.{i}.name");
            if entry.name.is_empty() {
                return Err(FileError::value(field, "it is empty", "name it for the audit log"));
            }
            if self.workload.iter().take(i).any(|other| other.name == entry.name) {
                let message = format!("found {:?} twice", entry.name);
                return Err(FileError::value(field, message, "give each workload its own name"));
            }
        }
        Ok(())
    }

    /// A path of this file, which is at `place`.
    pub fn path(place: &Path, path: &Path) -> PathBuf {
        place.parent().unwrap_or(Path::new("")).join(path)
    }
}

/// The JSON Schema of [`Config`], pretty-printed with a newline at the end.
pub fn json_schema() -> String {
    // A schema is a tree of strings and numbers: it always prints.
    serde_json::to_string_pretty(&schemars::schema_for!(Config)).unwrap_or_default() + "\n"
}
