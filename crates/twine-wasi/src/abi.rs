//! The numbers and layouts of `wasi_snapshot_preview1` (WebAssembly/WASI, legacy/preview1/witx/typenames.witx).

use crate::errno::Errno;

/// `rights`: what may be done with a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights(pub u64);

impl Rights {
    pub const FD_DATASYNC: Rights = Rights(1);
    pub const FD_READ: Rights = Rights(1 << 1);
    pub const FD_SEEK: Rights = Rights(1 << 2);
    pub const FD_FDSTAT_SET_FLAGS: Rights = Rights(1 << 3);
    pub const FD_SYNC: Rights = Rights(1 << 4);
    pub const FD_TELL: Rights = Rights(1 << 5);
    pub const FD_WRITE: Rights = Rights(1 << 6);
    pub const FD_ADVISE: Rights = Rights(1 << 7);
    pub const FD_ALLOCATE: Rights = Rights(1 << 8);
    pub const PATH_CREATE_DIRECTORY: Rights = Rights(1 << 9);
    pub const PATH_CREATE_FILE: Rights = Rights(1 << 10);
    pub const PATH_LINK_SOURCE: Rights = Rights(1 << 11);
    pub const PATH_LINK_TARGET: Rights = Rights(1 << 12);
    pub const PATH_OPEN: Rights = Rights(1 << 13);
    pub const FD_READDIR: Rights = Rights(1 << 14);
    pub const PATH_READLINK: Rights = Rights(1 << 15);
    pub const PATH_RENAME_SOURCE: Rights = Rights(1 << 16);
    pub const PATH_RENAME_TARGET: Rights = Rights(1 << 17);
    pub const PATH_FILESTAT_GET: Rights = Rights(1 << 18);
    pub const PATH_FILESTAT_SET_SIZE: Rights = Rights(1 << 19);
    pub const PATH_FILESTAT_SET_TIMES: Rights = Rights(1 << 20);
    pub const FD_FILESTAT_GET: Rights = Rights(1 << 21);
    pub const FD_FILESTAT_SET_SIZE: Rights = Rights(1 << 22);
    pub const FD_FILESTAT_SET_TIMES: Rights = Rights(1 << 23);
    pub const PATH_SYMLINK: Rights = Rights(1 << 24);
    pub const PATH_REMOVE_DIRECTORY: Rights = Rights(1 << 25);
    pub const PATH_UNLINK_FILE: Rights = Rights(1 << 26);
    pub const POLL_FD_READWRITE: Rights = Rights(1 << 27);
    const ALL: u64 = (1 << 30) - 1;

    pub const NONE: Rights = Rights(0);

    /// What a regular file can ever be given.
    pub const FILE: Rights = Rights(
        Rights::FD_DATASYNC.0
            | Rights::FD_READ.0
            | Rights::FD_SEEK.0
            | Rights::FD_FDSTAT_SET_FLAGS.0
            | Rights::FD_SYNC.0
            | Rights::FD_TELL.0
            | Rights::FD_WRITE.0
            | Rights::FD_ADVISE.0
            | Rights::FD_ALLOCATE.0
            | Rights::FD_FILESTAT_GET.0
            | Rights::FD_FILESTAT_SET_SIZE.0
            | Rights::FD_FILESTAT_SET_TIMES.0
            | Rights::POLL_FD_READWRITE.0,
    );

    /// What a directory can ever be given.
    pub const DIRECTORY: Rights = Rights(
        Rights::FD_DATASYNC.0
            | Rights::FD_SYNC.0
            | Rights::PATH_CREATE_DIRECTORY.0
            | Rights::PATH_CREATE_FILE.0
            | Rights::PATH_LINK_SOURCE.0
            | Rights::PATH_LINK_TARGET.0
            | Rights::PATH_OPEN.0
            | Rights::FD_READDIR.0
            | Rights::PATH_READLINK.0
            | Rights::PATH_RENAME_SOURCE.0
            | Rights::PATH_RENAME_TARGET.0
            | Rights::PATH_FILESTAT_GET.0
            | Rights::PATH_FILESTAT_SET_SIZE.0
            | Rights::PATH_FILESTAT_SET_TIMES.0
            | Rights::FD_FILESTAT_GET.0
            | Rights::FD_FILESTAT_SET_TIMES.0
            | Rights::PATH_SYMLINK.0
            | Rights::PATH_REMOVE_DIRECTORY.0
            | Rights::PATH_UNLINK_FILE.0,
    );

    /// Those that a file gets only when `path_open` asks for them.
    pub const ON_REQUEST: Rights = Rights(
        Rights::FD_READ.0 | Rights::FD_WRITE.0 | Rights::FD_ALLOCATE.0 | Rights::FD_FILESTAT_SET_SIZE.0,
    );

    pub fn parse(raw: u64) -> Result<Rights, Errno> {
        if raw & !Rights::ALL == 0 { Ok(Rights(raw)) } else { Err(Errno::INVAL) }
    }

