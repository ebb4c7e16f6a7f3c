//! WASI's error numbers (`errno` of preview 1) and the one table that maps file-system errors to them.

/// An error number of WASI preview 1, of those that a call here can answer; [`Errno::SUCCESS`] is zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(u16);

macro_rules! errnos {
    ($($value:literal $name:ident $doc:literal,)*) => {
        impl Errno {
            $(#[doc = $doc] pub const $name: Errno = Errno($value);)*

            /// The name as in the witx file, in capitals.
            pub fn name(self) -> &'static str {
                match self.0 {
                    $($value => stringify!($name),)*
                    _ => "UNKNOWN",
                }
            }
        }
    };
}

errnos! {
    0 SUCCESS "No error.",
    8 BADF "Bad file descriptor.",
    10 BUSY "Device or resource busy.",
    20 EXIST "File exists.",
    22 FBIG "File too large.",
    25 ILSEQ "Illegal byte sequence.",
    28 INVAL "Invalid argument.",
    29 IO "Input/output error.",
    31 ISDIR "Is a directory.",
    32 LOOP "Too many levels of symbolic links.",
    33 MFILE "File descriptor value too large.",
    34 MLINK "Too many links.",
    37 NAMETOOLONG "File name too long.",
    44 NOENT "No such file or directory.",
    51 NOSPC "No space left on device.",
    54 NOTDIR "Not a directory or a symbolic link to one.",
    55 NOTEMPTY "Directory not empty.",
    57 NOTSOCK "Not a socket.",
    58 NOTSUP "Not supported.",
    61 OVERFLOW "Value too large.",
    63 PERM "Operation not permitted.",
    64 PIPE "Broken pipe.",
    69 ROFS "Read-only file system.",
    70 SPIPE "Invalid seek.",
    75 XDEV "Cross-device link.",
    76 NOTCAPABLE "Capabilities insufficient.",
}

impl Errno {
    /// The number that the program gets.
    pub fn raw(self) -> u16 {
        self.0
    }
}

impl From<twine_vfs::Error> for Errno {
    fn from(error: twine_vfs::Error) -> Self {
        use twine_vfs::Error;
        match error {
            Error::NotFound => Errno::NOENT,
            Error::Exists => Errno::EXIST,
            Error::NotDirectory => Errno::NOTDIR,
            Error::IsDirectory => Errno::ISDIR,
            Error::NotEmpty => Errno::NOTEMPTY,
            Error::Invalid => Errno::INVAL,
            Error::NotPermitted => Errno::PERM,
            Error::ReadOnly => Errno::ROFS,
            Error::NoSpace => Errno::NOSPC,
            Error::TooLarge => Errno::FBIG,
            Error::TooManyLinks => Errno::MLINK,
            Error::NameTooLong => Errno::NAMETOOLONG,
            Error::Unsupported => Errno::NOTSUP,
            // `Error` is non-exhaustive: what this crate does not know yet is a failing store to the program.
            _ => Errno::IO,
        }
    }
}

impl core::fmt::Debug for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

impl core::fmt::Display for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}
