//! The judging side, in the form that rustls asks for.

use std::{
    fmt::Debug,
    sync::{Arc, OnceLock},
};

use der::Decode;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName as SubjectName, Error as TlsError,
    SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use twine_workload::{Candidate, sha256};
use x509_cert::Certificate;

use super::{Evidence, Hello, evidence::OID};
use crate::provider::{provider, tls13_only};
use crate::{
    Expected, Inputs, Judgement, Malformed, Policy, PolicyMatched, Quote, Verdict, claims::Claims, judge,
};

/// Where collateral comes from: which one it must be is known when a quote is there.
pub trait CollateralSource: Debug + Send + Sync {
    /// Collateral (JSON) to judge `quote` with as of `at`, in seconds since 1970; or why there is none.
    fn collateral(&self, quote: &Quote, at: u64) -> Result<Vec<u8>, String>;
}

/// These bytes, whatever the quote.
impl CollateralSource for Vec<u8> {
    fn collateral(&self, _: &Quote, _: u64) -> Result<Vec<u8>, String> {
        Ok(self.clone())
    }
}

impl<S: CollateralSource + ?Sized> CollateralSource for Arc<S> {
    fn collateral(&self, quote: &Quote, at: u64) -> Result<Vec<u8>, String> {
        S::collateral(self, quote, at)
    }
}

/// Judges the peer of one connection, in TLS or out of it.
#[derive(Debug)]
pub struct PeerVerifier {
    policy: Policy,
    collateral: Box<dyn CollateralSource>,
    expected: Expected,
    insecure_allow_simulation: bool,
    judgement: OnceLock<Judgement>,
    provider: Arc<CryptoProvider>,
}

impl PeerVerifier {
    /// Judges by `policy` with `collateral`, expecting the nonce of `own`, the hello that was sent to this peer, and, if
    /// given, exactly this workload.
    pub fn new(
        policy: Policy,
        collateral: impl CollateralSource + 'static,
        own: &Hello,
        workload: Option<Candidate>,
    ) -> Self {
        let collateral = Box::new(collateral);
        let expected = Expected { nonce: Some(own.nonce.to_vec()), workload, ..Expected::default() };
        let provider = Arc::new(provider());
        let judgement = OnceLock::new();
        Self { policy, collateral, expected, insecure_allow_simulation: false, judgement, provider }
    }

    /// The workload is going to be delivered to this peer, who need not know its digest yet.
    #[must_use]
    pub fn delivering(mut self) -> Self {
        self.expected.workload_is_delivered = true;
        self
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
        let quote = match Quote::parse(&evidence.quote) {
            Ok(quote) => quote,
            Err(error) => return Ok(Judgement::malformed("quote.format", error)),
        };
        let collateral = self.collateral.collateral(&quote, at);
        Ok(judge(Inputs {
            quote: quote.bytes(),
            collateral: collateral.as_deref().map_err(String::as_str),
            policy: &self.policy,
            expected: &expected,
            at,
            insecure_allow_simulation: self.insecure_allow_simulation,
        }))
    }

    /// The peer's evidence, after a handshake that succeeded.
    pub fn matched(&self) -> Option<&PolicyMatched> {
        self.judgement.get()?.matched.as_ref()
    }

    /// What was found about the peer, whether its evidence was accepted or not; none if it showed none.
    pub fn judgement(&self) -> Option<&Judgement> {
        self.judgement.get()
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
        let refused = judgement.checks.iter().find(|check| !check.pass);
        let refused = refused.map(|check| format!("{}: {}", check.id, check.detail));
        let accepted = judgement.verdict == Verdict::Accepted && judgement.matched.is_some();
        // A verifier is for one connection: a second certificate would be the same peer's or an attack.
        self.judgement
            .set(judgement)
            .map_err(|_| TlsError::General("the verifier has judged a peer before".into()))?;
        if accepted {
            return Ok(());
        }
        let reason = refused.unwrap_or_default();
        Err(TlsError::General(format!("the peer's evidence is refused: {reason}")))
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

    tls13_only!(verify_tls13_signature, ECDSA_NISTP256_SHA256);
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

    tls13_only!(verify_tls13_signature, ECDSA_NISTP256_SHA256);
}

impl Evidence {
    /// The evidence that a certificate carries, if it is evidence of the certificate's own key.
    pub fn from_certificate(der: &[u8]) -> Result<Self, Malformed> {
        let malformed = |why: &dyn ToString| Malformed::new("certificate", why.to_string());
        let certificate = Certificate::from_der(der).map_err(|e| malformed(&e))?;
        let tbs = certificate.tbs_certificate();
        let oid = OID.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
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
