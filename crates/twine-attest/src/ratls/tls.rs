//! Settings of TLS for both sides.

use std::sync::Arc;

use rustls::{
    ClientConfig, Error as TlsError, ServerConfig, client::Resumption, server::danger::ClientCertVerifier,
};

use super::{Attested, PeerVerifier, RatlsError};
use crate::provider::provider;

/// Protocol name for ALPN (RFC 7301).
const ALPN: &[u8] = b"twine-ra/1";

/// The side that connects: judges the peer, and attests itself if `own` is given. TLS 1.3, nothing resumed.
pub fn client_config(peer: Arc<PeerVerifier>, own: Option<Attested>) -> Result<ClientConfig, RatlsError> {
    let tls = |e: TlsError| RatlsError::Tls(e.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()))
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
pub fn server_config(
    own: Attested,
    peer: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, RatlsError> {
    let tls = |e: TlsError| RatlsError::Tls(e.to_string());
    let builder = ServerConfig::builder_with_provider(Arc::new(provider()))
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
