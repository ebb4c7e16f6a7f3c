//! Inode numbers, types, attributes.

/// An inode number: unique within its file system as long as the inode lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ino(pub u64);

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
}

/// Attributes of an inode; times are nanoseconds since 1970-01-01 UTC by the clock that the file system was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The inode.
    pub ino: Ino,
    /// Its type.
    pub file_type: FileType,
    /// Exact size in bytes; of a symbolic link, of its target.
    pub size: u64,
    /// Number of names.
    pub links: u64,
    /// Last access.
    pub accessed: u64,
    /// Last change of the contents.
    pub modified: u64,
    /// Last change of contents or attributes.
    pub changed: u64,
}

/// What to do with one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    /// Leave it.
    Keep,
    /// The file system's clock.
    Now,
    /// This one, in nanoseconds since 1970.
    At(u64),
}

/// For [`crate::FileSystem::set_times`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Access time.
    pub accessed: SetTime,
    /// Modification time.
    pub modified: SetTime,
}

/// One entry of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirEntry<'a> {
    /// Pass it to `readdir` to go on after this entry; never 0.
    pub cookie: u64,
    /// The name.
    pub name: &'a str,
    /// The inode.
    pub ino: Ino,
    /// Its type.
    pub file_type: FileType,
}
