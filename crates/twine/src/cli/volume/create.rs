//! `twine volume create`.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use twine::exit::Code;
use twine_volume::store::FileStore;
use twine_volume::{Environment, Volume};
use twine_volume_key::Anchored;

use super::open::{KeyFile, close, failed};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, Status};

pub const SCHEMA: &str = "twine.volume.create/1";

/// Options of `twine volume create`.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    key: KeyFile,
    /// The new file
    volume: PathBuf,
}

#[derive(Serialize)]
struct Created {
    volume: PathBuf,
    id: String,
    key: String,
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        let key = self.key.load()?;
        let path = &self.volume;
        if path.exists() {
            let message = format!("{} exists and is not overwritten; name another file", path.display());
            return Err(Failure::new(Code::Io, "exists", message));
        }
        let store = FileStore::create(path).map_err(|error| failed(path)(error.into()))?;
        let created = Volume::create(
            Box::new(store),
            &key.master(Anchored::No),
            Environment::system(),
            &twine_volume::Options::default(),
        )
        .map_err(failed(path))
        .and_then(|volume| close(&volume, path).map(|()| volume.info().id));
        // Half a volume is of no use, and in the way of the next attempt.
        let id = created.inspect_err(|_| drop(std::fs::remove_file(path)))?;
        let (id, key) = (hex::encode(id), hex::encode(key.id()));
        output.result(SCHEMA, Status::Success, &Created { volume: self.volume, id, key });
        Ok(ExitCode::SUCCESS)
    }
}

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "created {}\nvolume      {}\nkey         {}", self.volume.display(), self.id, self.key)
    }
}
