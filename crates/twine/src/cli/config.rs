//! `twine config`.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;
use twine::Program;
use twine::workload::manifest::{Config, json_schema};

use super::failure::Failure;
use super::output::{Output, Status};

pub const SCHEMA: &str = "twine.config/1";

/// Verbs of `twine config`.
#[derive(Subcommand)]
pub enum Options {
    /// Check a manifest and everything that it names, offline
    Check {
        /// The manifest
        #[arg(default_value = "twine.toml")]
        manifest: PathBuf,
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
    /// Print the JSON Schema of manifests
    Schema,
}

#[derive(Serialize)]
struct Checked {
    configid: String,
    configsvn: u16,
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
            Self::Check { manifest } => {
                let program = Program::from_config(&Config::read(&manifest)?)?;
                let candidate = program.candidate();
                let configid = candidate.config_id().to_string();
                output.result(
                    SCHEMA,
                    Status::Success,
                    &Checked { configid, configsvn: candidate.config_svn() },
                );
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
            Self::Schema => {
                let text = json_schema();
                let json_schema = serde_json::from_str(&text).unwrap_or_default();
                output.result(SCHEMA, Status::Success, &Schema { json_schema, text });
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "valid\nCONFIGID    {}\nCONFIGSVN   {}", self.configid, self.configsvn)
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
