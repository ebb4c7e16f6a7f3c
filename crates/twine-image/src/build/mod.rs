//! Builds the enclave image from the enclave's workspace, for a build script.
//!
//! Nested cargo makes a static library with the same toolchain, `rust-lld` links it without any other library, and the
//! rest of this crate makes the image. What the result depends on stands in [`Record`], beside the image.

mod cargo;
mod link;
mod toolchain;

pub use toolchain::Toolchain;

use crate::key::{KeyError, SigningKey};
use crate::layout::{Image, LayoutError};
use crate::paths::{self, Leak};
use crate::sgxs;
use crate::sigstruct::{Date, Identity, SigstructError, Unsigned, Variant};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Triple of host and enclave; the toolchain's folder of linkers has its name.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What to build and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The enclave's workspace: `Cargo.toml` and `Cargo.lock`.
    pub enclave_dir: PathBuf,
    /// The package in it that is the static library.
    pub package: String,
    /// Its cargo features.
    pub features: Vec<String>,
    /// Its cargo profile; must have `panic = "abort"`.
    pub profile: String,
    /// Target folder of the nested cargo.
    pub target_dir: PathBuf,
    /// Where the results go; created if missing.
    pub out_dir: PathBuf,
    /// Development signing key; created if missing.
    pub key: PathBuf,
    /// Product and version numbers for both SIGSTRUCTs.
    pub identity: Identity,
    /// Day of signing, for both SIGSTRUCTs.
    pub date: Date,
}

/// The results, all in [`Options::out_dir`].
#[derive(Clone, Debug)]
pub struct Built {
    /// `twine.sgxs`: the image.
    pub image: PathBuf,
    /// `twine.sig`: SIGSTRUCT without DEBUG.
    pub production: PathBuf,
    /// `twine.debug.sig`: SIGSTRUCT with DEBUG.
    pub debug: PathBuf,
    /// `twine.elf`: the linked enclave with its symbols, for debuggers; as it was before the image builder filled in
    /// the layout.
    pub elf: PathBuf,
    /// `twine.build.json`: a [`Record`].
    pub record: PathBuf,
    /// MRENCLAVE of the image.
    pub mrenclave: [u8; 32],
    /// MRSIGNER of both SIGSTRUCTs.
    pub mrsigner: [u8; 32],
    /// False if everything was there already.
    pub fresh: bool,
    /// Files that the image depends on, for `cargo:rerun-if-changed`.
    pub inputs: Vec<PathBuf>,
    /// What the user should know, for `cargo:warning`.
    pub warnings: Vec<String>,
}

impl Built {
    /// Prints the build script's instructions to cargo.
    pub fn print_cargo_instructions(&self) {
        for input in &self.inputs {
            println!("cargo:rerun-if-changed={}", input.display());
        }
        for variable in cargo::WATCHED {
            println!("cargo:rerun-if-env-changed={variable}");
        }
        for warning in &self.warnings {
            println!("cargo:warning={warning}");
        }
    }
}

/// What MRENCLAVE follows from besides the sources: whoever wants the same value needs the same entries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Version of this file.
    pub schema: String,
    /// MRENCLAVE.
    #[serde(with = "hex")]
    pub mrenclave: [u8; 32],
    /// MRSIGNER of the SIGSTRUCTs beside it.
    #[serde(with = "hex")]
    pub mrsigner: [u8; 32],
    /// `rustc --version --verbose`.
    pub rustc: String,
    /// First line of the linker's `--version`.
    pub linker: String,
    /// First line of the C compiler's `--version`, if there is one.
    pub cc: Option<String>,
    /// Package, profile and features.
    pub package: String,
    /// See [`Self::package`].
    pub profile: String,
    /// See [`Self::package`].
    pub features: Vec<String>,
    /// Instructions in the image.
    pub instructions: u64,
    /// `cpuid` instructions that were rewritten.
    pub cpuid_sites: u64,
    /// Encodings hidden inside other instructions (see [`crate::scan::Report::hidden`]).
    pub hidden: std::collections::BTreeMap<String, u64>,
    /// Hash of everything that went in; with the same value nothing is done again.
    pub stamp: String,
}

