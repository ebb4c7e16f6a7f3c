//! RA-TLS: TLS 1.3 with a certificate that carries evidence of its key (interoperable RA-TLS; TCG DICE evidence
//! extension, OID 2.23.133.5.4.9).
//!
//! Before the handshake each side sends a [`Hello`] with a nonce, so that evidence is made for this connection and old
//! evidence is worth nothing. The attested side makes a [`SessionKey`], has its claims quoted, and presents
//! an [`Attested`]; the other side's [`PeerVerifier`] judges it inside the handshake. Whoever relays the bytes can
//! make the connection fail and nothing else.

mod door;
mod evidence;
mod hello;
mod peer;
mod session;
mod tls;

pub use door::Door;
pub use evidence::Evidence;
pub use hello::Hello;
pub use peer::{CollateralSource, PeerVerifier};
pub use session::{Attested, SessionKey};
pub use tls::{client_config, server_config};

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
