//! The small trait between WASI and the file systems below it, and the in-memory file system.
//!
//! Everything here is trusted code and free of SGX. WASI (`twine-wasi`) resolves paths, descriptors and rights;
//! a [`FileSystem`] knows inodes, names and bytes. The encrypted volume, in-memory scratch, measured read-only trees
//! and (insecure) host folders all stand behind this one trait, so that each behaves alike to the guest.

#![forbid(unsafe_code)]

mod error;
mod memory;
mod read_only;
mod types;

pub use error::{Error, Result};
pub use memory::{MemFs, MemLimits};
pub use read_only::ReadOnly;
pub use types::{DirEntry, FileType, Ino, SetTime, Stat, Times};

/// A file system of inodes. All methods take `&self`: implementations lock inside.
///
/// Names are single path components: non-empty, no `/`, no NUL, never `.` or `..`; at most [`NAME_MAX`] bytes.
/// Callers guarantee it, implementations check it ([`Error::Invalid`]) where a violation would corrupt anything.
///
/// What changes anything answers [`Error::ReadOnly`] unless it is implemented.
pub trait FileSystem: Send + Sync {
    /// The root directory; it exists as long as the file system.
    fn root(&self) -> Ino;

    /// The inode that `name` in `dir` stands for; symbolic links are not followed.
    fn lookup(&self, dir: Ino, name: &str) -> Result<(Ino, FileType)>;

    /// Keeps `ino` readable and writable after its last name is gone, until as many [`FileSystem::close`]s.
    fn open(&self, ino: Ino) -> Result<()>;
    /// Gives one [`FileSystem::open`] back; an inode without names and opens is freed.
    fn close(&self, ino: Ino);

    /// Type, size, links and times.
    fn stat(&self, ino: Ino) -> Result<Stat>;
    /// Sets access and modification time; the change time is the file system's own.
    fn set_times(&self, _ino: Ino, _times: Times) -> Result<()> {
        Err(Error::ReadOnly)
    }
    /// Truncates or extends with a hole, in constant time for an extension.
    fn set_size(&self, _ino: Ino, _size: u64) -> Result<()> {
        Err(Error::ReadOnly)
    }
    /// Makes the file at least `offset + len` long (posix_fallocate(3)); contents stay.
    fn allocate(&self, _ino: Ino, _offset: u64, _len: u64) -> Result<()> {
        Err(Error::ReadOnly)
    }

    /// Reads at `offset`; short only at the end of the file.
    fn read(&self, ino: Ino, offset: u64, buf: &mut [u8]) -> Result<usize>;
    /// Writes all of `buf` at `offset`, or fails with nothing written; a gap becomes a hole.
    fn write(&self, _ino: Ino, _offset: u64, _buf: &[u8]) -> Result<()> {
        Err(Error::ReadOnly)
    }
    /// Writes all of `buf` at the end of the file and returns the new size, in one step.
    fn append(&self, _ino: Ino, _buf: &[u8]) -> Result<u64> {
        Err(Error::ReadOnly)
    }

    /// Creates an empty regular file. [`Error::Exists`] if the name is taken.
    fn create(&self, _dir: Ino, _name: &str) -> Result<Ino> {
        Err(Error::ReadOnly)
    }
    /// Creates an empty directory.
    fn mkdir(&self, _dir: Ino, _name: &str) -> Result<Ino> {
        Err(Error::ReadOnly)
    }
    /// Creates a symbolic link; `target` is stored as it is.
    fn symlink(&self, _dir: Ino, _name: &str, _target: &str) -> Result<Ino> {
        Err(Error::ReadOnly)
    }
    /// The target of a symbolic link.
    fn readlink(&self, ino: Ino) -> Result<String>;
    /// Gives the inode another name. Directories are refused ([`Error::NotPermitted`]).
    fn link(&self, _ino: Ino, _dir: Ino, _name: &str) -> Result<()> {
        Err(Error::ReadOnly)
    }
    /// Removes a name of anything but a directory.
    fn unlink(&self, _dir: Ino, _name: &str) -> Result<()> {
        Err(Error::ReadOnly)
    }
    /// Removes an empty directory.
    fn rmdir(&self, _dir: Ino, _name: &str) -> Result<()> {
        Err(Error::ReadOnly)
    }
    /// rename(2): atomic, replaces a file by a file and an empty directory by a directory; refuses to move a
    /// directory below itself ([`Error::Invalid`]).
    fn rename(&self, _from: Ino, _from_name: &str, _to: Ino, _to_name: &str) -> Result<()> {
        Err(Error::ReadOnly)
    }

    /// Calls `visit` for entries after `cookie` (0: from the first; `.` and `..` are WASI's business) until it
    /// answers false. An entry's cookie stays valid while others come and go: none that stays is lost or repeated.
    /// Cookies are below 2^63.
    fn readdir(&self, dir: Ino, cookie: u64, visit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()>;

    /// fsync(2) (or fdatasync(2) with `data_only`): what was done to the inode before is durable when it returns.
    fn sync(&self, ino: Ino, data_only: bool) -> Result<()>;

    /// Whether anything may be changed at all.
    fn read_only(&self) -> bool {
        false
    }
}

/// Longest name of one path component, in bytes (POSIX NAME_MAX on Linux).
pub const NAME_MAX: usize = 255;

/// What an implementation checks before it gives an inode a name.
pub fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(Error::Invalid);
    }
    if name.len() > NAME_MAX { Err(Error::NameTooLong) } else { Ok(()) }
}
