//! Files that the workload names by digest: the host keeps them in clear, and no byte is used before it was checked.
//!
//! The first read of a file reads all of it: its SHA-256 must be the workload's. On the way the digest of each
//! chunk is kept, 32 bytes for 64 KiB, so that what is read again later is checked by itself: memory is bounded, and a host
//! that changes the file in between is refused.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ring::digest;
use twine_abi::calls::{FolderClose, FolderLookup, FolderOpen, FolderRead};
use twine_abi::wire::Status;
use twine_vfs::{DirEntry, Error, FileSystem, FileType, Ino, Result, Stat};

use crate::Border;
use crate::answer::Found;

/// What is checked and cached at once.
const CHUNK: usize = 64 << 10;
/// Chunks in memory, for one mount: 8 MiB.
const CACHED: usize = 128;

const ROOT: Ino = Ino(1);

type Digest = [u8; 32];

/// One file of a measured mount, as the workload has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// Normal path below the mount.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the contents.
    pub sha256: [u8; 32],
}

/// The files of a measured mount. Never changes; sizes and names are the workload's, not the host's.
pub struct MeasuredFolder<B> {
    border: B,
    guest: String,
    /// By number, the root first.
    nodes: Vec<Node>,
    live: Mutex<Live>,
    report: Box<dyn Fn(&str) + Send + Sync>,
}

enum Node {
    Directory(BTreeMap<String, usize>),
    File(NamedFile),
}

#[derive(Default)]
struct Live {
    opens: HashMap<usize, u64>,
    /// Handles of the host.
    handles: HashMap<usize, u64>,
    root: Option<u64>,
    /// Digests of the chunks of every file that was found to be the one that the workload names; `None`: it is not.
    checked: HashMap<usize, Option<Vec<Digest>>>,
    cache: HashMap<Place, Cached>,
    time: u64,
}

/// File and chunk.
type Place = (usize, u64);

struct Cached {
    used: u64,
    bytes: Box<[u8]>,
}

