//! `twine volume info`.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use bytesize::ByteSize;
use clap::Args;
use serde::Serialize;
use twine::Operation;
use twine_volume::{HeaderReport, structure};
use twine_volume_key::{Anchored, Label, Sealed, SealedTo, Unreadable};

use super::inside::Inside as Workload;
use super::open::{Access, Mode, failed, open_store};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, Status};
use crate::cli::stats::Freshness;

pub const SCHEMA: &str = "twine.volume.info/1";

/// Options of `twine volume info`.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    key: Access,
    /// The volume
    volume: PathBuf,
    #[command(flatten)]
    workload: Workload,
}

/// What anybody sees, and with the key what is inside.
#[derive(Serialize)]
struct Data {
    outside: Outside,
    inside: Option<Inside>,
}

/// Nothing of it is authenticated.
#[derive(Serialize)]
pub struct Outside {
    length: u64,
    length_is_plausible: bool,
    headers: Vec<Header>,
    /// Commits that the ring still names, and the newest.
    records: u32,
    newest: Option<u64>,
    key: Vec<Key>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
enum Header {
    Absent,
    Damaged,
    OtherVersion { version: u32 },
    Whole { id: String, generation: u64 },
}

/// Whose key opens the volume.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
enum Key {
    Enclave(Identity),
    Signer(Identity),
    Owner { key: String, anchor: &'static str },
    Unnamed,
    Unknown,
}

/// Digests are cut to 16 bytes.
#[derive(Serialize)]
struct Identity {
    mrenclave: String,
    mrsigner: String,
    configid: String,
    isvprodid: u16,
    isvsvn: u16,
    configsvn: u16,
    cpusvn: String,
    debug: bool,
}

#[derive(Serialize)]
struct Inside {
    sequence: u64,
    store_bytes: u64,
    used_bytes: u64,
    freshness: Freshness,
    /// What opening found and left out; an enclave does not tell.
    recovery: Option<Recovery>,
}

#[derive(Serialize)]
pub struct Recovery {
    unreadable_records: u32,
    /// A commit that was never finished.
    discarded: Option<u64>,
    /// Files without a name that a run had open when it ended; freed by the next that writes.
    orphans: u64,
}

impl Outside {
    /// Looks at a store without a key.
    pub fn of(store: &mut dyn twine_volume::store::Store) -> twine_volume::Result<Self> {
        let found = structure(store)?;
        let headers = found.headers.into_iter().map(|header| match header {
            HeaderReport::Absent => Header::Absent,
            HeaderReport::Damaged => Header::Damaged,
            HeaderReport::Version(version) => Header::OtherVersion { version },
            HeaderReport::Whole { id, generation } => Header::Whole { id: hex::encode(id), generation },
        });
        let headers = headers.collect();
        let labels = twine_volume::labels(store).unwrap_or_default();
        Ok(Self {
            length: found.length,
            length_is_plausible: found.length_is_plausible,
            headers,
            records: found.records,
            newest: found.newest,
            key: labels.iter().map(key).collect(),
        })
    }

