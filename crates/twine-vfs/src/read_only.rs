//! A view of a file system that refuses every change.

use std::sync::Arc;

use crate::{DirEntry, FileSystem, FileType, Ino, Result, Stat};

/// Passes reads through and refuses every change.
///
/// The file system below may still change by other hands: this is a limit on who holds the view, not a snapshot.
pub struct ReadOnly(Arc<dyn FileSystem>);

impl ReadOnly {
    /// A view of `below`.
    pub fn new(below: Arc<dyn FileSystem>) -> Self {
        ReadOnly(below)
    }
}

impl FileSystem for ReadOnly {
    fn root(&self) -> Ino {
        self.0.root()
    }
    fn lookup(&self, dir: Ino, name: &str) -> Result<(Ino, FileType)> {
        self.0.lookup(dir, name)
    }
    fn open(&self, ino: Ino) -> Result<()> {
        self.0.open(ino)
    }
    fn close(&self, ino: Ino) {
        self.0.close(ino);
    }
    fn stat(&self, ino: Ino) -> Result<Stat> {
        self.0.stat(ino)
    }
    fn read(&self, ino: Ino, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.0.read(ino, offset, buf)
    }
    fn readlink(&self, ino: Ino) -> Result<String> {
        self.0.readlink(ino)
    }
    fn readdir(&self, dir: Ino, cookie: u64, visit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        self.0.readdir(dir, cookie, visit)
    }
    /// Nothing of the holder's can be unwritten, so this succeeds without asking below.
    fn sync(&self, _: Ino, _: bool) -> Result<()> {
        Ok(())
    }
    fn read_only(&self) -> bool {
        true
    }
}
