//! Sealed artefacts in a folder: one file per name, complete or not there.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use twine_abi::wire::Status;

/// The folder, and the one file that is being read and the one being written.
pub struct Cache {
    folder: Option<PathBuf>,
    reading: Option<([u8; 32], File, u64)>,
    writing: Option<([u8; 32], tempfile::NamedTempFile, u64)>,
    failure: Option<io::Error>,
}

impl Cache {
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, reading: None, writing: None, failure: None }
    }

    /// Reads at `offset`; answers the size of the whole and how many bytes came.
    pub fn get(&mut self, name: &[u8; 32], offset: u64, out: &mut [u8]) -> Result<(u64, usize), Status> {
        if self.reading.as_ref().is_none_or(|(open, ..)| open != name) {
            let path = self.path(name).ok_or(Status::NotFound)?;
            let file = File::open(path).map_err(status)?;
            let size = file.metadata().map_err(status)?.len();
            self.reading = Some((*name, file, size));
        }
        let Some((_, file, size)) = &mut self.reading else { return Err(Status::NotFound) };
        file.seek(SeekFrom::Start(offset)).map_err(status)?;
        let mut got = 0;
        while got < out.len() {
            match file.read(&mut out[got..]) {
                Ok(0) => break,
                Ok(count) => got += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(status(error)),
            }
        }
        Ok((*size, got))
    }

    /// Appends a piece; the last one makes the file visible.
    pub fn put(&mut self, name: &[u8; 32], offset: u64, total: u64, piece: &[u8]) -> Result<(), Status> {
        if offset == 0 {
            self.writing = None;
            let file = self.new_file()?.map_err(|error| self.failed(error))?;
            self.writing = Some((*name, file, 0));
        }
        let Some((open, file, written)) = &mut self.writing else { return Err(Status::Invalid) };
        if open != name || *written != offset {
            return Err(Status::Invalid);
        }
        let appended = file.write_all(piece);
        *written += piece.len() as u64;
        let complete = *written == total;
        appended.map_err(|error| self.failed(error))?;
        if complete && let (Some((_, file, _)), Some(path)) = (self.writing.take(), self.path(name)) {
            file.persist(path).map_err(|error| self.failed(error.error))?;
        }
        Ok(())
    }

    /// Why the last artefact is not kept.
    pub fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    fn failed(&mut self, error: io::Error) -> Status {
        self.writing = None;
        let status = status(io::Error::from(error.kind()));
        self.failure = Some(error);
        status
    }

    fn new_file(&self) -> Result<io::Result<tempfile::NamedTempFile>, Status> {
        let folder = self.folder.as_ref().ok_or(Status::Unsupported)?;
        Ok(fs::create_dir_all(folder).and_then(|()| tempfile::NamedTempFile::new_in(folder)))
    }

    fn path(&self, name: &[u8; 32]) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{}.twine-artefact", hex::encode(name))))
    }
}

fn status(error: io::Error) -> Status {
    match error.kind() {
        ErrorKind::NotFound => Status::NotFound,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Status::Exhausted,
        _ => Status::Io,
    }
}
