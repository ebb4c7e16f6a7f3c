//! The owner's key: makes and loads it, signs workloads.

use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};

use crate::{Identity, Workload, identity::signed_message};

/// An Ed25519 key pair in PKCS #8 (RFC 8410), the form of `openssl genpkey -algorithm ed25519`.
pub struct OwnerKey {
    pair: Ed25519KeyPair,
}

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not PEM with one private key.
    #[error("the key file holds no PEM block `PRIVATE KEY`: make one with `twine key create`")]
    Pem,
    /// Not Ed25519 in PKCS #8.
    #[error("the key is not an Ed25519 key in PKCS #8 form: make one with `twine key create`")]
    Key,
    /// The system gave no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// The workload names no owner, or another one.
    #[error(
        "the workload names the owner {expected}, but the key's public half is {found}: set workload.identity"
    )]
    NotTheOwner {
        /// What the workload's identity says.
        expected: String,
        /// Of the key, in hex.
        found: String,
    },
    /// The workload breaks a rule.
    #[error(transparent)]
    Workload(#[from] crate::Error),
}

impl OwnerKey {
    /// A new key, and its PEM text to keep.
    pub fn generate() -> Result<(Self, String), KeyError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::Random)?;
        let pem = pem::encode(&pem::Pem::new("PRIVATE KEY", document.as_ref()));
        Ok((Self::from_pem(&pem)?, pem))
    }

    /// Loads what [`OwnerKey::generate`] or OpenSSL wrote.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let pem = pem::parse(text).map_err(|_| KeyError::Pem)?;
        if pem.tag() != "PRIVATE KEY" {
            return Err(KeyError::Pem);
        }
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pem.contents()).map_err(|_| KeyError::Key)?;
        Ok(Self { pair })
    }

    /// The public half, as `workload.identity.owner` takes it in hex.
    pub fn public_key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(self.pair.public_key().as_ref());
        key
    }

    /// The pair, to sign other things with.
    pub fn into_pair(self) -> Ed25519KeyPair {
        self.pair
    }

    /// The 64 bytes that go after the workload's canonical bytes.
    pub fn sign(&self, workload: &Workload) -> Result<[u8; 64], KeyError> {
        let found = crate::Sha256(self.public_key()).to_string();
        match &workload.identity {
            Identity::Owner { key, .. } if *key == self.public_key() => {}
            Identity::Owner { key, .. } => {
                return Err(KeyError::NotTheOwner { expected: crate::Sha256(*key).to_string(), found });
            }
            Identity::Digest => return Err(KeyError::NotTheOwner { expected: "none".into(), found }),
        }
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(&signed_message(&workload.to_bytes()?)).as_ref());
        Ok(signature)
    }
}
