//! Connections over which a delivery comes: bytes are carried, nothing is looked at.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use super::stop::Stop;

/// How deliverers and enclave come together.
#[derive(Debug, Default)]
pub struct Ways {
    /// Where deliverers connect.
    pub listener: Option<TcpListener>,
    /// Key services: the deliverer's name in the workload (empty: whoever is asked for) and its address, HOST:PORT.
    pub services: Vec<(String, String)>,
}

impl Ways {
    /// The service of the deliverer `name`; for an empty name, of the first.
    fn service(&self, name: &str) -> Option<&str> {
        let fits =
            |(service, _): &&(String, String)| service.is_empty() || name.is_empty() || service == name;
        self.services.iter().find(fits).map(|(_, address)| address.as_str())
    }
}

/// A peer that says nothing for so long is sent away, before it has delivered: one that is silent must not keep others
/// out.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a write that does not go on looks whether the run is being stopped.
const NUDGE: Duration = Duration::from_millis(500);

/// The connections of a run.
pub struct Peers {
    ways: Ways,
    open: HashMap<u64, (TcpStream, SocketAddr)>,
    opened: u64,
}

impl Peers {
    pub fn new(ways: Ways) -> Self {
        Self { ways, open: HashMap::new(), opened: 0 }
    }

    /// Makes a connection to the key service of the deliverer `name`, or else accepts the next one; its handle, and
    /// whether it was made.
    pub fn open(&mut self, name: &str, stop: &Stop) -> io::Result<(u64, bool)> {
        let service = self.ways.service(name);
        let (stream, address) = match (service, &self.ways.listener) {
            (Some(address), _) => connect(address)?,
            (None, Some(listener)) => accept(listener, stop)?,
            (None, None) => {
                let text =
                    format!("{name:?} delivers, and this run was told neither to wait nor of a key service");
                return Err(io::Error::other(text));
            }
        };
        let made = service.is_some();
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(NUDGE))?;
        self.opened += 1;
        self.open.insert(self.opened, (stream, address));
        Ok((self.opened, made))
    }

    pub fn read(&mut self, peer: u64, out: &mut [u8]) -> io::Result<usize> {
        let stream = self.stream(peer)?;
        loop {
            match stream.read(out) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    pub fn write(&mut self, peer: u64, mut bytes: &[u8], stop: &Stop) -> io::Result<()> {
        let stream = self.stream(peer)?;
        while !bytes.is_empty() {
            match stream.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // An owner may read slowly for as long as the program may run.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !stop.is_stopping() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Closes; who was at the other end.
    pub fn close(&mut self, peer: u64) -> io::Result<SocketAddr> {
        let (stream, address) = self.open.remove(&peer).ok_or(io::ErrorKind::NotConnected)?;
        // What was sent last still arrives; the peer's end is its own business.
        let _ = stream.shutdown(Shutdown::Write);
        Ok(address)
    }

    fn stream(&mut self, peer: u64) -> io::Result<&mut TcpStream> {
        self.open.get_mut(&peer).map(|(stream, _)| stream).ok_or(io::ErrorKind::NotConnected.into())
    }
}

/// Waits for a connection or for the request to stop.
fn accept(listener: &TcpListener, stop: &Stop) -> io::Result<(TcpStream, SocketAddr)> {
    loop {
        let mut fds = vec![PollFd::new(listener, PollFlags::IN)];
        if let Some(event) = &stop.event {
            fds.push(PollFd::new(event, PollFlags::IN));
        }
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
            Ok(_) if stop.is_stopping() => return Err(io::Error::other("the run is being stopped")),
            Ok(_) if fds[0].revents().is_empty() => continue,
            Ok(_) => return listener.accept(),
        }
    }
}

fn connect(address: &str) -> io::Result<(TcpStream, SocketAddr)> {
    let mut last = io::Error::other(format!("{address}: no such host"));
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok((stream, address)),
            Err(error) => last = io::Error::new(error.kind(), format!("{address}: {error}")),
        }
    }
    Err(last)
}
