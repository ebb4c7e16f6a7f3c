//! Volumes as source and as sink.

use std::collections::HashMap;
use std::io::{self, Read};

use twine::exit::Code;
use twine_vfs::{Error, FileSystem, FileType, Ino, SetTime, Stat};
use twine_volume::Volume;

use super::{Counted, Lost, Sink, Target, Times, Tolerance, fill, join};
use crate::cli::failure::Failure;
use crate::cli::volume::open::failed_inside;
use crate::cli::volume::progress::Progress;

/// Names read from a folder at once.
const BATCH: usize = 1024;

/// Walks a volume.
pub struct Source<'a> {
    pub volume: &'a Volume,
    pub tolerance: Tolerance,
    pub progress: Progress,
    /// The first name of each file that has several.
    linked: HashMap<Ino, String>,
}

/// One name of a folder.
struct Name {
    name: String,
    ino: Ino,
    cookie: u64,
}

impl<'a> Source<'a> {
    pub fn new(volume: &'a Volume, tolerance: Tolerance) -> Self {
        Self { volume, tolerance, progress: Progress::new(), linked: HashMap::new() }
    }

    /// Gives `ino`, and what is below it, to the sink under `path`.
    pub fn walk(&mut self, ino: Ino, path: &str, sink: &mut dyn Sink) -> Result<(), Failure> {
        let stat = match self.volume.stat(ino) {
            Ok(stat) => stat,
            Err(error) => return self.lost(path, error),
        };
        self.progress.entry(path);
        if stat.links > 1 && stat.file_type == FileType::File {
            if let Some(existing) = self.linked.get(&ino) {
                return sink.hard_link(path, existing);
            }
            self.linked.insert(ino, path.to_owned());
        }
        let times = times(&stat);
        match stat.file_type {
            FileType::Symlink => match self.volume.readlink(ino) {
                Ok(target) => sink.symlink(path, times, &target),
                Err(error) => self.lost(path, error),
            },
            FileType::File => {
                let mut holes = 0;
                let mut reader = FileReader {
                    volume: self.volume,
                    ino,
                    offset: 0,
                    size: stat.size,
                    path,
                    lost: self.tolerance.salvage.then_some(&mut holes),
                };
                let mut counted = Counted { inner: &mut reader, path, progress: &mut self.progress };
                sink.file(path, times, stat.size, &mut counted)?;
                if holes > 0 {
                    let why = format!("{holes} blocks of 4 KiB do not verify; zeros stand in their place");
                    self.tolerance.lost.push(Lost { path: path.to_owned(), why });
                }
                Ok(())
            }
            FileType::Directory => {
                sink.folder(path, times)?;
                self.names(ino, path, sink)?;
                sink.folder_done(path, times)
            }
        }
    }

    fn names(&mut self, dir: Ino, path: &str, sink: &mut dyn Sink) -> Result<(), Failure> {
        let mut cookie = 0;
        loop {
            let (names, listed) = batch(self.volume, dir, cookie);
            for Name { name, ino, cookie: next } in &names {
                self.walk(*ino, &join(path, name), sink)?;
                cookie = *next;
            }
            if let Err(error) = listed {
                return self.lost(path, error);
            }
            if names.is_empty() {
                return Ok(());
            }
        }
    }

    fn lost(&mut self, path: &str, error: Error) -> Result<(), Failure> {
        self.tolerance.lost(path, failed_inside(self.volume, path, error))
    }
}

/// Some names of a folder, and whether there was an error after them.
fn batch(volume: &Volume, dir: Ino, cookie: u64) -> (Vec<Name>, Result<(), Error>) {
    let mut names = Vec::new();
    let listed = volume.readdir(dir, cookie, &mut |entry| {
        names.push(Name { name: entry.name.to_owned(), ino: entry.ino, cookie: entry.cookie });
        names.len() < BATCH
    });
    (names, listed)
}

fn times(stat: &Stat) -> Times {
    Times { accessed: stat.accessed, modified: stat.modified }
}

/// A file of a volume as a stream.
pub struct FileReader<'a> {
    pub volume: &'a Volume,
    pub ino: Ino,
    pub offset: u64,
    pub size: u64,
    pub path: &'a str,
    /// Counts blocks that do not read and gives zeros for them; else the first one is an error.
    pub lost: Option<&'a mut u64>,
}

impl Read for FileReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size - self.offset).unwrap_or(usize::MAX);
        let wanted = left.min(buf.len());
        let buf = &mut buf[..wanted];
        let got = match (self.volume.read(self.ino, self.offset, buf), &mut self.lost) {
            (Ok(got), _) => got,
            (Err(_), Some(lost)) => {
                // The border of a block ends each piece, so that no block is asked for twice.
                let block = 4096 - (self.offset % 4096) as usize;
                let block = &mut buf[..block.min(wanted)];
                if self.volume.read(self.ino, self.offset, block).is_err() {
                    block.fill(0);
                    **lost += 1;
                }
                block.len()
            }
            (Err(error), None) => {
                return Err(io::Error::other(failed_inside(self.volume, self.path, error).message));
            }
        };
        self.offset += got as u64;
        Ok(got)
    }
}

