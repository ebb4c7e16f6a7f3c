//! RA-TLS: TLS 1.3 with a certificate that carries evidence of its key (interoperable RA-TLS; TCG DICE evidence
//! extension, OID 2.23.133.5.4.9).
//!
//! Before the handshake each side sends a [`Hello`] with a nonce, so that evidence is made for this connection and old
//! evidence is worth nothing. The attested side makes a [`SessionKey`], has its claims quoted, and presents
//! an [`Attested`]; the other side's [`PeerVerifier`] judges it inside the handshake. Whoever relays the bytes can
//! make the connection fail and nothing else.

use std::{
    io::{Read, Write},
    sync::{Arc, OnceLock},
};

use der::Decode;
use minicbor::{Decoder, Encoder, data::Tag};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, KeyPair, PublicKeyData};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName as SubjectName,
    Error as TlsError, ServerConfig, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring as provider},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use time::{Duration, OffsetDateTime};
use twine_workload::{Digest, sha256};
use x509_cert::Certificate;

use crate::{Expected, Inputs, Judgement, Malformed, Policy, PolicyMatched, Verdict, claims::Claims, judge};

/// OID of the extension: tcg-dice-TaggedEvidence.
const EVIDENCE: &[u64] = &[2, 23, 133, 5, 4, 9];
/// CBOR tag of evidence that is an Intel TEE quote (IANA).
const INTEL_TEE_QUOTE: u64 = 60000;
/// Protocol name for ALPN (RFC 7301).
const ALPN: &[u8] = b"twine-ra/1";
/// Certificates live as long as a connection takes to be made, with room for clocks that differ.
const LIFETIME: Duration = Duration::hours(1);
const SKEW: Duration = Duration::minutes(10);

/// Why a side cannot attest itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RatlsError {
    /// No random numbers, or a key that cannot be made.
    #[error("no session key: {0}")]
    Key(String),
    /// The certificate cannot be made.
    #[error("no certificate: {0}")]
    Certificate(String),
    /// TLS does not take key, certificate or settings.
    #[error("no TLS configuration: {0}")]
    Tls(String),
    /// The peer's first bytes are not a hello.
    #[error("the peer does not speak this protocol: its first bytes are not a hello")]
    Hello,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Connection(String),
}

/// What each side sends before the handshake: eight bytes that name protocol and version, and a fresh nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// For the peer's claims.
    pub nonce: [u8; 32],
}

impl Hello {
    const MAGIC: &[u8; 8] = b"TWINERA\x01";

    /// With a random nonce.
    pub fn new() -> Result<Self, RatlsError> {
        let mut nonce = [0; 32];
        SystemRandom::new().fill(&mut nonce).map_err(|_| RatlsError::Key("no random numbers".into()))?;
        Ok(Self { nonce })
    }

    /// Sends it.
    pub fn write(&self, to: &mut impl Write) -> Result<(), RatlsError> {
        let bytes = [&Self::MAGIC[..], &self.nonce].concat();
        to.write_all(&bytes).and_then(|()| to.flush()).map_err(|e| RatlsError::Connection(e.to_string()))
    }

    /// Receives the peer's.
    pub fn read(from: &mut impl Read) -> Result<Self, RatlsError> {
        let (mut magic, mut nonce) = ([0; 8], [0; 32]);
        from.read_exact(&mut magic)
            .and_then(|()| from.read_exact(&mut nonce))
            .map_err(|e| RatlsError::Connection(e.to_string()))?;
        if magic == *Self::MAGIC { Ok(Self { nonce }) } else { Err(RatlsError::Hello) }
    }
}

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
        params.custom_extensions = vec![CustomExtension::from_oid_content(EVIDENCE, evidence)];
        let certificate = params.self_signed(&self.pair).map_err(|e| wrong(&e))?.der().clone();
        let key = PrivatePkcs8KeyDer::from(self.pair.serialize_der()).into();
        Ok(Attested { certificate, key })
    }
}

/// A key and a certificate that carries evidence of it.
pub struct Attested {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Attested {
    /// The certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }
}

/// What the extension holds: tag 60000 on an array of quote and claims buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The quote.
    pub quote: Vec<u8>,
    /// The claims buffer that its REPORTDATA binds.
    pub claims: Vec<u8>,
}

impl Evidence {
    /// CBOR.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut e = Encoder::new(&mut bytes);
        let result = e
            .tag(Tag::new(INTEL_TEE_QUOTE))
            .and_then(|e| e.array(2))
            .and_then(|e| e.bytes(&self.quote))
            .and_then(|e| e.bytes(&self.claims));
        result.map(drop).unwrap_or_else(|_| unreachable!("byte strings encode"));
        bytes
    }

    /// Takes exactly what [`Evidence::to_bytes`] makes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let evidence = Self::decode(bytes).map_err(|e| Malformed::new("evidence", e))?;
        if evidence.to_bytes() == bytes {
            Ok(evidence)
        } else {
            Err(Malformed::new("evidence", "it is not canonical"))
        }
    }

    /// The evidence that a certificate carries, if it is evidence of the certificate's own key.
    pub fn from_certificate(der: &[u8]) -> Result<Self, Malformed> {
        let malformed = |why: &dyn ToString| Malformed::new("certificate", why.to_string());
        let certificate = Certificate::from_der(der).map_err(|e| malformed(&e))?;
        let tbs = certificate.tbs_certificate();
        let oid = EVIDENCE.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
        let mut found = tbs.extensions().into_iter().flatten().filter(|e| e.extn_id.to_string() == oid);
        let (Some(extension), None) = (found.next(), found.next()) else {
            return Err(malformed(&"it carries no evidence, or carries it twice"));
        };
        let evidence = Self::from_bytes(extension.extn_value.as_bytes())?;
        let key = der::Encode::to_der(tbs.subject_public_key_info()).map_err(|e| malformed(&e))?;
        if Claims::from_bytes(&evidence.claims)?.key_hash != sha256(&key).0 {
            return Err(malformed(&"its evidence is of another key"));
        }
        Ok(evidence)
    }

    fn decode(bytes: &[u8]) -> Result<Self, minicbor::decode::Error> {
        let mut d = Decoder::new(bytes);
        if d.tag()? != Tag::new(INTEL_TEE_QUOTE) || d.array()? != Some(2) {
            return Err(minicbor::decode::Error::message("it is not a tagged quote with claims"));
        }
        Ok(Self { quote: d.bytes()?.to_vec(), claims: d.bytes()?.to_vec() })
    }
}

