//! The in-memory file system: scratch space of a workload, and the plain model that the volume's tests compare with.

mod contents;
mod tree;

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{DirEntry, Error, FileSystem, FileType, Ino, Result, SetTime, Stat, Times, check_name};
use contents::Contents;
use tree::{Inode, Kind, Tree};

/// Bounds of a [`MemFs`].
#[derive(Clone, Copy, Debug)]
pub struct MemLimits {
    /// Bytes of file contents (in whole chunks of [`MemFs::CHUNK`]), names and link targets together.
    pub bytes: u64,
    /// Number of inodes, the root included.
    pub inodes: u64,
}

impl Default for MemLimits {
    /// 1 GiB and one million inodes.
    fn default() -> Self {
        MemLimits { bytes: 1 << 30, inodes: 1 << 20 }
    }
}

/// A file system in ordinary memory. Sparse, bounded, lost when dropped; nothing in it leaves the enclave.
///
/// Reading does not change the access time (as with `noatime`); syncing succeeds and means nothing.
pub struct MemFs {
    state: Mutex<State>,
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    limits: MemLimits,
}

struct State {
    tree: Tree,
    bytes: u64,
}

impl MemFs {
    /// Unit of allocation and of sparseness, in bytes.
    pub const CHUNK: usize = contents::CHUNK;

    /// Largest file size: what a signed 64-bit offset can name.
    pub const MAX_SIZE: u64 = i64::MAX as u64;

    /// An empty file system whose times come from `clock` (nanoseconds since 1970).
    pub fn new(limits: MemLimits, clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        let state = State { tree: Tree::new(clock()), bytes: 0 };
        MemFs { state: Mutex::new(state), clock: Box::new(clock), limits }
    }

    /// Bytes that count against [`MemLimits::bytes`] now.
    pub fn bytes_used(&self) -> u64 {
        self.lock().bytes
    }

    /// Inodes that count against [`MemLimits::inodes`] now; those that are only kept open count too.
    pub fn inodes_used(&self) -> u64 {
        self.lock().tree.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, dir: Ino, name: &str, kind: Kind) -> Result<Ino> {
        check_name(name)?;
        let now = (self.clock)();
        let mut state = self.lock();
        state.tree.directory(dir)?.must_lack(name)?;
        if state.tree.len() >= self.limits.inodes {
            return Err(Error::NoSpace);
        }
        let target_len = if let Kind::Symlink(target) = &kind { target.len() } else { 0 };
        state.charge(self.limits.bytes, (name.len() + target_len) as u64)?;
        state.tree.insert(dir, name, kind, now)
    }
}

impl State {
    fn charge(&mut self, limit: u64, bytes: u64) -> Result<()> {
        let total = self.bytes.checked_add(bytes).filter(|&total| total <= limit).ok_or(Error::NoSpace)?;
        self.bytes = total;
        Ok(())
    }

    /// Frees `ino` if nothing holds it any more.
    fn reap(&mut self, ino: Ino) {
        if let Some(gone) = self.tree.take_unused(ino) {
            let freed = match gone.kind {
                Kind::File(contents) => contents.allocated(),
                Kind::Symlink(target) => target.len() as u64,
                Kind::Directory(_) => 0,
            };
            self.bytes = self.bytes.saturating_sub(freed);
        }
    }

    /// Takes the name away and frees what it stood for if nothing else holds it.
    fn drop_name(&mut self, dir: Ino, name: &str, now: u64) -> Result<()> {
        let ino = self.tree.unname(dir, name, now)?;
        self.bytes = self.bytes.saturating_sub(name.len() as u64);
        self.reap(ino);
        Ok(())
    }

    /// Runs `change` on a file's contents, charging what it allocates and refunding what it frees.
    fn change<R>(
        &mut self,
        ino: Ino,
        limit: u64,
        now: u64,
        change: impl FnOnce(&mut Contents, u64) -> Result<R>,
    ) -> Result<R> {
        let room = limit.saturating_sub(self.bytes);
        let (result, before, after) = self.tree.change_file(ino, now, |contents| {
            let before = contents.allocated();
            Ok((change(contents, room)?, before, contents.allocated()))
        })?;
        self.bytes = (self.bytes + after).saturating_sub(before);
        Ok(result)
    }
}

