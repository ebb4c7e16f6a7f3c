//! A judge who sees first who comes, and takes the policy for that workload.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use rustls::{
    DigitallySignedStruct, DistinguishedName as SubjectName, Error as TlsError, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use twine_sgx::Report;

use super::{Evidence, PeerVerifier};
use crate::{
    Quote,
    provider::{provider, tls13_only},
};

/// Judges one peer by the verifier that `F` finds for what its quote claims, or refuses it with a reason. Nothing of the
/// claim is believed: the verifier must expect the very workload that it was found by.
pub struct Door<F> {
    find: F,
    found: OnceLock<PeerVerifier>,
    provider: Arc<CryptoProvider>,
}

impl<F: Fn(&Report) -> Result<PeerVerifier, String> + Send + Sync> Door<F> {
    /// For one connection.
    pub fn new(find: F) -> Self {
        Self { find, found: OnceLock::new(), provider: Arc::new(provider()) }
    }

    /// The verifier that was found for the peer.
    pub fn verifier(&self) -> Option<&PeerVerifier> {
        self.found.get()
    }
}

impl<F> fmt::Debug for Door<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("found", &self.found).finish_non_exhaustive()
    }
}

impl<F: Fn(&Report) -> Result<PeerVerifier, String> + Send + Sync> ClientCertVerifier for Door<F> {
    fn root_hint_subjects(&self) -> &[SubjectName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        let refused = |why: String| TlsError::General(why);
        let evidence = Evidence::from_certificate(end_entity).map_err(|e| refused(e.to_string()))?;
        let quote = Quote::parse(&evidence.quote).map_err(|e| refused(e.to_string()))?;
        let verifier = (self.find)(quote.claimed_report()).map_err(refused)?;
        let verifier = self.found.get_or_init(|| verifier);
        verifier.verify_client_cert(end_entity, intermediates, now)
    }

    tls13_only!(verify_tls13_signature, ECDSA_NISTP256_SHA256);
}
