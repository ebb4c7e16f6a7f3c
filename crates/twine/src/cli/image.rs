//! `twine image`: signs enclave images, with a key at hand or in two steps with one that is elsewhere.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use twine::Image;
use twine::exit::Code;
use twine::image_format::key::{KeyError, PublicKey, SigningKey};
use twine::image_format::sgxs;
use twine::image_format::sigstruct::{Date, Identity, Signed, Unsigned, Variant};

use super::failure::Failure;
use super::output::{Output, Status, note};

pub const SCHEMA: &str = "twine.image/1";

/// Verbs of `twine image`.
#[derive(Subcommand)]
pub enum Options {
    /// Sign an image with a key file
    Sign {
        #[command(flatten)]
        product: Product,
        /// The signing key (RSA-3072, exponent 3, PEM)
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Where the SIGSTRUCT goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Write the 256 bytes that a signer elsewhere has to sign (RSASSA-PKCS1-v1_5, SHA-256), and print their digest
    Digest {
        #[command(flatten)]
        product: Product,
        /// Where the bytes go
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make a SIGSTRUCT of what `digest` wrote and the signature that came back
    Import {
        /// What `digest` wrote
        #[arg(long, value_name = "FILE")]
        unsigned: PathBuf,
        /// The raw signature, 384 bytes big-endian, as `openssl dgst -sha256 -sign` writes it
        #[arg(long, value_name = "FILE")]
        signature: PathBuf,
        /// The signer's public key (PEM)
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
        /// Where the SIGSTRUCT goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// What the signer says about the image.
#[derive(Args)]
pub struct Product {
    /// The image [default: the built-in one]
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Allow debuggers: ATTRIBUTES.DEBUG
    #[arg(long)]
    debug: bool,
    /// ISVPRODID
    #[arg(long, default_value_t = 1)]
    product: u16,
    /// ISVSVN: raise it with every security fix
    #[arg(long, default_value_t = 1)]
    security_version: u16,
    /// Day of signing; a choice, so that signatures can be reproduced
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Date,
}

#[derive(Serialize)]
struct Digested {
    unsigned: PathBuf,
    mrenclave: String,
    sha256: String,
}

#[derive(Serialize)]
struct Made {
    sigstruct: PathBuf,
    mrenclave: String,
    mrsigner: String,
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        match self {
            Self::Sign { product, key, out } => {
                let (signing_key, readable) = SigningKey::load(&key).map_err(no_key(&key))?;
                if readable {
                    note(format_args!(
                        "{}: others than its owner may read this key; chmod 600 it",
                        key.display()
                    ));
                }
                let signed = product.unsigned()?.1.sign(&signing_key)?;
                output.result(SCHEMA, Status::Success, &save(&signed, out)?);
            }
            Self::Digest { product, out } => {
                let (mrenclave, unsigned) = product.unsigned()?;
                fs::write(&out, unsigned.to_bytes()).map_err(Failure::writing(&out))?;
                let data = Digested {
                    unsigned: out,
                    mrenclave: hex::encode(mrenclave),
                    sha256: hex::encode(unsigned.digest()),
                };
                output.result(SCHEMA, Status::Success, &data);
            }
            Self::Import { unsigned, signature, public_key, out } => {
                let unsigned = Unsigned::from_bytes(&read(&unsigned)?)?;
                let key = PublicKey::load(&public_key).map_err(no_key(&public_key))?;
                let signed = unsigned.finish(&key, &read(&signature)?)?;
                output.result(SCHEMA, Status::Success, &save(&signed, out)?);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Product {
    fn unsigned(&self) -> Result<([u8; 32], Unsigned), Failure> {
        let variant = if self.debug { Variant::Debug } else { Variant::Production };
        let mrenclave = match &self.image {
            Some(path) => sgxs::measure(&read(path)?[..])?,
            None => sgxs::measure(Image::embedded(variant)?.sgxs())?,
        };
        let identity =
            Identity { isvprodid: self.product, isvsvn: self.security_version, ..Identity::default() };
        Ok((mrenclave, Unsigned::new(mrenclave, &identity, variant, self.date)))
    }
}

/// A file that is no key of the kind that is wanted.
fn no_key(file: &Path) -> impl FnOnce(KeyError) -> Failure {
    move |error| match error {
        KeyError::Io { .. } => error.into(),
        _ => Failure::new(Code::BadInput, "key", format!("{}: {error}", file.display())),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(Failure::reading(path))
}

fn save(signed: &Signed, out: PathBuf) -> Result<Made, Failure> {
    let signer = signed.verify()?;
    fs::write(&out, signed.to_bytes()).map_err(Failure::writing(&out))?;
    Ok(Made {
        sigstruct: out,
        mrenclave: hex::encode(signed.fields().enclavehash),
        mrsigner: hex::encode(signer.mrsigner()),
    })
}

impl fmt::Display for Digested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "to sign     {}", self.unsigned.display())?;
        writeln!(f, "SHA-256     {}", self.sha256)?;
        writeln!(f, "MRENCLAVE   {}", self.mrenclave)
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "SIGSTRUCT   {}", self.sigstruct.display())?;
        writeln!(f, "MRENCLAVE   {}", self.mrenclave)?;
        writeln!(f, "MRSIGNER    {}", self.mrsigner)
    }
}
