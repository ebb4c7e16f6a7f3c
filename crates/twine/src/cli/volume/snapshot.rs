//! `twine volume snapshot`.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use twine_volume::store::{FileStore, ReadAt, Store, StoreError, WriteAt};

use super::info::{Outside, size};
use super::open::{Access, Mode, failed, open_store};
use super::progress::Progress;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, Status};

pub const SCHEMA: &str = "twine.volume.snapshot/1";

/// Bytes copied at once; pieces of zeros are left out.
const PIECE: usize = 1 << 20;

/// What it needs, and what comes of it.
const HELP: &str = "\
Copies what the file holds, which needs no key; with --key the copy is opened and verified before it gets its name. Others \
may have the volume open for reading meanwhile. Where one has it open for writing, this refuses: a copy made between two of \
its writes would be of no state at all.

The copy opens under the same key, and is a state of the same volume: an anchor accepts whichever of the two goes on first.";

/// Options of `twine volume snapshot`.
#[derive(Args)]
#[command(after_help = HELP)]
pub struct Options {
    #[command(flatten)]
    key: Access,
    /// The volume
    volume: PathBuf,
    /// The new file
    to: PathBuf,
}

#[derive(Serialize)]
struct Taken {
    to: PathBuf,
    bytes: u64,
    /// The state that the copy opens at, if a key was given.
    sequence: Option<u64>,
    verified: bool,
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        let (path, to) = (&self.volume, &self.to);
        let mut store = open_store(path, Mode::Read)?;
        let outside = Outside::of(&mut store).map_err(failed(path))?;
        if twine_volume::labels(&mut store).is_err() && !outside.findings().is_empty() {
            return Err(failed(path)(twine_volume::Error::NotAVolume));
        }
        if to.exists() {
            return Err(Failure::writing(to)(std::io::ErrorKind::AlreadyExists.into()));
        }
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let part = to.with_file_name(name);
        let taken = self.copy(&mut store, &part).and_then(|(bytes, sequence)| {
            // A link and not a rename: it does not take the place of what has come there meanwhile.
            fs::hard_link(&part, to).map_err(Failure::writing(to))?;
            fs::remove_file(&part).map_err(Failure::writing(&part))?;
            let folder =
                to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(Failure::writing(folder))?;
            Ok(Taken { to: to.clone(), bytes, sequence, verified: sequence.is_some() })
        });
        let taken = taken.inspect_err(|_| drop(fs::remove_file(&part)))?;
        output.result(SCHEMA, Status::Success, &taken);
        Ok(ExitCode::SUCCESS)
    }

    fn copy(&self, from: &mut FileStore, part: &Path) -> Result<(u64, Option<u64>), Failure> {
        let _ = fs::remove_file(part);
        let mut to = FileStore::create(part).map_err(|error| failed(part)(error.into()))?;
        let bytes = copy(from, &mut to).map_err(|error| failed(part)(error.into()))?;
        drop(to);
        if !self.key.is_named() {
            return Ok((bytes, None));
        }
        let volume = self.key.open_copy(part, &self.volume)?;
        if let Some(finding) = volume.check().map_err(failed(part))?.first() {
            let message = format!("{}: {finding}", self.volume.display());
            return Err(Failure {
                remedy: Some(
                    "`twine volume check` tells all of it; without --key it is copied as it is".to_owned(),
                ),
                ..Failure::new(twine::exit::Code::BadInput, "volume", message)
            });
        }
        Ok((bytes, Some(volume.info().sequence)))
    }
}

fn copy(from: &mut FileStore, to: &mut FileStore) -> Result<u64, StoreError> {
    let length = from.length()?;
    let mut progress = Progress::new();
    progress.entry("copying");
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    while offset < length {
        let n = usize::try_from(length - offset).unwrap_or(PIECE).min(PIECE);
        from.read(&mut [ReadAt { offset, buf: &mut piece[..n] }])?;
        if piece[..n].iter().any(|byte| *byte != 0) {
            to.write(&[WriteAt { offset, bytes: &piece[..n] }])?;
        }
        offset += n as u64;
        progress.bytes("copying", n as u64);
    }
    to.truncate(length)?;
    to.sync()?;
    Ok(length)
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "copied      {}, to {}", size(self.bytes), self.to.display())?;
        match self.sequence {
            Some(sequence) => writeln!(f, "verified    state {sequence}"),
            None => writeln!(f, "not verified: no key was given"),
        }
    }
}