    /// What is wrong with it, in words.
    pub fn findings(&self) -> Vec<String> {
        let mut out = Vec::new();
        for (slot, header) in self.headers.iter().enumerate() {
            match header {
                Header::Whole { .. } => {}
                Header::Absent => out.push(format!("no header in slot {slot}")),
                Header::Damaged => out.push(format!("a damaged header in slot {slot}")),
                Header::OtherVersion { version } => {
                    out.push(format!("a header of version {version} in slot {slot}"));
                }
            }
        }
        if self.records == 0 {
            out.push("no record of a committed state".to_owned());
        }
        if !self.length_is_plausible {
            out.push(format!("a length of {} bytes, which is not whole segments of 1 MiB", self.length));
        }
        out
    }
}

impl Recovery {
    pub fn of(volume: &twine_volume::Volume) -> Self {
        let recovery = volume.recovery();
        Self {
            unreadable_records: recovery.unreadable_records,
            discarded: recovery.discarded.map(|(sequence, _)| sequence),
            orphans: recovery.orphans,
        }
    }
}

fn key(label: &twine_volume::Label) -> Key {
    match Label::from_bytes(label) {
        Ok(Label::Sealed(sealed)) if sealed.to == SealedTo::Enclave => Key::Enclave(identity(&sealed)),
        Ok(Label::Sealed(sealed)) => Key::Signer(identity(&sealed)),
        Ok(Label::Owner { key, anchor }) => Key::Owner { key: hex::encode(key), anchor: anchor_name(anchor) },
        Err(Unreadable::Empty) => Key::Unnamed,
        Err(Unreadable::Unknown) => Key::Unknown,
    }
}

fn anchor_name(anchor: Anchored) -> &'static str {
    match anchor {
        Anchored::No => "none",
        Anchored::InsecureFile => "insecure-file",
        Anchored::Service { .. } => "service",
    }
}

fn identity(sealed: &Sealed) -> Identity {
    let Sealed { versions, identity, .. } = sealed;
    Identity {
        mrenclave: hex::encode(identity.mrenclave),
        mrsigner: hex::encode(identity.mrsigner),
        configid: hex::encode(identity.configid),
        isvprodid: identity.product,
        isvsvn: versions.isvsvn,
        configsvn: versions.configsvn,
        cpusvn: hex::encode(versions.cpusvn),
        debug: identity.debug,
    }
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        let path = &self.volume;
        let mut store = open_store(path, Mode::Read)?;
        let outside = Outside::of(&mut store).map_err(failed(path))?;
        let inside = if self.workload.is_named() {
            drop(store);
            let (_, report) = self.workload.perform(Operation::Describe, path, None)?;
            report.stats.volumes.first().map(|state| Inside {
                sequence: state.sequence,
                store_bytes: state.store_bytes,
                used_bytes: state.used_bytes,
                freshness: Freshness::of(state),
                recovery: None,
            })
        } else if self.key.is_named() {
            let volume = self.key.open(path, Mode::Read)?;
            let info = volume.info();
            Some(Inside {
                sequence: info.sequence,
                store_bytes: info.store_bytes,
                used_bytes: info.used_bytes,
                freshness: Freshness::here(&info),
                recovery: Some(Recovery::of(&volume)),
            })
        } else {
            // That there is no volume at all needs no key to be said.
            twine_volume::labels(&mut store).map_err(failed(path))?;
            None
        };
        output.result(SCHEMA, Status::Success, &Data { outside, inside });
        Ok(ExitCode::SUCCESS)
    }
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for header in &self.headers {
            match header {
                Header::Absent => writeln!(f, "header      absent")?,
                Header::Damaged => writeln!(f, "header      damaged")?,
                Header::OtherVersion { version } => writeln!(f, "header      of version {version}")?,
                Header::Whole { id, generation } => {
                    writeln!(f, "header      volume {id}, generation {generation}")?;
                }
            }
        }
        for key in &self.key {
            match key {
                Key::Owner { key, anchor } => {
                    writeln!(f, "opens for   key {key}")?;
                    if *anchor != "none" {
                        writeln!(f, "anchor      {anchor}")?;
                    }
                }
                Key::Enclave(identity) => writeln!(f, "opens for   one enclave\n{identity}")?,
                Key::Signer(identity) => writeln!(f, "opens for   enclaves of one signer\n{identity}")?,
                Key::Unnamed => writeln!(f, "opens for   whoever knows its key")?,
                Key::Unknown => writeln!(f, "opens for   nobody that this version knows of")?,
            }
        }
        let newest = self.newest.map_or("none".to_owned(), |newest| newest.to_string());
        writeln!(f, "records     {}, the newest {newest}", self.records)?;
        writeln!(f, "length      {}", size(self.length))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  MRENCLAVE {}…", self.mrenclave)?;
        writeln!(f, "  MRSIGNER  {}…, product {}, ISVSVN {}", self.mrsigner, self.isvprodid, self.isvsvn)?;
        writeln!(f, "  CONFIGID  {}…, CONFIGSVN {}", self.configid, self.configsvn)?;
        write!(f, "  CPUSVN    {}{}", self.cpusvn, if self.debug { ", debug" } else { "" })
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.outside)?;
        let Some(inside) = &self.inside else { return Ok(()) };
        writeln!(f, "state       {}", inside.sequence)?;
        writeln!(f, "in use      {} of {}", size(inside.used_bytes), size(inside.store_bytes))?;
        writeln!(f, "freshness   {}", inside.freshness)?;
        inside.recovery.iter().try_for_each(|recovery| write!(f, "{recovery}"))
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unreadable_records > 0 {
            writeln!(f, "recovery    {} records do not authenticate", self.unreadable_records)?;
        }
        if let Some(discarded) = self.discarded {
            writeln!(f, "recovery    state {discarded} was never finished and is left out")?;
        }
        if self.orphans > 0 {
            writeln!(f, "recovery    {} files without a name wait to be freed", self.orphans)?;
        }
        Ok(())
    }
}

/// Bytes for people.
pub fn size(bytes: u64) -> String {
    format!("{bytes} bytes ({})", ByteSize(bytes))
}
