//! `twine volume rekey`.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use twine::exit::Code;
use twine_volume::store::FileStore;
use twine_volume::{Environment, SystemEntropy, Volume, copy_tree};
use twine_volume_key::Anchored;

use super::keys::VolumeKey;
use super::open::{Access, Mode, close, failed, failed_inside, open_store};
use super::progress::Progress;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, Status};

pub const SCHEMA: &str = "twine.volume.rekey/1";

/// What each of the two does, and does not.
const HELP: &str = "\
Without --full only the header changes, at once: the old key no longer opens the volume as it is now. It revokes nothing: \
who has the old key and a copy of the volume from before, or of its first two blocks, can read everything in it, and what \
is written from now on as well.

With --full everything is encrypted again under new keys, into a new file that takes the old one's place when it is complete. \
That needs the room for both, and gives the volume a new identity, which an anchor does not know: one with an anchor is \
refused.";

/// Options of `twine volume rekey`.
#[derive(Args)]
#[command(after_help = HELP)]
pub struct Options {
    #[command(flatten)]
    key: Access,
    /// The key that is to open it from now on
    #[arg(long, value_name = "FILE")]
    new_key: PathBuf,
    /// Encrypt everything again, so that the old key is of no use for what the new file holds
    #[arg(long)]
    full: bool,
    /// The volume
    volume: PathBuf,
}

#[derive(Serialize)]
struct Rekeyed {
    full: bool,
    old_key: String,
    new_key: String,
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        let path = &self.volume;
        let (old, new) = (self.key.load()?, VolumeKey::load(&self.new_key)?);
        let anchor = self.key.anchored(path)?;
        if self.full {
            if anchor != Anchored::No {
                let message = format!("{}: its anchor knows this volume and no other one", path.display());
                let remedy = "export it, and import that into a new volume of its workload";
                let remedy = Some(remedy.to_owned());
                return Err(Failure { remedy, ..Failure::new(Code::Refused, "anchored", message) });
            }
            // Held to the end: nobody writes to what is about to be replaced.
            let volume = self.key.open(path, Mode::Write)?;
            copy(&volume, path, &new)?;
        } else {
            // Opened once, so that a wrong key and a damaged volume are told as everywhere.
            drop(self.key.open(path, Mode::Read)?);
            let mut store = open_store(path, Mode::Write)?;
            let (old, new) = (old.master(anchor), new.master(anchor));
            twine_volume::rekey(&mut store, &old, &new, &mut SystemEntropy::default())
                .map_err(failed(path))?;
        }
        let (old_key, new_key) = (hex::encode(old.id()), hex::encode(new.id()));
        output.result(SCHEMA, Status::Success, &Rekeyed { full: self.full, old_key, new_key });
        Ok(ExitCode::SUCCESS)
    }
}

/// Copies a volume into a new file under a new key, and puts that in its place.
fn copy(volume: &Volume, path: &Path, key: &VolumeKey) -> Result<(), Failure> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".rekey");
    let new = path.with_file_name(name);
    // Left by one that was interrupted: the volume itself was locked, so nobody is at work on it.
    if new.exists() {
        fs::remove_file(&new).map_err(Failure::writing(&new))?;
    }
    let copied = copy_into(volume, &new, key).and_then(|()| {
        fs::rename(&new, path).map_err(Failure::writing(path))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(Failure::writing(folder))
    });
    copied.inspect_err(|_| drop(fs::remove_file(&new)))
}

fn copy_into(volume: &Volume, new: &Path, key: &VolumeKey) -> Result<(), Failure> {
    let store = FileStore::create(new).map_err(|error| failed(new)(error.into()))?;
    let options = twine_volume::Options::default();
    let target = Volume::create(Box::new(store), &key.master(Anchored::No), Environment::system(), &options)
        .map_err(failed(new))?;
    let mut progress = Progress::new();
    copy_tree(volume, &target, false, &mut |path| progress.entry(path)).map_err(|error| {
        let side = if volume.failure().is_some() || target.failure().is_none() { volume } else { &target };
        failed_inside(side, "copying", error)
    })?;
    close(&target, new)?;
    drop(target);
    // What takes the old one's place has been seen to open.
    let store = open_store(new, Mode::Read)?;
    let options = twine_volume::Options { read_only: true, ..options };
    let opened = Volume::open(Box::new(store), &key.master(Anchored::No), Environment::system(), &options);
    opened.map(|_| ()).map_err(failed(new))
}

impl fmt::Display for Rekeyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old key     {}\nnew key     {}", self.old_key, self.new_key)?;
        match self.full {
            true => writeln!(
                f,
                "everything is encrypted again; copies of the old file still open under the old key"
            ),
            false => writeln!(
                f,
                "only the header changed: the old key and an old copy still open everything (see --full)"
            ),
        }
    }
}
