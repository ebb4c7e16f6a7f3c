//! `twine volume compact`.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use twine::Operation;

use super::info::size;
use super::inside::Inside;
use super::open::{Access, Mode, close, failed};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, Status};

pub const SCHEMA: &str = "twine.volume.compact/1";

/// Options of `twine volume compact`.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    key: Access,
    /// The volume
    volume: PathBuf,
    #[command(flatten)]
    inside: Inside,
}

#[derive(Serialize)]
struct Compacted {
    freed_bytes: u64,
    store_bytes: u64,
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        let path = &self.volume;
        let length = || std::fs::metadata(path).map(|file| file.len()).map_err(Failure::reading(path));
        let before = length()?;
        if self.inside.is_named() {
            self.inside.perform(Operation::Compact, path, None)?;
        } else {
            let volume = self.key.open(path, Mode::Write)?;
            volume.compact().map_err(failed(path))?;
            close(&volume, path)?;
        }
        let store_bytes = length()?;
        let freed_bytes = before.saturating_sub(store_bytes);
        output.result(SCHEMA, Status::Success, &Compacted { freed_bytes, store_bytes });
        Ok(ExitCode::SUCCESS)
    }
}

impl fmt::Display for Compacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "freed       {}\nstore       {}", size(self.freed_bytes), size(self.store_bytes))
    }
}
