//! Names: directories, links, and the life of an inode from its first name to its last open.

use twine_vfs::{Error as FsError, FileType, check_name};

use crate::engine::{Engine, Live};
use crate::error::{Error, Result};
use crate::format::entry::{COLLISIONS, Entry, first_cookie};
use crate::format::inode::Inode;
use crate::format::key::Key;
use crate::format::{ROOT_INO, TARGET_MAX};

/// Most names of one inode that is not a directory.
const LINKS_MAX: u32 = 65_000;

/// A name that was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) cookie: u64,
    pub(crate) ino: u64,
    pub(crate) file_type: FileType,
}

impl Engine {
    /// The inode of a directory that still has its name.
    fn directory(&mut self, dir: u64) -> Result<Inode> {
        let inode = self.inode(dir)?;
        if inode.file_type != FileType::Directory {
            return Err(FsError::NotDirectory.into());
        }
        Ok(inode)
    }

    /// The entry of `name`, or else the cookie that it would get.
    fn find_name(&mut self, dir: u64, name: &str) -> Result<core::result::Result<Found, u64>> {
        let first = first_cookie(self.core.io.keys.name_hash(name));
        let end = first + COLLISIONS;
        let (mut found, mut free, mut damaged) = (None, first, false);
        self.core.scan(Key::entry(dir, first), |key, value| {
            if key >= Key::entry(dir, end) {
                return false;
            }
            if free == key.sub() {
                free += 1;
            }
            match Entry::decode(value) {
                Some(entry) if entry.name == name => {
                    found = Some(Found { cookie: key.sub(), ino: entry.ino, file_type: entry.file_type });
                }
                Some(_) => {}
                None => damaged = true,
            }
            found.is_none() && !damaged
        })?;
        match found {
            _ if damaged => Err(Error::Corrupted { what: "directory entry", slot: 0 }),
            Some(found) => Ok(Ok(found)),
            None if free < end => Ok(Err(free)),
            None => Err(FsError::NoSpace.into()),
        }
    }

    pub(crate) fn lookup(&mut self, dir: u64, name: &str) -> Result<Found> {
        check_name(name)?;
        self.directory(dir)?;
        Ok(self.find_name(dir, name)?.map_err(|_| FsError::NotFound)?)
    }

    /// Where a new name goes; refuses taken ones and directories that are gone.
    fn vacant(&mut self, dir: u64, name: &str) -> Result<u64> {
        check_name(name)?;
        let inode = self.directory(dir)?;
        match self.find_name(dir, name)? {
            Ok(_) => Err(FsError::Exists.into()),
            Err(_) if inode.links == 0 => Err(FsError::NotFound.into()),
            Err(cookie) => Ok(cookie),
        }
    }

    fn put_entry(&mut self, dir: u64, cookie: u64, entry: Entry<'_>) -> Result<()> {
        self.core.put(Key::entry(dir, cookie), &entry.encode())
    }

    /// Creates an inode of this type under a new name.
    pub(crate) fn create(&mut self, dir: u64, name: &str, file_type: FileType) -> Result<u64> {
        let cookie = self.vacant(dir, name)?;
        self.reserve(4, false)?;
        self.create_reserved(dir, cookie, name, file_type)
    }

    fn create_reserved(&mut self, dir: u64, cookie: u64, name: &str, file_type: FileType) -> Result<u64> {
        let ino = self.next_ino;
        self.next_ino += 1;
        let now = self.now();
        self.put_entry(dir, cookie, Entry { file_type, ino, name })?;
        self.inodes.insert(ino, Live::new(Inode::new(file_type, dir, now)));
        self.update(ino, |_| ())?;
        self.entries_changed(dir, 1, now)?;
        Ok(ino)
    }

    /// A directory gained or lost entries.
    fn entries_changed(&mut self, dir: u64, entries: i64, now: u64) -> Result<()> {
        self.update(dir, |inode| {
            inode.entries = inode.entries.saturating_add_signed(entries);
            inode.modified = now;
            inode.changed = now;
        })
    }

    pub(crate) fn symlink(&mut self, dir: u64, name: &str, target: &str) -> Result<u64> {
        if target.len() > TARGET_MAX {
            return Err(FsError::NameTooLong.into());
        }
        let cookie = self.vacant(dir, name)?;
        self.reserve(8, false)?;
        let ino = self.create_reserved(dir, cookie, name, FileType::Symlink)?;
        self.write_reserved(ino, 0, target.as_bytes())?;
        Ok(ino)
    }

    pub(crate) fn readlink(&mut self, ino: u64) -> Result<String> {
        let inode = self.inode(ino)?;
        if inode.file_type != FileType::Symlink || inode.size > TARGET_MAX as u64 {
            return Err(FsError::Invalid.into());
        }
        let mut target = vec![0; inode.size as usize];
        self.read(ino, 0, &mut target)?;
        String::from_utf8(target).map_err(|_| Error::Corrupted { what: "target of a symbolic link", slot: 0 })
    }

    pub(crate) fn link(&mut self, ino: u64, dir: u64, name: &str) -> Result<()> {
        let inode = self.inode(ino)?;
        if inode.file_type == FileType::Directory {
            return Err(FsError::NotPermitted.into());
        }
        let cookie = self.vacant(dir, name)?;
        if inode.links == 0 {
            return Err(FsError::NotFound.into());
        }
        if inode.links >= LINKS_MAX {
            return Err(FsError::TooManyLinks.into());
        }
        self.reserve(2, false)?;
        let now = self.now();
        self.put_entry(dir, cookie, Entry { file_type: inode.file_type, ino, name })?;
        self.update(ino, |inode| {
            inode.links += 1;
            inode.changed = now;
        })?;
        self.entries_changed(dir, 1, now)
    }