fn end_of(offset: u64, len: u64) -> Result<u64> {
    offset.checked_add(len).filter(|&end| end <= MemFs::MAX_SIZE).ok_or(Error::TooLarge)
}

impl FileSystem for MemFs {
    fn root(&self) -> Ino {
        tree::ROOT
    }

    fn lookup(&self, dir: Ino, name: &str) -> Result<(Ino, FileType)> {
        let state = self.lock();
        let ino = state.tree.directory(dir)?.get(name).ok_or(Error::NotFound)?;
        Ok((ino, state.tree.get(ino)?.kind.file_type()))
    }

    fn open(&self, ino: Ino) -> Result<()> {
        self.lock().tree.get_mut(ino)?.opens += 1;
        Ok(())
    }

    fn close(&self, ino: Ino) {
        let mut state = self.lock();
        if let Ok(inode) = state.tree.get_mut(ino) {
            inode.opens = inode.opens.saturating_sub(1);
            state.reap(ino);
        }
    }

    fn stat(&self, ino: Ino) -> Result<Stat> {
        let state = self.lock();
        let inode = state.tree.get(ino)?;
        Ok(Stat {
            ino,
            file_type: inode.kind.file_type(),
            size: match &inode.kind {
                Kind::File(contents) => contents.size(),
                Kind::Symlink(target) => target.len() as u64,
                Kind::Directory(_) => 0,
            },
            links: inode.links,
            accessed: inode.accessed,
            modified: inode.modified,
            changed: inode.changed,
        })
    }

    fn set_times(&self, ino: Ino, times: Times) -> Result<()> {
        let now = (self.clock)();
        let mut state = self.lock();
        let inode = state.tree.get_mut(ino)?;
        let chosen = |set, old| match set {
            SetTime::Keep => old,
            SetTime::Now => now,
            SetTime::At(time) => time,
        };
        inode.accessed = chosen(times.accessed, inode.accessed);
        inode.modified = chosen(times.modified, inode.modified);
        inode.changed = now;
        Ok(())
    }

    fn set_size(&self, ino: Ino, size: u64) -> Result<()> {
        end_of(size, 0)?;
        let now = (self.clock)();
        self.lock().change(ino, self.limits.bytes, now, |contents, _| {
            contents.set_size(size);
            Ok(())
        })
    }

    fn allocate(&self, ino: Ino, offset: u64, len: u64) -> Result<()> {
        let end = end_of(offset, len)?;
        let now = (self.clock)();
        self.lock().change(ino, self.limits.bytes, now, |contents, room| {
            contents.reserve(offset, end, room)?;
            if end > contents.size() {
                contents.set_size(end);
            }
            Ok(())
        })
    }

    fn read(&self, ino: Ino, offset: u64, buf: &mut [u8]) -> Result<usize> {
        Ok(self.lock().tree.file(ino)?.read(offset, buf))
    }

    fn write(&self, ino: Ino, offset: u64, buf: &[u8]) -> Result<()> {
        let end = end_of(offset, buf.len() as u64)?;
        let now = (self.clock)();
        let mut state = self.lock();
        state.tree.file(ino)?;
        if buf.is_empty() {
            return Ok(());
        }
        state.change(ino, self.limits.bytes, now, |contents, room| {
            contents.reserve(offset, end, room)?;
            contents.write(offset, buf);
            Ok(())
        })
    }

    fn append(&self, ino: Ino, buf: &[u8]) -> Result<u64> {
        let now = (self.clock)();
        let mut state = self.lock();
        let size = state.tree.file(ino)?.size();
        let end = end_of(size, buf.len() as u64)?;
        if buf.is_empty() {
            return Ok(size);
        }
        state.change(ino, self.limits.bytes, now, |contents, room| {
            contents.reserve(size, end, room)?;
            contents.write(size, buf);
            Ok(end)
        })
    }

    fn create(&self, dir: Ino, name: &str) -> Result<Ino> {
        self.add(dir, name, Kind::File(Contents::default()))
    }

    fn mkdir(&self, dir: Ino, name: &str) -> Result<Ino> {
        self.add(dir, name, Kind::Directory(tree::Directory::below(dir)))
    }