impl<B: Border> MeasuredFolder<B> {
    /// The files of the mount `guest`. Nothing is asked of the host before the first read. `report` hears which file is
    /// not what the workload names, and why; the program sees EIO.
    ///
    /// # Errors
    /// [`Error::Invalid`]: a path is not normal, or stands twice.
    pub fn new(
        border: B,
        guest: &str,
        files: impl IntoIterator<Item = NamedFile>,
        report: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self> {
        let mut nodes = vec![Node::Directory(BTreeMap::new())];
        for file in files {
            add(&mut nodes, file)?;
        }
        Ok(Self { border, guest: guest.to_owned(), nodes, live: Mutex::default(), report: Box::new(report) })
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node(&self, ino: Ino) -> Result<(usize, &Node)> {
        let index = usize::try_from(ino.0).ok().and_then(|ino| ino.checked_sub(1)).ok_or(Error::NotFound)?;
        Ok((index, self.nodes.get(index).ok_or(Error::NotFound)?))
    }

    /// The host's handle of a file: name by name from the root.
    fn handle(&self, live: &mut Live, index: usize, file: &NamedFile) -> Result<u64> {
        if let Some(handle) = live.handles.get(&index) {
            return Ok(*handle);
        }
        let root = match live.root {
            Some(root) => root,
            None => {
                let (reply, _) =
                    self.border.call(&FolderOpen { write: 0 }, self.guest.as_bytes(), &mut []).map_err(io)?;
                *live.root.insert(reply.node)
            }
        };
        let mut dir = root;
        for name in file.path.split('/') {
            let looked_up = self.border.call(&FolderLookup { dir }, name.as_bytes(), &mut []);
            if dir != root {
                let _ = self.border.call(&FolderClose {}, &dir.to_le_bytes(), &mut []);
            }
            let (reply, _) = looked_up.map_err(io)?;
            dir = Found::new(reply.node, reply.kind, reply.device, reply.inode)?.handle;
        }
        live.handles.insert(index, dir);
        Ok(dir)
    }

    fn read_chunk(&self, handle: u64, file: &NamedFile, chunk: u64) -> Result<Box<[u8]>> {
        let offset = chunk * CHUNK as u64;
        let mut bytes = vec![0; (file.size - offset).min(CHUNK as u64) as usize].into_boxed_slice();
        let mut done = 0;
        while done < bytes.len() {
            let left = &mut bytes[done..];
            let ask = FolderRead { node: handle, offset: offset + done as u64, max: left.len() as u64 };
            match self.border.call(&ask, &[], left).map_err(io)? {
                (_, 0) => return Err(Error::Io),
                (_, got) => done += got,
            }
        }
        Ok(bytes)
    }

    /// Reads all of a file and compares: the digests of its chunks, if it is the right one.
    fn check(&self, live: &mut Live, index: usize, file: &NamedFile) -> Result<Vec<Digest>> {
        let handle = self.handle(live, index, file)?;
        let mut whole = digest::Context::new(&digest::SHA256);
        let chunks = file.size.div_ceil(CHUNK as u64);
        let mut digests = Vec::new();
        let mut kept = Vec::new();
        for chunk in 0..chunks {
            let bytes = self.read_chunk(handle, file, chunk)?;
            whole.update(&bytes);
            digests.push(sha256(&bytes));
            if kept.len() < CACHED {
                kept.push(bytes);
            }
        }
        if finish(whole) != file.sha256 {
            return Err(Error::Io);
        }
        for (chunk, bytes) in (0..).zip(kept) {
            live.keep((index, chunk), bytes);
        }
        Ok(digests)
    }

    /// A chunk that was checked.
    fn chunk<R>(
        &self,
        live: &mut Live,
        index: usize,
        file: &NamedFile,
        chunk: u64,
        take: impl FnOnce(&[u8]) -> R,
    ) -> Result<R> {
        if !live.checked.contains_key(&index) {
            let checked = self.check(live, index, file);
            if checked.is_err() {
                (self.report)(&format!(
                    "measured file {}/{}: the host does not deliver what the workload names (sha256:{})",
                    self.guest.trim_end_matches('/'),
                    file.path,
                    hex(&file.sha256)
                ));
            }
            live.checked.insert(index, checked.ok());
        }
        if let Some(bytes) = live.cached((index, chunk)) {
            return Ok(take(bytes));
        }
        let expected = match live.checked.get(&index) {
            Some(Some(digests)) => *digests.get(chunk as usize).ok_or(Error::Io)?,
            _ => return Err(Error::Io),
        };
        let handle = self.handle(live, index, file)?;
        let bytes = self.read_chunk(handle, file, chunk)?;
        if sha256(&bytes) != expected {
            (self.report)(&format!(
                "measured file {}/{}: the host changed it",
                self.guest.trim_end_matches('/'),
                file.path
            ));
            return Err(Error::Io);
        }
        let taken = take(&bytes);
        live.keep((index, chunk), bytes);
        Ok(taken)
    }
}

impl Live {
    fn cached(&mut self, key: Place) -> Option<&[u8]> {
        self.time += 1;
        let cached = self.cache.get_mut(&key)?;
        cached.used = self.time;
        Some(&cached.bytes)
    }

    fn keep(&mut self, key: Place, bytes: Box<[u8]>) {
        if self.cache.len() >= CACHED
            && let Some((&oldest, _)) = self.cache.iter().min_by_key(|(_, cached)| cached.used)
        {
            self.cache.remove(&oldest);
        }
        self.time += 1;
        self.cache.insert(key, Cached { used: self.time, bytes });
    }
}

/// Puts a file into the tree, with the directories above it.
fn add(nodes: &mut Vec<Node>, file: NamedFile) -> Result<()> {
    let mut here = 0;
    let path = file.path.clone();
    let mut components = path.split('/').peekable();
    while let Some(name) = components.next() {
        twine_vfs::check_name(name)?;
        let next = nodes.len();
        let Some(Node::Directory(names)) = nodes.get_mut(here) else { return Err(Error::Invalid) };
        let known = names.get(name).copied();
        match (known, components.peek()) {
            (Some(_), None) => return Err(Error::Invalid),
            (Some(known), Some(_)) => here = known,
            (None, last) => {
                names.insert(name.to_owned(), next);
                nodes.push(match last {
                    None => Node::File(file.clone()),
                    Some(_) => Node::Directory(BTreeMap::new()),
                });
                here = next;
            }
        }
    }
    Ok(())
}

fn ino(index: usize) -> Ino {
    Ino(index as u64 + 1)
}

fn io(_: Status) -> Error {
    Error::Io
}

fn sha256(bytes: &[u8]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(bytes);
    finish(context)
}

fn finish(context: digest::Context) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Node {
    fn file_type(&self) -> FileType {
        match self {
            Node::Directory(_) => FileType::Directory,
            Node::File(_) => FileType::File,
        }
    }
}

impl<B: Border> FileSystem for MeasuredFolder<B> {
    fn root(&self) -> Ino {
        ROOT
    }

    fn lookup(&self, dir: Ino, name: &str) -> Result<(Ino, FileType)> {
        match self.node(dir)?.1 {
            Node::File(_) => Err(Error::NotDirectory),
            Node::Directory(names) => {
                let index = *names.get(name).ok_or(Error::NotFound)?;
                Ok((ino(index), self.nodes[index].file_type()))
            }
        }
    }

    fn open(&self, ino: Ino) -> Result<()> {
        *self.live().opens.entry(self.node(ino)?.0).or_default() += 1;
        Ok(())
    }

    fn close(&self, ino: Ino) {
        let Ok((index, _)) = self.node(ino) else { return };
        let mut live = self.live();
        let opens = live.opens.entry(index).or_default();
        *opens = opens.saturating_sub(1);
        if *opens == 0
            && let Some(handle) = live.handles.remove(&index)
        {
            let _ = self.border.call(&FolderClose {}, &handle.to_le_bytes(), &mut []);
        }
    }

    /// Times are not part of the workload: 1970.
    fn stat(&self, ino: Ino) -> Result<Stat> {
        let (file_type, size) = match self.node(ino)?.1 {
            Node::Directory(_) => (FileType::Directory, 0),
            Node::File(file) => (FileType::File, file.size),
        };
        Ok(Stat { ino, file_type, size, links: 1, accessed: 0, modified: 0, changed: 0 })
    }

    fn read(&self, ino: Ino, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let (index, file) = match self.node(ino)? {
            (index, Node::File(file)) => (index, file),
            _ => return Err(Error::IsDirectory),
        };
        let len = file.size.saturating_sub(offset).min(buf.len() as u64) as usize;
        let mut live = self.live();
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let (chunk, skip) = (at / CHUNK as u64, (at % CHUNK as u64) as usize);
            let left = &mut buf[done..len];
            done += self.chunk(&mut live, index, file, chunk, |bytes| {
                let piece = &bytes[skip..];
                let count = piece.len().min(left.len());
                left[..count].copy_from_slice(&piece[..count]);
                count
            })?;
        }
        Ok(done)
    }

    fn readlink(&self, ino: Ino) -> Result<String> {
        self.node(ino).and(Err(Error::Invalid))
    }

    fn readdir(&self, dir: Ino, cookie: u64, visit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        let Node::Directory(names) = self.node(dir)?.1 else { return Err(Error::NotDirectory) };
        let skip = usize::try_from(cookie).unwrap_or(usize::MAX);
        for (next, (name, &index)) in (1..).zip(names).skip(skip) {
            let file_type = self.nodes[index].file_type();
            if !visit(DirEntry { cookie: next, name, ino: ino(index), file_type }) {
                break;
            }
        }
        Ok(())
    }

    fn read_only(&self) -> bool {
        true
    }

    fn sync(&self, _: Ino, _: bool) -> Result<()> {
        Ok(())
    }
}
