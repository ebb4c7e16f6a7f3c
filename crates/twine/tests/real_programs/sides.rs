//! The two sides: Wasmtime's command line outside, `twine run` inside, and a volume to give the inside files.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::catalogue::{CPYTHON_3_11, WASMTIME};
use crate::process::{Failure, failed, finish};
use crate::program::{Ended, Step};

/// Wasmtime's command line, by others than us: the oracle.
pub struct Outside {
    wasmtime: PathBuf,
    home: PathBuf,
}

impl Outside {
    pub fn new(cache: &Path) -> Result<Self, Failure> {
        let wasmtime = WASMTIME.folder(cache)?.join("wasmtime_cli/wasmtime");
        // Wheels keep no permissions.
        fs::set_permissions(&wasmtime, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(Self { wasmtime, home: cache.join("home") })
    }

    /// Runs a module, with `tree` as its root directory.
    pub fn run(
        &self,
        module: &Path,
        step: &Step,
        stdin: Stdio,
        tree: Option<&Path>,
    ) -> Result<Ended, Failure> {
        let mut command = Command::new(&self.wasmtime);
        command.env("XDG_CACHE_HOME", &self.home).env_remove("RUST_BACKTRACE").args(["run", "-C", "cache=y"]);
        if let Some(tree) = tree {
            command.arg("--dir").arg(format!("{}::/", tree.display()));
        }
        if step.unknown_imports_trap {
            command.args(["-W", "unknown-imports-trap=y"]);
        }
        if let Some(argv0) = step.argv0 {
            command.args(["--argv0", argv0]);
        }
        Ended::of(command.arg(module).args(&step.args).stdin(stdin))
    }
}

/// `twine` with state and cache of its own.
#[derive(Clone)]
pub struct Inside {
    home: PathBuf,
}

impl Inside {
    pub fn new(cache: &Path) -> Result<Self, Failure> {
        Ok(Self { home: cache.join("home") })
    }

    fn twine(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twine"));
        command
            .args(args)
            .env_remove("TWINE_TEE")
            .env("XDG_STATE_HOME", self.home.join("state"))
            .env("XDG_CACHE_HOME", self.home.join("cache"));
        command
    }

    /// Runs a module without files.
    pub fn run(&self, module: &Path, step: &Step, stdin: Stdio) -> Result<Ended, Failure> {
        let mut command = self.twine(&["run", "--tee", "sim"]);
        if step.unknown_imports_trap {
            command.arg("--unknown-imports-trap");
        }
        let Some(argv0) = step.argv0 else {
            return end(command.arg(module).args(&step.args).stdin(stdin));
        };
        // A first argument of its own takes a manifest.
        let args: Vec<_> = std::iter::once(argv0).chain(step.args.iter().map(String::as_str)).collect();
        fs::create_dir_all(&self.home)?;
        let mut manifest = tempfile::NamedTempFile::new_in(&self.home)?;
        write!(
            manifest,
            "version = 1\n[workload]\nargs = {}\n[host]\nmodule = {}\n",
            serde_json::json!(args),
            serde_json::json!(module)
        )?;
        end(command.arg("--manifest").arg(manifest.path()).stdin(stdin))
    }
}

/// How `twine run` ended, without what it says itself when it starts.
fn end(command: &mut Command) -> Result<Ended, Failure> {
    const BANNER: &[u8] = b"twine: simulated processor: no confidentiality\n";
    let mut ended = Ended::of(command)?;
    match ended.stderr.strip_prefix(BANNER) {
        Some(rest) => ended.stderr = rest.to_vec(),
        None => return failed(format!("twine run: {}", String::from_utf8_lossy(&ended.stderr))),
    }
    Ok(ended)
}

/// A volume that belongs to an owner's workload. Each run on it is a new version of that workload, so that different
/// programs see the same files.
pub struct Volume {
    inside: Inside,
    folder: PathBuf,
    owner: String,
    version: u16,
}

/// Lays out a tar stream from standard input.
const IMPORT: &str = "\
import os, shutil, sys, tarfile
with tarfile.open(fileobj=sys.stdin.buffer, mode='r|') as tar:
    for member in tar:
        path = '/volume/' + member.name
        if member.isdir():
            os.makedirs(path, exist_ok=True)
        elif member.issym():
            os.symlink(member.linkname, path)
        else:
            with open(path, 'wb') as file:
                shutil.copyfileobj(tar.extractfile(member), file)
";

/// Writes everything to standard output as a tar stream.
const EXPORT: &str = "\
import sys, tarfile
with tarfile.open(fileobj=sys.stdout.buffer, mode='w|') as tar:
    tar.add('/volume', arcname='.')
";

impl Volume {
    /// A new one, kept in `folder`.
    pub fn new(inside: Inside, folder: &Path) -> Result<Self, Failure> {
        let key = folder.join("owner.pem");
        finish(inside.twine(&["key", "create", "--kind", "owner"]).arg(&key))?;
        let shown: serde_json::Value =
            serde_json::from_slice(&finish(inside.twine(&["key", "show", "--json"]).arg(&key))?)?;
        let owner = shown["data"]["id"].as_str().ok_or("the key has no id")?.to_owned();
        Ok(Self { inside, folder: folder.to_owned(), owner, version: 0 })
    }

