//! `twine key`: the kinds of keys that people hold.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use twine::exit::Code;
use twine::image_format::key::{PublicKey, SigningKey};
use twine::workload::Sha256;
use twine::workload::manifest::{Config, OwnerKey};

use super::failure::Failure;
use super::output::{Output, Status, note};
use super::volume::keys::{VolumeKey, warn_if_readable};

pub const SCHEMA: &str = "twine.key/1";

/// Verbs of `twine key`.
#[derive(Subcommand)]
pub enum Options {
    /// Make a key in a new file that only its owner may read
    Create {
        /// What it is for
        #[arg(long, value_enum, default_value_t = Kind::Image)]
        kind: Kind,
        /// The new file (PEM)
        file: PathBuf,
    },
    /// Print what others need to know of a key
    Show {
        /// A private key, or the public key that image signatures are checked with (PEM)
        file: PathBuf,
    },
    /// Sign a manifest whose identity is its owner's
    Sign {
        /// The owner's key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Where the signature goes, for host.signature
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The manifest
        manifest: PathBuf,
    },
}

/// What a key is for.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Signing enclave images: RSA-3072, its hash is MRSIGNER
    Image,
    /// Signing manifests: Ed25519, for workload.identity.owner
    Owner,
    /// Encrypting volumes: 32 random bytes
    Volume,
}

#[derive(Serialize)]
struct Shown {
    kind: Kind,
    private: bool,
    /// MRSIGNER, a public key, or what tells a volume key from others.
    id: String,
    /// SubjectPublicKeyInfo of an image key.
    public_pem: Option<String>,
}

#[derive(Serialize)]
struct Signed {
    signature: PathBuf,
    configid: String,
    configsvn: u16,
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { kind, file } => {
                match kind {
                    Kind::Image => SigningKey::generate()?.save_new(&file)?,
                    Kind::Owner => save_new(&file, &OwnerKey::generate()?.1, 0o600)?,
                    Kind::Volume => save_new(&file, &VolumeKey::generate()?.to_pem(), 0o600)?,
                }
                output.result(SCHEMA, Status::Success, &show(&file)?);
            }
            Self::Show { file } => output.result(SCHEMA, Status::Success, &show(&file)?),
            Self::Sign { key, out, manifest } => {
                output.result(SCHEMA, Status::Success, &sign(&key, &out, &manifest)?);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(file: &Path) -> Result<Shown, Failure> {
    let pem = fs::read_to_string(file).map_err(Failure::reading(file))?;
    if let Ok(owner) = OwnerKey::from_pem(&pem) {
        let id = Sha256(owner.public_key()).to_string();
        return Ok(Shown { kind: Kind::Owner, private: true, id, public_pem: None });
    }
    if let Some(key) = VolumeKey::from_pem(&pem) {
        warn_if_readable(file);
        let id = hex::encode(key.id());
        return Ok(Shown { kind: Kind::Volume, private: true, id, public_pem: None });
    }
    let image = |public: &PublicKey, private| -> Result<Shown, Failure> {
        let id = hex::encode(public.mrsigner());
        Ok(Shown { kind: Kind::Image, private, id, public_pem: Some(public.to_pem()?) })
    };
    if let Ok(public) = PublicKey::from_pem(&pem) {
        return image(&public, false);
    }
    let (key, readable) = SigningKey::load(file).map_err(|error| {
        let text = format!("{}: {error}; make a key with `twine key create`", file.display());
        Failure::new(Code::BadInput, "key", text)
    })?;
    if readable {
        note(format_args!("{}: others than its owner may read this key; chmod 600 it", file.display()));
    }
    image(key.public(), true)
}

fn sign(key: &Path, out: &Path, manifest: &Path) -> Result<Signed, Failure> {
    let owner = OwnerKey::from_pem(&fs::read_to_string(key).map_err(Failure::reading(key))?)?;
    let config = Config::read(manifest)?;
    let mut manifest = config.manifest()?;
    // The signature that the manifest names is the one that is about to be made.
    manifest.host.signature = None;
    let mut resolved = twine::resolve(&manifest, config.base())?;
    let signature = owner.sign(&resolved.workload)?;
    resolved.signature = Some(signature.to_vec());
    let candidate = resolved.candidate().map_err(twine::Error::from)?;
    fs::write(out, signature).map_err(Failure::writing(out))?;
    Ok(Signed {
        signature: out.to_owned(),
        configid: candidate.config_id().to_string(),
        configsvn: candidate.config_svn(),
    })
}

fn save_new(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let failed = || Failure::writing(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed())?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed())
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let half = if self.private { "private" } else { "public" };
        match self.kind {
            Kind::Image => writeln!(f, "image key, {half}\nMRSIGNER    {}", self.id)?,
            Kind::Owner => writeln!(f, "owner key, {half}\nowner       {}", self.id)?,
            Kind::Volume => writeln!(f, "volume key, secret\nkey         {}", self.id)?,
        }
        self.public_pem.iter().try_for_each(|pem| f.write_str(pem))
    }
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "signed, {}", self.signature.display())?;
        writeln!(f, "CONFIGID    {}\nCONFIGSVN   {}", self.configid, self.configsvn)
    }
}
