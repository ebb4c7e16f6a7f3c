//! What a file system can refuse, each with one errno at WASI's front.

/// An alias with this crate's [`Error`].
pub type Result<T> = core::result::Result<T, Error>;

/// Why a file-system call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// ENOENT: no such name or inode.
    NotFound,
    /// EEXIST: the name is taken.
    Exists,
    /// ENOTDIR: a directory was needed.
    NotDirectory,
    /// EISDIR: anything but a directory was needed.
    IsDirectory,
    /// ENOTEMPTY: the directory has entries.
    NotEmpty,
    /// EINVAL: an argument that can never be right.
    Invalid,
    /// EPERM: the operation is not defined for this kind of inode.
    NotPermitted,
    /// EROFS: opened read-only, or read-only after a failed write or sync.
    ReadOnly,
    /// ENOSPC: the store or its limit is full.
    NoSpace,
    /// EFBIG: larger than the format or the limit allows.
    TooLarge,
    /// EMLINK: too many links.
    TooManyLinks,
    /// ENAMETOOLONG: a name over [`crate::NAME_MAX`] bytes.
    NameTooLong,
    /// EIO: the store failed or did not verify.
    Io,
    /// ENOTSUP: this file system has no such thing.
    Unsupported,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Error::NotFound => "no such file or directory",
            Error::Exists => "file exists",
            Error::NotDirectory => "not a directory",
            Error::IsDirectory => "is a directory",
            Error::NotEmpty => "directory not empty",
            Error::Invalid => "invalid argument",
            Error::NotPermitted => "operation not permitted",
            Error::ReadOnly => "read-only file system",
            Error::NoSpace => "no space left",
            Error::TooLarge => "file too large",
            Error::TooManyLinks => "too many links",
            Error::NameTooLong => "file name too long",
            Error::Io => "input/output error",
            Error::Unsupported => "not supported",
        })
    }
}

impl std::error::Error for Error {}
