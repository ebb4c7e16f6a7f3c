//! Folders of the host, for measured and insecure mounts.
//!
//! This side protects the machine's owner from the enclave: a name is one component, nothing is resolved through links
//! or `..` (openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS), special files are never opened, and what is mounted read-only
//! is opened read-only.

use std::ffi::OsString;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, SeekFrom, Stat, Timespec,
    Timestamps, UTIME_NOW, UTIME_OMIT, fallocate, fdatasync, fstat, fsync, ftruncate, linkat, mkdirat,
    openat, openat2, readlinkat, renameat, seek, statat, symlinkat, tell, unlinkat, utimensat,
};
use rustix::io::{Errno, ReadWriteFlags, pread, pwrite, pwritev2};
use twine_abi::calls::{FolderStatReply, NameOperation, NodeChange, NodeKind, TimeChange};
use twine_abi::folder::Entry;
use twine_abi::wire::Status;

/// Where a mount's folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The mount's guest path.
    pub guest: String,
    /// A folder, or one file, which then is all that the folder holds.
    pub path: PathBuf,
    /// Whether the enclave may change anything.
    pub writable: bool,
}

/// Handle, kind and identity of a node that was opened.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// The handle.
    pub node: u64,
    /// A [`NodeKind`].
    pub kind: u64,
    /// Of the file system.
    pub device: u64,
    /// On it.
    pub inode: u64,
}

/// The folders of a run and what of them is open.
pub struct Folders {
    places: Vec<Place>,
    nodes: Vec<Option<Node>>,
}

struct Node {
    /// Opened with O_PATH until its contents are needed.
    fd: OwnedFd,
    kind: NodeKind,
    open: bool,
    /// Whether it may be changed, and what is below it.
    writable: bool,
    /// The only name that may be looked up in it.
    only: Option<OsString>,
}

type Result<T> = std::result::Result<T, Status>;

impl Folders {
    /// Nothing is opened yet.
    pub fn new(places: Vec<Place>) -> Self {
        Self { places, nodes: Vec::new() }
    }

