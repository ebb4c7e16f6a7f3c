//! The connection to who delivers, which the host relays: bytes, in order or not at all; TLS above it tells.

use std::io::{self, Read, Write};

use twine_abi::calls::{PeerClose, PeerOpen, PeerRead, PeerWrite};
use twine_abi::wire::{MAX_PAYLOAD, Status};
use twine_enclave::border;

/// Which side of TLS the enclave is; who connected is the host's choice, and decides nothing else.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The host has accepted a connection.
    Server,
    /// The host has made one.
    Client,
}

/// An open connection. Copies are the same connection.
#[derive(Clone)]
pub struct Peer {
    handle: u64,
    role: Role,
}

impl Peer {
    /// One to the deliverer with this name, or to any (the empty name): the host accepts the next connection or makes one.
    pub fn open(name: &str) -> Result<Self, Status> {
        let (reply, _) = border::call(&PeerOpen {}, name.as_bytes(), &mut [])?;
        let role = if reply.made == 1 { Role::Client } else { Role::Server };
        Ok(Self { handle: reply.peer, role })
    }

    /// Which side of TLS this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Ends it; `why` is for the person at the host, and empty where all went well.
    pub fn close(&self, why: &str) {
        let mut end = why.len().min(MAX_PAYLOAD);
        while !why.is_char_boundary(end) {
            end -= 1;
        }
        let _ = border::call(&PeerClose { peer: self.handle }, &why.as_bytes()[..end], &mut []);
    }
}

fn failed(status: Status) -> io::Error {
    io::Error::other(format!("the host's connection failed ({status:?})"))
}

impl Read for Peer {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf.len().min(MAX_PAYLOAD);
        let ask = PeerRead { peer: self.handle, max: len as u64 };
        border::call(&ask, &[], &mut buf[..len]).map(|(_, got)| got).map_err(failed)
    }
}

impl Write for Peer {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let len = buf.len().min(MAX_PAYLOAD);
        border::call(&PeerWrite { peer: self.handle }, &buf[..len], &mut []).map(|_| len).map_err(failed)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
