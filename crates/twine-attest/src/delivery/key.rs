//! TLS settings of a delivery: a certificate with evidence on the enclave's side, a raw Ed25519 key (RFC 7250) on the other.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error as TlsError,
    ServerConfig, SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, ring::sign::any_eddsa_type,
        verify_tls13_signature_with_raw_key,
    },
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    server::{
        AlwaysResolvesServerRawPublicKeys,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
    version::TLS13,
};
use twine_workload::manifest::{KeyError, OwnerKey};

use crate::{
    provider::{provider, tls13_only},
    ratls::{Attested, PeerVerifier, RatlsError},
};

/// Protocol name for ALPN (RFC 7301).
const ALPN: &[u8] = b"twine-delivery/1";

/// SubjectPublicKeyInfo of an Ed25519 key (RFC 8410), before its 32 bytes.
const ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The Ed25519 key of a SubjectPublicKeyInfo.
pub(super) fn public_key(spki: &[u8]) -> Option<[u8; 32]> {
    spki.strip_prefix(&ED25519)?.try_into().ok()
}

/// The enclave that waits: presents `own`, and takes whoever proves to hold an Ed25519 key ([`super::Channel::peer_key`]).
pub fn attested_server(own: Attested) -> Result<ServerConfig, RatlsError> {
    let builder = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(tls)?
        .with_client_cert_verifier(Arc::new(AnyKey::new()));
    Ok(server(builder.with_single_cert(vec![own.certificate], own.key).map_err(tls)?))
}

/// The enclave that connects, otherwise as [`attested_server`].
pub fn attested_client(own: Attested) -> Result<ClientConfig, RatlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyKey::new()));
    Ok(client(builder.with_client_auth_cert(vec![own.certificate], own.key).map_err(tls)?))
}

fn server(mut config: ServerConfig) -> ServerConfig {
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config
}

fn client(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed session would be one without fresh evidence.
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    config
}

fn tls(error: TlsError) -> RatlsError {
    RatlsError::Tls(error.to_string())
}

/// Takes every Ed25519 key that signs the handshake: whose key counts is in the workload.
#[derive(Debug)]
struct AnyKey {
    provider: CryptoProvider,
}

impl AnyKey {
    fn new() -> Self {
        Self { provider: provider() }
    }

    fn check(key: &CertificateDer<'_>) -> Result<(), TlsError> {
        public_key(key).map(drop).ok_or(TlsError::InvalidCertificate(CertificateError::BadEncoding))
    }
}

/// [`rustls::crypto::verify_tls13_signature`] for a key without a certificate.
fn verify_raw(
    message: &[u8],
    key: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, TlsError> {
    let key = SubjectPublicKeyInfoDer::from(key.as_ref());
    verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
}

impl ServerCertVerifier for AnyKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Self::check(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }

    tls13_only!(verify_raw, ED25519);
}

impl ClientCertVerifier for AnyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        Self::check(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }

    tls13_only!(verify_raw, ED25519);
}

/// The key that a workload names as its deliverer's: Ed25519 in PKCS #8, as `twine key create` makes it.
pub struct DeliveryKey {
    certified: Arc<CertifiedKey>,
    public: [u8; 32],
}

impl DeliveryKey {
    /// From PEM.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let public = OwnerKey::from_pem(text)?.public_key();
        let der = pem::parse(text).map_err(|_| KeyError::Pem)?.into_contents();
        let key = any_eddsa_type(&PrivatePkcs8KeyDer::from(der));
        let spki = CertificateDer::from([&ED25519[..], &public].concat());
        let certified = Arc::new(CertifiedKey::new(vec![spki], key.map_err(|_| KeyError::Key)?));
        Ok(Self { certified, public })
    }

    /// The public half, as `workload.delivery.key` takes it in hex.
    pub fn public_key(&self) -> [u8; 32] {
        self.public
    }
}

/// The owner who connects to a waiting enclave.
pub fn delivering_client(peer: Arc<PeerVerifier>, key: &DeliveryKey) -> Result<ClientConfig, RatlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(tls)?
        .dangerous()
        .with_custom_certificate_verifier(peer);
    let resolver = AlwaysResolvesClientRawPublicKeys::new(key.certified.clone());
    Ok(client(builder.with_client_cert_resolver(Arc::new(resolver))))
}

/// The key service that enclaves connect to.
pub fn delivering_server(
    peer: Arc<dyn ClientCertVerifier>,
    key: &DeliveryKey,
) -> Result<ServerConfig, RatlsError> {
    let builder = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(tls)?
        .with_client_cert_verifier(peer);
    let resolver = AlwaysResolvesServerRawPublicKeys::new(key.certified.clone());
    Ok(server(builder.with_cert_resolver(Arc::new(resolver))))
}