    /// Opens the folder of a mount.
    pub fn open(&mut self, guest: &[u8], write: bool) -> Result<Opened> {
        let place = self.places.iter().find(|place| place.guest.as_bytes() == guest);
        let Place { path, writable, .. } = place.cloned().ok_or(Status::NotFound)?;
        let (folder, only) = if path.is_dir() {
            (path, None)
        } else {
            let name = path.file_name().ok_or(Status::NotFound)?.to_owned();
            (path.parent().ok_or(Status::NotFound)?.to_owned(), Some(name))
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(CWD, folder, flags, Mode::empty()).map_err(status)?;
        self.insert(fd, writable && write, only)
    }

    /// Opens one name in a directory; links are not followed.
    pub fn look_up(&mut self, dir: u64, name: &[u8]) -> Result<Opened> {
        check(name)?;
        let node = self.directory(dir)?;
        if node.only.as_ref().is_some_and(|only| only.as_bytes() != name) {
            return Err(Status::NotFound);
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat2(&node.fd, name, flags, Mode::empty(), BENEATH).map_err(status)?;
        let writable = node.writable;
        self.insert(fd, writable, None)
    }

    /// Attributes of a node.
    pub fn stat(&mut self, node: u64) -> Result<FolderStatReply> {
        let node = self.node(node)?;
        let stat = fstat(&node.fd).map_err(status)?;
        let time = |seconds: i64, nanoseconds: u64| {
            u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanoseconds)
        };
        Ok(FolderStatReply {
            kind: node.kind as u64,
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size as u64,
            links: stat.st_nlink,
            accessed: time(stat.st_atime, stat.st_atime_nsec),
            modified: time(stat.st_mtime, stat.st_mtime_nsec),
            changed: time(stat.st_ctime, stat.st_ctime_nsec),
        })
    }

    /// Reads a file or a link's target.
    pub fn read(&mut self, node: u64, offset: u64, out: &mut [u8]) -> Result<usize> {
        let node = self.node(node)?;
        if node.kind == NodeKind::Symlink {
            let target = readlinkat(&node.fd, "", Vec::new()).map_err(status)?;
            let rest = usize::try_from(offset).ok().and_then(|offset| target.as_bytes().get(offset..));
            let rest = rest.unwrap_or_default();
            let count = rest.len().min(out.len());
            out[..count].copy_from_slice(&rest[..count]);
            return Ok(count);
        }
        let fd = node.contents()?;
        if out.is_empty() {
            return Ok(0);
        }
        retry(|| pread(fd, &mut *out, offset))
    }

    /// Writes all of `bytes`, at the end for `u64::MAX`; where they end.
    pub fn write(&mut self, node: u64, offset: u64, bytes: &[u8]) -> Result<u64> {
        let node = self.node(node)?.changeable()?;
        let fd = node.contents()?;
        let mut done = 0;
        while done < bytes.len() {
            let rest = &bytes[done..];
            done += if offset == u64::MAX {
                let pieces = [std::io::IoSlice::new(rest)];
                retry(|| pwritev2(fd, &pieces, u64::MAX, ReadWriteFlags::APPEND))?
            } else {
                retry(|| pwrite(fd, rest, offset + done as u64))?
            };
        }
        if offset == u64::MAX { tell(fd).map_err(status) } else { Ok(offset + done as u64) }
    }

    /// A [`NodeChange`] with what it says.
    pub fn change(&mut self, node: u64, change: u64, [first, second, third]: [u64; 3]) -> Result<()> {
        let node = self.node(node)?;
        match NodeChange::from_word(change).ok_or(Status::Invalid)? {
            NodeChange::Size => retry(|| ftruncate(node.changeable_contents()?, first)),
            NodeChange::Allocate => {
                let fd = node.changeable_contents().map_err(status)?;
                let end = first.checked_add(second).ok_or(Status::TooLarge)?;
                match fallocate(fd, FallocateFlags::empty(), first, second) {
                    // A file system without allocation: the length at least.
                    Err(Errno::OPNOTSUPP) if (fstat(fd).map_err(status)?.st_size as u64) < end => {
                        ftruncate(fd, end).map_err(status)
                    }
                    Err(Errno::OPNOTSUPP) => Ok(()),
                    other => other.map_err(status),
                }
            }
            NodeChange::Times => {
                let last_access = time_spec(first & 0xff, second)?;
                let last_modification = time_spec(first >> 8, third)?;
                let times = Timestamps { last_access, last_modification };
                let node = node.changeable()?;
                if node.kind == NodeKind::Symlink {
                    // The way through /proc would end at its target.
                    return utimensat(&node.fd, "", &times, AtFlags::EMPTY_PATH).map_err(status);
                }
                utimensat(CWD, node.magic_link(), &times, AtFlags::empty()).map_err(status)
            }
            NodeChange::Sync => retry(|| fsync(node.contents_or_errno()?)),
            NodeChange::DataSync => retry(|| fdatasync(node.contents_or_errno()?)),
        }
    }

    /// Makes, moves or removes a name; what was made.
    pub fn name(
        &mut self,
        operation: u64,
        [node, to]: [u64; 2],
        name: &[u8],
        second: &[u8],
    ) -> Result<Option<Opened>> {
        check(name)?;
        let operation = NameOperation::from_word(operation).ok_or(Status::Invalid)?;
        if operation == NameOperation::Link {
            let node = self.node(node)?.changeable()?;
            if node.kind == NodeKind::Directory {
                return Err(Status::NotPermitted);
            }
            let from = node.magic_link();
            let to = &self.directory(to)?.changeable()?.fd;
            linkat(CWD, from, to, name, AtFlags::SYMLINK_FOLLOW).map_err(status)?;
            return Ok(None);
        }
        let dir = self.directory(node)?.changeable()?.fd.try_clone().map_err(|_| Status::Exhausted)?;
        match operation {
            NameOperation::Create => {
                let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let mode = Mode::from_raw_mode(0o666);
                let fd = openat2(&dir, name, flags, mode, BENEATH).map_err(status)?;
                let opened = self.insert(fd, true, None)?;
                self.node(opened.node)?.open = true;
                return Ok(Some(opened));
            }
            NameOperation::MakeDirectory => {
                mkdirat(&dir, name, Mode::from_raw_mode(0o777)).map_err(status)?;
                return self.look_up(node, name).map(Some);
            }
            NameOperation::Symlink => {
                if second.is_empty() || second.starts_with(b"/") {
                    return Err(Status::NotPermitted);
                }
                symlinkat(second, &dir, name).map_err(status)?;
                return self.look_up(node, name).map(Some);
            }
            NameOperation::Unlink => unlinkat(&dir, name, AtFlags::empty()).map_err(status)?,
            NameOperation::RemoveDirectory => {
                unlinkat(&dir, name, AtFlags::REMOVEDIR).map_err(status)?;
            }
            NameOperation::Rename => {
                check(second)?;
                let to = &self.directory(to)?.changeable()?.fd;
                renameat(&dir, name, to, second).map_err(status)?;
            }
            NameOperation::Link => {}
        }
        Ok(None)
    }

    /// Entries after `cookie`: bytes of them in `out`, and whether they are the last.
    pub fn list(&mut self, node: u64, cookie: u64, out: &mut [u8]) -> Result<(usize, bool)> {
        let node = self.directory(node)?;
        if node.only.is_some() {
            return Err(Status::NotPermitted);
        }
        let fd = node.contents()?;
        match seek(fd, SeekFrom::Start(cookie)) {
            // A cookie that this file system never gave: nothing comes after it.
            Err(Errno::INVAL) => return Ok((0, true)),
            other => other.map_err(status)?,
        };
        let mut buffer = [MaybeUninit::uninit(); 32 << 10];
        let mut entries = RawDir::new(fd, &mut buffer);
        let mut used = 0;
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(status)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    let stat = statat(fd, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW);
                    stat.ok().and_then(|stat| kind_of(&stat))
                }
                known => kind(known),
            };
            let Some(kind) = kind.filter(|_| !matches!(name, "." | "..")) else { continue };
            let entry = Entry { cookie: entry.next_entry_cookie(), inode: entry.ino(), kind, name };
            match entry.write(&mut out[used..]) {
                Some(size) => used += size,
                None => return Ok((used, false)),
            }
        }
        Ok((used, true))
    }

    /// Gives a handle back.
    pub fn close(&mut self, node: u64) {
        if let Some(slot) = usize::try_from(node).ok().and_then(|node| self.nodes.get_mut(node)) {
            *slot = None;
        }
    }

    fn insert(&mut self, fd: OwnedFd, writable: bool, only: Option<OsString>) -> Result<Opened> {
        let stat = fstat(&fd).map_err(status)?;
        let kind = kind_of(&stat).ok_or(Status::Unsupported)?;
        let node = Some(Node { fd, kind, open: false, writable, only });
        let free = self.nodes.iter().position(Option::is_none);
        let handle = free.unwrap_or(self.nodes.len());
        match self.nodes.get_mut(handle) {
            Some(slot) => *slot = node,
            None => self.nodes.push(node),
        }
        Ok(Opened { node: handle as u64, kind: kind as u64, device: stat.st_dev, inode: stat.st_ino })
    }

    fn node(&mut self, node: u64) -> Result<&mut Node> {
        let slot = usize::try_from(node).ok().and_then(|node| self.nodes.get_mut(node));
        slot.and_then(Option::as_mut).ok_or(Status::Invalid)
    }

    fn directory(&mut self, node: u64) -> Result<&mut Node> {
        let node = self.node(node)?;
        if node.kind == NodeKind::Directory { Ok(node) } else { Err(Status::NotDirectory) }
    }
}

