//! Copying trees between volumes, folders and tar streams: three sources, three sinks, one piece at a time.
//!
//! A source walks; it tells the sink of each folder before what is in it and again after, of each file with its contents
//! as a stream, of each further name of a file. Paths are relative, with `/` between names, none empty, `.` or `..`; the
//! empty path is the top itself.

pub mod folder;
pub mod tar;
pub mod volume;

use std::io::{self, Read, Write};

use super::progress::Progress;
use crate::cli::failure::Failure;

/// Bytes copied at once; pieces of zeros become holes where there can be holes.
const PIECE: usize = 256 << 10;

/// Times of a file in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    pub accessed: u64,
    pub modified: u64,
}

/// Takes a tree.
pub trait Sink {
    /// A folder, before what is in it. One that exists already is added to.
    fn folder(&mut self, path: &str, times: Times) -> Result<(), Failure>;
    /// The same folder, after everything in it.
    fn folder_done(&mut self, path: &str, times: Times) -> Result<(), Failure>;
    /// A file of `size` bytes. An existing one is replaced.
    fn file(&mut self, path: &str, times: Times, size: u64, contents: &mut dyn Read) -> Result<(), Failure>;
    /// A symbolic link.
    fn symlink(&mut self, path: &str, times: Times, target: &str) -> Result<(), Failure>;
    /// Another name of a file that came before.
    fn hard_link(&mut self, path: &str, existing: &str) -> Result<(), Failure>;
}

/// Something that was left out, and why.
#[derive(Debug, serde::Serialize)]
pub struct Lost {
    pub path: String,
    pub why: String,
}

/// How a source takes what does not read.
pub struct Tolerance {
    /// Leave it out and go on; else it is the end.
    pub salvage: bool,
    /// What was left out.
    pub lost: Vec<Lost>,
}

impl Tolerance {
    /// Everything has to be there.
    pub fn none() -> Self {
        Self { salvage: false, lost: Vec::new() }
    }

    /// Whatever can be had.
    pub fn salvage() -> Self {
        Self { salvage: true, lost: Vec::new() }
    }

    /// Takes note, or gives up.
    fn lost(&mut self, path: &str, failure: Failure) -> Result<(), Failure> {
        if !self.salvage {
            return Err(failure);
        }
        self.lost.push(Lost { path: path.to_owned(), why: failure.message });
        Ok(())
    }
}

/// A path and a name in it.
fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

/// Reads a file's contents and counts them.
struct Counted<'a, R> {
    inner: R,
    path: &'a str,
    progress: &'a mut Progress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buf)?;
        self.progress.bytes(self.path, got as u64);
        Ok(got)
    }
}

/// What can be written at a place and cut or extended.
trait Target {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Failure>;
    fn set_size(&mut self, size: u64) -> Result<(), Failure>;
}

/// Fills an empty target of `size` bytes; zeros are left out.
fn fill(
    target: &mut dyn Target,
    size: u64,
    contents: &mut dyn Read,
    reading: impl Fn(io::Error) -> Failure,
) -> Result<(), Failure> {
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    loop {
        let mut got = 0;
        while got < piece.len() {
            match contents.read(&mut piece[got..]) {
                Ok(0) => break,
                Ok(more) => got += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(reading(error)),
            }
        }
        if got == 0 {
            break;
        }
        if piece[..got].iter().any(|byte| *byte != 0) {
            target.write_at(offset, &piece[..got])?;
        }
        offset += got as u64;
    }
    if offset != size {
        return Err(reading(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("{offset} bytes came where {size} were told"),
        )));
    }
    target.set_size(size)
}

/// Writes a stream of zeros and contents to where nothing can be left out.
pub fn pour(contents: &mut dyn Read, out: &mut dyn Write) -> io::Result<u64> {
    let mut piece = vec![0; PIECE];
    let mut total = 0;
    loop {
        match contents.read(&mut piece) {
            Ok(0) => return Ok(total),
            Ok(got) => {
                out.write_all(&piece[..got])?;
                total += got as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
