//! Copies of the fixture workspace and its build, for the tests of the whole way from source to image.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use tempfile::TempDir;
use twine_abi::layout::{ImageLayout, LAYOUT_MAGIC};
use twine_image::build::{BuildError, Built, Options, TARGET, Toolchain, build_enclave};
use twine_image::sigstruct::{Date, Identity};

/// A file of the package `sgxs`, which is a development dependency: test data that others made.
pub fn sgxs_file(path: &str) -> Vec<u8> {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let metadata = Command::new(env!("CARGO"))
            .args([
                "metadata",
                "--offline",
                "--format-version=1",
                "--filter-platform",
                TARGET,
                "--manifest-path",
            ])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .output()
            .unwrap();
        let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
        let packages = metadata["packages"].as_array().unwrap();
        let sgxs = packages.iter().find(|p| p["name"] == "sgxs").unwrap();
        Path::new(sgxs["manifest_path"].as_str().unwrap()).parent().unwrap().into()
    });
    fs::read(FOLDER.join(path)).unwrap()
}

/// The key of the tests of crate `sgxs` (PKCS#1 PEM); generating one takes seconds.
pub fn key_pem() -> String {
    String::from_utf8(sgxs_file("tests/data/sig1.key.pem")).unwrap()
}

/// A copy of the fixture in a folder of its own.
pub struct Copy {
    _temp: TempDir,
    pub root: PathBuf,
}

impl Copy {
    /// Copies the fixture below a temporary folder, `depth` names deep.
    pub fn new(depth: &str) -> Self {
        let temp = TempDir::new().unwrap();
        let root = temp.path().join(depth);
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture"), &root);
        std::os::unix::fs::symlink("../crates", root.join("enclave/crates")).unwrap();
        let words = size_of::<ImageLayout>() / 8;
        let layout = format!(
            "/// Words of the layout.\npub const LAYOUT_WORDS: usize = {words};\n\
             /// Before the image builder.\npub const UNFILLED: [u64; {words}] = \
             {{ let mut w = [0; {words}]; w[0] = {LAYOUT_MAGIC}; w[1] = {}; w }};\n",
            twine_abi::ABI_VERSION
        );
        fs::write(root.join("crates/words/src/layout.rs"), layout).unwrap();
        fs::write(root.join("key.pem"), key_pem()).unwrap();
        Self { _temp: temp, root }
    }

    pub fn options(&self, features: &[&str]) -> Options {
        Options {
            enclave_dir: self.root.join("enclave"),
            package: "toy-image".into(),
            features: features.iter().map(|f| (*f).into()).collect(),
            profile: "release".into(),
            target_dir: self.root.join("target"),
            out_dir: self.root.join("out"),
            key: self.root.join("key.pem"),
            identity: Identity { isvprodid: 7, isvsvn: 3, isvfamilyid: [1; 16], isvextprodid: [2; 16] },
            date: Date::new(2026, 2, 28).unwrap(),
        }
    }

    pub fn build(&self, features: &[&str]) -> Result<Built, BuildError> {
        build_enclave(&self.options(features), &Toolchain::find().unwrap())
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