    fn symlink(&self, dir: Ino, name: &str, target: &str) -> Result<Ino> {
        self.add(dir, name, Kind::Symlink(target.to_owned()))
    }

    fn readlink(&self, ino: Ino) -> Result<String> {
        match &self.lock().tree.get(ino)?.kind {
            Kind::Symlink(target) => Ok(target.clone()),
            Kind::File(_) | Kind::Directory(_) => Err(Error::Invalid),
        }
    }

    fn link(&self, ino: Ino, dir: Ino, name: &str) -> Result<()> {
        check_name(name)?;
        let now = (self.clock)();
        let mut state = self.lock();
        let Inode { kind, links, .. } = state.tree.get(ino)?;
        if matches!(kind, Kind::Directory(_)) {
            return Err(Error::NotPermitted);
        }
        if *links == 0 {
            return Err(Error::NotFound); // Only open handles hold it: it has no name to come back by.
        }
        state.tree.directory(dir)?.must_lack(name)?;
        state.charge(self.limits.bytes, name.len() as u64)?;
        state.tree.name(dir, name, ino, now)
    }

    fn unlink(&self, dir: Ino, name: &str) -> Result<()> {
        let now = (self.clock)();
        let mut state = self.lock();
        let ino = state.tree.directory(dir)?.get(name).ok_or(Error::NotFound)?;
        if matches!(state.tree.get(ino)?.kind, Kind::Directory(_)) {
            return Err(Error::IsDirectory);
        }
        state.drop_name(dir, name, now)
    }

    fn rmdir(&self, dir: Ino, name: &str) -> Result<()> {
        let now = (self.clock)();
        let mut state = self.lock();
        let ino = state.tree.directory(dir)?.get(name).ok_or(Error::NotFound)?;
        if !state.tree.directory(ino)?.is_empty() {
            return Err(Error::NotEmpty);
        }
        state.drop_name(dir, name, now)
    }

    fn rename(&self, from: Ino, from_name: &str, to: Ino, to_name: &str) -> Result<()> {
        check_name(to_name)?;
        let now = (self.clock)();
        let mut state = self.lock();
        let ino = state.tree.directory(from)?.get(from_name).ok_or(Error::NotFound)?;
        let moves_directory = matches!(state.tree.get(ino)?.kind, Kind::Directory(_));
        let replaced = state.tree.directory(to)?.get(to_name);
        state.tree.directory(to)?.must_live()?;
        if replaced == Some(ino) {
            return Ok(()); // Two names of one inode: rename(2) leaves both.
        }
        if moves_directory && state.tree.is_within(to, ino) {
            return Err(Error::Invalid);
        }
        if let Some(old) = replaced {
            match (&state.tree.get(old)?.kind, moves_directory) {
                (Kind::Directory(_), false) => return Err(Error::IsDirectory),
                (Kind::Directory(entries), true) if !entries.is_empty() => return Err(Error::NotEmpty),
                (Kind::File(_) | Kind::Symlink(_), true) => return Err(Error::NotDirectory),
                _ => {}
            }
        }
        let grows = (to_name.len() as u64).saturating_sub(from_name.len() as u64);
        if replaced.is_none() && state.bytes.saturating_add(grows) > self.limits.bytes {
            return Err(Error::NoSpace);
        }
        if replaced.is_some() {
            state.drop_name(to, to_name, now)?;
        }
        // Named anew before it is unnamed, so that the count of links never falls to zero on the way.
        state.tree.name(to, to_name, ino, now)?;
        state.tree.unname(from, from_name, now)?;
        state.bytes = (state.bytes + to_name.len() as u64).saturating_sub(from_name.len() as u64);
        state.tree.set_parent(ino, to);
        Ok(())
    }

    fn readdir(&self, dir: Ino, cookie: u64, visit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        let state = self.lock();
        for (cookie, name, ino) in state.tree.directory(dir)?.after(cookie) {
            let file_type = state.tree.get(ino)?.kind.file_type();
            if !visit(DirEntry { cookie, name, ino, file_type }) {
                break;
            }
        }
        Ok(())
    }

    fn sync(&self, ino: Ino, _data_only: bool) -> Result<()> {
        self.lock().tree.get(ino).map(|_| ())
    }
}