/// Why there is no image.
#[derive(Debug, Error)]
pub enum BuildError {
    /// A program could not be started or a file not be read or written.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program ran and failed; it has said why.
    #[error("{0}")]
    Tool(String),
    /// The linked enclave cannot become an image.
    #[error("the linked enclave {elf}: {source}")]
    Layout {
        /// The file, kept for a look at it.
        elf: PathBuf,
        /// What is wrong.
        source: LayoutError,
    },
    /// The image names folders of this machine.
    #[error("the image holds paths of this machine, so its MRENCLAVE cannot be reproduced:{}", list(.0))]
    Paths(Vec<Leak>),
    /// The signing key.
    #[error("development key: {0}")]
    Key(#[from] KeyError),
    /// Signing.
    #[error(transparent)]
    Sign(#[from] SigstructError),
}

fn list(leaks: &[Leak]) -> String {
    leaks.iter().map(|leak| format!("\n  {:#x} {}", leak.offset, leak.text)).collect()
}

pub(crate) fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> BuildError {
    let what = what.into();
    move |source| BuildError::Io { what, source }
}

/// Builds, links, checks, measures and signs the enclave.
pub fn build_enclave(options: &Options, toolchain: &Toolchain) -> Result<Built, BuildError> {
    let options = &resolve(options)?;
    let compiled = cargo::build(options, toolchain)?;
    let out = |name: &str| options.out_dir.join(name);
    fs::create_dir_all(&options.out_dir)
        .map_err(io_error(format!("creating {}", options.out_dir.display())))?;
    let key = development_key(&options.key)?;
    let mut built = Built {
        image: out("twine.sgxs"),
        production: out("twine.sig"),
        debug: out("twine.debug.sig"),
        elf: out("twine.elf"),
        record: out("twine.build.json"),
        mrenclave: [0; 32],
        mrsigner: key.public().mrsigner(),
        fresh: true,
        inputs: compiled.inputs,
        warnings: Vec::new(),
    };
    let (linker, warning) = link::Linker::find(toolchain)?;
    built.warnings.extend(warning);

    let archive = read(&compiled.archive)?;
    let stamp = stamp(options, &archive, &linker, built.mrsigner)?;
    let files = [&built.image, &built.production, &built.debug, &built.elf];
    if let Some(record) = unchanged(&built.record, &stamp).filter(|_| files.iter().all(|f| f.exists())) {
        built.mrenclave = record.mrenclave;
        built.fresh = false;
        return Ok(built);
    }

    let linked = temporary(&built.elf);
    linker.link(&compiled.archive, &linked)?;
    let elf = read(&linked)?;
    let image = match Image::from_elf(&elf) {
        Ok(image) => image,
        Err(source) => {
            let refused = out("twine.refused.elf");
            fs::rename(&linked, &refused).map_err(io_error("keeping the refused file"))?;
            return Err(BuildError::Layout { elf: refused, source });
        }
    };
    fs::remove_file(&linked).map_err(io_error("removing the linker's output"))?;
    let leaks = paths::find_paths(&image.pages, &cargo::folders(options, toolchain));
    if !leaks.is_empty() {
        return Err(BuildError::Paths(leaks));
    }
    let mut stream = Vec::new();
    built.mrenclave = sgxs::write(&image.pages, &mut stream).map_err(io_error("writing the image"))?;
    write(&built.image, &stream)?;
    write(&built.elf, &elf)?;
    for (variant, path) in [(Variant::Production, &built.production), (Variant::Debug, &built.debug)] {
        let unsigned = Unsigned::new(built.mrenclave, &options.identity, variant, options.date);
        write(path, &unsigned.sign(&key)?.to_bytes())?;
    }
    let record = Record {
        schema: "twine.build/1".into(),
        mrenclave: built.mrenclave,
        mrsigner: built.mrsigner,
        rustc: toolchain.rustc_version.clone(),
        linker: linker.version.clone(),
        cc: toolchain.cc_version(),
        package: options.package.clone(),
        profile: options.profile.clone(),
        features: options.features.clone(),
        instructions: image.scan.instructions,
        cpuid_sites: image.layout.cpuid_count,
        hidden: image.scan.hidden.iter().map(|(name, count)| ((*name).into(), *count)).collect(),
        stamp,
    };
    // Last, since its stamp vouches for the others.
    let json = serde_json::to_string_pretty(&record).map_err(|e| BuildError::Tool(e.to_string()))?;
    write(&built.record, json.as_bytes())?;
    Ok(built)
}

/// Folders as cargo and rustc will spell them, so that they are found in what these write.
fn resolve(options: &Options) -> Result<Options, BuildError> {
    let resolve =
        |path: &Path| fs::canonicalize(path).map_err(io_error(format!("finding {}", path.display())));
    for folder in [&options.target_dir, &options.out_dir] {
        fs::create_dir_all(folder).map_err(io_error(format!("creating {}", folder.display())))?;
    }
    Ok(Options {
        enclave_dir: resolve(&options.enclave_dir)?,
        target_dir: resolve(&options.target_dir)?,
        out_dir: resolve(&options.out_dir)?,
        ..options.clone()
    })
}

fn development_key(path: &Path) -> Result<SigningKey, KeyError> {
    if !path.exists() {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|source| KeyError::Io { path: path.into(), source })?;
        }
        match SigningKey::generate()?.save_new(path) {
            // Another build made one in the meantime.
            Ok(()) | Err(KeyError::Exists(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(SigningKey::load(path)?.0)
}

fn stamp(
    options: &Options,
    archive: &[u8],
    linker: &link::Linker,
    mrsigner: [u8; 32],
) -> Result<String, BuildError> {
    // The image builder is itself an input, and while it is being developed its version does not change.
    // Not `current_exe`: a long build may outlive its name.
    let own = Path::new("/proc/self/exe");
    let mut hasher = Sha256::new();
    for part in [archive, &read(own)?, &mrsigner[..]] {
        hasher.update(Sha256::digest(part));
    }
    hasher.update(format!("{:?}{:?}{:?}", linker, options.identity, options.date));
    Ok(hex::encode(hasher.finalize()))
}

fn unchanged(record: &Path, stamp: &str) -> Option<Record> {
    let record: Record = serde_json::from_slice(&fs::read(record).ok()?).ok()?;
    (record.stamp == stamp).then_some(record)
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    fs::read(path).map_err(io_error(format!("reading {}", path.display())))
}

/// Replaces a file at once, since another build or a running program may read it; leaves an equal one alone, since
/// others are rebuilt when it changes.
fn write(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let temporary = temporary(path);
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(io_error(format!("writing {}", path.display())))
}

/// A name beside `path` that no other process uses.
fn temporary(path: &Path) -> PathBuf {
    path.with_added_extension(std::process::id().to_string())
}
