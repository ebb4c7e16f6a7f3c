//! What workloads build and run with: folders, Twine, the peer, compilers.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::results::Size;
use crate::row::Invocation;

/// Debian's clang, for native code and for WebAssembly.
const CLANG: &str = "clang-22";

/// Flags of both; workloads add their own.
const OPTIMISE: &str = "-O3";

/// Tools and folders.
pub struct Kit {
    /// The repository.
    root: PathBuf,
    /// Below it everything is built, fetched and kept.
    folder: PathBuf,
    /// Whether this is a trial: small sizes.
    quick: bool,
    /// How the ids begin that are wanted; all if there are none.
    only: Vec<String>,
    size: Size,
    twine: PathBuf,
    peer: PathBuf,
}

/// Where the peer is.
pub enum Peer<'a> {
    /// There, or to be built.
    Program(Option<&'a Path>),
    /// Nowhere: rows do without it.
    None,
}

impl Kit {
    /// Builds Twine and the peer, or takes those that are there already.
    pub fn new(
        twine: Option<&Path>,
        peer: Peer<'_>,
        quick: bool,
        size: Size,
        only: Vec<String>,
    ) -> Result<Self> {
        let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = bench.parent().context("the benchmark's folder has no parent")?.to_owned();
        let folder = bench.join("target/work");
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let program = |given: Option<&Path>, workspace: &Path, package: &str, release: bool| match given {
            Some(given) => given.canonicalize().with_context(|| given.display().to_string()),
            None => build(workspace, package, release),
        };
        let twine = program(twine, &root, "twine", true)?;
        let peer = match peer {
            Peer::Program(peer) => program(peer, bench, "twine-bench-peer", !quick)?,
            Peer::None => PathBuf::new(),
        };
        Ok(Self { root, folder, quick, only, size, twine, peer })
    }

    /// Where the sources of the benchmark's own programs are.
    pub fn sources(&self, name: &str) -> PathBuf {
        self.root.join("bench/programs").join(name)
    }

