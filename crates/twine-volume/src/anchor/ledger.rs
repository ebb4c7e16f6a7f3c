//! The service itself: small enough to run beside an owner's key.

use std::io;
use std::path::{Path, PathBuf};

use ring::signature::{Ed25519KeyPair, KeyPair};

use super::service::{Operation, Outcome, Request, answer};
use super::{AnchorState, RECORD};

/// What a service remembers: for each index the public key of its volume and its newest record.
pub trait Ledger: Send {
    /// The entry of an index.
    ///
    /// # Errors
    /// Those of the storage; the service then does not answer.
    fn get(&mut self, index: &[u8; 32]) -> io::Result<Option<Vec<u8>>>;
    /// Keeps an entry, durable when it returns.
    ///
    /// # Errors
    /// Those of the storage; the service then does not answer.
    fn put(&mut self, index: &[u8; 32], entry: &[u8]) -> io::Result<()>;
}

/// Answers anchors' requests.
pub struct AnchorService<L> {
    key: Ed25519KeyPair,
    ledger: L,
}

impl<L: Ledger> AnchorService<L> {
    /// A service with this key, which workloads name by its public half.
    pub fn new(key: Ed25519KeyPair, ledger: L) -> Self {
        Self { key, ledger }
    }

    /// The public half of its key.
    pub fn public_key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(self.key.public_key().as_ref());
        key
    }

    /// The answer to a message; none to one that no volume has signed.
    ///
    /// # Errors
    /// The ledger's.
    pub fn answer(&mut self, message: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let Some(request) = Request::decode(message) else { return Ok(None) };
        let entry = self.ledger.get(&request.index)?;
        let known = match entry.as_deref().map(parse) {
            None => None,
            Some(Some(known)) => Some(known),
            Some(None) => return Err(io::Error::new(io::ErrorKind::InvalidData, "a damaged entry")),
        };
        let (outcome, record) = match (known, request.operation) {
            (Some((key, _)), _) if key != request.volume_key => (Outcome::OtherVolume, None),
            (Some((_, record)), Operation::Load) => (Outcome::Known, Some(record)),
            (None, Operation::Load) => (Outcome::Unknown, None),
            (known, Operation::Swap) => {
                let old = known.map(|(_, record)| record);
                if old == request.expected && follows(old, &request.new) {
                    self.ledger.put(&request.index, &[&request.volume_key[..], &request.new].concat())?;
                    (Outcome::Swapped, None)
                } else {
                    (Outcome::Conflict, None)
                }
            }
        };
        Ok(Some(answer(message, outcome, record, &self.key)))
    }
}

/// The public key and the record of an entry.
fn parse(entry: &[u8]) -> Option<([u8; 32], [u8; RECORD])> {
    let (key, record) = entry.split_first_chunk()?;
    Some((*key, record.try_into().ok()?))
}

/// A record never goes back, whoever asks.
fn follows(old: Option<[u8; RECORD]>, new: &[u8; RECORD]) -> bool {
    let Some((volume, new)) = AnchorState::decode(new) else { return false };
    match old.as_ref().map(|old| AnchorState::decode(old)) {
        None => true,
        Some(Some((of, old))) => of == volume && old.current.sequence <= new.current.sequence,
        Some(None) => false,
    }
}

/// A ledger in a folder, one file for each volume.
pub struct FolderLedger {
    folder: PathBuf,
}

impl FolderLedger {
    /// Makes the folder if it is not there.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    fn path(&self, index: &[u8; 32]) -> PathBuf {
        self.folder.join(index.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }
}

impl Ledger for FolderLedger {
    fn get(&mut self, index: &[u8; 32]) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(self.path(index)) {
            Ok(entry) => Ok(Some(entry)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn put(&mut self, index: &[u8; 32], entry: &[u8]) -> io::Result<()> {
        replace(&self.path(index), entry)
    }
}

/// Replaces a file, complete or not at all, and durably.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let mut file = std::fs::File::create(&name)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&name, path)?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}
