//! `twine config`.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use twine::Program;
use twine::workload::manifest::{self, Config};
use twine_attest::Policy;
use twine_attest::delivery::{Secrets, secrets_schema};

use super::failure::Failure;
use super::output::{Output, Status};

pub const SCHEMA: &str = "twine.config/1";

/// Verbs of `twine config`.
#[derive(Subcommand)]
pub enum Options {
    /// Check a manifest and everything that it names, offline; or the form of another file
    Check {
        /// The file [default: KIND.toml; for a manifest twine.toml]
        file: Option<PathBuf>,
        /// What it is
        #[arg(long, value_enum, default_value_t = Kind::Manifest)]
        kind: Kind,
    },
    /// Print the effective configuration
    Show {
        /// The manifest
        #[arg(default_value = "twine.toml")]
        manifest: PathBuf,
        /// Say where each value came from
        #[arg(long)]
        origin: bool,
    },
    /// Print the JSON Schema of a kind of file
    Schema {
        /// What it is of
        #[arg(value_enum, default_value_t = Kind::Manifest)]
        kind: Kind,
    },
}

/// A kind of file that people write.
#[derive(Clone, Copy, ValueEnum)]
pub enum Kind {
    /// What runs (docs/workload.md)
    Manifest,
    /// What is accepted (docs/attestation.md)
    Policy,
    /// What an owner delivers
    Secrets,
    /// What a key service releases to whom
    Keys,
}

impl Kind {
    fn file(self) -> &'static Path {
        Path::new(match self {
            Self::Manifest => "twine.toml",
            Self::Policy => "policy.toml",
            Self::Secrets => "secrets.toml",
            Self::Keys => "keys.toml",
        })
    }

    fn schema(self) -> String {
        match self {
            Self::Manifest => manifest::json_schema(),
            Self::Policy => twine_attest::json_schema(),
            Self::Secrets => secrets_schema(),
            Self::Keys => twine_keys::json_schema(),
        }
    }

    fn check(self, file: &Path) -> Result<Checked, Failure> {
        let name = file.display().to_string();
        let text = || fs::read_to_string(file).map_err(Failure::reading(file));
        match self {
            Self::Manifest => {
                let program = Program::from_config(&Config::read(file)?)?;
                let candidate = program.candidate();
                let configid = candidate.config_id().to_string();
                return Ok(Checked { configid: Some(configid), configsvn: Some(candidate.config_svn()) });
            }
            Self::Policy => drop(Policy::from_toml(&text()?, &name)?),
            Self::Secrets => drop(Secrets::from_toml(&text()?, &name)?),
            Self::Keys => drop(twine_keys::Config::from_toml(&text()?, &name)?),
        }
        Ok(Checked { configid: None, configsvn: None })
    }
}

/// The identity that a manifest makes.
#[derive(Serialize)]
struct Checked {
    configid: Option<String>,
    configsvn: Option<u16>,
}

#[derive(Serialize)]
struct Shown {
    settings: Vec<Setting>,
    #[serde(skip)]
    origins: bool,
}

#[derive(Serialize)]
struct Setting {
    key: String,
    value: String,
    origin: String,
    measured: bool,
}

#[derive(Serialize)]
struct Schema {
    json_schema: serde_json::Value,
    #[serde(skip)]
    text: String,
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        match self {
            Self::Check { file, kind } => {
                let checked = kind.check(file.as_deref().unwrap_or(kind.file()))?;
                output.result(SCHEMA, Status::Success, &checked);
            }
            Self::Show { manifest, origin } => {
                let settings = Config::read(&manifest)?.show()?;
                let settings = settings.into_iter().map(|setting| Setting {
                    key: setting.key,
                    value: setting.value,
                    origin: setting.origin.to_string(),
                    measured: setting.measured,
                });
                output.result(
                    SCHEMA,
                    Status::Success,
                    &Shown { settings: settings.collect(), origins: origin },
                );
            }
            Self::Schema { kind } => {
                let text = kind.schema();
                let json_schema = serde_json::from_str(&text).unwrap_or_default();
                output.result(SCHEMA, Status::Success, &Schema { json_schema, text });
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "valid")?;
        if let (Some(configid), Some(configsvn)) = (&self.configid, self.configsvn) {
            writeln!(f, "CONFIGID    {configid}\nCONFIGSVN   {configsvn}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for setting in &self.settings {
            let measured = if setting.measured { "measured" } else { "host" };
            write!(f, "{measured:<9} {} = {}", setting.key, setting.value)?;
            if self.origins {
                write!(f, "    # {}", setting.origin)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
