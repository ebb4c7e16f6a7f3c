//! Tar streams (POSIX pax) as source and as sink.

use std::io::{self, Read, Write};
use std::path::{Component, Path};

use tar::{Archive, Builder, Entry, EntryType, Header};
use twine::exit::Code;

use super::{Counted, Sink, Times, join};
use crate::cli::failure::Failure;
use crate::cli::output::note;
use crate::cli::volume::progress::Progress;

/// Gives what a stream holds to the sink, in its order; `what` is its name.
pub fn walk(
    from: impl Read,
    what: &str,
    sink: &mut dyn Sink,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let malformed = |error: io::Error| {
        Failure::new(
            Code::BadInput,
            "tar",
            format!("{what}: {error}; give a tar stream that is not compressed"),
        )
    };
    let mut archive = Archive::new(from);
    let mut folders = Vec::new();
    sink.folder("", Times::default())?;
    for entry in archive.entries().map_err(malformed)? {
        let mut entry = entry.map_err(malformed)?;
        let path = normal(&entry.path().map_err(malformed)?, what)?;
        let times = times(&mut entry).map_err(malformed)?;
        progress.entry(&path);
        let target = |entry: &Entry<'_, _>| -> Result<String, Failure> {
            let target = entry.link_name().map_err(malformed)?.unwrap_or_default();
            target
                .to_str()
                .map(str::to_owned)
                .ok_or_else(|| malformed(io::Error::other("a link is not UTF-8")))
        };
        match entry.header().entry_type() {
            EntryType::Directory => {
                sink.folder(&path, times)?;
                folders.push((path, times));
            }
            EntryType::Symlink => sink.symlink(&path, times, &target(&entry)?)?,
            EntryType::Link => {
                let existing = normal(Path::new(&target(&entry)?), what)?;
                sink.hard_link(&path, &existing)?;
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let size = entry.size();
                sink.file(&path, times, size, &mut Counted { inner: &mut entry, path: &path, progress })?;
            }
            _ => note(format_args!("{what}: {path} is neither file, folder nor link; left out")),
        }
    }
    // Last: what came into a folder after it has changed its times.
    folders.iter().rev().try_for_each(|(path, times)| sink.folder_done(path, *times))
}

/// A path of a stream as a sink takes it: never absolute, never upwards.
fn normal(path: &Path, what: &str) -> Result<String, Failure> {
    let bad = || {
        let message = format!("{what}: {} leads out of the tree or is not UTF-8", path.display());
        Failure::new(Code::BadInput, "tar", message)
    };
    path.components().try_fold(String::new(), |at, component| match component {
        Component::CurDir => Ok(at),
        Component::Normal(name) => Ok(join(&at, name.to_str().ok_or_else(bad)?)),
        _ => Err(bad()),
    })
}

/// The modification time, to the nanosecond where the pax record has it.
fn times<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Times> {
    let seconds = entry.header().mtime()?;
    let (mut modified, mut accessed) = (seconds.saturating_mul(1_000_000_000), None);
    if let Some(records) = entry.pax_extensions()? {
        for record in records {
            let record = record?;
            match (record.key(), record.value().ok().and_then(nanoseconds)) {
                (Ok("mtime"), Some(time)) => modified = time,
                (Ok("atime"), Some(time)) => accessed = Some(time),
                _ => {}
            }
        }
    }
    Ok(Times { accessed: accessed.unwrap_or(modified), modified })
}

/// `seconds[.fraction]`
fn nanoseconds(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(fraction.parse().ok()?)
}

/// Writes a stream.
pub struct Into<W: Write> {
    builder: Builder<W>,
    what: String,
}

impl<W: Write> Into<W> {
    /// `what` is the stream's name.
    pub fn new(out: W, what: &str) -> Self {
        Self { builder: Builder::new(out), what: what.to_owned() }
    }

    /// Ends the stream.
    pub fn finish(self) -> Result<W, Failure> {
        let failed = failed(&self.what);
        self.builder.into_inner().and_then(|mut out| out.flush().map(|()| out)).map_err(failed)
    }

    fn header(&mut self, kind: EntryType, mode: u32, times: Times, size: u64) -> Result<Header, Failure> {
        let text = |time: u64| format!("{}.{:09}", time / 1_000_000_000, time % 1_000_000_000);
        let (accessed, modified) = (text(times.accessed), text(times.modified));
        let records = [("atime", accessed.as_bytes()), ("mtime", modified.as_bytes())];
        self.builder.append_pax_extensions(records).map_err(failed(&self.what))?;
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(times.modified / 1_000_000_000);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(size);
        Ok(header)
    }
}

fn failed(what: &str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::new(Code::Io, "io", format!("{what}: {error}"))
}

impl<W: Write> Sink for Into<W> {
    fn folder(&mut self, path: &str, times: Times) -> Result<(), Failure> {
        if path.is_empty() {
            return Ok(());
        }
        let mut header = self.header(EntryType::Directory, 0o755, times, 0)?;
        self.builder.append_data(&mut header, format!("{path}/"), io::empty()).map_err(failed(&self.what))
    }

    fn folder_done(&mut self, _: &str, _: Times) -> Result<(), Failure> {
        Ok(())
    }

    fn file(&mut self, path: &str, times: Times, size: u64, contents: &mut dyn Read) -> Result<(), Failure> {
        let mut header = self.header(EntryType::Regular, 0o644, times, size)?;
        self.builder.append_data(&mut header, path, contents).map_err(failed(&self.what))
    }

    fn symlink(&mut self, path: &str, times: Times, target: &str) -> Result<(), Failure> {
        let mut header = self.header(EntryType::Symlink, 0o777, times, 0)?;
        self.builder.append_link(&mut header, path, target).map_err(failed(&self.what))
    }

    fn hard_link(&mut self, path: &str, existing: &str) -> Result<(), Failure> {
        let mut header = self.header(EntryType::Link, 0o644, Times::default(), 0)?;
        self.builder.append_link(&mut header, path, existing).map_err(failed(&self.what))
    }
}
