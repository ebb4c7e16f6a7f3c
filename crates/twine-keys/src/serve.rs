//! Accepting, judging, releasing.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use twine_attest::delivery::{Channel, DeliveryKey, delivering_server};
use twine_attest::ratls::{CollateralSource, Door, Hello, PeerVerifier};
use twine_attest::{Policy, Summary};
use twine_workload::Candidate;

use crate::audit::{Audit, Event, Line};
use crate::limits::Rates;

/// A workload whose bundle the service releases.
pub struct Entry {
    /// What the audit log calls it.
    pub name: String,
    /// The workload: who comes must be of it.
    pub candidate: Candidate,
    /// Its canonical bytes with its signature, if it has one.
    pub presented: Vec<u8>,
    /// Who gets the bundle.
    pub policy: Policy,
    /// The bundle's bytes.
    pub bundle: Vec<u8>,
    /// Deliveries per minute.
    pub per_minute: Option<u32>,
}

/// The service.
pub struct Service {
    inner: Arc<Inner>,
    workers: u16,
}

struct Inner {
    entries: Vec<Entry>,
    key: DeliveryKey,
    collateral: Arc<dyn CollateralSource>,
    audit: Audit,
    timeout: Duration,
    per_address: u32,
    addresses: Rates<IpAddr>,
    workloads: Rates<usize>,
    connections: AtomicU64,
    delivered: AtomicU64,
    refused: AtomicU64,
}

/// What the service has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections.
    pub connections: u64,
    /// Bundles that an enclave has taken.
    pub delivered: u64,
    /// Connections that brought nothing.
    pub refused: u64,
}

impl Service {
    /// A service with `workers` threads that gives each connection `timeout`, and one address `per_address` connections a
    /// minute.
    pub fn new(
        entries: Vec<Entry>,
        key: DeliveryKey,
        collateral: Arc<dyn CollateralSource>,
        audit: Audit,
        (workers, timeout, per_address): (u16, Duration, u32),
    ) -> Self {
        let inner = Inner {
            entries,
            key,
            collateral,
            audit,
            timeout,
            per_address,
            addresses: Rates::new(),
            workloads: Rates::new(),
            connections: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner), workers: workers.max(1) }
    }

    /// Serves until `stop` can be read, then finishes what has begun.
    ///
    /// # Errors
    /// The listener fails, or the audit log cannot be written: without it nothing is released.
    pub fn serve(&self, listener: &TcpListener, stop: impl AsFd) -> io::Result<Totals> {
        let inner = &self.inner;
        listener.set_nonblocking(true)?;
        inner.audit.write(&Audit::event(Event::Started))?;
        let (queue, waiting) = sync_channel::<(TcpStream, SocketAddr)>(self.workers.into());
        let waiting = Mutex::new(waiting);
        std::thread::scope(|scope| {
            for _ in 0..self.workers {
                scope.spawn(|| work(inner, &waiting));
            }
            let result = accept(listener, stop, |connection| match queue.try_send(connection) {
                Ok(()) => Ok(()),
                Err(TrySendError::Full((_, peer)) | TrySendError::Disconnected((_, peer))) => {
                    inner.count_refused();
                    let reason = "more connections wait than limits.connections";
                    let peer = peer.to_string();
                    let line =
                        Line { peer: Some(&peer), reason: Some(reason), ..Audit::event(Event::Limited) };
                    inner.audit.write(&line)
                }
            });
            drop(queue);
            result
        })?;
        inner.audit.write(&Audit::event(Event::Stopped))?;
        Ok(Totals {
            connections: inner.connections.load(Ordering::Relaxed),
            delivered: inner.delivered.load(Ordering::Relaxed),
            refused: inner.refused.load(Ordering::Relaxed),
        })
    }
}

fn accept(
    listener: &TcpListener,
    stop: impl AsFd,
    mut take: impl FnMut((TcpStream, SocketAddr)) -> io::Result<()>,
) -> io::Result<()> {
    loop {
        let mut fds = [PollFd::new(listener, PollFlags::IN), PollFd::new(&stop, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        if !fds[1].revents().is_empty() {
            return Ok(());
        }
        match listener.accept() {
            Ok(connection) => take(connection)?,
            // Whoever was there has gone again; or the process has no descriptor left, and one comes back soon.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error),
        }
    }
}

fn work(inner: &Arc<Inner>, waiting: &Mutex<Receiver<(TcpStream, SocketAddr)>>) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((stream, peer)) = next else { return };
        let connection = inner.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let address = peer.to_string();
        let mut outcome = Outcome::default();
        let result = inner.deliver(stream, peer, connection, &mut outcome);
        let event = match (&result, outcome.limited, outcome.released) {
            (Ok(()), ..) => Event::Delivered,
            (Err(_), true, _) => Event::Limited,
            (Err(_), _, true) => Event::Failed,
            (Err(_), ..) => Event::Refused,
        };
        match event {
            Event::Delivered => drop(inner.delivered.fetch_add(1, Ordering::Relaxed)),
            _ => inner.count_refused(),
        }
        let line = Line {
            event,
            connection: Some(connection),
            peer: Some(&address),
            workload: outcome
                .entry
                .and_then(|entry| inner.entries.get(entry))
                .map(|entry| entry.name.as_str()),
            reason: result.as_ref().err().map(String::as_str),
            evidence: outcome.evidence.as_ref(),
        };
        // Nothing is released without a line; a line about its end that cannot be written loses nothing.
        let _ = inner.audit.write(&line);
    }
}

