//! `twine_vfs::FileSystem` for a volume.

use twine_vfs::{DirEntry, Error, FileSystem, FileType, Ino, Result, SetTime, Stat, Times};

use crate::format::ROOT_INO;
use crate::volume::Volume;

impl FileSystem for Volume {
    fn root(&self) -> Ino {
        Ino(ROOT_INO)
    }

    fn lookup(&self, dir: Ino, name: &str) -> Result<(Ino, FileType)> {
        self.look(|engine| engine.lookup(dir.0, name)).map(|found| (Ino(found.ino), found.file_type))
    }

    fn open(&self, ino: Ino) -> Result<()> {
        self.look(|engine| {
            let live = engine.live(ino.0)?;
            live.opens += 1;
            Ok(())
        })
    }

    fn close(&self, ino: Ino) {
        // An inode that cannot be freed now is an orphan, freed at the next open; the reason is kept for `failure`.
        let _ = self.look(|engine| engine.close(ino.0));
    }

    fn stat(&self, ino: Ino) -> Result<Stat> {
        let inode = self.look(|engine| engine.inode(ino.0))?;
        Ok(Stat {
            ino,
            file_type: inode.file_type,
            size: inode.size,
            links: inode.links.into(),
            accessed: inode.accessed,
            modified: inode.modified,
            changed: inode.changed,
        })
    }

    fn set_times(&self, ino: Ino, times: Times) -> Result<()> {
        self.alter(|engine| {
            engine.inode(ino.0)?;
            engine.reserve(1, true)?;
            let now = engine.now();
            engine.update(ino.0, |inode| {
                for (time, set) in
                    [(&mut inode.accessed, times.accessed), (&mut inode.modified, times.modified)]
                {
                    match set {
                        SetTime::Keep => {}
                        SetTime::Now => *time = now,
                        SetTime::At(at) => *time = at,
                    }
                }
                inode.changed = now;
            })
        })
    }

    fn set_size(&self, ino: Ino, size: u64) -> Result<()> {
        self.alter(|engine| {
            engine.must_be_file(ino.0)?;
            engine.set_size(ino.0, size)
        })
    }

    fn allocate(&self, ino: Ino, offset: u64, len: u64) -> Result<()> {
        self.alter(|engine| {
            engine.must_be_file(ino.0)?;
            let end = offset.checked_add(len).ok_or(Error::TooLarge)?;
            if end > engine.inode(ino.0)?.size { engine.set_size(ino.0, end) } else { Ok(()) }
        })
    }

    fn read(&self, ino: Ino, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.look(|engine| {
            engine.must_be_file(ino.0)?;
            engine.read(ino.0, offset, buf)
        })
    }

    fn write(&self, ino: Ino, offset: u64, buf: &[u8]) -> Result<()> {
        self.alter(|engine| {
            engine.must_be_file(ino.0)?;
            engine.write(ino.0, offset, buf)
        })
    }

    fn append(&self, ino: Ino, buf: &[u8]) -> Result<u64> {
        self.alter(|engine| {
            engine.must_be_file(ino.0)?;
            let size = engine.inode(ino.0)?.size;
            engine.write(ino.0, size, buf)?;
            Ok(size + buf.len() as u64)
        })
    }

    fn create(&self, dir: Ino, name: &str) -> Result<Ino> {
        self.alter(|engine| engine.create(dir.0, name, FileType::File)).map(Ino)
    }

    fn mkdir(&self, dir: Ino, name: &str) -> Result<Ino> {
        self.alter(|engine| engine.create(dir.0, name, FileType::Directory)).map(Ino)
    }

    fn symlink(&self, dir: Ino, name: &str, target: &str) -> Result<Ino> {
        self.alter(|engine| engine.symlink(dir.0, name, target)).map(Ino)
    }

    fn readlink(&self, ino: Ino) -> Result<String> {
        self.look(|engine| engine.readlink(ino.0))
    }

    fn link(&self, ino: Ino, dir: Ino, name: &str) -> Result<()> {
        self.alter(|engine| engine.link(ino.0, dir.0, name))
    }

    fn unlink(&self, dir: Ino, name: &str) -> Result<()> {
        self.alter(|engine| engine.unlink(dir.0, name))
    }

    fn rmdir(&self, dir: Ino, name: &str) -> Result<()> {
        self.alter(|engine| engine.rmdir(dir.0, name))
    }

    fn rename(&self, from: Ino, from_name: &str, to: Ino, to_name: &str) -> Result<()> {
        self.alter(|engine| engine.rename(from.0, from_name, to.0, to_name))
    }

    fn readdir(&self, dir: Ino, cookie: u64, visit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        self.look(|engine| engine.readdir(dir.0, cookie, visit))
    }

    fn sync(&self, ino: Ino, _data_only: bool) -> Result<()> {
        self.look(|engine| {
            engine.inode(ino.0)?;
            engine.sync()
        })
    }

    fn read_only(&self) -> bool {
        self.is_read_only()
    }
}
