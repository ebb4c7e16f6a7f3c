//! Inodes and names.

use std::collections::BTreeMap;

use super::contents::Contents;
use crate::{Error, FileType, Ino, Result};

pub(super) const ROOT: Ino = Ino(1);

pub(super) struct Tree {
    inodes: BTreeMap<Ino, Inode>,
    next: u64,
}

pub(super) struct Inode {
    pub(super) kind: Kind,
    pub(super) links: u64,
    pub(super) opens: u64,
    pub(super) accessed: u64,
    pub(super) modified: u64,
    pub(super) changed: u64,
}

pub(super) enum Kind {
    File(Contents),
    Directory(Directory),
    Symlink(String),
}

/// Entries by name and by cookie. A cookie is never given twice in the life of a directory.
pub(super) struct Directory {
    by_name: BTreeMap<String, (Ino, u64)>,
    by_cookie: BTreeMap<u64, (String, Ino)>,
    next_cookie: u64,
    parent: Ino,
    removed: bool,
}

impl Kind {
    pub(super) fn file_type(&self) -> FileType {
        match self {
            Kind::File(_) => FileType::File,
            Kind::Directory(_) => FileType::Directory,
            Kind::Symlink(_) => FileType::Symlink,
        }
    }
}

impl Directory {
    pub(super) fn below(parent: Ino) -> Self {
        let (by_name, by_cookie) = (BTreeMap::new(), BTreeMap::new());
        Directory { by_name, by_cookie, next_cookie: 1, parent, removed: false }
    }

    pub(super) fn get(&self, name: &str) -> Option<Ino> {
        self.by_name.get(name).map(|&(ino, _)| ino)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// A removed directory that is still open takes no new names.
    pub(super) fn must_live(&self) -> Result<()> {
        if self.removed { Err(Error::NotFound) } else { Ok(()) }
    }

    pub(super) fn must_lack(&self, name: &str) -> Result<()> {
        self.must_live()?;
        if self.by_name.contains_key(name) { Err(Error::Exists) } else { Ok(()) }
    }

    pub(super) fn after(&self, cookie: u64) -> impl Iterator<Item = (u64, &str, Ino)> {
        let first = cookie.saturating_add(1);
        self.by_cookie.range(first..).map(|(&cookie, (name, ino))| (cookie, name.as_str(), *ino))
    }
}

impl Tree {
    pub(super) fn new(now: u64) -> Self {
        let mut inodes = BTreeMap::new();
        inodes.insert(ROOT, Inode::new(Kind::Directory(Directory::below(ROOT)), 1, now));
        Tree { inodes, next: ROOT.0 + 1 }
    }

    pub(super) fn len(&self) -> u64 {
        self.inodes.len() as u64
    }

    pub(super) fn get(&self, ino: Ino) -> Result<&Inode> {
        self.inodes.get(&ino).ok_or(Error::NotFound)
    }

    pub(super) fn get_mut(&mut self, ino: Ino) -> Result<&mut Inode> {
        self.inodes.get_mut(&ino).ok_or(Error::NotFound)
    }

    pub(super) fn directory(&self, ino: Ino) -> Result<&Directory> {
        match &self.get(ino)?.kind {
            Kind::Directory(directory) => Ok(directory),
            Kind::File(_) | Kind::Symlink(_) => Err(Error::NotDirectory),
        }
    }

    fn directory_mut(&mut self, ino: Ino) -> Result<&mut Directory> {
        match &mut self.get_mut(ino)?.kind {
            Kind::Directory(directory) => Ok(directory),
            Kind::File(_) | Kind::Symlink(_) => Err(Error::NotDirectory),
        }
    }

    pub(super) fn file(&self, ino: Ino) -> Result<&Contents> {
        match &self.get(ino)?.kind {
            Kind::File(contents) => Ok(contents),
            Kind::Directory(_) => Err(Error::IsDirectory),
            Kind::Symlink(_) => Err(Error::Invalid),
        }
    }

    pub(super) fn change_file<R>(
        &mut self,
        ino: Ino,
        now: u64,
        change: impl FnOnce(&mut Contents) -> Result<R>,
    ) -> Result<R> {
        let inode = self.get_mut(ino)?;
        let result = match &mut inode.kind {
            Kind::File(contents) => change(contents)?,
            Kind::Directory(_) => return Err(Error::IsDirectory),
            Kind::Symlink(_) => return Err(Error::Invalid),
        };
        inode.modified = now;
        inode.changed = now;
        Ok(result)
    }

    /// A new inode under a name that must be free.
    pub(super) fn insert(&mut self, dir: Ino, name: &str, kind: Kind, now: u64) -> Result<Ino> {
        let ino = Ino(self.next);
        self.next += 1;
        self.inodes.insert(ino, Inode::new(kind, 0, now));
        self.name(dir, name, ino, now)?;
        Ok(ino)
    }

    /// Gives `ino` a name that must be free.
    pub(super) fn name(&mut self, dir: Ino, name: &str, ino: Ino, now: u64) -> Result<()> {
        let directory = self.directory_mut(dir)?;
        let cookie = directory.next_cookie;
        directory.next_cookie += 1;
        directory.by_name.insert(name.to_owned(), (ino, cookie));
        directory.by_cookie.insert(cookie, (name.to_owned(), ino));
        self.touch(dir, now);
        let inode = self.get_mut(ino)?;
        inode.links += 1;
        inode.changed = now;
        Ok(())
    }

    /// Takes a name away; the inode it stood for stays until [`Tree::take_unused`].
    pub(super) fn unname(&mut self, dir: Ino, name: &str, now: u64) -> Result<Ino> {
        let directory = self.directory_mut(dir)?;
        let (ino, cookie) = directory.by_name.remove(name).ok_or(Error::NotFound)?;
        directory.by_cookie.remove(&cookie);
        self.touch(dir, now);
        let inode = self.get_mut(ino)?;
        inode.links = inode.links.saturating_sub(1);
        inode.changed = now;
        if let (0, Kind::Directory(gone)) = (inode.links, &mut inode.kind) {
            gone.removed = true;
        }
        Ok(ino)
    }

    /// Removes and returns the inode if neither a name nor an open holds it.
    pub(super) fn take_unused(&mut self, ino: Ino) -> Option<Inode> {
        let inode = self.inodes.get(&ino)?;
        if inode.links == 0 && inode.opens == 0 { self.inodes.remove(&ino) } else { None }
    }

    /// Whether `dir` is `ancestor` or below it.
    pub(super) fn is_within(&self, mut dir: Ino, ancestor: Ino) -> bool {
        loop {
            if dir == ancestor {
                return true;
            }
            match self.directory(dir) {
                Ok(directory) if directory.parent != dir => dir = directory.parent,
                _ => return false,
            }
        }
    }

    pub(super) fn set_parent(&mut self, ino: Ino, parent: Ino) {
        if let Ok(directory) = self.directory_mut(ino) {
            directory.parent = parent;
        }
    }

    fn touch(&mut self, ino: Ino, now: u64) {
        if let Ok(inode) = self.get_mut(ino) {
            inode.modified = now;
            inode.changed = now;
        }
    }
}

impl Inode {
    fn new(kind: Kind, links: u64, now: u64) -> Self {
        Inode { kind, links, opens: 0, accessed: now, modified: now, changed: now }
    }
}