const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

impl Node {
    fn changeable(&mut self) -> Result<&mut Self> {
        if self.writable { Ok(self) } else { Err(Status::ReadOnly) }
    }

    fn changeable_contents(&mut self) -> std::result::Result<&OwnedFd, Errno> {
        if self.writable { self.contents_or_errno() } else { Err(Errno::ROFS) }
    }

    /// The inode itself, wherever its names have gone.
    fn magic_link(&self) -> String {
        use std::os::fd::AsRawFd;
        format!("/proc/self/fd/{}", self.fd.as_fd().as_raw_fd())
    }

    fn contents(&mut self) -> Result<&OwnedFd> {
        self.contents_or_errno().map_err(status)
    }

    /// A descriptor to read and, where it may be, to write with.
    fn contents_or_errno(&mut self) -> std::result::Result<&OwnedFd, Errno> {
        if !self.open {
            let common = OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
            let link = self.magic_link();
            let open = |flags| openat(CWD, &link, flags | common, Mode::empty());
            let writable = self.writable && self.kind == NodeKind::File;
            let opened = match open(if writable { OFlags::RDWR } else { OFlags::RDONLY }) {
                Err(Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::TXTBSY) if writable => {
                    self.writable = false;
                    open(OFlags::RDONLY)
                }
                other => other,
            };
            (self.fd, self.open) = (opened?, true);
        }
        Ok(&self.fd)
    }
}

