//! The sealed compilation cache: what this very image compiled, and nobody else.
//!
//! An artefact is native code that will run with the enclave's rights, so it is believed for one reason only: it was
//! sealed with a key that the processor gives to this MRENCLAVE alone. The name under which the host stores it and the
//! associated data bind the module's hash and the compiler's settings; whatever is corrupt, foreign or stale fails to
//! open and the module is compiled again.
//!
//! ```text
//! [nonce: 12 bytes][AES-256-GCM of the artefact, tag at the end]
//! name = SHA-256("twine artefact name v1" || fingerprint)     fingerprint = SHA-256(module hash || settings)
//! key  = HKDF-SHA256(salt "twine artefact key v1", sealing key, fingerprint)
//! ```

use std::hash::{Hash, Hasher};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest;
use ring::hkdf;
use wasmtime::Engine;

/// Where sealed artefacts are kept; the host, in an enclave.
pub trait Store {
    /// The bytes under a name, if there are any.
    fn get(&self, name: &[u8; 32]) -> Option<Vec<u8>>;
    /// Keeps bytes under a name; failing is no error, the next start compiles again.
    fn put(&self, name: &[u8; 32], bytes: &[u8]);
}

/// Seals and opens the artefacts of one module under one engine.
pub struct Sealer {
    fingerprint: [u8; 32],
    key: LessSafeKey,
}

impl Sealer {
    /// `sealing_key` is the processor's for this MRENCLAVE; `module` the SHA-256 of the module's bytes.
    pub fn new(sealing_key: &[u8], module: &[u8; 32], engine: &Engine) -> Self {
        let mut settings = Settings(digest::Context::new(&digest::SHA256));
        settings.0.update(module);
        engine.precompile_compatibility_hash().hash(&mut settings);
        let fingerprint = to_array(settings.0.finish());
        let mut key = [0; 32];
        let filled = hkdf::Salt::new(hkdf::HKDF_SHA256, b"twine artefact key v1")
            .extract(sealing_key)
            .expand(&[&fingerprint], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut key));
        debug_assert!(filled.is_ok(), "32 bytes are one block of HKDF-SHA256");
        let key = UnboundKey::new(&AES_256_GCM, &key).map(LessSafeKey::new);
        let Ok(key) = key else { unreachable!("AES-256-GCM takes 32 bytes") };
        Self { fingerprint, key }
    }

    /// The name for the host: it tells two artefacts apart and nothing else.
    pub fn name(&self) -> [u8; 32] {
        let mut name = digest::Context::new(&digest::SHA256);
        name.update(b"twine artefact name v1");
        name.update(&self.fingerprint);
        to_array(name.finish())
    }

    /// Seals an artefact in place, with a nonce that was never used before.
    pub fn seal(&self, mut artefact: Vec<u8>, nonce: [u8; NONCE_LEN]) -> Option<Vec<u8>> {
        let tag = self
            .key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), self.aad(), &mut artefact)
            .ok()?;
        let mut sealed = Vec::with_capacity(NONCE_LEN + artefact.len() + tag.as_ref().len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&artefact);
        sealed.extend_from_slice(tag.as_ref());
        Some(sealed)
    }

    /// The artefact, where this key sealed it.
    pub fn open<'a>(&self, sealed: &'a mut [u8]) -> Option<&'a [u8]> {
        let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE_LEN>()?;
        self.key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), self.aad(), rest)
            .ok()
            .map(|opened| &*opened)
    }

    fn aad(&self) -> Aad<[u8; 32]> {
        Aad::from(self.fingerprint)
    }
}

/// Feeds whatever Wasmtime hashes to SHA-256: std's hashers are not collision resistant.
struct Settings(digest::Context);

impl Hasher for Settings {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

fn to_array(digest: digest::Digest) -> [u8; 32] {
    let mut array = [0; 32];
    array.copy_from_slice(digest.as_ref());
    array
}
