//! The stores of volumes: one locked file each, and a small one beside it for the label.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use twine_abi::calls::MAX_LABEL;
use twine_abi::wire::{MAX_PAYLOAD, Status};
use twine_volume::store::{FileStore, ReadAt, Store, StoreError, WriteAt};

/// Where volumes are, and those that are open.
pub struct Stores {
    places: Vec<(String, PathBuf)>,
    open: Vec<(FileStore, PathBuf)>,
    names: Vec<String>,
}

impl Stores {
    pub fn new(places: Vec<(String, PathBuf)>) -> Self {
        Self { places, open: Vec::new(), names: Vec::new() }
    }

    /// Opens or creates the store of the volume `name`: handle, length, bytes of its label in `out`.
    pub fn open(&mut self, name: &[u8], write: bool, out: &mut [u8]) -> Result<(u64, u64, usize), Status> {
        let place = self.places.iter().find(|(known, _)| known.as_bytes() == name);
        let path = place.map(|(_, path)| path.clone()).ok_or(Status::NotFound)?;
        let mut store = match FileStore::open(&path, write) {
            Err(_) if !path.exists() && write => FileStore::create(&path).map_err(status)?,
            Err(_) if !path.exists() => return Err(Status::NotFound),
            other => other.map_err(status)?,
        };
        let length = store.length().map_err(status)?;
        let label = match fs::read(label_path(&path)) {
            Ok(label) if label.len() <= out.len().min(MAX_LABEL) => label,
            Ok(_) => return Err(Status::Invalid),
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(_) => return Err(Status::Io),
        };
        out[..label.len()].copy_from_slice(&label);
        self.open.push((store, path));
        self.names.push(String::from_utf8_lossy(name).into_owned());
        Ok((self.open.len() as u64 - 1, length, label.len()))
    }

    /// Keeps a label, complete or not at all.
    pub fn label(&mut self, store: u64, label: &[u8]) -> Result<(), Status> {
        let path = label_path(&self.entry(store)?.1);
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|_| Status::Io)?;
        file.write_all(label).and_then(|()| file.as_file().sync_all()).map_err(|_| Status::Io)?;
        file.persist(&path).map_err(|_| Status::Io)?;
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(|_| Status::Io)
    }

    pub fn read(&mut self, store: u64, pieces: u64, pairs: &[u8], out: &mut [u8]) -> Result<usize, Status> {
        let (pairs, rest) = split(pairs, pieces)?;
        if !rest.is_empty() {
            return Err(Status::Invalid);
        }
        let mut left = out;
        let mut reads = Vec::with_capacity(pairs.len());
        let mut total = 0;
        for (offset, length) in pairs {
            let (buf, tail) = left.split_at_mut_checked(length).ok_or(Status::Invalid)?;
            left = tail;
            total += length;
            reads.push(ReadAt { offset, buf });
        }
        self.entry(store)?.0.read(&mut reads).map_err(status)?;
        Ok(total)
    }

    pub fn write(&mut self, store: u64, pieces: u64, data: &[u8]) -> Result<(), Status> {
        let (pairs, mut rest) = split(data, pieces)?;
        let mut writes = Vec::with_capacity(pairs.len());
        for (offset, length) in pairs {
            let (bytes, tail) = rest.split_at_checked(length).ok_or(Status::Invalid)?;
            rest = tail;
            writes.push(WriteAt { offset, bytes });
        }
        self.entry(store)?.0.write(&writes).map_err(status)
    }

    /// One of the calls without pieces.
    pub fn with<T>(
        &mut self,
        store: u64,
        act: impl FnOnce(&mut FileStore) -> Result<T, StoreError>,
    ) -> Result<T, Status> {
        act(&mut self.entry(store)?.0).map_err(status)
    }

    /// Name of an open volume, and its file.
    pub fn place(&mut self, store: u64) -> Result<(String, PathBuf), Status> {
        let path = self.entry(store)?.1.clone();
        Ok((self.names[store as usize].clone(), path))
    }

    fn entry(&mut self, store: u64) -> Result<&mut (FileStore, PathBuf), Status> {
        usize::try_from(store).ok().and_then(|store| self.open.get_mut(store)).ok_or(Status::Invalid)
    }
}

/// The file beside a store that holds its label.
fn label_path(store: &Path) -> PathBuf {
    let mut name = store.file_name().unwrap_or_default().to_owned();
    name.push(".label");
    store.with_file_name(name)
}

/// Offset and length pairs, and what follows them.
#[expect(clippy::type_complexity, reason = "two parts of one message")]
fn split(data: &[u8], pieces: u64) -> Result<(Vec<(u64, usize)>, &[u8]), Status> {
    let size =
        usize::try_from(pieces).ok().and_then(|pieces| pieces.checked_mul(16)).ok_or(Status::Invalid)?;
    let (pairs, rest) = data.split_at_checked(size).ok_or(Status::Invalid)?;
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    let pairs = pairs
        .chunks_exact(16)
        .map(|pair| match usize::try_from(word(&pair[8..])) {
            Ok(length) if length <= MAX_PAYLOAD => Ok((word(&pair[..8]), length)),
            _ => Err(Status::Invalid),
        })
        .collect::<Result<_, _>>()?;
    Ok((pairs, rest))
}

fn status(error: StoreError) -> Status {
    match error {
        StoreError::NoSpace => Status::Exhausted,
        StoreError::InUse => Status::Busy,
        StoreError::Failed { .. } => Status::Io,
    }
}
