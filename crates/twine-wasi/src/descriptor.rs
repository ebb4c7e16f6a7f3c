//! What a descriptor stands for, and the table of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use twine_vfs::{FileSystem, Ino};

use crate::abi::{FdFlags, Rights};
use crate::errno::Errno;
use crate::stdio::Stream;

pub(crate) enum Descriptor {
    Stream(Stream),
    File(File),
    Directory(Directory),
}

/// An open regular file.
pub(crate) struct File {
    pub(crate) handle: Handle,
    pub(crate) position: u64,
    pub(crate) flags: FdFlags,
    pub(crate) rights: Rights,
    /// Means nothing for a file, but `fd_fdstat_get` tells it.
    pub(crate) inheriting: Rights,
}

/// An open directory: the root of what its descriptor can reach.
pub(crate) struct Directory {
    pub(crate) handle: Handle,
    pub(crate) preopen: Option<String>,
    pub(crate) flags: FdFlags,
    pub(crate) rights: Rights,
    pub(crate) inheriting: Rights,
}

/// An inode that is held open for as long as this lives.
pub(crate) struct Handle {
    pub(crate) fs: Arc<dyn FileSystem>,
    pub(crate) ino: Ino,
    /// `st_dev`: the same number for the same file system.
    pub(crate) device: u64,
}

impl Handle {
    pub(crate) fn open(fs: Arc<dyn FileSystem>, ino: Ino, device: u64) -> twine_vfs::Result<Handle> {
        fs.open(ino)?;
        Ok(Handle { fs, ino, device })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.fs.close(self.ino);
    }
}

impl File {
    pub(crate) fn must(&self, right: Rights) -> Result<&File, Errno> {
        if self.rights.contains(right) { Ok(self) } else { Err(Errno::NOTCAPABLE) }
    }
}

impl Directory {
    pub(crate) fn must(&self, right: Rights) -> Result<&Directory, Errno> {
        if self.rights.contains(right) { Ok(self) } else { Err(Errno::NOTCAPABLE) }
    }
}

/// Descriptors by number. New ones take the highest number that was freed, as in Wasmtime: a program that has closed its
/// standard output does not go on writing to the file that it opens next.
pub(crate) struct Table {
    slots: Vec<Option<Descriptor>>,
    /// Numbers of empty slots.
    free: BTreeSet<u32>,
    limit: usize,
}

impl Table {
    pub(crate) fn new(limit: usize) -> Self {
        Table { slots: Vec::new(), free: BTreeSet::new(), limit }
    }

    pub(crate) fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.slots.get(fd as usize).and_then(Option::as_ref).ok_or(Errno::BADF)
    }

    pub(crate) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.slots.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Errno::BADF)
    }

    /// A regular file; streams and directories are BADF.
    pub(crate) fn file(&self, fd: u32) -> Result<&File, Errno> {
        match self.get(fd)? {
            Descriptor::File(file) => Ok(file),
            Descriptor::Stream(_) | Descriptor::Directory(_) => Err(Errno::BADF),
        }
    }

    /// A directory; anything else is BADF, but see `path_open`.
    pub(crate) fn directory(&self, fd: u32) -> Result<&Directory, Errno> {
        match self.get(fd)? {
            Descriptor::Directory(directory) => Ok(directory),
            Descriptor::Stream(_) | Descriptor::File(_) => Err(Errno::BADF),
        }
    }

    /// Something with a position; streams are SPIPE, directories BADF.
    pub(crate) fn seekable(&mut self, fd: u32) -> Result<&mut File, Errno> {
        match self.get_mut(fd)? {
            Descriptor::File(file) => Ok(file),
            Descriptor::Stream(_) => Err(Errno::SPIPE),
            Descriptor::Directory(_) => Err(Errno::BADF),
        }
    }

    pub(crate) fn must_have_room(&self) -> Result<(), Errno> {
        if self.slots.len() - self.free.len() < self.limit { Ok(()) } else { Err(Errno::MFILE) }
    }

    pub(crate) fn insert(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        self.must_have_room()?;
        let fd = self.free.pop_last().unwrap_or(self.slots.len() as u32);
        match self.slots.get_mut(fd as usize) {
            Some(slot) => *slot = Some(descriptor),
            None => self.slots.push(Some(descriptor)),
        }
        Ok(fd)
    }

    pub(crate) fn remove(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        let descriptor = self.slots.get_mut(fd as usize).and_then(Option::take).ok_or(Errno::BADF)?;
        self.free.insert(fd);
        Ok(descriptor)
    }

    /// Moves `from` to the open descriptor `to`, which is closed.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        self.get(from)?;
        self.get(to)?;
        if from != to {
            let moved = self.remove(from)?;
            *self.get_mut(to)? = moved;
        }
        Ok(())
    }
}
