//! `twine volume check`.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use twine::Operation;
use twine::exit::Code;
use twine_vfs::{FileSystem, FileType, Ino};
use twine_volume::Volume;

use super::cp::Copied;
use super::info::{Outside, Recovery};
use super::inside::Inside;
use super::open::{Access, Mode, failed, open_store};
use super::transfer::volume::Source;
use super::transfer::{Lost, Tolerance, folder};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, Status};

pub const SCHEMA: &str = "twine.volume.check/1";

/// Options of `twine volume check`.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    key: Access,
    /// Look at headers, records and length only, which needs no key and proves nothing
    #[arg(long)]
    structure: bool,
    /// Copy what verifies into this new folder
    #[arg(long, value_name = "DIR", conflicts_with = "structure")]
    salvage: Option<PathBuf>,
    /// The volume
    volume: PathBuf,
    #[command(flatten)]
    inside: Inside,
}

#[derive(Serialize)]
struct Checked {
    /// Whether nothing is wrong.
    whole: bool,
    findings: Vec<Found>,
    recovery: Option<Recovery>,
    salvaged: Option<Salvaged>,
}

/// Something wrong, and where.
#[derive(Serialize)]
pub struct Found {
    pub what: String,
    pub inode: Option<u64>,
    /// The inode's name, where one leads to it.
    pub path: Option<String>,
    /// In units of 4 KiB.
    pub slot: Option<u64>,
}

#[derive(Serialize)]
struct Salvaged {
    folder: PathBuf,
    #[serde(flatten)]
    copied: Copied,
    lost: Vec<Lost>,
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        let path = &self.volume;
        let checked = if self.structure {
            let outside = Outside::of(&mut open_store(path, Mode::Read)?).map_err(failed(path))?;
            let found = |what| Found { what, inode: None, path: None, slot: None };
            let findings: Vec<_> = outside.findings().into_iter().map(found).collect();
            Checked { whole: findings.is_empty(), findings, recovery: None, salvaged: None }
        } else if self.inside.is_named() {
            if self.salvage.is_some() {
                return Err(Failure::usage("what an enclave has sealed is not salvaged in clear; export it"));
            }
            let (_, report) = self.inside.perform(Operation::Check, path, None)?;
            let found = report.stats.findings.into_iter();
            let found = found.map(|f| Found { what: f.what, inode: f.inode, path: None, slot: f.slot });
            let findings: Vec<_> = found.collect();
            Checked { whole: findings.is_empty(), findings, recovery: None, salvaged: None }
        } else {
            let volume = match (self.key.open(path, Mode::Read), self.salvage.as_deref()) {
                (Err(failure), Some(to)) if matches!(failure.code, Code::BadInput | Code::RolledBack) => {
                    return self.what_is_left(failure, to, output);
                }
                (opened, _) => opened?,
            };
            let findings = volume.check().map_err(failed(path))?;
            let names = if findings.is_empty() { HashMap::new() } else { names(&volume) };
            let findings: Vec<_> = findings
                .iter()
                .map(|finding| Found {
                    what: finding.what.to_owned(),
                    inode: finding.inode,
                    path: finding.inode.and_then(|inode| names.get(&Ino(inode)).cloned()),
                    slot: finding.slot.map(u64::from),
                })
                .collect();
            let salvaged = self.salvage.as_deref().map(|to| salvage(&volume, to)).transpose()?;
            let recovery = Some(Recovery::of(&volume));
            Checked { whole: findings.is_empty(), findings, recovery, salvaged }
        };
        let (status, code) = match checked.whole {
            true => (Status::Success, ExitCode::SUCCESS),
            false => (Status::Fail, ExitCode::from(1)),
        };
        output.result(SCHEMA, status, &checked);
        Ok(code)
    }
}

impl Options {
    /// Salvages from a volume that does not open.
    fn what_is_left(&self, failure: Failure, to: &Path, output: &Output) -> Result<ExitCode, Failure> {
        let volume = self.key.open_to_salvage(&self.volume)?;
        let findings = vec![Found { what: failure.message, inode: None, path: None, slot: None }];
        let recovery = Some(Recovery::of(&volume));
        let salvaged = Some(salvage(&volume, to)?);
        output.result(SCHEMA, Status::Fail, &Checked { whole: false, findings, recovery, salvaged });
        Ok(ExitCode::from(1))
    }
}

/// A path of each inode, as far as folders can be read.
fn names(volume: &Volume) -> HashMap<Ino, String> {
    let mut out = HashMap::from([(volume.root(), "/".to_owned())]);
    let mut todo = vec![(volume.root(), String::new())];
    while let Some((dir, path)) = todo.pop() {
        // What cannot be listed is a finding already.
        let _ = volume.readdir(dir, 0, &mut |entry| {
            let path = format!("{path}/{}", entry.name);
            if entry.file_type == FileType::Directory {
                todo.push((entry.ino, path.clone()));
            }
            out.entry(entry.ino).or_insert(path);
            true
        });
    }
    out
}

fn salvage(volume: &Volume, to: &Path) -> Result<Salvaged, Failure> {
    if to.exists() {
        let message = format!("{} exists; name a new folder", to.display());
        return Err(Failure::new(Code::Io, "exists", message));
    }
    let mut source = Source::new(volume, Tolerance::salvage());
    source.walk(volume.root(), "", &mut folder::Into::new(to.to_owned()))?;
    let copied = Copied::of(&source.progress);
    Ok(Salvaged { folder: to.to_owned(), copied, lost: source.tolerance.lost })
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match (&self.path, self.inode) {
            (Some(path), _) => write!(f, ", {}", path.escape_debug())?,
            (None, Some(inode)) => write!(f, ", inode {inode}")?,
            (None, None) => {}
        }
        match self.slot {
            Some(slot) => writeln!(f, ", slot {slot} (byte {})", slot.saturating_mul(4096)),
            None => writeln!(f),
        }
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.findings.iter().try_for_each(|found| write!(f, "wrong       {found}"))?;
        self.recovery.iter().try_for_each(|recovery| write!(f, "{recovery}"))?;
        if let Some(Salvaged { folder, copied, lost }) = &self.salvaged {
            lost.iter().try_for_each(|Lost { path, why }| writeln!(f, "lost        {path}: {why}"))?;
            write!(f, "salvaged    into {}: {copied}", folder.display())?;
        }
        match self.findings.len() {
            0 => writeln!(f, "whole"),
            1 => writeln!(f, "damaged: 1 finding"),
            n => writeln!(f, "damaged: {n} findings"),
        }
    }
}
