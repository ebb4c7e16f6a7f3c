//! Opening volumes on the owner's machine, and what can go wrong with them.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use twine::exit::Code;
use twine_host::run::anchors;
use twine_volume::store::{FileStore, StoreError};
use twine_volume::{
    Anchor, AnchorError, Environment, Error, FileRecord, InsecureFileAnchor, Label as Bytes, Options,
    ServiceAnchor, SystemEntropy, Transport, Volume, labels,
};
use twine_volume_key::{Anchored, Label, SealedTo};

use super::keys::VolumeKey;
use crate::cli::failure::Failure;
use crate::cli::output::note;

/// The key that opens a volume.
#[derive(Args)]
pub struct KeyFile {
    /// The owner's key (`twine key create --kind volume`)
    #[arg(long, env = "TWINE_VOLUME_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
    /// It, once it was read: what is wrong with its file is said once.
    #[arg(skip)]
    loaded: OnceCell<VolumeKey>,
}

/// The key that opens a volume that is there, and where its anchor is.
#[derive(Args)]
pub struct Access {
    #[command(flatten)]
    key: KeyFile,
    /// Where the service answers that keeps the volume fresh, if one does
    #[arg(long, value_name = "HOST:PORT")]
    anchor: Option<String>,
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
    pub fn load(&self) -> Result<&VolumeKey, Failure> {
        if let Some(key) = self.loaded.get() {
            return Ok(key);
        }
        let missing = || Failure::usage("name the volume's key with --key FILE or TWINE_VOLUME_KEY");
        let key = VolumeKey::load(self.key.as_deref().ok_or_else(missing)?)?;
        Ok(self.loaded.get_or_init(|| key))
    }
}

impl Access {
    /// Whether a key was named.
    pub fn is_named(&self) -> bool {
        self.key.is_named()
    }

    /// The key, which has to be named.
    pub fn load(&self) -> Result<&VolumeKey, Failure> {
        self.key.load()
    }

    /// Opens a volume under this key; its anchor agrees, and follows what is written.
    pub fn open(&self, path: &Path, mode: Mode) -> Result<Volume, Failure> {
        let anchor = |labels: &[Bytes], key: &VolumeKey| self.anchor(path, anchor_of(labels, key), mode);
        let options = Options { read_only: mode == Mode::Read, ..Options::default() };
        self.open_as(path, path, mode, options, anchor)
    }

    /// Opens a copy in the making of the volume `of` to read it: it has no anchor of its own.
    pub fn open_copy(&self, path: &Path, of: &Path) -> Result<Volume, Failure> {
        let options = Options { read_only: true, ..Options::default() };
        self.open_as(path, of, Mode::Read, options, |_, _| Ok(None))
    }

    /// Opens what is left of a volume, to read it.
    pub fn open_to_salvage(&self, path: &Path) -> Result<Volume, Failure> {
        let options = Options { salvage: true, ..Options::default() };
        self.open_as(path, path, Mode::Read, options, |_, _| Ok(None))
    }

    /// The anchor that a volume was made with.
    pub fn anchored(&self, path: &Path) -> Result<Anchored, Failure> {
        let labels = labels(&mut open_store(path, Mode::Read)?).map_err(failed(path))?;
        Ok(anchor_of(&labels, self.load()?))
    }

    /// `called`: what messages name.
    fn open_as(
        &self,
        path: &Path,
        called: &Path,
        mode: Mode,
        options: Options,
        anchor: impl FnOnce(&[Bytes], &VolumeKey) -> Result<Option<Box<dyn Anchor>>, Failure>,
    ) -> Result<Volume, Failure> {
        let mut store = open_store(path, mode)?;
        let labels = labels(&mut store).map_err(failed(called))?;
        if !self.is_named()
            && let Some(sealed) = labels.iter().find_map(sealed_to)
        {
            return Err(sealed_failure(called, sealed));
        }
        let key = self.load()?;
        let environment = Environment { anchor: anchor(&labels, key)?, ..Environment::system() };
        let master = key.master(Anchored::No);
        Volume::open(Box::new(store), &master, environment, &options).map_err(|error| match error {
            Error::WrongKey => wrong_key(called, key, &labels),
            error => failed(called)(error),
        })
    }

