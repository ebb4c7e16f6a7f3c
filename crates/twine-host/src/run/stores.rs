//! The stores of volumes: one locked file each.

use std::path::PathBuf;

use twine_abi::wire::{MAX_PAYLOAD, Status};
use twine_volume::store::{FileStore, ReadAt, Store, StoreError, WriteAt};

use super::map::Map;

/// Where volumes are, and those that are open.
pub struct Stores {
    places: Vec<(String, PathBuf)>,
    open: Vec<Open>,
    maps: bool,
}

struct Open {
    name: String,
    store: FileStore,
    path: PathBuf,
    map: Option<Map>,
}

/// Fewest addresses of a map: they cost nothing, and another map costs the page tables of the first.
const MAP_ROOM: u64 = 64 << 30;

impl Stores {
    pub fn new(places: Vec<(String, PathBuf)>, maps: bool) -> Self {
        Self { places, open: Vec::new(), maps }
    }

    /// Opens or creates the store of the volume `name`: handle and length.
    pub fn open(&mut self, name: &[u8], write: bool) -> Result<(u64, u64), Status> {
        let place = self.places.iter().find(|(known, _)| known.as_bytes() == name);
        let path = place.map(|(_, path)| path).ok_or(Status::NotFound)?;
        let mut store = match FileStore::open(path, write) {
            Err(_) if !path.exists() && write => FileStore::create(path).map_err(status)?,
            Err(_) if !path.exists() => return Err(Status::NotFound),
            other => other.map_err(status)?,
        };
        let length = store.length().map_err(status)?;
        let name = String::from_utf8_lossy(name).into_owned();
        self.open.push(Open { name, store, path: path.clone(), map: None });
        Ok((self.open.len() as u64 - 1, length))
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
        self.entry(store)?.store.read(&mut reads).map_err(status)?;
        Ok(total)
    }

    pub fn write(&mut self, store: u64, pieces: u64, durable: bool, data: &[u8]) -> Result<(), Status> {
        let (pairs, mut rest) = split(data, pieces)?;
        let mut writes = Vec::with_capacity(pairs.len());
        for (offset, length) in pairs {
            let (bytes, tail) = rest.split_at_checked(length).ok_or(Status::Invalid)?;
            rest = tail;
            writes.push(WriteAt { offset, bytes });
        }
        let store = &mut self.entry(store)?.store;
        if durable { store.write_durably(&writes) } else { store.write(&writes) }.map_err(status)
    }

    /// Maps a store: address, bytes there are, bytes there may be.
    pub fn map(&mut self, store: u64) -> Result<(u64, u64, u64), Status> {
        if !self.maps {
            return Err(Status::Unsupported);
        }
        let open = self.entry(store)?;
        let length = open.store.length().map_err(status)?;
        open.map = None;
        let map = open.map.insert(Map::new(&open.store, MAP_ROOM.max(length.saturating_mul(4)))?);
        Ok((map.address(), length, map.room()))
    }

    /// One of the calls without pieces.
    pub fn with<T>(
        &mut self,
        store: u64,
        act: impl FnOnce(&mut FileStore) -> Result<T, StoreError>,
    ) -> Result<T, Status> {
        act(&mut self.entry(store)?.store).map_err(status)
    }

    /// Name of an open volume, and its file.
    pub fn place(&mut self, store: u64) -> Result<(String, PathBuf), Status> {
        let open = self.entry(store)?;
        Ok((open.name.clone(), open.path.clone()))
    }

    fn entry(&mut self, store: u64) -> Result<&mut Open, Status> {
        usize::try_from(store).ok().and_then(|store| self.open.get_mut(store)).ok_or(Status::Invalid)
    }
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
