//! What goes wrong, and files of JSON.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {why}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The numbers do not allow it.
    #[error("{0}")]
    Model(&'static str),
}

/// An I/O error of `path`.
pub fn io(path: &Path) -> impl Fn(std::io::Error) -> Error {
    move |source| Error::Io { path: path.to_owned(), source }
}

/// A complaint about the contents of `path`.
pub fn malformed(path: &Path, why: impl ToString) -> Error {
    Error::Malformed { path: path.to_owned(), why: why.to_string() }
}

/// A value as JSON with a line feed at the end; `path` is where it is going.
pub fn json(path: &Path, value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| malformed(path, error))?;
    text.push(b'\n');
    Ok(text)
}

/// Writes a file, durably.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = File::create(path).map_err(io(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io(path))
}
