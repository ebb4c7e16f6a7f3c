//! The module's bytes, for an enclave that asks for them in pieces.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use twine_abi::wire::Status;

/// Where the module is. The enclave hashes what it gets, so a file may change: the run is refused then.
#[derive(Clone, Debug)]
pub enum Module {
    /// In memory.
    Bytes(Arc<[u8]>),
    /// In a file, which costs no memory.
    File(Arc<File>),
}

impl Default for Module {
    /// None: somebody else delivers it.
    fn default() -> Self {
        Self::Bytes(Arc::new([]))
    }
}

impl From<Vec<u8>> for Module {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl Module {
    /// All of it.
    ///
    /// # Errors
    /// The file's.
    pub fn to_vec(&self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.to_vec()),
            Self::File(file) => {
                let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX)];
                file.read_exact_at(&mut bytes, 0)?;
                Ok(bytes)
            }
        }
    }

    /// Bytes from `offset` on, as many as fit; the size of the whole, and how many there were.
    pub(super) fn piece(&self, offset: u64, out: &mut [u8]) -> Result<(u64, usize), Status> {
        match self {
            Self::Bytes(bytes) => {
                let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..));
                let rest = rest.ok_or(Status::Invalid)?;
                let count = rest.len().min(out.len());
                out[..count].copy_from_slice(&rest[..count]);
                Ok((bytes.len() as u64, count))
            }
            Self::File(file) => {
                let total = file.metadata().map_err(|_| Status::Io)?.len();
                loop {
                    match file.read_at(out, offset) {
                        Ok(count) => return Ok((total, count)),
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        Err(_) => return Err(Status::Io),
                    }
                }
            }
        }
    }
}
