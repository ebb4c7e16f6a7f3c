//! `twine volume export` and `import`.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use twine::exit::Code;
use twine::{EXPORT, IMPORT, Operation, Report};
use twine_vfs::FileSystem;

use super::cp::Copied;
use super::info::size;
use super::inside::Inside;
use super::open::{Access, Mode, close};
use super::progress::Progress;
use super::transfer::volume::{Into, Source};
use super::transfer::{Tolerance, folder, tar};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, Status, note};

pub const EXPORT_SCHEMA: &str = "twine.volume.export/1";
pub const IMPORT_SCHEMA: &str = "twine.volume.import/1";

/// Options of `twine volume export`.
#[derive(Args)]
pub struct Export {
    #[command(flatten)]
    key: Access,
    /// The volume
    volume: PathBuf,
    /// A new tar file, - for standard output, or an empty folder, in clear; of a sealed volume, a new volume under the
    /// owner's key that its workload names (export_to)
    to: PathBuf,
    #[command(flatten)]
    inside: Inside,
}

/// Options of `twine volume import`.
#[derive(Args)]
pub struct Import {
    #[command(flatten)]
    key: Access,
    /// The volume
    volume: PathBuf,
    /// A tar file, - for standard input, or a folder; into a volume that is to be sealed and does not exist yet, a volume
    /// under an owner's key, which is handed to its enclave
    from: PathBuf,
    #[command(flatten)]
    inside: Inside,
}

/// A volume that an enclave filled.
#[derive(Serialize)]
struct Moved {
    volume: PathBuf,
    store_bytes: u64,
    used_bytes: u64,
}

impl Moved {
    fn of(report: &Report, volume: &Path) -> Self {
        let state = report.stats.volumes.last();
        Self {
            volume: volume.to_owned(),
            store_bytes: state.map_or(0, |state| state.store_bytes),
            used_bytes: state.map_or(0, |state| state.used_bytes),
        }
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {}", self.volume.display(), size(self.used_bytes))
    }
}

fn is_stream(path: &Path) -> bool {
    path.as_os_str() == "-"
}

impl Export {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        let to = &self.to;
        if is_stream(to) && output.is_json() {
            return Err(Failure::usage(
                "standard output cannot take both the tar stream and JSON; name a file",
            ));
        }
        if self.inside.is_named() {
            if to.exists() {
                return Err(Failure::writing(to)(io::ErrorKind::AlreadyExists.into()));
            }
            let store = Some((EXPORT, to.as_path()));
            let done = self.inside.perform(Operation::Export, &self.volume, store);
            // Half a volume is of no use to anybody.
            let (_, report) = done.inspect_err(|_| drop(fs::remove_file(to)))?;
            output.result(EXPORT_SCHEMA, Status::Success, &Moved::of(&report, to));
            return Ok(ExitCode::SUCCESS);
        }
        let volume = self.key.open(&self.volume, Mode::Read)?;
        let mut source = Source::new(&volume, Tolerance::none());
        let root = volume.root();
        if is_stream(to) {
            let mut sink = tar::Into::new(BufWriter::new(stdout().lock()), "standard output");
            source.walk(root, "", &mut sink)?;
            sink.finish()?;
        } else if to.is_dir() {
            if fs::read_dir(to).map_err(Failure::reading(to))?.next().is_some() {
                let message = format!("{}: not empty; name an empty folder, or use cp", to.display());
                return Err(Failure::new(Code::Io, "exists", message));
            }
            source.walk(root, "", &mut folder::Into::new(to.clone()))?;
        } else {
            let file = File::options().write(true).create_new(true).open(to).map_err(Failure::writing(to))?;
            let mut sink = tar::Into::new(BufWriter::new(file), &to.display().to_string());
            let written = source.walk(root, "", &mut sink).and_then(|()| {
                let file =
                    sink.finish()?.into_inner().map_err(|error| Failure::writing(to)(error.into_error()))?;
                file.sync_all().map_err(Failure::writing(to))
            });
            // Half a stream looks like a whole one to many a reader.
            written.inspect_err(|_| drop(fs::remove_file(to)))?;
        }
        let copied = Copied::of(&source.progress);
        match is_stream(to) {
            true => note(copied.to_string().trim_end()),
            false => output.result(EXPORT_SCHEMA, Status::Success, &copied),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Import {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        let from = &self.from;
        if self.inside.is_named() {
            let store = Some((IMPORT, from.as_path()));
            fs::metadata(from).map_err(Failure::reading(from))?;
            let (_, report) = self.inside.perform(Operation::Import, &self.volume, store)?;
            output.result(IMPORT_SCHEMA, Status::Success, &Moved::of(&report, &self.volume));
            return Ok(ExitCode::SUCCESS);
        }
        let volume = self.key.open(&self.volume, Mode::Write)?;
        let mut sink = Into::new(&volume, volume.root(), None);
        let mut progress = Progress::new();
        if is_stream(from) {
            tar::walk(stdin().lock(), "standard input", &mut sink, &mut progress)?;
            // The writer may still be at it: padding after the end is read, or it would die of it.
            io::copy(&mut stdin().lock(), &mut io::sink()).map_err(Failure::reading(from))?;
        } else if from.is_dir() {
            folder::walk(from, &mut sink, &mut progress)?;
        } else {
            let file = BufReader::new(File::open(from).map_err(Failure::reading(from))?);
            tar::walk(file, &from.display().to_string(), &mut sink, &mut progress)?;
        }
        // One commit, unless the disk ran full on the way: what was interrupted before it left nothing.
        close(&volume, &self.volume)?;
        output.result(IMPORT_SCHEMA, Status::Success, &Copied::of(&progress));
        Ok(ExitCode::SUCCESS)
    }
}
