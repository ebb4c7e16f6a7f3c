//! `twine volume rm`.

use std::fmt;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use twine_vfs::{Error, FileSystem, FileType, Ino};
use twine_volume::Volume;

use super::open::{Access, Mode, close, failed_inside};
use super::path::{Place, resolve, split};
use super::progress::Progress;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, Status};

pub const SCHEMA: &str = "twine.volume.rm/1";

/// Names removed before a folder is looked at again.
const BATCH: usize = 1024;

/// Options of `twine volume rm`.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    key: Access,
    /// Remove folders with everything in them
    #[arg(short, long)]
    recursive: bool,
    /// The volume, and files in it
    #[arg(value_name = "VOLUME::PATH", required = true)]
    places: Vec<Place>,
}

#[derive(Serialize)]
struct Removed {
    entries: u64,
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        let mut progress = Progress::new();
        for place in &self.places {
            let volume = self.key.open(&place.volume, Mode::Write)?;
            let failed = |error| failed_inside(&volume, &place.path, error);
            let (folder, name) = split(&place.path)
                .ok_or_else(|| Failure::usage(format!("{place}: the root of a volume stays")))?;
            let (dir, _) = resolve(&volume, folder, true).map_err(failed)?;
            let (ino, file_type) = volume.lookup(dir, name).map_err(failed)?;
            if file_type == FileType::Directory {
                if !self.recursive {
                    return Err(Failure::usage(format!("{place} is a folder; remove it with --recursive")));
                }
                empty(&volume, ino, &mut progress).map_err(failed)?;
                volume.rmdir(dir, name).map_err(failed)?;
            } else {
                volume.unlink(dir, name).map_err(failed)?;
            }
            progress.entry(&place.path);
            close(&volume, &place.volume)?;
        }
        output.result(SCHEMA, Status::Success, &Removed { entries: progress.entries });
        Ok(ExitCode::SUCCESS)
    }
}

/// Removes everything in a folder.
fn empty(volume: &Volume, dir: Ino, progress: &mut Progress) -> Result<(), Error> {
    loop {
        let mut names = Vec::new();
        volume.readdir(dir, 0, &mut |entry| {
            names.push((entry.name.to_owned(), entry.ino, entry.file_type));
            names.len() < BATCH
        })?;
        if names.is_empty() {
            return Ok(());
        }
        for (name, ino, file_type) in names {
            progress.entry(&name);
            if file_type == FileType::Directory {
                empty(volume, ino, progress)?;
                volume.rmdir(dir, &name)?;
            } else {
                volume.unlink(dir, &name)?;
            }
        }
    }
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} removed", self.entries)
    }
}