/// Fills a volume below a folder.
pub struct Into<'a> {
    volume: &'a Volume,
    top: Ino,
    /// What the empty path is called in `top`; none: `top` itself.
    name: Option<String>,
}

impl<'a> Into<'a> {
    /// Everything goes into `top`; with a name, under that name in it.
    pub fn new(volume: &'a Volume, top: Ino, name: Option<&str>) -> Self {
        Self { volume, top, name: name.map(str::to_owned) }
    }

    fn failed(&self, path: &str) -> impl Fn(Error) -> Failure {
        move |error| failed_inside(self.volume, if path.is_empty() { "/" } else { path }, error)
    }

    /// The names from `top` on.
    fn way<'p>(&'p self, path: &'p str) -> impl DoubleEndedIterator<Item = &'p str> {
        self.name.as_deref().into_iter().chain(path.split('/').filter(|name| !name.is_empty()))
    }

    /// The folder that a path is in, made where it is missing, and its name there.
    fn parent<'p>(&'p self, path: &'p str) -> Result<(Ino, Option<&'p str>), Failure> {
        let mut way: Vec<_> = self.way(path).collect();
        let last = way.pop();
        let mut at = self.top;
        for name in way {
            at = self.enter(at, name).map_err(self.failed(path))?;
        }
        Ok((at, last))
    }

    fn enter(&self, dir: Ino, name: &str) -> Result<Ino, Error> {
        match self.volume.lookup(dir, name) {
            Ok((ino, FileType::Directory)) => Ok(ino),
            // A link is not followed: what is copied decides its own place.
            Ok(_) => Err(Error::NotDirectory),
            Err(Error::NotFound) => self.volume.mkdir(dir, name),
            Err(error) => Err(error),
        }
    }

    /// The inode of a path.
    fn find(&self, path: &str) -> Result<Ino, Error> {
        self.way(path).try_fold(self.top, |at, name| self.volume.lookup(at, name).map(|(ino, _)| ino))
    }

    /// Makes room for something new under this name.
    fn clear(&self, dir: Ino, name: &str) -> Result<(), Error> {
        match self.volume.lookup(dir, name) {
            Err(Error::NotFound) => Ok(()),
            Ok((_, FileType::Directory)) => Err(Error::IsDirectory),
            Ok(_) => self.volume.unlink(dir, name),
            Err(error) => Err(error),
        }
    }

    fn set_times(&self, ino: Ino, times: Times) -> Result<(), Error> {
        let Times { accessed, modified } = times;
        let (accessed, modified) = (SetTime::At(accessed), SetTime::At(modified));
        self.volume.set_times(ino, twine_vfs::Times { accessed, modified })
    }

    fn new_name<'p>(&'p self, path: &'p str) -> Result<(Ino, &'p str), Failure> {
        let (dir, name) = self.parent(path)?;
        let name = name.ok_or_else(|| self.failed(path)(Error::IsDirectory))?;
        self.clear(dir, name).map_err(self.failed(path))?;
        Ok((dir, name))
    }
}

impl Sink for Into<'_> {
    fn folder(&mut self, path: &str, _: Times) -> Result<(), Failure> {
        match self.parent(path)? {
            (dir, Some(name)) => self.enter(dir, name).map(|_| ()).map_err(self.failed(path)),
            (_, None) => Ok(()),
        }
    }

    fn folder_done(&mut self, path: &str, times: Times) -> Result<(), Failure> {
        self.find(path).and_then(|ino| self.set_times(ino, times)).map_err(self.failed(path))
    }

    fn file(&mut self, path: &str, times: Times, size: u64, contents: &mut dyn Read) -> Result<(), Failure> {
        let (dir, name) = self.new_name(path)?;
        let ino = self.volume.create(dir, name).map_err(self.failed(path))?;
        let mut target = VolumeFile { volume: self.volume, ino, path };
        let reading = |error: io::Error| Failure::new(Code::Io, "io", format!("{path}: {error}"));
        fill(&mut target, size, contents, reading)?;
        self.set_times(ino, times).map_err(self.failed(path))
    }

    fn symlink(&mut self, path: &str, times: Times, target: &str) -> Result<(), Failure> {
        let (dir, name) = self.new_name(path)?;
        let made = self.volume.symlink(dir, name, target);
        made.and_then(|ino| self.set_times(ino, times)).map_err(self.failed(path))
    }

    fn hard_link(&mut self, path: &str, existing: &str) -> Result<(), Failure> {
        let first = self.find(existing).map_err(self.failed(existing))?;
        let (dir, name) = self.new_name(path)?;
        self.volume.link(first, dir, name).map_err(self.failed(path))
    }
}

struct VolumeFile<'a> {
    volume: &'a Volume,
    ino: Ino,
    path: &'a str,
}

impl Target for VolumeFile<'_> {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        self.volume
            .write(self.ino, offset, bytes)
            .map_err(|error| failed_inside(self.volume, self.path, error))
    }

    fn set_size(&mut self, size: u64) -> Result<(), Failure> {
        self.volume.set_size(self.ino, size).map_err(|error| failed_inside(self.volume, self.path, error))
    }
}
