//! `twine volume ls`.

use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use clap::Args;
use serde::Serialize;
use twine_vfs::{Error, FileSystem, FileType, Ino};
use twine_volume::Volume;

use super::open::{Access, Mode, failed_inside};
use super::path::{Place, resolve};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, Status};

pub const SCHEMA: &str = "twine.volume.ls/1";

/// Options of `twine volume ls`.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    key: Access,
    /// Type, links, size and time of each
    #[arg(short, long)]
    long: bool,
    /// What is in folders below, too
    #[arg(short, long)]
    recursive: bool,
    /// The volume, and a path in it
    #[arg(value_name = "VOLUME[::PATH]")]
    place: Place,
}

#[derive(Serialize)]
struct Listing {
    entries: Vec<Entry>,
    #[serde(skip)]
    long: bool,
}

#[derive(Serialize)]
struct Entry {
    path: String,
    #[serde(rename = "type")]
    kind: &'static str,
    size: u64,
    links: u64,
    modified: String,
    accessed: String,
    /// Where a symbolic link points to.
    target: Option<String>,
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        let volume = self.key.open(&self.place.volume, Mode::Read)?;
        let failed = |path: &str, error| failed_inside(&volume, path, error);
        let path = self.place.path.trim_matches('/');
        let (ino, file_type) = resolve(&volume, path, true).map_err(|error| failed(path, error))?;
        let mut entries = Vec::new();
        if file_type == FileType::Directory {
            self.folder(&volume, ino, "", &mut entries)?;
        } else {
            entries.push(entry(&volume, ino, path.to_owned()).map_err(|error| failed(path, error))?);
        }
        output.result(SCHEMA, Status::Success, &Listing { entries, long: self.long });
        Ok(ExitCode::SUCCESS)
    }

    fn folder(&self, volume: &Volume, dir: Ino, path: &str, out: &mut Vec<Entry>) -> Result<(), Failure> {
        let mut names = Vec::new();
        let listed = volume.readdir(dir, 0, &mut |entry| {
            names.push((entry.name.to_owned(), entry.ino, entry.file_type));
            true
        });
        listed.map_err(|error| failed_inside(volume, if path.is_empty() { "/" } else { path }, error))?;
        names.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, ino, file_type) in names {
            let path = if path.is_empty() { name } else { format!("{path}/{name}") };
            let entry = entry(volume, ino, path.clone());
            out.push(entry.map_err(|error| failed_inside(volume, &path, error))?);
            if self.recursive && file_type == FileType::Directory {
                self.folder(volume, ino, &path, out)?;
            }
        }
        Ok(())
    }
}

fn entry(volume: &Volume, ino: Ino, path: String) -> Result<Entry, Error> {
    let stat = volume.stat(ino)?;
    let (kind, target) = match stat.file_type {
        FileType::File => ("file", None),
        FileType::Directory => ("folder", None),
        FileType::Symlink => ("link", Some(volume.readlink(ino)?)),
    };
    let time = |nanoseconds| {
        humantime::format_rfc3339_nanos(UNIX_EPOCH + Duration::from_nanos(nanoseconds)).to_string()
    };
    let (modified, accessed) = (time(stat.modified), time(stat.accessed));
    Ok(Entry { path, kind, size: stat.size, links: stat.links, modified, accessed, target })
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.entries.iter().map(|entry| entry.size.to_string().len()).max().unwrap_or(0);
        for Entry { path, kind, size, links, modified, target, .. } in &self.entries {
            // A name may hold anything but / and NUL; what it does to a terminal is not the reader's business.
            let path = path.escape_debug();
            if !self.long {
                writeln!(f, "{path}")?;
                continue;
            }
            let modified = modified.get(..19).unwrap_or(modified);
            write!(f, "{kind:<6} {links:>3} {size:>width$} {modified}Z {path}")?;
            match target {
                Some(target) => writeln!(f, " -> {}", target.escape_debug())?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}
