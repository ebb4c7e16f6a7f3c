//! The first bytes of a connection.

use std::io::{Read, Write};

use ring::rand::{SecureRandom, SystemRandom};

use super::RatlsError;

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