/// What is known of a connection when it ends.
#[derive(Default)]
struct Outcome {
    entry: Option<usize>,
    evidence: Option<Summary>,
    limited: bool,
    released: bool,
}

impl Inner {
    fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    fn deliver(
        self: &Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        connection: u64,
        outcome: &mut Outcome,
    ) -> Result<(), String> {
        if !self.addresses.take(peer.ip(), self.per_address, Instant::now()) {
            outcome.limited = true;
            return Err("the address has had its connections of this minute (limits.per_address)".into());
        }
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let mut stream = Timed::new(stream, self.timeout).map_err(|e| text(&e))?;
        let own = Hello::new().map_err(|e| text(&e))?;
        own.write(&mut stream).map_err(|e| text(&e))?;
        // The enclave's nonce is for peers that attest themselves.
        Hello::read(&mut stream).map_err(|e| text(&e))?;
        let chosen = Arc::new(Mutex::new(None));
        let door = Arc::new(Door::new({
            let (inner, chosen) = (self.clone(), chosen.clone());
            move |report: &twine_attest::Report| {
                let of = |entry: &Entry| {
                    let candidate = &entry.candidate;
                    candidate.config_id().0 == report.configid && candidate.config_svn() == report.configsvn
                };
                let index = inner.entries.iter().position(of).ok_or_else(|| {
                    let id = twine_workload::Digest(report.configid);
                    format!("no workload here has CONFIGID {id} and CONFIGSVN {}", report.configsvn)
                })?;
                *chosen.lock().unwrap_or_else(PoisonError::into_inner) = Some(index);
                let entry = inner.entries.get(index).ok_or("no such entry")?;
                let (policy, workload) = (entry.policy.clone(), entry.candidate.clone());
                Ok(PeerVerifier::new(policy, inner.collateral.clone(), &own, Some(workload)).delivering())
            }
        }));
        let config = delivering_server(door.clone(), &self.key).map_err(|e| text(&e))?;
        let channel = Channel::accept(config, stream);
        outcome.entry = *chosen.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.evidence = door
            .verifier()
            .and_then(PeerVerifier::judgement)
            .and_then(|judgement| judgement.evidence.clone());
        let mut channel = channel.map_err(|e| text(&e))?;
        let index = outcome.entry.ok_or("the enclave showed no evidence")?;
        let entry = self.entries.get(index).ok_or("the enclave showed no evidence")?;
        if door.verifier().and_then(PeerVerifier::matched).is_none() {
            return Err("the evidence was not accepted".into());
        }
        if entry.per_minute.is_some_and(|most| !self.workloads.take(index, most, Instant::now())) {
            outcome.limited = true;
            return Err("the workload has had its deliveries of this minute (per_minute)".into());
        }
        let address = peer.to_string();
        let released = Line {
            connection: Some(connection),
            peer: Some(&address),
            workload: Some(&entry.name),
            evidence: outcome.evidence.as_ref(),
            ..Audit::event(Event::Released)
        };
        self.audit.write(&released).map_err(|e| format!("the audit log cannot be written: {e}"))?;
        outcome.released = true;
        channel.deliver(&entry.presented, &entry.bundle).map_err(|e| text(&e))?;
        channel.close();
        Ok(())
    }
}

/// A connection that ends at a time, however slowly the peer speaks.
struct Timed {
    stream: TcpStream,
    until: Instant,
}

impl Timed {
    fn new(stream: TcpStream, time: Duration) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, until: Instant::now() + time })
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(late()) } else { Ok(left) }
    }
}

fn late() -> io::Error {
    io::Error::other("the peer took longer than limits.timeout")
}

/// A time that passes in the middle of a call says only that it would block.
fn in_time<T>(result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| if error.kind() == io::ErrorKind::WouldBlock { late() } else { error })
}

impl Read for Timed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        in_time(self.stream.read(buf))
    }
}

impl Write for Timed {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        in_time(self.stream.write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
