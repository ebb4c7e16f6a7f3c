//! The attested side's key and certificate.

use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, PublicKeyData, SignatureAlgorithm,
    SigningKey,
};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};
use twine_workload::{Digest, sha256};

use super::{Evidence, Hello, RatlsError, evidence::OID};
use crate::claims::Claims;

/// Certificates live as long as a connection takes to be made, with room for clocks that differ.
const LIFETIME: Duration = Duration::hours(1);
const SKEW: Duration = Duration::minutes(10);

/// The key pair of one connection, made where it is used.
pub struct SessionKey {
    pair: EcdsaKeyPair,
    pkcs8: Vec<u8>,
}

impl SessionKey {
    /// A fresh ECDSA P-256 key.
    pub fn generate() -> Result<Self, RatlsError> {
        let (algorithm, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random)
            .map_err(|_| RatlsError::Key("no random numbers".into()))?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random)
            .map_err(|e| RatlsError::Key(e.to_string()))?;
        Ok(Self { pair, pkcs8: pkcs8.as_ref().to_vec() })
    }

    /// What REPORTDATA must bind: this key, the peer's nonce, and the workload's digest.
    pub fn claims(&self, peer: &Hello, workload: Option<Digest>) -> Claims {
        let key_hash = sha256(&self.subject_public_key_info()).0;
        Claims { key_hash, nonce: Some(peer.nonce.to_vec()), workload }
    }

    /// A certificate that carries `claims` and the quote that binds them, issued at `at` (seconds since 1970).
    pub fn certify(self, claims: &Claims, quote: &[u8], at: u64) -> Result<Attested, RatlsError> {
        let wrong = |e: &dyn ToString| RatlsError::Certificate(e.to_string());
        let at = i64::try_from(at).map_err(|e| wrong(&e))?;
        let now = OffsetDateTime::from_unix_timestamp(at).map_err(|e| wrong(&e))?;
        let mut params = CertificateParams::default();
        params.not_before = now.checked_sub(SKEW).ok_or_else(|| wrong(&"its time is out of range"))?;
        params.not_after = now.checked_add(LIFETIME).ok_or_else(|| wrong(&"its time is out of range"))?;
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "Twine enclave");
        params.distinguished_name = name;
        let evidence = Evidence { quote: quote.to_vec(), claims: claims.to_bytes() }.to_bytes();
        params.custom_extensions = vec![CustomExtension::from_oid_content(OID, evidence)];
        let certificate = params.self_signed(&self).map_err(|e| wrong(&e))?.der().clone();
        let key = PrivatePkcs8KeyDer::from(self.pkcs8).into();
        Ok(Attested { certificate, key })
    }
}

impl PublicKeyData for SessionKey {
    fn der_bytes(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for SessionKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self.pair.sign(&SystemRandom::new(), message);
        signature.map(|signature| signature.as_ref().to_vec()).map_err(|_| rcgen::Error::RingUnspecified)
    }
}

/// A key and a certificate that carries evidence of it.
pub struct Attested {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Attested {
    /// The certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }
}
