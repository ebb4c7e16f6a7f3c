//! TLS over any stream of bytes, on either side.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::{
    ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection, Stream, pki_types::ServerName,
};

use super::{MAX_REPLY, Message, key};
use crate::Malformed;

/// Why a delivery does not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The peer has ended the connection, or somebody on the way has.
    #[error("the connection was closed before its end")]
    Closed,
    /// The transport failed.
    #[error("the connection failed: {0}")]
    Transport(String),
    /// TLS refuses the peer or what it sent, or the peer refuses this side.
    #[error("{0}")]
    Tls(String),
    /// A message that is none.
    #[error(transparent)]
    Message(#[from] Malformed),
    /// The enclave does not take what is delivered.
    #[error("the enclave refuses the delivery: {0}")]
    Refused(String),
    /// A message that has no place here.
    #[error("the peer answered with a message of kind {0}")]
    Unexpected(&'static str),
}

impl From<io::Error> for ChannelError {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::General(why)) => Self::Tls(why.clone()),
            Some(inner) => Self::Tls(inner.to_string()),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::Closed,
            None => Self::Transport(error.to_string()),
        }
    }
}

/// A connection after its handshake.
pub struct Channel<S> {
    tls: Connection,
    stream: S,
}

impl<S: Read + Write> Channel<S> {
    /// The side that connected.
    pub fn connect(config: ClientConfig, stream: S) -> Result<Self, ChannelError> {
        // Names mean nothing: who answers is in the evidence, or is a key.
        let name = ServerName::try_from("twine.invalid").map_err(|e| ChannelError::Tls(e.to_string()))?;
        let tls = ClientConnection::new(Arc::new(config), name);
        Self::handshake(tls.map_err(|e| ChannelError::Tls(e.to_string()))?.into(), stream)
    }

    /// The side that was connected to.
    pub fn accept(config: ServerConfig, stream: S) -> Result<Self, ChannelError> {
        let tls = ServerConnection::new(Arc::new(config));
        Self::handshake(tls.map_err(|e| ChannelError::Tls(e.to_string()))?.into(), stream)
    }

    fn handshake(mut tls: Connection, mut stream: S) -> Result<Self, ChannelError> {
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)?;
        }
        // The last flight is not a reason to wait for the peer.
        while tls.wants_write() {
            tls.write_tls(&mut stream)?;
        }
        Ok(Self { tls, stream })
    }

    /// The Ed25519 key that the peer has proven to hold, if it has shown one.
    pub fn peer_key(&self) -> Option<[u8; 32]> {
        self.tls.peer_certificates().and_then(|chain| key::public_key(chain.first()?))
    }

    /// The certificate that the peer has shown: evidence of whose key it is is in it.
    pub fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.tls.peer_certificates().and_then(|chain| chain.first()).map(|der| der.to_vec())
    }

    /// Delivers: the workload, by which the enclave knows whom to believe, and then the bundle.
    pub fn deliver(&mut self, workload: &[u8], bundle: &[u8]) -> Result<(), ChannelError> {
        Message::write_workload(workload, self)?;
        self.accepted()?;
        Message::write_bundle(bundle, self)?;
        self.accepted()
    }

    fn accepted(&mut self) -> Result<(), ChannelError> {
        match Message::read(self, MAX_REPLY)? {
            Message::Accepted => Ok(()),
            Message::Refused(why) => Err(ChannelError::Refused(why)),
            other => Err(ChannelError::Unexpected(other.name())),
        }
    }

    /// Says that nothing more comes.
    pub fn close(mut self) {
        self.tls.send_close_notify();
        while self.tls.wants_write() && self.tls.write_tls(&mut self.stream).is_ok_and(|count| count != 0) {}
    }
}

impl<S: Read + Write> Read for Channel<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Connection::Client(tls) => Stream::new(tls, &mut self.stream).read(buf),
            Connection::Server(tls) => Stream::new(tls, &mut self.stream).read(buf),
        }
    }
}

impl<S: Read + Write> Write for Channel<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Connection::Client(tls) => Stream::new(tls, &mut self.stream).write(buf),
            Connection::Server(tls) => Stream::new(tls, &mut self.stream).write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Connection::Client(tls) => Stream::new(tls, &mut self.stream).flush(),
            Connection::Server(tls) => Stream::new(tls, &mut self.stream).flush(),
        }
    }
}