/// Judges the peer of one connection, in TLS or out of it.
#[derive(Debug)]
pub struct PeerVerifier {
    policy: Policy,
    collateral: Vec<u8>,
    expected: Expected,
    insecure_allow_simulation: bool,
    matched: OnceLock<PolicyMatched>,
    provider: Arc<CryptoProvider>,
}

impl PeerVerifier {
    /// Judges by `policy` with `collateral` (JSON), expecting the nonce of `own`, the hello that was sent to this peer,
    /// and, if given, exactly this workload.
    pub fn new(
        policy: Policy,
        collateral: Vec<u8>,
        own: &Hello,
        workload: Option<twine_workload::Candidate>,
    ) -> Self {
        let expected = Expected { nonce: Some(own.nonce.to_vec()), workload, ..Expected::default() };
        let provider = Arc::new(provider::default_provider());
        let matched = OnceLock::new();
        Self { policy, collateral, expected, insecure_allow_simulation: false, matched, provider }
    }

    /// Takes simulated peers as well, which anybody can be.
    #[must_use]
    pub fn insecure_allow_simulation(self, allow: bool) -> Self {
        Self { insecure_allow_simulation: allow, ..self }
    }

    /// Judges a certificate as of `at`, in seconds since 1970.
    pub fn judge(&self, certificate: &[u8], at: u64) -> Result<Judgement, Malformed> {
        let evidence = Evidence::from_certificate(certificate)?;
        let expected = Expected { claims: Some(evidence.claims), ..self.expected.clone() };
        Ok(judge(Inputs {
            quote: &evidence.quote,
            collateral: Some(&self.collateral),
            policy: &self.policy,
            expected: &expected,
            at,
            insecure_allow_simulation: self.insecure_allow_simulation,
        }))
    }

    /// The peer's evidence, after a handshake that succeeded.
    pub fn matched(&self) -> Option<&PolicyMatched> {
        self.matched.get()
    }

    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), TlsError> {
        if !above.is_empty() {
            return Err(TlsError::InvalidCertificate(CertificateError::BadEncoding));
        }
        check_validity(certificate, now)?;
        let judgement =
            self.judge(certificate, now.as_secs()).map_err(|e| TlsError::General(e.to_string()))?;
        match (judgement.verdict, judgement.matched) {
            (Verdict::Accepted, Some(matched)) => {
                // A verifier is for one connection: a second certificate would be the same peer's or an attack.
                self.matched
                    .set(matched)
                    .map_err(|_| TlsError::General("the verifier has judged a peer before".into()))
            }
            _ => {
                let failed = judgement.checks.iter().find(|check| !check.pass);
                let reason =
                    failed.map(|check| format!("{}: {}", check.id, check.detail)).unwrap_or_default();
                Err(TlsError::General(format!("the peer's evidence is refused: {reason}")))
            }
        }
    }

    fn verify_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        // The name is how the host was reached; who answers is in the evidence.
        self.verify(end_entity, intermediates, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(TlsError::PeerIncompatible(rustls::PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verify_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn root_hint_subjects(&self) -> &[SubjectName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        self.verify(end_entity, intermediates, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(TlsError::PeerIncompatible(rustls::PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verify_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// The side that connects: judges the peer, and attests itself if `own` is given. TLS 1.3, nothing resumed.
pub fn client_config(peer: Arc<PeerVerifier>, own: Option<Attested>) -> Result<ClientConfig, RatlsError> {
    let tls = |e: TlsError| RatlsError::Tls(e.to_string());
    let builder = ClientConfig::builder_with_provider(peer.provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls)?
        .dangerous()
        .with_custom_certificate_verifier(peer);
    let mut config = match own {
        Some(own) => builder.with_client_auth_cert(vec![own.certificate], own.key).map_err(tls)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed session would be one without fresh evidence.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The side that is connected to: attests itself, and judges the peer if `peer` is given. TLS 1.3, nothing resumed.
pub fn server_config(own: Attested, peer: Option<Arc<PeerVerifier>>) -> Result<ServerConfig, RatlsError> {
    let tls = |e: TlsError| RatlsError::Tls(e.to_string());
    let builder = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls)?;
    let builder = match peer {
        Some(peer) => builder.with_client_cert_verifier(peer),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(vec![own.certificate], own.key).map_err(tls)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// A certificate that was issued for another time is somebody's record of another connection.
fn check_validity(der: &[u8], now: UnixTime) -> Result<(), TlsError> {
    let bad = |error| TlsError::InvalidCertificate(error);
    let certificate = Certificate::from_der(der).map_err(|_| bad(CertificateError::BadEncoding))?;
    let validity = certificate.tbs_certificate().validity();
    let now = now.as_secs();
    if now < validity.not_before.to_unix_duration().as_secs() {
        return Err(bad(CertificateError::NotValidYet));
    }
    if now > validity.not_after.to_unix_duration().as_secs() {
        return Err(bad(CertificateError::Expired));
    }
    Ok(())
}
