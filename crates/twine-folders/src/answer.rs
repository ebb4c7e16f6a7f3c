//! What an answer of the host may be.

use twine_abi::calls::NodeKind;
use twine_abi::wire::Status;
use twine_vfs::{Error, FileType, Result};

/// Largest size and offset: off_t is signed.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// A node that the host has opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub handle: u64,
    pub file_type: FileType,
    /// Device and inode.
    pub identity: (u64, u64),
}

impl Found {
    pub fn new(node: u64, kind: u64, device: u64, inode: u64) -> Result<Self> {
        Ok(Self { handle: node, file_type: file_type(kind)?, identity: (device, inode) })
    }
}

pub fn file_type(kind: u64) -> Result<FileType> {
    match NodeKind::from_word(kind) {
        Some(NodeKind::File) => Ok(FileType::File),
        Some(NodeKind::Directory) => Ok(FileType::Directory),
        Some(NodeKind::Symlink) => Ok(FileType::Symlink),
        None => Err(Error::Io),
    }
}

pub fn size(size: u64) -> Result<u64> {
    if size <= SIZE_MAX { Ok(size) } else { Err(Error::Io) }
}

/// Turns a refusal into an error, if the operation can be refused that way at all: a host that says that a read found the
/// directory not empty has said nothing.
pub fn refusal(may: &'static [Status]) -> impl Fn(Status) -> Error {
    move |status| match status {
        Status::NotPermitted => Error::NotPermitted,
        refused if !may.contains(&refused) => Error::Io,
        Status::NotFound => Error::NotFound,
        Status::Exhausted => Error::NoSpace,
        Status::Unsupported => Error::Unsupported,
        Status::Invalid => Error::Invalid,
        Status::Exists => Error::Exists,
        Status::NotDirectory => Error::NotDirectory,
        Status::IsDirectory => Error::IsDirectory,
        Status::NotEmpty => Error::NotEmpty,
        Status::ReadOnly => Error::ReadOnly,
        Status::TooLarge => Error::TooLarge,
        Status::TooManyLinks => Error::TooManyLinks,
        Status::NameTooLong => Error::NameTooLong,
        Status::Ok | Status::Io | Status::Busy => Error::Io,
    }
}

/// What each operation can be refused with, besides the host's permissions and a failure.
pub mod may {
    use twine_abi::wire::Status::{self, *};

    pub const LOOK_UP: &[Status] = &[NotFound, NameTooLong, Unsupported];
    pub const READ: &[Status] = &[];
    pub const WRITE: &[Status] = &[Exhausted, TooLarge, ReadOnly];
    pub const CHANGE: &[Status] = &[Exhausted, TooLarge, ReadOnly, Unsupported];
    pub const MAKE: &[Status] =
        &[Exists, NotFound, NameTooLong, Exhausted, ReadOnly, TooManyLinks, Unsupported];
    pub const UNLINK: &[Status] = &[NotFound, IsDirectory, NameTooLong, ReadOnly];
    pub const REMOVE: &[Status] = &[NotFound, NotEmpty, NotDirectory, NameTooLong, ReadOnly];
    pub const RENAME: &[Status] = &[
        NotFound,
        Exists,
        NotEmpty,
        NotDirectory,
        IsDirectory,
        Invalid,
        Exhausted,
        ReadOnly,
        NameTooLong,
        TooManyLinks,
        Unsupported,
    ];
    pub const LIST: &[Status] = &[NotFound];
}
