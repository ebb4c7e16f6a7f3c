//! What to run: a module and the workload that it runs as.

use std::env::VarError;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use twine_host::run::Module;
use twine_host::run::folders::Place;
use twine_workload::manifest::{Config, FileError, FileErrorKind, Manifest, Resolved};
use twine_workload::{Candidate, EnvValue, MountSource, Workload, sha256};

use crate::error::{Error, Result};

/// A program with its identity: everything that the enclave will obey, and the bytes that it will ask for.
#[derive(Clone, Debug)]
pub struct Program {
    candidate: Candidate,
    presented: Vec<u8>,
    module: Option<Module>,
    environment: Vec<u8>,
    volumes: Vec<(String, PathBuf)>,
    anchors: Vec<(String, String)>,
    folders: Vec<Place>,
    timeout: Option<Duration>,
}

impl Program {
    /// A module from a file with arguments after its file name, and defaults for everything else.
    ///
    /// # Errors
    /// See [`Program::from_config`].
    pub fn from_file(module: impl AsRef<Path>, args: &[String]) -> Result<Self> {
        Self::from_config(&Config::implicit("", module.as_ref(), args)?)
    }

    /// A program from a configuration: a manifest, or what flags said, or both.
    ///
    /// # Errors
    /// A value against the manifest's rules, a file that is missing or not the one measured, a missing signature.
    pub fn from_config(config: &Config) -> Result<Self> {
        let manifest = config.manifest()?;
        let mut resolved = resolve(&manifest, config.base())?;
        let module = resolved.module.take().map(|bytes| module(&manifest, config.base(), bytes));
        let environment = environment(&resolved.workload)?;
        let presented = resolved.presented()?;
        let candidate = Candidate::parse(&presented)?;
        let (volumes, anchors, folders) = (volumes(&resolved), anchors(&resolved), folders(&resolved));
        let Resolved { timeout, .. } = resolved;
        Ok(Self { candidate, presented, module, environment, volumes, anchors, folders, timeout })
    }

    /// The workload.
    pub fn workload(&self) -> &Workload {
        self.candidate.workload()
    }

    /// The workload's identity: digest, CONFIGID, CONFIGSVN.
    pub fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    /// The module's bytes, if the configuration named its file: what is measured needs only the digest.
    pub fn module(&self) -> Option<&Module> {
        self.module.as_ref()
    }

    /// When the host stops it.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Canonical workload, and the owner's signature if there is one.
    pub fn presented(&self) -> &[u8] {
        &self.presented
    }

    /// `NAME=value` and a zero byte for each variable that the host may choose and has.
    pub(crate) fn environment(&self) -> &[u8] {
        &self.environment
    }

    /// Name of each volume that the workload mounts, and the file that the host keeps it in.
    pub fn volumes(&self) -> &[(String, PathBuf)] {
        &self.volumes
    }

    /// Name of each volume whose freshness a service keeps, and the service's address.
    pub fn anchors(&self) -> &[(String, String)] {
        &self.anchors
    }

    /// The folders behind measured and insecure mounts.
    pub(crate) fn folders(&self) -> &[Place] {
        &self.folders
    }
}

/// Reads what a manifest names, below `base`, and makes the workload. A module in text form becomes the binary that is
/// measured and run.
///
/// # Errors
/// [`Error::Manifest`] and [`Error::Module`].
pub fn resolve(manifest: &Manifest, base: &Path) -> Result<Resolved> {
    // The directory of a manifest that was named without one is the current one.
    let base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
    let mut resolved = manifest.resolve(base)?;
    if let Some(path) = manifest.host.module.as_deref().filter(|path| is_text(path))
        && let Some(text) = &resolved.module
    {
        let why = |error: wat::Error| Error::Module { path: path.to_owned(), why: error.to_string() };
        let module = wat::parse_bytes(text).map_err(why)?.into_owned();
        resolved.workload.module = sha256(&module);
        resolved.module = Some(module);
    }
    Ok(resolved)
}

/// Bytes that were measured: again from their file, if it is one that can be read twice and is what runs.
fn module(manifest: &Manifest, base: &Path, bytes: Vec<u8>) -> Module {
    let path = manifest.host.module.as_deref().filter(|path| !is_text(path));
    let file = path.and_then(|path| File::open(base.join(path)).ok());
    match file.filter(|file| file.metadata().is_ok_and(|data| data.is_file())) {
        Some(file) => Module::File(Arc::new(file)),
        None => Module::Bytes(bytes.into()),
    }
}

fn is_text(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "wat")
}

/// Name and file of each volume.
fn volumes(resolved: &Resolved) -> Vec<(String, PathBuf)> {
    let mounts = resolved.workload.mounts.iter();
    mounts
        .filter_map(|mount| match &mount.source {
            MountSource::Volume { name, .. } => {
                Some((name.clone(), resolved.paths.get(&mount.guest)?.clone()))
            }
            _ => None,
        })
        .collect()
}

/// Name and service of each volume that has one.
fn anchors(resolved: &Resolved) -> Vec<(String, String)> {
    let mounts = resolved.workload.mounts.iter();
    mounts
        .filter_map(|mount| match &mount.source {
            MountSource::Volume { name, .. } => {
                Some((name.clone(), resolved.anchors.get(&mount.guest)?.clone()))
            }
            _ => None,
        })
        .collect()
}

/// The folders that mounts need.
fn folders(resolved: &Resolved) -> Vec<Place> {
    let mounts = resolved.workload.mounts.iter();
    mounts
        .filter_map(|mount| {
            let writable = match mount.source {
                MountSource::Measured { .. } => false,
                MountSource::InsecureHost => !mount.read_only,
                _ => return None,
            };
            let path = resolved.paths.get(&mount.guest)?.clone();
            Some(Place { guest: mount.guest.clone(), path, writable })
        })
        .collect()
}

fn environment(workload: &Workload) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for variable in workload.env.iter().filter(|variable| variable.value == EnvValue::Passthrough) {
        let name = &variable.name;
        match std::env::var(name) {
            Ok(value) => bytes.extend(format!("{name}={value}\0").into_bytes()),
            Err(VarError::NotPresent) => {}
            Err(VarError::NotUnicode(_)) => {
                return Err(Error::Manifest(FileError {
                    kind: FileErrorKind::Value,
                    place: String::new(),
                    field: format!("workload.env.{name}"),
                    message: "the host's value is not UTF-8, as WASI wants it".to_owned(),
                    remedy: "set it to text, or do not pass it on".to_owned(),
                }));
            }
        }
    }
    Ok(bytes)
}
