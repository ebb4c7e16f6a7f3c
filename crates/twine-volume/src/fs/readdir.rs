//! Listing a directory: in the order of cookies, which follow from the names.

use twine_vfs::{DirEntry, Error as FsError, FileType, Ino};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::format::entry::Entry;
use crate::format::key::{ENTRY, Key};

impl Engine {
    pub(crate) fn readdir(
        &mut self,
        dir: u64,
        cookie: u64,
        visit: &mut dyn FnMut(DirEntry<'_>) -> bool,
    ) -> Result<()> {
        if self.inode(dir)?.file_type != FileType::Directory {
            return Err(FsError::NotDirectory.into());
        }
        // What is no cookie of ours is either before the first or after the last one.
        let end = Key::chunk(dir, 0);
        let from = if cookie >> 60 > 0 { end } else { Key::entry(dir, cookie).next() };
        let mut damaged = false;
        self.core.scan(from, |key, value| {
            if key.ino() != dir || key.kind() != ENTRY {
                return false;
            }
            let Some(entry) = Entry::decode(value) else {
                damaged = true;
                return false;
            };
            let Entry { file_type, ino, name } = entry;
            visit(DirEntry { cookie: key.sub(), name, ino: Ino(ino), file_type })
        })?;
        if damaged { Err(Error::Corrupted { what: "directory entry", slot: 0 }) } else { Ok(()) }
    }
}
