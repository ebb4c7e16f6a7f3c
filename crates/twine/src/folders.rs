//! Where Twine keeps things on the host (XDG base directories): state that must not be lost, cache that may be.

use std::env;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The two folders of this user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    /// The simulated processor's secrets: without them everything sealed under it is lost.
    pub state: PathBuf,
    /// Sealed compiled modules: made again when they are gone.
    pub cache: PathBuf,
}

impl Folders {
    /// `$XDG_STATE_HOME/twine` and `$XDG_CACHE_HOME/twine`, by default `~/.local/state/twine` and `~/.cache/twine`.
    ///
    /// # Errors
    /// [`Error::NoFolder`]: neither the variable nor HOME names an absolute path.
    pub fn of_user() -> Result<Self> {
        Ok(Self {
            state: folder("state", "XDG_STATE_HOME", ".local/state")?,
            cache: folder("the cache", "XDG_CACHE_HOME", ".cache")?,
        })
    }
}

fn folder(what: &'static str, variable: &'static str, below_home: &str) -> Result<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable)
        .or_else(|| Some(absolute("HOME")?.join(below_home)))
        .map(|base| base.join("twine"))
        .ok_or(Error::NoFolder { what, variable })
}

/// What to do about a state folder that cannot be made.
pub(crate) const STATE: &str = "make it writable for this user, or name another place with XDG_STATE_HOME";
/// What to do about a cache folder that cannot be made.
pub(crate) const CACHE: &str =
    "make it writable for this user, name another place with XDG_CACHE_HOME, or do without (--no-cache)";

/// Makes the folder, for its user alone, unless it is there.
pub(crate) fn create(folder: &Path, remedy: &'static str) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|source| Error::Io {
        path: folder.to_owned(),
        // A parent that cannot exist is no missing input.
        source: std::io::Error::other(source),
        remedy,
    })
}