    pub fn contains(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn and(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }

    pub fn or(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    pub fn without(self, other: Rights) -> Rights {
        Rights(self.0 & !other.0)
    }
}

/// `filetype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filetype(pub u8);

impl Filetype {
    pub const UNKNOWN: Filetype = Filetype(0);
    pub const CHARACTER_DEVICE: Filetype = Filetype(2);
    pub const DIRECTORY: Filetype = Filetype(3);
    pub const REGULAR_FILE: Filetype = Filetype(4);
    pub const SYMBOLIC_LINK: Filetype = Filetype(7);
}

impl From<twine_vfs::FileType> for Filetype {
    fn from(file_type: twine_vfs::FileType) -> Self {
        match file_type {
            twine_vfs::FileType::File => Filetype::REGULAR_FILE,
            twine_vfs::FileType::Directory => Filetype::DIRECTORY,
            twine_vfs::FileType::Symlink => Filetype::SYMBOLIC_LINK,
        }
    }
}

macro_rules! flags {
    ($(#[$doc:meta])* $name:ident($known:literal): $($flag:ident = $bit:literal),*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub u32);

        impl $name {
            $(pub const $flag: $name = $name(1 << $bit);)*

            /// Refuses bits that WASI has not defined.
            pub fn parse(raw: u32) -> Result<$name, Errno> {
                if raw & !$known == 0 { Ok($name(raw)) } else { Err(Errno::INVAL) }
            }

            pub fn has(self, flag: $name) -> bool {
                self.0 & flag.0 != 0
            }
        }
    };
}

flags! {
    /// `fdflags`. NONBLOCK (bit 2) is kept and told, and changes nothing: files never block, streams always may.
    FdFlags(0b11111): APPEND = 0, DSYNC = 1, RSYNC = 3, SYNC = 4
}
flags! {
    /// `oflags`.
    OFlags(0b1111): CREAT = 0, DIRECTORY = 1, EXCL = 2, TRUNC = 3
}
flags! {
    /// `lookupflags`.
    LookupFlags(0b1): SYMLINK_FOLLOW = 0
}
flags! {
    /// `fstflags`.
    FstFlags(0b1111): ATIM = 0, ATIM_NOW = 1, MTIM = 2, MTIM_NOW = 3
}
flags! {
    /// `subclockflags`.
    SubclockFlags(0b1): ABSTIME = 0
}

impl FdFlags {
    pub const NONE: FdFlags = FdFlags(0);
    /// The ones that say when a write is durable.
    pub const DURABLE: FdFlags = FdFlags(FdFlags::DSYNC.0 | FdFlags::RSYNC.0 | FdFlags::SYNC.0);
}

/// `clockid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockId {
    Realtime,
    Monotonic,
    ProcessCpu,
    ThreadCpu,
}

impl ClockId {
    pub fn parse(raw: u32) -> Result<ClockId, Errno> {
        match raw {
            0 => Ok(ClockId::Realtime),
            1 => Ok(ClockId::Monotonic),
            2 => Ok(ClockId::ProcessCpu),
            3 => Ok(ClockId::ThreadCpu),
            _ => Err(Errno::INVAL),
        }
    }
}

/// `whence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence {
    Set,
    Cur,
    End,
}

impl Whence {
    pub fn parse(raw: u32) -> Result<Whence, Errno> {
        match raw {
            0 => Ok(Whence::Set),
            1 => Ok(Whence::Cur),
            2 => Ok(Whence::End),
            _ => Err(Errno::INVAL),
        }
    }
}

/// Number of values of `advice`.
pub const ADVICE_COUNT: u32 = 6;
/// Number of values of `signal`.
pub const SIGNAL_COUNT: u32 = 31;
/// Bits of `fdflags`, `riflags` (peek, waitall) and `sdflags` (rd, wr), for the calls that only check them.
pub const FD_FLAGS: u32 = 0b11111;
pub const RI_FLAGS: u32 = 0b11;
pub const SD_FLAGS: u32 = 0b11;

/// `eventtype`.
pub const EVENT_CLOCK: u8 = 0;
pub const EVENT_FD_READ: u8 = 1;
pub const EVENT_FD_WRITE: u8 = 2;
/// `eventrwflags::fd_readwrite_hangup`.
pub const EVENT_HANGUP: u16 = 1;

/// Sizes of records in linear memory; alignments are 8 but for `IOVEC` and `PRESTAT` (4).
pub const SIZE_IOVEC: u32 = 8;
pub const SIZE_PRESTAT: u32 = 8;
pub const SIZE_FDSTAT: u32 = 24;
pub const SIZE_FILESTAT: u32 = 64;
pub const SIZE_DIRENT: usize = 24;
pub const SIZE_SUBSCRIPTION: u32 = 48;
pub const SIZE_EVENT: u32 = 32;
