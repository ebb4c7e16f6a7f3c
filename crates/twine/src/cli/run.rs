//! `twine run`.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use twine::exit::{self, Code, Source};
use twine::workload::Digest;
use twine::{End, Hidden, Io, Program, Report};

use super::delivery::Delivery;
use super::enclave::{Enclave, Identity, insecure_mounts};
use super::failure::Failure;
use super::output::{Output, Status, note};
use super::progress::Progress;
use super::stats::Statistics;
use super::volume::keys::VolumeKey;
use super::workload::Workload;

pub const SCHEMA: &str = "twine.run/1";

/// Options of `twine run`.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    enclave: Enclave,
    /// Print what the run took: exits by kind, bytes, times, pages
    #[arg(long)]
    stats: bool,
    /// Print each WASI call as it happens; debug enclaves only
    #[arg(long)]
    trace: bool,
    /// Read volumes by host calls, not in the host's memory: slower, but a failing disk is then the program's error and
    /// not the end of the run
    #[arg(long)]
    no_map: bool,
    /// Hand an owner's key for a volume to the enclave, which the host thereby knows; debug enclaves only
    #[arg(long, value_name = "NAME=FILE")]
    insecure_volume_key: Vec<String>,
    /// Write {"event":"exit","source":"guest|runtime","code":N} to this open file descriptor at the end
    #[arg(long, value_name = "N")]
    status_fd: Option<u32>,
    #[command(flatten)]
    delivery: Delivery,
    #[command(flatten)]
    workload: Workload,
}

/// What the host knows of what it runs.
enum What {
    Program(Box<Program>),
    Hidden(Digest, u16, Hidden),
}

/// The result as JSON; with `--json` the program's standard output goes to standard error.
#[derive(Serialize)]
struct Data {
    #[serde(flatten)]
    identity: Identity,
    exit: Exit,
    message: Option<String>,
    stats: Option<Statistics>,
}

#[derive(Clone, Copy, Serialize)]
struct Exit {
    source: Source,
    code: u8,
    /// The guest's status in full.
    status: Option<u32>,
}

#[derive(Serialize)]
struct ExitEvent {
    event: &'static str,
    source: Source,
    code: u8,
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        let mut events = self.status_fd.map(StatusFile::open).transpose()?;
        let ended = self.run(output);
        let (source, code) = match &ended {
            Ok(exit) => (exit.source, exit.code),
            Err(failure) => (Source::Runtime, failure.code as u8),
        };
        if let Some(events) = &mut events {
            events.write(&ExitEvent { event: "exit", source, code })?;
        }
        ended.map(|exit| ExitCode::from(exit.code))
    }

    fn run(&self, output: &Output) -> Result<Exit, Failure> {
        let what = match self.delivery.hidden(self.workload.flag_timeout())? {
            Some(_) if self.workload.is_named() => {
                return Err(Failure::usage(
                    "--configid stands for a program that is not here: name no module",
                ));
            }
            Some((id, svn, hidden)) => What::Hidden(id, svn, hidden),
            None => What::Program(Box::new(self.workload.program()?)),
        };
        let insecure_volume_keys = volume_keys(&self.insecure_volume_key)?;
        let runner = self.enclave.runner()?;
        let insecure = match &what {
            What::Program(program) => insecure_mounts(program),
            What::Hidden(..) => Vec::new(),
        };
        insecure.iter().for_each(note);
        if !insecure_volume_keys.is_empty() {
            note(INSECURE_KEY);
        }
        let mut io = Io::inherit()?;
        io.observer = Box::new(Progress::new(io.terminals[2]));
        if output.is_json() {
            // Standard output is for the one object.
            let inherited = Io::inherit()?;
            (io.streams.stdout, io.terminals[1]) = (inherited.streams.stderr, inherited.terminals[2]);
        }
        let loaded = match &what {
            What::Program(program) => runner.load(program)?,
            What::Hidden(id, svn, _) => runner.load_as(*id, *svn)?,
        };
        if runner.image().is_debug() {
            note(format_args!("enclave at {:#x}, symbols in {}", loaded.enclave().base(), twine::image::ELF));
            twine::image::loaded_for_debugger(loaded.enclave().base(), twine::image::ELF);
        }
        let mut identity = match &what {
            What::Program(program) => Identity::of(&runner, program, loaded.enclave()),
            What::Hidden(id, svn, _) => Identity::hidden(&runner, *id, *svn, loaded.enclave()),
        };
        insecure.into_iter().for_each(|what| identity.is_insecure(what));
        if !insecure_volume_keys.is_empty() {
            identity.is_insecure(INSECURE_KEY);
        }
        let load = loaded.took();
        let delivery = self.delivery.ways()?;
        let options = twine::Options {
            trace: self.trace,
            no_map: self.no_map,
            delivery,
            insecure_volume_keys,
            ..Default::default()
        };
        let (report, fuel, timeout) = match what {
            What::Program(program) => {
                let (fuel, timeout) = (program.workload().limits.fuel, program.timeout());
                (loaded.run(&program, io, options)?, fuel, timeout)
            }
            What::Hidden(_, _, hidden) => {
                let timeout = hidden.timeout;
                (loaded.run_hidden(hidden, io, options), None, timeout)
            }
        };
        let (source, code) = exit::of_end(&report.end);
        let status = match (&report.end, source) {
            (End::Finished { code, .. }, Source::Guest) => Some(*code),
            _ => None,
        };
        let exit = Exit { source, code, status };
        let message = explain_end(&report.end, fuel, timeout);
        if let Some(message) = &message {
            note(message);
        }
        not_cached(&report);
        let stats = self.stats.then(|| Statistics::new(&report.stats, load));
        if let Some(stats) = &stats
            && !output.is_json()
        {
            note(format_args!("statistics\n{stats}"));
        }
        if output.is_json() {
            let ok = source == Source::Guest && code == 0;
            let status = if ok { Status::Success } else { Status::Fail };
            output.result(SCHEMA, status, &Data { identity, exit, message, stats });
        }
        Ok(exit)
    }
}