    /// A folder of a workload's own.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(folder)
    }

    /// Whether this is a trial of the benchmark: the smallest sizes that do anything.
    pub fn quick(&self) -> bool {
        self.quick
    }

    /// Of PolyBench's data sets.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Whether a row is wanted: one that takes long to prepare asks first.
    pub fn wants(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| id.starts_with(only.as_str()))
    }

    /// `twine run` of a module on the simulated processor, with options before it. Its state and its cache are the
    /// benchmark's own, so the second run of a module finds it compiled.
    pub fn twine(&self, options: &[&str], module: &Path, args: &[&str]) -> Invocation {
        self.twine_verb("run", options, module).args(args)
    }

    /// Another verb of `twine` on a module.
    pub fn twine_verb(&self, verb: &str, options: &[&str], module: &Path) -> Invocation {
        Invocation::new(&self.twine)
            .args([verb, "--tee", "sim"])
            .args(options)
            .arg(module)
            .env("XDG_STATE_HOME", self.folder.join("state"))
            .env("XDG_CACHE_HOME", self.folder.join("cache"))
    }

    /// The same Wasmtime outside on a module, which it keeps compiled as Twine does.
    pub fn peer(&self, options: &[&str], module: &Path, args: &[&str]) -> Invocation {
        let cache = self.folder.join("peer-cache");
        Invocation::new(&self.peer).arg("--cache").arg(cache).args(options).arg(module).args(args)
    }

    /// The same that compiles on each run.
    pub fn peer_without_cache(&self, options: &[&str], module: &Path, args: &[&str]) -> Invocation {
        Invocation::new(&self.peer).args(options).arg(module).args(args)
    }

    /// Builds C sources natively; the program is called `name` in the folder of `workload`.
    pub fn native(
        &self,
        workload: &str,
        name: &str,
        sources: &[PathBuf],
        flags: &[String],
    ) -> Result<PathBuf> {
        let out = self.folder(workload)?.join(name);
        compile(&[OPTIMISE.into()], sources, flags, &out, &["-lm".into()])?;
        Ok(out)
    }

    /// Builds the same sources for wasm32-wasip1.
    pub fn wasm(&self, workload: &str, name: &str, sources: &[PathBuf], flags: &[String]) -> Result<PathBuf> {
        let sysroot = self.folder.join("tools/sysroot");
        if !sysroot.join("include").exists() {
            bail!("{} is not there; run: sh bench/scripts/install-tools.sh", sysroot.display());
        }
        let out = self.folder(workload)?.join(format!("{name}.wasm"));
        let mut target: Vec<OsString> = vec!["--target=wasm32-wasip1".into(), OPTIMISE.into()];
        target.push(format!("--sysroot={}", sysroot.display()).into());
        // Vectors of 128 bits on both sides: SSE2 is part of x86-64.
        target.extend(["-rtlib=compiler-rt".into(), "-msimd128".into()]);
        compile(&target, sources, flags, &out, &["-lm".into()])?;
        Ok(out)
    }

    /// A file that `bench/scripts/fetch.sh NAME` brings out of a package.
    pub fn fetched(&self, name: &str, file: &str) -> Result<PathBuf> {
        let path = self.folder.join("fetched").join(name).join(file);
        if !path.exists() {
            let script = self.root.join("bench/scripts/fetch.sh");
            let status = Command::new("sh").arg(script).arg(name).stdout(Stdio::null()).status()?;
            if !status.success() || !path.exists() {
                bail!("sh bench/scripts/fetch.sh {name} did not bring {file}");
            }
        }
        Ok(path)
    }

    /// The image that Twine was built with, and the enclave's ELF file.
    pub fn image(&self) -> PathBuf {
        self.root.join("target/enclave/image/twine.sgxs")
    }

    /// The program `twine`.
    pub fn twine_program(&self) -> &Path {
        &self.twine
    }

    /// The peer's program.
    pub fn peer_program(&self) -> &Path {
        &self.peer
    }

    /// Versions of everything that has one.
    pub fn versions(&self) -> BTreeMap<String, String> {
        let commit = |args: &[&str]| said(Command::new("git").current_dir(&self.root).args(args));
        [
            ("twine", said(Command::new(&self.twine).arg("--version"))),
            ("commit", commit(&["describe", "--always", "--dirty"])),
            ("wasmtime", Some("48.0.8".to_owned())),
            ("clang", said(Command::new(CLANG).arg("--version"))),
            ("rustc", said(Command::new("rustc").arg("--version"))),
        ]
        .into_iter()
        .filter_map(|(name, version)| Some((name.to_owned(), version?)))
        .collect()
    }
}

/// The first line that a command prints.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned())
}

fn compile(
    target: &[OsString],
    sources: &[PathBuf],
    flags: &[String],
    out: &Path,
    libraries: &[OsString],
) -> Result<()> {
    let mut command = Command::new(CLANG);
    command.args(target).args(flags).args(sources).arg("-o").arg(out).args(libraries);
    let output = command
        .output()
        .with_context(|| format!("{CLANG} does not start; run: sh bench/scripts/install-tools.sh"))?;
    if !output.status.success() {
        bail!("{CLANG} refuses {}: {}", out.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Builds a program of a workspace with cargo and says where it is.
fn build(workspace: &Path, package: &str, release: bool) -> Result<PathBuf> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--locked", "--package", package, "--message-format", "json-render-diagnostics"]);
    if release {
        command.arg("--release");
    }
    let output = command.current_dir(workspace).stderr(Stdio::inherit()).output().context("cargo")?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let program = messages.lines().filter_map(|line| serde_json::from_str(line).ok()).find_map(
        |message: serde_json::Value| {
            let wanted = message["target"]["name"] == package;
            wanted.then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
        },
    );
    program.filter(|_| output.status.success()).with_context(|| format!("cargo did not build {package}"))
}