    /// Copies a folder of the host into it, by a program inside.
    pub fn import(&mut self, tree: &Path, cache: &Path) -> Result<(), Failure> {
        let tar = self.folder.join("import.tar");
        finish(Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(tree).arg("."))?;
        self.python(IMPORT, File::open(&tar)?.into(), cache).map(drop)
    }

    /// Copies it out into a new folder of the host.
    pub fn export(&mut self, to: &Path, cache: &Path) -> Result<(), Failure> {
        let tar = self.folder.join("export.tar");
        fs::write(&tar, self.python(EXPORT, Stdio::null(), cache)?)?;
        fs::create_dir(to)?;
        finish(Command::new("tar").arg("-xf").arg(&tar).arg("-C").arg(to)).map(drop)
    }

    fn python(&mut self, script: &str, stdin: Stdio, cache: &Path) -> Result<Vec<u8>, Failure> {
        // Not at the root: this module brings a `/usr` of its own, which hides the volume's.
        let module = CPYTHON_3_11.file(cache, None)?;
        let ended = self.start(&module, "/volume", &["python", "-c", script], stdin)?;
        match ended.status {
            Some(0) => Ok(ended.stdout),
            status => failed(format!(
                "python in the volume: {status:?}: {}",
                String::from_utf8_lossy(&ended.stderr)
            )),
        }
    }

    /// Runs a module with the volume as its root directory.
    pub fn run(&mut self, module: &Path, step: &Step, stdin: Stdio) -> Result<Ended, Failure> {
        let name = module.file_name().unwrap_or_default().to_str().ok_or("the module's name is not UTF-8")?;
        let args: Vec<_> =
            std::iter::once(step.argv0.unwrap_or(name)).chain(step.args.iter().map(String::as_str)).collect();
        self.start(module, "/", &args, stdin)
    }

    /// Runs a module with the volume at `guest`.
    fn start(&mut self, module: &Path, guest: &str, args: &[&str], stdin: Stdio) -> Result<Ended, Failure> {
        self.version += 1;
        let manifest = self.folder.join("twine.toml");
        // Strings and lists of strings are written alike in JSON and TOML.
        let (args, module) = (serde_json::json!(args), serde_json::json!(module));
        let Self { owner, version, .. } = self;
        fs::write(
            &manifest,
            format!(
                "version = 1\n\
                 [workload]\nargs = {args}\n\
                 [workload.identity]\nowner = \"{owner}\"\nname = \"real-program\"\nversion = {version}\n\
                 [[workload.mount]]\nguest = \"{guest}\"\nkind = \"volume\"\nname = \"root\"\n\
                 [host]\nmodule = {module}\nsignature = \"twine.sig\"\ntimeout = \"30m\"\n\
                 [host.paths]\n\"{guest}\" = \"root.volume\"\n"
            ),
        )?;
        let signature = self.folder.join("twine.sig");
        if signature.exists() {
            fs::remove_file(&signature)?;
        }
        let key = self.folder.join("owner.pem");
        finish(
            self.inside.twine(&["key", "sign", "--key"]).arg(key).arg("--out").arg(signature).arg(&manifest),
        )?;
        end(self.inside.twine(&["run", "--tee", "sim", "--manifest"]).arg(manifest).stdin(stdin))
    }
}