/// One path component and nothing that leads elsewhere.
fn check(name: &[u8]) -> Result<()> {
    match name {
        b"" | b"." | b".." => Err(Status::Invalid),
        name if name.contains(&b'/') || name.contains(&0) => Err(Status::Invalid),
        name if name.len() > 255 => Err(Status::NameTooLong),
        _ => Ok(()),
    }
}

fn kind(file_type: FileType) -> Option<NodeKind> {
    match file_type {
        FileType::RegularFile => Some(NodeKind::File),
        FileType::Directory => Some(NodeKind::Directory),
        FileType::Symlink => Some(NodeKind::Symlink),
        _ => None,
    }
}

fn kind_of(stat: &Stat) -> Option<NodeKind> {
    kind(FileType::from_raw_mode(stat.st_mode))
}

fn time_spec(change: u64, time: u64) -> Result<Timespec> {
    let nanoseconds = match TimeChange::from_word(change).ok_or(Status::Invalid)? {
        TimeChange::Keep => UTIME_OMIT,
        TimeChange::Now => UTIME_NOW,
        TimeChange::At => (time % 1_000_000_000) as _,
    };
    Ok(Timespec { tv_sec: (time / 1_000_000_000) as _, tv_nsec: nanoseconds })
}

fn retry<T>(mut act: impl FnMut() -> std::result::Result<T, Errno>) -> Result<T> {
    loop {
        match act() {
            Err(Errno::INTR) => {}
            other => return other.map_err(status),
        }
    }
}

fn status(errno: Errno) -> Status {
    match errno {
        Errno::NOENT => Status::NotFound,
        Errno::EXIST => Status::Exists,
        Errno::NOTDIR => Status::NotDirectory,
        Errno::ISDIR => Status::IsDirectory,
        Errno::NOTEMPTY => Status::NotEmpty,
        Errno::ACCESS | Errno::PERM | Errno::TXTBSY => Status::NotPermitted,
        Errno::ROFS => Status::ReadOnly,
        Errno::FBIG => Status::TooLarge,
        Errno::MLINK => Status::TooManyLinks,
        Errno::NAMETOOLONG => Status::NameTooLong,
        Errno::INVAL => Status::Invalid,
        Errno::NOSPC | Errno::DQUOT | Errno::MFILE | Errno::NFILE | Errno::NOMEM => Status::Exhausted,
        Errno::OPNOTSUPP | Errno::NOSYS | Errno::XDEV => Status::Unsupported,
        Errno::BUSY => Status::Busy,
        _ => Status::Io,
    }
}
