//! Keys and sealing (docs/volume-format.md, sections 2 to 4 and 6). The only module that touches a cipher.

mod epoch;
mod header;
mod keyring;

pub(crate) use epoch::{BLOCKS_PER_EPOCH, Epoch};
pub(crate) use header::{make_header, open_header};
pub(crate) use keyring::{Keyring, Place};

use ring::{aead, hkdf};
use zeroize::Zeroizing;

use crate::format::header::LABEL;
use crate::format::pointer::Salt;

/// What an embedder needs to know to find a volume's master key again. In clear in the header, and part of what the
/// header authenticates; all zero where nothing is needed.
pub type Label = [u8; LABEL];

/// The key that the embedder keeps (sealed, or the owner's): 32 uniformly random bytes.
#[derive(Clone)]
pub struct MasterKey {
    bytes: Zeroizing<[u8; 32]>,
    label: Label,
}

impl MasterKey {
    /// Takes the bytes over.
    pub fn new(bytes: [u8; 32]) -> Self {
        MasterKey { bytes: Zeroizing::new(bytes), label: [0; LABEL] }
    }

    /// The same key; headers that are made with it carry `label`. Opening looks at the key alone.
    pub fn labelled(self, label: Label) -> Self {
        MasterKey { label, ..self }
    }
}

/// The key under which everything in one volume is, wrapped in its header.
pub(crate) struct VolumeKey(Zeroizing<[u8; 32]>);

impl VolumeKey {
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        VolumeKey(Zeroizing::new(bytes))
    }
}

/// 32 bytes from HKDF-SHA-256.
fn derive(secret: &[u8; 32], salt: &[u8], label: &str, id: &[u8; 16]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    let info: [&[u8]; 2] = [label.as_bytes(), id];
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(secret)
        .expand(&info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(out.as_mut()))
        .expect("HKDF-SHA-256 gives 32 bytes for any input");
    out
}

fn cipher(key: &[u8; 32]) -> aead::LessSafeKey {
    let key = aead::UnboundKey::new(&aead::AES_256_GCM, key).expect("AES-256 takes 32 bytes");
    aead::LessSafeKey::new(key)
}

fn block_key(volume: &VolumeKey, salt: Salt, id: &[u8; 16]) -> aead::LessSafeKey {
    cipher(&derive(&volume.0, &salt.0, "twine-volume v1 block", id))
}

fn record_key(volume: &VolumeKey, salt: Salt, id: &[u8; 16]) -> aead::LessSafeKey {
    cipher(&derive(&volume.0, &salt.0, "twine-volume v1 record", id))
}

/// A nonce that holds a number: unique as long as the number is, under one key.
fn nonce(number: u64) -> aead::Nonce {
    let mut bytes = [0; aead::NONCE_LEN];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    aead::Nonce::assume_unique_for_key(bytes)
}

/// Something did not authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forged;
