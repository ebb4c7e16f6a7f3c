//! What remembers the newest state of a volume: a record beside its store, or the owner's service.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use twine_abi::calls::{AnchorOperation, MAX_ANCHOR};
use twine_abi::wire::Status;

/// How long a service may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the services are.
pub(super) struct Anchors {
    services: Vec<(String, String)>,
}

impl Anchors {
    pub fn new(services: Vec<(String, String)>) -> Self {
        Self { services }
    }

    /// One call for the volume `name`, whose store is the file `store`; bytes in `out`.
    pub fn serve(
        &self,
        name: &str,
        store: &Path,
        operation: u64,
        parts: Option<(&[u8], &[u8])>,
        out: &mut [u8],
    ) -> Result<usize, Status> {
        let (expected, rest) = parts.ok_or(Status::Invalid)?;
        let answer = match AnchorOperation::from_word(operation).ok_or(Status::Invalid)? {
            AnchorOperation::Get => read(&record_path(store))?.ok_or(Status::NotFound)?,
            AnchorOperation::Swap => {
                swap(&record_path(store), expected, rest)?;
                return Ok(0);
            }
            AnchorOperation::Ask => {
                let service = self.services.iter().find(|(volume, _)| volume == name);
                ask(&service.ok_or(Status::NotFound)?.1, rest).map_err(|_| Status::Io)?
            }
        };
        let room =
            out.get_mut(..answer.len()).filter(|room| room.len() <= MAX_ANCHOR).ok_or(Status::Invalid)?;
        room.copy_from_slice(&answer);
        Ok(answer.len())
    }
}

/// The file beside a store that holds its anchor's record.
pub fn record_path(store: &Path) -> PathBuf {
    let mut name = store.file_name().unwrap_or_default().to_owned();
    name.push(".anchor");
    store.with_file_name(name)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Status> {
    match fs::read(path) {
        Ok(record) => Ok(Some(record)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(_) => Err(Status::Io),
    }
}

/// Compares and replaces, complete or not at all.
fn swap(path: &Path, expected: &[u8], new: &[u8]) -> Result<(), Status> {
    let io = |_| Status::Io;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder_file = File::open(folder).map_err(io)?;
    // A copy of the store has no lock in common with it.
    flock(&folder_file, FlockOperation::LockExclusive).map_err(|_| Status::Io)?;
    if read(path)?.unwrap_or_default() != expected {
        return Err(Status::Busy);
    }
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
    file.write_all(new).and_then(|()| file.as_file().sync_all()).map_err(io)?;
    file.persist(path).map_err(|_| Status::Io)?;
    folder_file.sync_all().map_err(io)
}

/// Sends a message to a service at `HOST:PORT` and reads the answer, each behind its length as a `u32`.
///
/// # Errors
/// It is not reached, or does not answer in time.
pub fn ask(address: &str, message: &[u8]) -> std::io::Result<Vec<u8>> {
    let unreachable = || std::io::Error::from(ErrorKind::AddrNotAvailable);
    let address = address.to_socket_addrs()?.next().ok_or_else(unreachable)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let length = u32::try_from(message.len()).map_err(|_| ErrorKind::InvalidInput)?;
    stream.write_all(&[&length.to_le_bytes(), message].concat())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_ANCHOR {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}