/// What is said of a run with `--insecure-volume-key`.
pub const INSECURE_KEY: &str = "volume key by the host's hand: the host can read and change that volume";

/// Names and keys of `--insecure-volume-key`.
pub fn volume_keys(options: &[String]) -> Result<Vec<(String, [u8; 32])>, Failure> {
    let key = |option: &String| {
        let usage = || Failure::usage(format!("--insecure-volume-key {option}: write NAME=FILE"));
        let (name, file) = option.split_once('=').ok_or_else(usage)?;
        Ok((name.to_owned(), VolumeKey::load(Path::new(file))?.bytes()))
    };
    options.iter().map(key).collect()
}

/// Why it ended, unless the program ended by itself: what happened and what to do.
pub fn explain(report: &Report, program: &Program) -> Option<String> {
    explain_end(&report.end, program.workload().limits.fuel, program.timeout())
}

/// The same for an end under these limits, as far as they are known.
pub fn explain_end(end: &End, fuel: Option<u64>, timeout: Option<Duration>) -> Option<String> {
    use twine::Outcome;
    let stopped = || {
        let limit = timeout.map(|limit| format!(" after {}", humantime::format_duration(limit)));
        format!("the program was stopped{}; raise --timeout if it needs longer", limit.unwrap_or_default())
    };
    Some(match end {
        End::Finished { outcome, message, .. } => match outcome {
            Outcome::Exited => return None,
            Outcome::Trapped => format!("the program trapped: {message}"),
            Outcome::OutOfFuel => {
                let fuel = fuel.map(|fuel| format!(" of {fuel}")).unwrap_or_default();
                format!("the program used up its fuel{fuel}; raise --fuel if it needs more: {message}")
            }
            Outcome::Stopped => stopped(),
            Outcome::BadModule | Outcome::BadVolume | Outcome::NotWritten => message.clone(),
            Outcome::Refused => format!("the enclave refused: {message}"),
            Outcome::Failed => format!("the enclave failed: {message}"),
            Outcome::RolledBack => format!("the enclave refused an old or forked volume: {message}"),
        },
        End::TimedOut => stopped(),
        End::Died(message) if message.is_empty() => {
            "the enclave ended itself and says no more; a debug enclave does (--debug)".to_owned()
        }
        End::Died(message) => format!("the enclave ended itself: {message}"),
        End::Broken(message) => {
            format!("the enclave cannot go on: {message}; this is a mistake in twine: report it")
        }
    })
}

/// Says why the next run will compile again.
pub fn not_cached(report: &Report) -> bool {
    if let Some(why) = &report.not_cached {
        note(format_args!(
            "the compiled module was not kept: {why}; make room in the cache folder or make it writable, or name another \
             place with XDG_CACHE_HOME"
        ));
    }
    report.not_cached.is_some()
}

impl fmt::Display for Data {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As text a run prints what the program prints.
        Ok(())
    }
}

/// The file behind a descriptor that whoever started us has opened.
struct StatusFile(File);

impl StatusFile {
    fn open(fd: u32) -> Result<Self, Failure> {
        let path = format!("/dev/fd/{fd}");
        let file = OpenOptions::new().append(true).open(Path::new(&path));
        file.map(Self).map_err(|error| {
            Failure::usage(format!(
                "--status-fd {fd}: {error}; open it for writing, as in `{fd}>status.json`"
            ))
        })
    }

    fn write(&mut self, event: &ExitEvent) -> Result<(), Failure> {
        let line = serde_json::to_string(event).unwrap_or_default();
        writeln!(self.0, "{line}")
            .map_err(|error| Failure::new(Code::Io, "io", format!("--status-fd: {error}")))
    }
}
