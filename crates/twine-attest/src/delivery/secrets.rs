//! secrets.toml: what the owner delivers, as the owner keeps it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::Deserialize;
use twine_workload::{
    Deliverer,
    manifest::{FileError, FileErrorKind, tomlfile},
};

use super::{Bundle, File, Variable, VolumeKey};

/// secrets.toml, version 1. Paths are relative to the file's directory.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// Version of this file's format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// Files that hold the values of delivered environment variables, by name: the bytes as they are, UTF-8.
    #[serde(default)]
    pub env: BTreeMap<String, PathBuf>,
    /// Files to deliver, by the path that the guest sees.
    #[serde(default)]
    pub files: BTreeMap<String, PathBuf>,
    /// Files that hold the keys of volumes, by the volume's name: as `twine key create` writes them, or 64 hex digits.
    #[serde(default)]
    pub keys: BTreeMap<String, PathBuf>,
}

impl Secrets {
    /// Those of a workload that asks for none.
    pub fn none() -> Self {
        Self { version: 1, env: BTreeMap::new(), files: BTreeMap::new(), keys: BTreeMap::new() }
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let file = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|e| unreadable("", path, &e))?;
        Self::from_toml(&text, &file)
    }

    /// Takes the text of a file that errors call `file`.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, FileError> {
        let (secrets, _) = tomlfile::read::<Self>(text, file)?;
        if secrets.version != 1 {
            let message = format!("found {}; this program knows version 1", secrets.version);
            return Err(FileError::value("version", message, "write version = 1").at(file));
        }
        Ok(secrets)
    }

    /// Reads the files below `base` and makes the bundle's secrets: exactly those that are asked of `deliverer`.
    pub fn bundle(&self, deliverer: &Deliverer, base: &Path) -> Result<Bundle, FileError> {
        let mut bundle = Bundle::default();
        for (name, path) in &self.env {
            let field = format!("env.{name}");
            let value = String::from_utf8(read(&field, &base.join(path))?)
                .map_err(|_| FileError::value(field, "the value is not UTF-8", "deliver it as a file"))?;
            bundle.env.push(Variable { name: name.clone(), value });
        }
        for (path, source) in &self.files {
            let contents = read(&format!("files.{path:?}"), &base.join(source))?;
            bundle.files.push(File { path: path.clone(), contents });
        }
        for (name, path) in &self.keys {
            let field = format!("keys.{name}");
            let text = read(&field, &base.join(path))?;
            let key = key(text.trim_ascii()).ok_or_else(|| {
                let message = format!("{}: it holds no key", path.display());
                FileError::value(field, message, "make one with `twine key create --kind volume`")
            })?;
            bundle.keys.push(VolumeKey { name: name.clone(), key });
        }
        bundle.check(deliverer).map_err(|e| {
            FileError::value(
                "",
                e.why,
                "list what the manifest says comes from this deliverer, and nothing else",
            )
        })?;
        Ok(bundle)
    }
}

/// The JSON Schema of [`Secrets`], pretty-printed with a newline at the end.
pub fn secrets_schema() -> String {
    serde_json::to_string_pretty(&schemars::schema_for!(Secrets)).unwrap_or_default() + "\n"
}

/// A key in PEM (`TWINE VOLUME KEY`), or in hex.
fn key(digits: &[u8]) -> Option<[u8; 32]> {
    if let Ok(pem) = pem::parse(digits) {
        return pem.contents().try_into().ok().filter(|_| pem.tag() == "TWINE VOLUME KEY");
    }
    let digits: Vec<u8> = digits
        .iter()
        .map(|digit| char::from(*digit).to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let key: Vec<u8> =
        digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    key.try_into().ok().filter(|_| digits.len() == 64)
}

fn read(field: &str, path: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(path).map_err(|e| unreadable(field, path, &e))
}

fn unreadable(field: &str, path: &Path, error: &std::io::Error) -> FileError {
    FileError {
        kind: FileErrorKind::Missing,
        place: path.display().to_string(),
        field: field.to_owned(),
        message: error.to_string(),
        remedy: "name a file that exists and can be read".to_owned(),
    }
}