    /// The anchor itself. A service that nobody named cannot be asked: then the volume may be read, and the reader is told.
    fn anchor(&self, path: &Path, kind: Anchored, mode: Mode) -> Result<Option<Box<dyn Anchor>>, Failure> {
        Ok(match (kind, &self.anchor) {
            (Anchored::No, None) => None,
            (Anchored::No | Anchored::InsecureFile, Some(_)) => {
                let message = format!("{}: no service keeps it fresh; leave out --anchor", path.display());
                return Err(Failure::usage(message));
            }
            (Anchored::InsecureFile, None) => {
                Some(Box::new(InsecureFileAnchor::new(FileRecord(anchors::record_path(path)))))
            }
            (Anchored::Service { key, index }, Some(address)) => {
                let (transport, entropy) =
                    (Box::new(Service(address.clone())), Box::<SystemEntropy>::default());
                Some(Box::new(ServiceAnchor::new(transport, entropy, key, index)))
            }
            (Anchored::Service { .. }, None) if mode == Mode::Write => {
                let message = format!(
                    "{}: a service keeps it fresh and would refuse what it is not told of",
                    path.display()
                );
                let remedy = "say with --anchor HOST:PORT where the service answers";
                let remedy = Some(remedy.to_owned());
                return Err(Failure { remedy, ..Failure::new(Code::Refused, "anchored", message) });
            }
            (Anchored::Service { .. }, None) => {
                note(format_args!(
                    "{}: whether this is its newest state was not asked; --anchor HOST:PORT names the service",
                    path.display()
                ));
                None
            }
        })
    }
}

/// The service at an address.
struct Service(String);

impl Transport for Service {
    fn ask(&mut self, message: &[u8]) -> Result<Vec<u8>, AnchorError> {
        anchors::ask(&self.0, message).map_err(|error| AnchorError::Failed(format!("{}: {error}", self.0)))
    }
}

/// What the labels say of the anchor; the one that this key is to open. It counts only if the header authenticates.
fn anchor_of(labels: &[Bytes], own: &VolumeKey) -> Anchored {
    let found = labels.iter().find_map(|label| match Label::from_bytes(label) {
        Ok(Label::Owner { key, anchor }) if key == own.id() => Some(anchor),
        _ => None,
    });
    found.unwrap_or(Anchored::No)
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
        Ok(Label::Owner { key: wanted, .. }) if wanted != key.id() => Some(wanted),
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
            error if error.is_stale() => (Code::RolledBack, "rolled-back"),
            Error::AnchorForged => (Code::Refused, "anchor"),
            Error::Anchor(_) => (Code::Io, "anchor"),
            Error::Store(StoreError::InUse) => (Code::Io, "in-use"),
            Error::NoSpace | Error::Store(StoreError::NoSpace) => (Code::Io, "no-space"),
            Error::Fs(twine_vfs::Error::NotFound) => (Code::MissingFile, "io"),
            Error::Bug(_) => (Code::Internal, "internal"),
            _ => (Code::Io, "io"),
        };
        let remedy = error.is_stale().then(|| {
            "restore the newest copy with its anchor; `twine volume check --salvage DIR` copies out what this one holds"
                .to_owned()
        });
        let message = match &error {
            Error::Store(StoreError::Failed { operation, code }) => {
                format!("{path}: {operation}: {}", std::io::Error::from_raw_os_error(*code))
            }
            error => format!("{path}: {error}"),
        };
        Failure { remedy, ..Failure::new(code, name, message) }
    }
}

/// An error of a file inside a volume. What lies behind an EIO is the volume's own failure, if it has one.
pub fn failed_inside(volume: &Volume, what: &str, error: twine_vfs::Error) -> Failure {
    use twine_vfs::Error as Fs;
    // The top of what is copied has no path of its own.
    let what = if what.is_empty() { "/" } else { what };
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
