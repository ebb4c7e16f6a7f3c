//! Signing keys: RSA-3072 with public exponent 3, the only kind that EINIT takes.

use num_bigint_dig::RandPrime;
use rsa::pkcs1::{DecodeRsaPrivateKey, DecodeRsaPublicKey};
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPrivateKey, RsaPublicKey};
use sha2::{Digest, Sha256};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Bits of the modulus.
pub const BITS: usize = 3072;
/// Bytes of the modulus and of a signature.
pub const BYTES: usize = BITS / 8;
/// Largest key file that is read.
const MAX_FILE: u64 = 64 << 10;

/// Why a key cannot be created, read or used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// There is a file already; keys are never overwritten.
    #[error("{0} exists: a key is never overwritten, choose another name or remove it yourself")]
    Exists(PathBuf),
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The text is no key.
    #[error("not an RSA key in PEM form (PKCS#8 or PKCS#1): {0}")]
    Format(String),
    /// An RSA key that SGX does not take.
    #[error("an RSA key of {bits} bits with exponent {exponent}: SGX takes only 3072 bits with exponent 3")]
    Kind {
        /// Bits of its modulus.
        bits: usize,
        /// Its public exponent.
        exponent: String,
    },
    /// Generating or signing failed in the RSA implementation.
    #[error("RSA: {0}")]
    Rsa(#[from] rsa::Error),
}

/// A public key: what MRSIGNER is the hash of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(RsaPublicKey);

impl PublicKey {
    /// Checks size and exponent.
    fn new(key: RsaPublicKey) -> Result<Self, KeyError> {
        let odd = key.n().to_bytes_le().first().is_some_and(|b| b & 1 == 1);
        if key.n().bits() != BITS || *key.e() != BigUint::from(3u8) || !odd {
            return Err(KeyError::Kind { bits: key.n().bits(), exponent: key.e().to_string() });
        }
        Ok(Self(key))
    }

    /// From the modulus in a SIGSTRUCT, little-endian.
    pub fn from_modulus(modulus: &[u8; BYTES]) -> Result<Self, KeyError> {
        let n = BigUint::from_bytes_le(modulus);
        // Checked before the RSA implementation sees numbers that are no modulus.
        if n.bits() != BITS || modulus[0] & 1 == 0 {
            return Err(KeyError::Kind { bits: n.bits(), exponent: "3".into() });
        }
        Self::new(RsaPublicKey::new(n, BigUint::from(3u8))?)
    }

    /// From PEM: SubjectPublicKeyInfo (`openssl pkey -pubout`) or PKCS#1.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let key = RsaPublicKey::from_public_key_pem(pem).or_else(|spki| {
            RsaPublicKey::from_pkcs1_pem(pem).map_err(|_| KeyError::Format(spki.to_string()))
        })?;
        Self::new(key)
    }

    /// Reads a PEM file.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Self::from_pem(&read(path)?)
    }

    /// SubjectPublicKeyInfo in PEM.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        self.0.to_public_key_pem(LineEnding::LF).map_err(|e| KeyError::Format(e.to_string()))
    }

    /// The modulus, little-endian, as in a SIGSTRUCT.
    pub fn modulus(&self) -> [u8; BYTES] {
        let mut modulus = [0; BYTES];
        let bytes = self.0.n().to_bytes_le();
        modulus[..bytes.len()].copy_from_slice(&bytes);
        modulus
    }

    /// MRSIGNER: the SHA-256 of the modulus.
    pub fn mrsigner(&self) -> [u8; 32] {
        Sha256::digest(self.modulus()).into()
    }

    pub(crate) fn rsa(&self) -> &RsaPublicKey {
        &self.0
    }
}

/// A private key. Its memory is cleared when it goes.
#[derive(Clone)]
pub struct SigningKey {
    key: RsaPrivateKey,
    public: PublicKey,
}

impl SigningKey {
    /// Generates a key from the system's random numbers.
    pub fn generate() -> Result<Self, KeyError> {
        // The library's own generator draws both primes anew until the exponent suits both; for 3 that takes four
        // attempts on average. Drawing each until it suits gives the same keys in half the time.
        Self::new(RsaPrivateKey::from_p_q(suitable_prime(), suitable_prime(), BigUint::from(3u8))?)
    }

    fn new(key: RsaPrivateKey) -> Result<Self, KeyError> {
        let public = PublicKey::new(key.to_public_key())?;
        Ok(Self { key, public })
    }

    /// From PEM: PKCS#8 (`openssl genpkey`) or PKCS#1 (`openssl genrsa -traditional`), not encrypted.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let key = RsaPrivateKey::from_pkcs8_pem(pem).or_else(|pkcs8| {
            RsaPrivateKey::from_pkcs1_pem(pem).map_err(|_| KeyError::Format(pkcs8.to_string()))
        })?;
        Self::new(key)
    }

    /// Reads a PEM file. The second value says whether others than the owner may read it.
    pub fn load(path: &Path) -> Result<(Self, bool), KeyError> {
        let pem = read(path)?;
        let mode = fs::metadata(path).map_err(|source| KeyError::Io { path: path.into(), source })?.mode();
        Ok((Self::from_pem(&pem)?, mode & 0o077 != 0))
    }

    /// Writes the key to a new file that only its owner may read (PKCS#8 PEM, mode 0600).
    pub fn save_new(&self, path: &Path) -> Result<(), KeyError> {
        let pem = self.key.to_pkcs8_pem(LineEnding::LF).map_err(|e| KeyError::Format(e.to_string()))?;
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyError::Exists(path.into()),
            _ => KeyError::Io { path: path.into(), source },
        };
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn rsa(&self) -> &RsaPrivateKey {
        &self.key
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey(MRSIGNER {})", hex::encode(self.public.mrsigner()))
    }
}

/// A prime of half the modulus' size for which 3 has an inverse: 3 does not divide `p - 1`.
fn suitable_prime() -> BigUint {
    loop {
        let prime = rsa::rand_core::OsRng.gen_prime(BITS / 2);
        if (&prime % 3u8) == BigUint::from(2u8) {
            return prime;
        }
    }
}

fn read(path: &Path) -> Result<String, KeyError> {
    let failed = |source| KeyError::Io { path: path.into(), source };
    let mut text = String::new();
    let mut file = io::Read::take(fs::File::open(path).map_err(failed)?, MAX_FILE);
    io::Read::read_to_string(&mut file, &mut text).map_err(failed)?;
    Ok(text)
}
