//! The connection to who delivers, which the host relays: bytes, in order or not at all; TLS above it tells.

use std::io::{self, Read, Write};

use twine_abi::calls::{PeerClose, PeerOpen, PeerRead, PeerWrite};
use twine_abi::wire::{MAX_PAYLOAD, Status};
use twine_enclave::border;

/// An open connection. Copies are the same connection.
#[derive(Clone)]
pub struct Peer(u64);

impl Peer {
    /// The next one: the host accepts or makes it.
    pub fn open() -> Result<Self, Status> {
        border::call(&PeerOpen {}, &[], &mut []).map(|(reply, _)| Self(reply.peer))
    }

    /// Ends it; `why` is for the person at the host, and empty where all went well.
    pub fn close(&self, why: &str) {
        let mut end = why.len().min(MAX_PAYLOAD);
        while !why.is_char_boundary(end) {
            end -= 1;
        }
        let _ = border::call(&PeerClose { peer: self.0 }, &why.as_bytes()[..end], &mut []);
    }
}

fn failed(status: Status) -> io::Error {
    io::Error::other(format!("the host's connection failed ({status:?})"))
}

impl Read for Peer {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf.len().min(MAX_PAYLOAD);
        let ask = PeerRead { peer: self.0, max: len as u64 };
        border::call(&ask, &[], &mut buf[..len]).map(|(_, got)| got).map_err(failed)
    }
}

impl Write for Peer {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let len = buf.len().min(MAX_PAYLOAD);
        border::call(&PeerWrite { peer: self.0 }, &buf[..len], &mut []).map(|_| len).map_err(failed)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
