//! The secrets that a processor is born with, kept in a file of the user's state folder.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Name of the file inside the state folder.
const FILE: &str = "processor.fuse";
const MAGIC: &[u8; 16] = b"twine-sim-fuse\0\x01";
const SIZE: usize = 16 + 32 + 16 + 16 + 32;

/// CPUSVN as a list of component versions.
pub type Cpusvn = [u8; 16];

/// The secrets of one simulated processor, and its CPUSVN.
#[derive(Clone)]
pub struct Fuse {
    pub(super) seal: [u8; 32],
    pub(super) owner_epoch: [u8; 16],
    pub(super) cpusvn: Cpusvn,
}

/// Why the simulated processor's state is not there.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The folder does not exist.
    #[error("the simulated processor's state folder {} does not exist; create it or name another", .0.display())]
    NoFolder(PathBuf),
    /// The folder or the file cannot be written or read by this user.
    #[error("the simulated processor's state {} cannot be used: {source}; make it readable and writable for this user, or name another folder", .path.display())]
    Inaccessible {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what this program wrote.
    #[error("the simulated processor's state {} is corrupt ({what}); restore it, or delete it and lose everything sealed under it", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// A CPUSVN is not above the present one.
    #[error("a CPUSVN can only be raised: {wanted:02x?} has a component below {present:02x?}")]
    Lower {
        /// The CPUSVN asked for.
        wanted: Cpusvn,
        /// The CPUSVN there is.
        present: Cpusvn,
    },
    /// The system has no random numbers.
    #[error("no random numbers for a new simulated processor: {0}")]
    Random(getrandom::Error),
}

impl Fuse {
    /// A new processor that no file remembers.
    ///
    /// # Errors
    /// [`StateError::Random`].
    pub fn random() -> Result<Self, StateError> {
        let mut fuse = Self { seal: [0; 32], owner_epoch: [0; 16], cpusvn: [0; 16] };
        getrandom::fill(&mut fuse.seal).map_err(StateError::Random)?;
        getrandom::fill(&mut fuse.owner_epoch).map_err(StateError::Random)?;
        fuse.cpusvn[0] = 1;
        Ok(fuse)
    }

    /// The processor of this folder, made on first use (file mode 0600).
    ///
    /// # Errors
    /// [`StateError`]; the folder itself is never created.
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        let path = folder.join(FILE);
        match read(&path) {
            Err(StateError::Inaccessible { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let fuse = Self::random()?;
                match write(folder, &fuse, |temporary| fs::hard_link(temporary, &path)) {
                    // Another process was faster: its processor is this machine's.
                    Err(StateError::Inaccessible { source, .. })
                        if source.kind() == io::ErrorKind::AlreadyExists =>
                    {
                        read(&path)
                    }
                    other => other.map(|()| fuse),
                }
            }
            other => other,
        }
    }

    /// Whether the folder has a processor yet; if not, that one could be made.
    ///
    /// # Errors
    /// [`StateError`], as [`Fuse::open`] would fail.
    pub fn peek(folder: &Path) -> Result<bool, StateError> {
        match read(&folder.join(FILE)) {
            Ok(_) => Ok(true),
            Err(StateError::Inaccessible { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                write(folder, &Self { seal: [0; 32], owner_epoch: [0; 16], cpusvn: [0; 16] }, |_| Ok(()))?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// CPUSVN.
    pub fn cpusvn(&self) -> Cpusvn {
        self.cpusvn
    }

    /// Raises the CPUSVN of the folder's processor, as a microcode update would; processors that run keep theirs.
    ///
    /// # Errors
    /// [`StateError`]; [`StateError::Lower`] if any component would fall.
    pub fn raise_cpusvn(folder: &Path, cpusvn: Cpusvn) -> Result<Self, StateError> {
        let mut fuse = Self::open(folder)?;
        if !not_beyond(&fuse.cpusvn, &cpusvn) {
            return Err(StateError::Lower { wanted: cpusvn, present: fuse.cpusvn });
        }
        fuse.cpusvn = cpusvn;
        write(folder, &fuse, |temporary| fs::rename(temporary, folder.join(FILE)))?;
        Ok(fuse)
    }

    fn to_bytes(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..16].copy_from_slice(MAGIC);
        bytes[16..48].copy_from_slice(&self.seal);
        bytes[48..64].copy_from_slice(&self.owner_epoch);
        bytes[64..80].copy_from_slice(&self.cpusvn);
        let digest = Sha256::digest(&bytes[..80]);
        bytes[80..].copy_from_slice(&digest);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, &'static str> {
        let bytes: &[u8; SIZE] = bytes.try_into().map_err(|_| "its size is wrong")?;
        if &bytes[..16] != MAGIC {
            return Err("it is another kind or version of file");
        }
        if bytes[80..] != Sha256::digest(&bytes[..80])[..] {
            return Err("its checksum does not match");
        }
        let mut fuse = Self { seal: [0; 32], owner_epoch: [0; 16], cpusvn: [0; 16] };
        fuse.seal.copy_from_slice(&bytes[16..48]);
        fuse.owner_epoch.copy_from_slice(&bytes[48..64]);
        fuse.cpusvn.copy_from_slice(&bytes[64..80]);
        Ok(fuse)
    }
}

impl std::fmt::Debug for Fuse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fuse").field("cpusvn", &self.cpusvn).finish_non_exhaustive()
    }
}

/// Whether no component of `a` exceeds that of `b`.
pub(super) fn not_beyond(a: &Cpusvn, b: &Cpusvn) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b)
}

fn read(path: &Path) -> Result<Fuse, StateError> {
    let inaccessible = |source| StateError::Inaccessible { path: path.to_path_buf(), source };
    let mut bytes = Vec::new();
    let file = OpenOptions::new().read(true).open(path).map_err(inaccessible)?;
    file.take(SIZE as u64 + 1).read_to_end(&mut bytes).map_err(inaccessible)?;
    Fuse::from_bytes(&bytes).map_err(|what| StateError::Corrupt { path: path.to_path_buf(), what })
}

/// Writes a complete, synced temporary file and lets `publish` give it its name: nobody ever reads half a file.
fn write(
    folder: &Path,
    fuse: &Fuse,
    publish: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), StateError> {
    if !folder.is_dir() {
        return Err(StateError::NoFolder(folder.to_path_buf()));
    }
    let mut unique = [0; 8];
    getrandom::fill(&mut unique).map_err(StateError::Random)?;
    let temporary = folder.join(format!("{FILE}.{:016x}", u64::from_le_bytes(unique)));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(&fuse.to_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| publish(&temporary));
    // After a rename there is nothing left to remove; a leftover harms nobody.
    let _ = fs::remove_file(&temporary);
    written.map_err(|source| StateError::Inaccessible { path: folder.join(FILE), source })
}
