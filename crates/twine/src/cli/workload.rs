//! The options that say what runs: part of what is measured, except for the module's place and the timeout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::Args;
use twine::Program;
use twine::workload::manifest::{Config, Origin, Value};

use super::failure::Failure;

/// What runs.
#[derive(Args)]
pub struct Workload {
    /// Manifest (twine.toml); flags go over what it says
    #[arg(short = 'c', long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Set an environment variable of the program; without a value: pass on the host's
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Give the program an empty directory in enclave memory, gone at exit [default size: 64 MiB]
    #[arg(long, value_name = "GUEST[=SIZE]")]
    scratch: Vec<String>,
    /// Give the program a directory: an encrypted volume, kept in this file of the host and created if it is not there;
    /// with :measured a file or folder that is read-only and part of the identity; with :insecure-host a folder in clear
    #[arg(long, value_name = "HOST::GUEST[:KIND][:ro]")]
    dir: Vec<String>,
    /// Stop the program after this many units of work, about one wasm instruction each
    #[arg(long, value_name = "N")]
    fuel: Option<u64>,
    /// Stop the program after this time, like 30s or 5m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<String>,
    /// Linear memory that the program may have, like 512MiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_memory: Option<u64>,
    /// Table elements that the program may have
    #[arg(long, value_name = "N")]
    max_table_elements: Option<u64>,
    /// The module (.wasm, or .wat in text form), and the program's own arguments
    #[arg(value_name = "MODULE [ARGS]", trailing_var_arg = true)]
    module_and_args: Vec<String>,
}

fn duration(text: &str) -> Result<String, humantime::DurationError> {
    humantime::parse_duration(text).map(|_| text.to_owned())
}

fn size(text: &str) -> Result<u64, String> {
    text.parse::<ByteSize>().map(|size| size.as_u64())
}

/// Size of a scratch directory where none is given.
const SCRATCH: &str = "64 MiB";

impl Workload {
    /// Whether anything to run is named.
    pub fn is_named(&self) -> bool {
        self.manifest.is_some() || !self.module_and_args.is_empty()
    }

    /// The configuration that manifest and flags make.
    pub fn config(&self) -> Result<Config, Failure> {
        let mut config = match (&self.manifest, self.module_and_args.split_first()) {
            (None, None) => return Err(Failure::usage("name a module, or a manifest with --manifest FILE")),
            (None, Some((module, args))) => Config::implicit("", Path::new(module), args)?,
            (Some(manifest), None) => Config::read(manifest)?,
            (Some(manifest), Some((module, args))) => {
                let mut config = Config::read(manifest)?;
                config.module(Path::new(module), args)?;
                config
            }
        };
        for variable in &self.env {
            let origin = Origin::Flag("--env".to_owned());
            match variable.split_once('=') {
                Some((name, value)) => config.set(&["workload", "env", name], value, origin),
                None => {
                    let passthrough = BTreeMap::from([("passthrough", true)]);
                    config.set(&["workload", "env", variable], passthrough, origin);
                }
            }
        }
        for scratch in &self.scratch {
            let (guest, size) = scratch.split_once('=').unwrap_or((scratch, SCRATCH));
            let mount = BTreeMap::from([("guest", guest), ("kind", "scratch"), ("size", size)]);
            config.push(&["workload", "mount"], mount, Origin::Flag("--scratch".to_owned()));
        }
        for dir in &self.dir {
            mount(&mut config, dir)?;
        }
        let mut limit = |name, flag: &str, value: Option<u64>| {
            if let Some(value) = value {
                let value = i64::try_from(value).unwrap_or(i64::MAX);
                config.set(&["workload", "limits", name], value, Origin::Flag(flag.to_owned()));
            }
        };
        limit("fuel", "--fuel", self.fuel);
        limit("memory", "--max-memory", self.max_memory);
        limit("table_elements", "--max-table-elements", self.max_table_elements);
        if let Some(timeout) = &self.timeout {
            config.set(&["host", "timeout"], timeout.as_str(), Origin::Flag("--timeout".to_owned()));
        }
        Ok(config)
    }

    /// When to stop it, if the flag says so: for a program of which nothing else is known here.
    pub fn flag_timeout(&self) -> Option<std::time::Duration> {
        // The parser of the flag has read it.
        self.timeout.as_deref().and_then(|text| humantime::parse_duration(text).ok())
    }

    /// The program.
    pub fn program(&self) -> Result<Program, Failure> {
        Ok(Program::from_config(&self.config()?)?)
    }
}

/// What `--dir` says after the guest path, and the manifest in `kind`.
const KINDS: [&str; 3] = ["volume", "measured", "insecure-host"];

/// A mount of `--dir`. A volume's name, which enters its key, is the guest path with dots for slashes.
fn mount(config: &mut Config, dir: &str) -> Result<(), Failure> {
    let usage = |why: &str| {
        Failure::usage(format!(
            "--dir {dir}: {why}; write HOST::GUEST[:KIND][:ro], like data.volume::/data for an encrypted volume, \
             lib::/lib:measured or work::/work:insecure-host"
        ))
    };
    let (host, guest) = dir.split_once("::").ok_or_else(|| usage("no guest path"))?;
    if host.is_empty() {
        return Err(usage("no file or folder of the host"));
    }
    let mut words = guest.split(':');
    let guest = words.next().unwrap_or_default();
    let (mut kind, mut read_only) = (None, false);
    for word in words {
        match KINDS.iter().find(|known| **known == word) {
            Some(known) if kind.is_none() => kind = Some(*known),
            Some(_) => return Err(usage("more than one kind")),
            None if word == "ro" => read_only = true,
            None => return Err(usage(&format!("{word:?} is no kind of directory"))),
        }
    }
    let kind = kind.unwrap_or("volume");
    // A relative path is below the current folder, not below the manifest's.
    let path = std::path::absolute(host).map_err(|_| usage("not a path"))?;
    let mut mount = BTreeMap::from([("guest", Value::from(guest)), ("kind", Value::from(kind))]);
    match (kind, path.is_dir()) {
        ("volume", true) => {
            return Err(usage(
                "this is a folder, and a volume is a file; a folder of the host in clear is :insecure-host",
            ));
        }
        ("insecure-host", false) => return Err(usage("there is no such folder")),
        _ => {}
    }
    if kind == "volume" {
        let name = match guest.trim_matches('/') {
            "" => "root".to_owned(),
            path => path.replace('/', "."),
        };
        mount.insert("name", Value::from(name));
    }
    if kind != "measured" {
        mount.insert("read_only", Value::from(read_only));
    }
    let origin = || Origin::Flag("--dir".to_owned());
    config.push(&["workload", "mount"], mount, origin());
    let path = path.to_str().ok_or_else(|| usage("the path is not UTF-8"))?;
    config.set(&["host", "paths", guest], path, origin());
    Ok(())
}
