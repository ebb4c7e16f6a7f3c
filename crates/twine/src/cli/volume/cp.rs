//! `twine volume cp`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytesize::ByteSize;
use clap::Args;
use serde::Serialize;
use twine_vfs::{Error, FileType};

use super::open::{Access, Mode, close, failed_inside};
use super::path::{Place, resolve, split};
use super::progress::Progress;
use super::transfer::volume::Source;
use super::transfer::{Sink, Tolerance, folder, volume};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, Status};

pub const SCHEMA: &str = "twine.volume.cp/1";

/// Options of `twine volume cp`.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    key: Access,
    /// Copy folders with everything in them
    #[arg(short, long)]
    recursive: bool,
    /// What to copy: VOLUME::PATH, or a path of this machine
    from: String,
    /// Where to; in a folder that exists, it gets the name that it has
    to: String,
}

/// What was copied.
#[derive(Serialize)]
pub struct Copied {
    pub entries: u64,
    pub bytes: u64,
}

impl Copied {
    pub fn of(progress: &Progress) -> Self {
        Self { entries: progress.entries, bytes: progress.bytes }
    }
}

/// A side of a copy.
enum Side {
    Volume(Place),
    Host(PathBuf),
}

fn side(text: &str) -> Side {
    if text.contains("::") {
        let Ok(place) = text.parse();
        Side::Volume(place)
    } else {
        Side::Host(text.into())
    }
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        let copied = match (side(&self.from), side(&self.to)) {
            (Side::Host(from), Side::Volume(to)) => self.bring_in(&from, &to)?,
            (Side::Volume(from), Side::Host(to)) => self.take_out(&from, &to)?,
            (Side::Volume(_), Side::Volume(_)) => {
                return Err(Failure::usage(
                    "cp copies into a volume or out of one; between two, pipe `export` into `import`",
                ));
            }
            (Side::Host(_), Side::Host(_)) => {
                return Err(Failure::usage("one of the two is a place in a volume: write it VOLUME::PATH"));
            }
        };
        output.result(SCHEMA, Status::Success, &copied);
        Ok(ExitCode::SUCCESS)
    }

    fn folder_needs_recursive(&self) -> Failure {
        Failure::usage(format!("{} is a folder; copy it with --recursive", self.from))
    }

    fn bring_in(&self, from: &Path, to: &Place) -> Result<Copied, Failure> {
        let metadata = std::fs::metadata(from).map_err(Failure::reading(from))?;
        if metadata.is_dir() && !self.recursive {
            return Err(self.folder_needs_recursive());
        }
        let volume = self.key.open(&to.volume, Mode::Write)?;
        let failed = |error| failed_inside(&volume, &to.path, error);
        let own_name = from.file_name().and_then(|name| name.to_str());
        let (top, name) = match (resolve(&volume, &to.path, true), split(&to.path)) {
            (Ok((dir, FileType::Directory)), _) => (dir, own_name),
            (Ok(_) | Err(Error::NotFound), Some((folder, name))) => match resolve(&volume, folder, true) {
                Ok((dir, FileType::Directory)) => (dir, Some(name)),
                Ok(_) => return Err(failed(Error::NotDirectory)),
                Err(error) => return Err(failed(error)),
            },
            (Ok(_), None) => return Err(failed(Error::NotDirectory)),
            (Err(error), _) => return Err(failed(error)),
        };
        if name.is_none() && !metadata.is_dir() {
            return Err(Failure::usage(format!("{}: give the file a name in the volume", to)));
        }
        let mut progress = Progress::new();
        folder::walk(from, &mut volume::Into::new(&volume, top, name), &mut progress)?;
        close(&volume, &to.volume)?;
        Ok(Copied::of(&progress))
    }

    fn take_out(&self, from: &Place, to: &Path) -> Result<Copied, Failure> {
        let volume = self.key.open(&from.volume, Mode::Read)?;
        let (ino, file_type) =
            resolve(&volume, &from.path, true).map_err(|error| failed_inside(&volume, &from.path, error))?;
        if file_type == FileType::Directory && !self.recursive {
            return Err(self.folder_needs_recursive());
        }
        let to = match (to.is_dir(), split(&from.path)) {
            (true, Some((_, name))) => to.join(name),
            (true, None) | (false, _) => to.to_owned(),
        };
        let mut source = Source::new(&volume, Tolerance::none());
        let mut sink: Box<dyn Sink> = Box::new(folder::Into::new(to));
        source.walk(ino, "", &mut *sink)?;
        Ok(Copied::of(&source.progress))
    }
}

impl fmt::Display for Copied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = if self.entries == 1 { "name" } else { "names" };
        writeln!(f, "{} {names}, {}", self.entries, ByteSize(self.bytes))
    }
}
