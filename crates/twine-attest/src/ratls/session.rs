//! The attested side's key and certificate.

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, KeyPair, PublicKeyData};
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
    pair: KeyPair,
}

impl SessionKey {
    /// A fresh ECDSA P-256 key.
    pub fn generate() -> Result<Self, RatlsError> {
        KeyPair::generate().map(|pair| Self { pair }).map_err(|e| RatlsError::Key(e.to_string()))
    }

    /// What REPORTDATA must bind: this key, the peer's nonce, and the workload's digest.
    pub fn claims(&self, peer: &Hello, workload: Option<Digest>) -> Claims {
        let key_hash = sha256(&self.pair.subject_public_key_info()).0;
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
        let certificate = params.self_signed(&self.pair).map_err(|e| wrong(&e))?.der().clone();
        let key = PrivatePkcs8KeyDer::from(self.pair.serialize_der()).into();
        Ok(Attested { certificate, key })
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
