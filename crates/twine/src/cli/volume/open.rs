//! Opening volumes on the owner's machine, and what can go wrong with them.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use twine::exit::Code;
use twine_volume::store::{FileStore, StoreError};
use twine_volume::{Environment, Error, Label as Bytes, Options, Volume, labels};
use twine_volume_key::{Label, SealedTo};

use super::keys::VolumeKey;
use crate::cli::failure::Failure;

/// The key that opens a volume.
#[derive(Args)]
pub struct KeyFile {
    /// The owner's key (`twine key create --kind volume`)
    #[arg(long, env = "TWINE_VOLUME_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
}

/// How a volume is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Others may read at the same time; nothing is changed.
    Read,
    /// Nobody else has it open.
    Write,
}

impl KeyFile {
    /// Whether a key was named.
    pub fn is_named(&self) -> bool {
        self.key.is_some()
    }

    /// The key, which has to be named.
    pub fn load(&self) -> Result<VolumeKey, Failure> {
        let missing = || Failure::usage("name the volume's key with --key FILE or TWINE_VOLUME_KEY");
        VolumeKey::load(self.key.as_deref().ok_or_else(missing)?)
    }

    /// Opens a volume under this key.
    pub fn open(&self, path: &Path, mode: Mode) -> Result<Volume, Failure> {
        self.open_as(path, mode, Options { read_only: mode == Mode::Read, ..Options::default() })
    }

    /// Opens what is left of a volume, to read it.
    pub fn open_to_salvage(&self, path: &Path) -> Result<Volume, Failure> {
        self.open_as(path, Mode::Read, Options { salvage: true, ..Options::default() })
    }

    fn open_as(&self, path: &Path, mode: Mode, options: Options) -> Result<Volume, Failure> {
        let mut store = open_store(path, mode)?;
        let labels = labels(&mut store).map_err(failed(path))?;
        if !self.is_named()
            && let Some(sealed) = labels.iter().find_map(sealed_to)
        {
            return Err(sealed_failure(path, sealed));
        }
        let key = self.load()?;
        Volume::open(Box::new(store), &key.master(), Environment::system(), &options).map_err(|error| {
            match error {
                Error::WrongKey => wrong_key(path, &key, &labels),
                error => failed(path)(error),
            }
        })
    }
}

/// The file of a volume, locked.
pub fn open_store(path: &Path, mode: Mode) -> Result<FileStore, Failure> {
    let metadata = fs::metadata(path).map_err(Failure::reading(path))?;
    if !metadata.is_file() {
        return Err(Failure::new(Code::BadInput, "volume", format!("{}: not a file", path.display())));
    }
    FileStore::open(path, mode == Mode::Write).map_err(|error| failed(path)(error.into()))
}

/// Which enclaves a label is of, if of any.
pub fn sealed_to(label: &Bytes) -> Option<SealedTo> {
    match Label::from_bytes(label) {
        Ok(Label::Sealed(sealed)) => Some(sealed.to),
        _ => None,
    }
}

fn sealed_failure(path: &Path, to: SealedTo) -> Failure {
    let whose = match to {
        SealedTo::Enclave => "an enclave's",
        SealedTo::Signer => "the enclaves' of one signer",
    };
    let message = format!("{}: its key is {whose}, no file's", path.display());
    let remedy = "check, compact and export take the workload that it belongs to and work inside its enclave";
    Failure { remedy: Some(remedy.to_owned()), ..Failure::new(Code::Refused, "sealed", message) }
}

fn wrong_key(path: &Path, key: &VolumeKey, labels: &[Bytes]) -> Failure {
    let refused = |why: String, remedy: &str| Failure {
        remedy: Some(remedy.to_owned()),
        ..Failure::new(Code::Refused, "wrong-key", format!("{}: {why}", path.display()))
    };
    if let Some(to) = labels.iter().find_map(sealed_to) {
        return sealed_failure(path, to);
    }
    let wanted = labels.iter().find_map(|label| match Label::from_bytes(label) {
        Ok(Label::Owner { key: wanted }) if wanted != key.id() => Some(wanted),
        _ => None,
    });
    match wanted {
        Some(wanted) => refused(
            format!("it opens under key {}, this is key {}", hex::encode(wanted), hex::encode(key.id())),
            "`twine key show FILE` says which key a file holds",
        ),
        None => {
            refused("its header does not authenticate under this key".to_owned(), "restore it from a copy")
        }
    }
}

/// What a volume's error means to its owner.
pub fn failed(path: &Path) -> impl Fn(Error) -> Failure {
    let path = path.display().to_string();
    move |error| {
        let (code, name) = match &error {
            Error::NotAVolume
            | Error::HeaderDamaged
            | Error::UnsupportedVersion(_)
            | Error::NoRoot { .. }
            | Error::Equivocation { .. }
            | Error::Corrupted { .. } => (Code::BadInput, "volume"),
            Error::WrongKey | Error::OtherVolume => (Code::Refused, "wrong-key"),
            Error::Rollback { .. } | Error::Forked { .. } => (Code::RolledBack, "rolled-back"),
            Error::Store(StoreError::InUse) => (Code::Io, "in-use"),
            Error::NoSpace | Error::Store(StoreError::NoSpace) => (Code::Io, "no-space"),
            Error::Fs(twine_vfs::Error::NotFound) => (Code::MissingFile, "io"),
            Error::Bug(_) => (Code::Internal, "internal"),
            _ => (Code::Io, "io"),
        };
        Failure::new(code, name, format!("{path}: {error}"))
    }
}

/// An error of a file inside a volume. What lies behind an EIO is the volume's own failure, if it has one.
pub fn failed_inside(volume: &Volume, what: &str, error: twine_vfs::Error) -> Failure {
    use twine_vfs::Error as Fs;
    let message = match volume.failure() {
        Some(failure) => format!("{what}: {error}: {failure}"),
        None => format!("{what}: {error}"),
    };
    let (code, name) = match error {
        Fs::NotFound => (Code::MissingFile, "io"),
        Fs::NoSpace => (Code::Io, "no-space"),
        Fs::Io if volume.failure().is_none() => (Code::BadInput, "volume"),
        _ => (Code::Io, "io"),
    };
    let remedy = (error == Fs::Io).then(|| "`twine volume check` says what is damaged".to_owned());
    Failure { remedy, ..Failure::new(code, name, message) }
}

/// Commits and closes.
pub fn close(volume: &Volume, path: &Path) -> Result<(), Failure> {
    volume.unmount().map_err(failed(path))
}
