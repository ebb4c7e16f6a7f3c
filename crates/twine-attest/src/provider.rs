//! The cryptography of our TLS: ring's, and of that only what both ends of our own protocols use. What nobody names is not
//! linked into the enclave; RSA above all, whose assembly keeps text between its instructions.

use std::sync::Arc;

use ring::{
    rand::{SecureRandom as _, SystemRandom},
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use rustls::{
    Error, SignatureAlgorithm, SignatureScheme,
    crypto::{
        CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom, WebPkiSupportedAlgorithms,
        ring::{cipher_suite, kx_group},
    },
    pki_types::PrivateKeyDer,
    sign::{Signer, SigningKey},
};
use webpki::ring::{ECDSA_P256_SHA256, ED25519};

/// TLS 1.3 with AES-GCM or ChaCha20-Poly1305, X25519 or P-256, ECDSA P-256 and Ed25519.
pub(crate) fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![kx_group::X25519, kx_group::SECP256R1],
        signature_verification_algorithms: VERIFIED,
        secure_random: &Ring,
        key_provider: &Ring,
    }
}

/// What rustls asks of every judge, of clients and of servers, in the same words: TLS 1.3, one scheme, and `$verify` (as
/// [`rustls::crypto::verify_tls13_signature`]) with the algorithms of the judge's `provider`.
macro_rules! tls13_only {
    ($verify:path, $scheme:ident) => {
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
            $verify(message, certificate, signature, &self.provider.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::$scheme]
        }
    };
}

pub(crate) use tls13_only;

static VERIFIED: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[ECDSA_P256_SHA256, ED25519],
    mapping: &[
        (SignatureScheme::ECDSA_NISTP256_SHA256, &[ECDSA_P256_SHA256]),
        (SignatureScheme::ED25519, &[ED25519]),
    ],
};

#[derive(Debug)]
struct Ring;

impl SecureRandom for Ring {
    fn fill(&self, buf: &mut [u8]) -> Result<(), GetRandomFailed> {
        SystemRandom::new().fill(buf).map_err(|_| GetRandomFailed)
    }
}

impl KeyProvider for Ring {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.secret_der(), &SystemRandom::new());
        let pair = pair.map_err(|e| Error::General(format!("not a P-256 key: {e}")))?;
        Ok(Arc::new(SessionKey(Arc::new(pair))))
    }
}

/// An ECDSA P-256 key that signs handshakes. (rustls's own loader takes P-384 as well, and would link it.)
#[derive(Clone, Debug)]
struct SessionKey(Arc<EcdsaKeyPair>);

impl SigningKey for SessionKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&self.scheme()).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for SessionKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self.0.sign(&SystemRandom::new(), message);
        signature.map(|signature| signature.as_ref().to_vec()).map_err(|_| Error::FailedToGetRandomBytes)
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}
