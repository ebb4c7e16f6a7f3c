//! Keys that follow from a seed: nothing of the simulation needs storing, and its root is the same everywhere.

use p256::{
    SecretKey,
    ecdsa::{Signature, SigningKey, signature::Signer},
};
use rcgen::{PublicKeyData, SignatureAlgorithm};
use twine_workload::sha256;

/// An ECDSA P-256 key pair with deterministic signatures (RFC 6979).
pub(super) struct Key {
    secret: SigningKey,
    point: Vec<u8>,
}

impl Key {
    /// The key for `label` under `seed`.
    pub(super) fn derive(seed: &[u8], label: &str) -> Self {
        // One digest in 2^32 is no scalar of the group; the next counter's is.
        let secret = (0_u8..=u8::MAX)
            .map(|counter| sha256(&[seed, &[0], label.as_bytes(), &[0, counter]].concat()).0)
            .find_map(|scalar| SecretKey::from_slice(&scalar).ok())
            .unwrap_or_else(|| unreachable!("256 digests in a row are no scalars"));
        let point = secret.public_key().to_sec1_bytes().to_vec();
        Self { secret: SigningKey::from(secret), point }
    }

    /// X and Y, 32 bytes each.
    pub(super) fn coordinates(&self) -> &[u8] {
        self.point.get(1..).unwrap_or_default()
    }

    /// r and s, 32 bytes each, over SHA-256 of `message`.
    pub(super) fn sign_raw(&self, message: &[u8]) -> Vec<u8> {
        let signature: Signature = self.secret.sign(message);
        signature.to_bytes().to_vec()
    }

    /// SHA-256 of the point, cut to the length of key identifiers.
    pub(super) fn identifier(&self) -> Vec<u8> {
        sha256(&self.point).0.into_iter().take(20).collect()
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature: Signature = self.secret.sign(message);
        Ok(signature.to_der().as_bytes().to_vec())
    }
}