    pub(crate) fn unlink(&mut self, dir: u64, name: &str) -> Result<()> {
        let found = self.lookup(dir, name)?;
        if found.file_type == FileType::Directory {
            return Err(FsError::IsDirectory.into());
        }
        self.reserve(1, true)?;
        let now = self.now();
        self.core.delete(Key::entry(dir, found.cookie))?;
        self.entries_changed(dir, -1, now)?;
        self.drop_link(found.ino, now)
    }

    pub(crate) fn rmdir(&mut self, dir: u64, name: &str) -> Result<()> {
        let found = self.lookup(dir, name)?;
        self.must_be_empty_directory(found)?;
        self.reserve(1, true)?;
        let now = self.now();
        self.core.delete(Key::entry(dir, found.cookie))?;
        self.entries_changed(dir, -1, now)?;
        self.drop_link(found.ino, now)
    }

    fn must_be_empty_directory(&mut self, found: Found) -> Result<()> {
        if found.file_type != FileType::Directory {
            return Err(FsError::NotDirectory.into());
        }
        if self.inode(found.ino)?.entries > 0 {
            return Err(FsError::NotEmpty.into());
        }
        Ok(())
    }

    /// One name less; the last one frees the inode unless it is open.
    fn drop_link(&mut self, ino: u64, now: u64) -> Result<()> {
        self.update(ino, |inode| {
            inode.links = inode.links.saturating_sub(1);
            inode.changed = now;
        })?;
        self.free_if_unreachable(ino)
    }

    fn free_if_unreachable(&mut self, ino: u64) -> Result<()> {
        let live = self.live(ino)?;
        if live.inode.links > 0 {
            return Ok(());
        }
        if live.opens > 0 {
            return self.core.put(Key::orphan(ino), &[]);
        }
        self.free(ino)
    }

    /// Removes an inode and all that is its.
    pub(crate) fn free(&mut self, ino: u64) -> Result<()> {
        let size = self.inode(ino)?.size;
        self.cut(ino, size, 0)?;
        self.inodes.remove(&ino);
        self.dirty_inodes.remove(&ino);
        self.core.delete(Key::inode(ino))?;
        self.core.delete(Key::orphan(ino))?;
        Ok(())
    }

    /// Frees what an earlier run left without a name, a few at a time.
    pub(crate) fn reap(&mut self, most: usize) -> Result<()> {
        for _ in 0..most {
            let Some(ino) = self.orphans.pop_front() else { return Ok(()) };
            if self.reserve(1, true).is_err() {
                self.orphans.push_back(ino);
                return Ok(());
            }
            match self.free(ino) {
                Ok(()) => {}
                Err(Error::Fs(FsError::NotFound)) => {
                    self.core.delete(Key::orphan(ino))?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The last open of an inode is gone.
    pub(crate) fn close(&mut self, ino: u64) -> Result<()> {
        let live = self.live(ino)?;
        live.opens = live.opens.saturating_sub(1);
        if live.opens > 0 || live.inode.links > 0 {
            return Ok(());
        }
        let freed = self.change(|engine| {
            engine.reserve(1, true)?;
            engine.free(ino)
        });
        if freed.is_err() {
            self.orphans.push_back(ino);
        }
        freed
    }

    pub(crate) fn rename(&mut self, from: u64, from_name: &str, to: u64, to_name: &str) -> Result<()> {
        let moved = self.lookup(from, from_name)?;
        check_name(to_name)?;
        let to_inode = self.directory(to)?;
        let place = self.find_name(to, to_name)?;
        let is_dir = moved.file_type == FileType::Directory;
        if is_dir && self.is_below(to, moved.ino)? {
            return Err(FsError::Invalid.into());
        }
        let cookie = match place {
            Ok(replaced) if replaced.ino == moved.ino => return Ok(()),
            Ok(replaced) => {
                match (is_dir, replaced.file_type == FileType::Directory) {
                    (true, _) => self.must_be_empty_directory(replaced)?,
                    (false, true) => return Err(FsError::IsDirectory.into()),
                    (false, false) => {}
                }
                replaced.cookie
            }
            Err(_) if to_inode.links == 0 => return Err(FsError::NotFound.into()),
            Err(cookie) => cookie,
        };
        self.reserve(4, false)?;
        let now = self.now();
        let entry = Entry { file_type: moved.file_type, ino: moved.ino, name: to_name };
        self.core.delete(Key::entry(from, moved.cookie))?;
        self.put_entry(to, cookie, entry)?;
        self.entries_changed(from, -1, now)?;
        self.entries_changed(to, 1, now)?;
        self.update(moved.ino, |inode| {
            inode.changed = now;
            if is_dir {
                inode.parent = to;
            }
        })?;
        if let Ok(replaced) = place {
            self.entries_changed(to, -1, now)?;
            self.drop_link(replaced.ino, now)?;
        }
        Ok(())
    }

    /// Whether `dir` is `ancestor` or lies below it.
    fn is_below(&mut self, dir: u64, ancestor: u64) -> Result<bool> {
        let mut at = dir;
        while at != ancestor {
            if at == ROOT_INO || at == 0 {
                return Ok(false);
            }
            at = self.inode(at)?.parent;
        }
        Ok(true)
    }
}
