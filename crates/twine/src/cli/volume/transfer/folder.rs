//! Folders of this machine as source and as sink.

use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use twine::exit::Code;

use super::{Counted, Sink, Target, Times, fill, join};
use crate::cli::failure::Failure;
use crate::cli::output::note;
use crate::cli::volume::progress::Progress;

/// Gives a file or folder of this machine, and what is below it, to the sink.
pub fn walk(top: &Path, sink: &mut dyn Sink, progress: &mut Progress) -> Result<(), Failure> {
    Source { linked: HashMap::new(), progress }.walk(top, "", sink)
}

struct Source<'a> {
    /// The first name of each file that has several, by device and inode.
    linked: HashMap<(u64, u64), String>,
    progress: &'a mut Progress,
}

impl Source<'_> {
    fn walk(&mut self, from: &Path, path: &str, sink: &mut dyn Sink) -> Result<(), Failure> {
        let reading = Failure::reading;
        // What was named is meant, link or not; what is found is taken as it is.
        let metadata = if path.is_empty() { fs::metadata(from) } else { fs::symlink_metadata(from) };
        let metadata = metadata.map_err(reading(from))?;
        let times = times(&metadata);
        self.progress.entry(path);
        if metadata.is_dir() {
            sink.folder(path, times)?;
            let mut names = fs::read_dir(from)
                .and_then(|names| {
                    names.map(|entry| entry.map(|e| e.file_name())).collect::<io::Result<Vec<_>>>()
                })
                .map_err(reading(from))?;
            names.sort();
            for name in names {
                let text = utf8(from, name.to_str())?;
                self.walk(&from.join(&name), &join(path, text), sink)?;
            }
            return sink.folder_done(path, times);
        }
        if metadata.is_symlink() {
            let target = fs::read_link(from).map_err(reading(from))?;
            return sink.symlink(path, times, utf8(from, target.to_str())?);
        }
        if !metadata.is_file() {
            note(format_args!("{}: neither file, folder nor link; left out", from.display()));
            return Ok(());
        }
        if metadata.nlink() > 1 {
            let inode = (metadata.dev(), metadata.ino());
            if let Some(existing) = self.linked.get(&inode) {
                return sink.hard_link(path, existing);
            }
            self.linked.insert(inode, path.to_owned());
        }
        let file = File::open(from).map_err(reading(from))?;
        // A file that grows meanwhile is cut, one that shrinks is an error.
        let mut counted = Counted { inner: file.take(metadata.len()), path, progress: self.progress };
        sink.file(path, times, metadata.len(), &mut counted)
    }
}

fn utf8<'a>(path: &Path, text: Option<&'a str>) -> Result<&'a str, Failure> {
    text.ok_or_else(|| {
        let message = format!("{}: a name that is not UTF-8 cannot be kept in a volume", path.display());
        Failure::new(Code::BadInput, "name", message)
    })
}

fn times(metadata: &Metadata) -> Times {
    let nanoseconds = |seconds: i64, nanoseconds: i64| {
        u64::try_from(i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)).unwrap_or(0)
    };
    Times {
        accessed: nanoseconds(metadata.atime(), metadata.atime_nsec()),
        modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
    }
}

/// Fills a place on this machine.
pub struct Into {
    top: PathBuf,
}

impl Into {
    /// The empty path is `top` itself.
    pub fn new(top: PathBuf) -> Self {
        Self { top }
    }

    fn place(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.top.clone() } else { self.top.join(path) }
    }

    /// Nothing is written through a link that was below the top before or came with the tree.
    fn parent_is_no_link(&self, path: &str) -> Result<(), Failure> {
        let mut at = self.top.clone();
        for name in path.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev() {
            at.push(name);
            let metadata = fs::symlink_metadata(&at).map_err(Failure::writing(&at))?;
            if !metadata.is_dir() {
                let message =
                    format!("{}: not a folder; what was to be below it is not written", at.display());
                return Err(Failure::new(Code::Io, "io", message));
            }
        }
        Ok(())
    }
}

impl Sink for Into {
    fn folder(&mut self, path: &str, _: Times) -> Result<(), Failure> {
        self.parent_is_no_link(path)?;
        let place = self.place(path);
        match fs::create_dir(&place) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let metadata =
                    if path.is_empty() { fs::metadata(&place) } else { fs::symlink_metadata(&place) };
                match metadata {
                    Ok(metadata) if metadata.is_dir() => Ok(()),
                    _ => Err(Failure::writing(&place)(error)),
                }
            }
            made => made.map_err(Failure::writing(&place)),
        }
    }

    fn folder_done(&mut self, path: &str, times: Times) -> Result<(), Failure> {
        set_times(&self.place(path), times)
    }

    fn file(&mut self, path: &str, times: Times, size: u64, contents: &mut dyn Read) -> Result<(), Failure> {
        self.parent_is_no_link(path)?;
        let place = self.place(path);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
            .open(&place)
            .map_err(Failure::writing(&place))?;
        let reading = |error: io::Error| Failure::new(Code::BadInput, "volume", format!("{path}: {error}"));
        fill(&mut HostFile { file, place: &place }, size, contents, reading)?;
        set_times(&place, times)
    }

    fn symlink(&mut self, path: &str, times: Times, target: &str) -> Result<(), Failure> {
        self.parent_is_no_link(path)?;
        let place = self.place(path);
        std::os::unix::fs::symlink(target, &place).map_err(Failure::writing(&place))?;
        set_times(&place, times)
    }

    fn hard_link(&mut self, path: &str, existing: &str) -> Result<(), Failure> {
        self.parent_is_no_link(path)?;
        let place = self.place(path);
        fs::hard_link(self.place(existing), &place).map_err(Failure::writing(&place))
    }
}

struct HostFile<'a> {
    file: File,
    place: &'a Path,
}

impl Target for HostFile<'_> {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all_at(bytes, offset).map_err(Failure::writing(self.place))
    }

    fn set_size(&mut self, size: u64) -> Result<(), Failure> {
        self.file.set_len(size).map_err(Failure::writing(self.place))
    }
}

fn set_times(place: &Path, times: Times) -> Result<(), Failure> {
    let time = |nanoseconds: u64| Timespec {
        tv_sec: (nanoseconds / 1_000_000_000) as i64,
        tv_nsec: (nanoseconds % 1_000_000_000) as _,
    };
    let times = Timestamps { last_access: time(times.accessed), last_modification: time(times.modified) };
    utimensat(CWD, place, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| Failure::writing(place)(errno.into()))
}
