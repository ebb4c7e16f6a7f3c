//! Delivery: evidence out, code and secrets in, over TLS that ends here (docs/attestation.md, "Delivery").
//!
//! Whoever comes gets evidence, which is no secret, and must prove to hold an Ed25519 key. The workload comes first: it must
//! be the one that CONFIGID names, and say that this key delivers, and what; only then is a bundle read. So a host that
//! delivers something of its own is refused, and a stranger cannot make the enclave read more than a workload. Deliverers come one after another, each over its own connection. A refused peer is told
//! why and sent away; where the host accepts connections, the enclave goes on waiting.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use twine_abi::calls::{Outcome as Code, StartPhase};
use twine_attest::claims::report_data;
use twine_attest::delivery::{
    Bundle, Channel, Ended, MAX_BUNDLE, MAX_WORKLOAD, Message, attested_client, attested_server,
};
use twine_attest::ratls::{Hello, SessionKey};
use twine_enclave::{clock, identity};
use twine_wasi::{Output, StreamError};
use twine_workload::{Accepted, Candidate, Deliverer};

use crate::peer::{Peer, Role};
use crate::{End, evidence, phase};

/// What was delivered, for the workload that it is for.
pub struct Delivered {
    /// The workload.
    pub accepted: Accepted,
    /// Code and secrets of all deliverers: exactly what the workload asks for.
    pub bundle: Bundle,
    /// Who waits for the result.
    pub owners: Vec<Owner>,
}

/// Gets everything that the workload takes by delivery. `known` is the workload, if the host has handed it over already.
pub fn receive(known: Option<Accepted>) -> Result<Delivered, End> {
    let mut state =
        State { accepted: known, done: Vec::new(), bundle: Bundle::default(), owners: Vec::new() };
    while let Some(next) = state.next() {
        let next = next.map(str::to_owned);
        let who = next.as_deref().unwrap_or("the first deliverer");
        let peer = Peer::open(next.as_deref().unwrap_or_default()).map_err(|status| {
            End(Code::Failed, 0, format!("no way to {who} ({status:?}); the host's log says why"))
        })?;
        if let Err(why) = state.attempt(&peer) {
            peer.close(&why);
            if peer.role() == Role::Client {
                return Err(End::refused(format!("nothing was delivered by {who}: {why}")));
            }
        }
    }
    match state {
        State { accepted: Some(accepted), bundle, owners, .. } => {
            phase(StartPhase::Delivered);
            Ok(Delivered { accepted, bundle, owners })
        }
        // Without a workload there is always a next one.
        State { accepted: None, .. } => Err(End::refused("the workload was not delivered")),
    }
}

struct State {
    accepted: Option<Accepted>,
    /// Names of those who have delivered.
    done: Vec<String>,
    bundle: Bundle,
    owners: Vec<Owner>,
}

impl State {
    /// Who is to come next, by name if the workload is known; nobody: all have.
    fn next(&self) -> Option<Option<&str>> {
        let Some(accepted) = &self.accepted else { return Some(None) };
        let mut left = accepted.workload().deliverers().iter().filter(|one| !self.done.contains(&one.name));
        left.next().map(|one| Some(one.name.as_str()))
    }

    /// One connection. `Err` says why it brought nothing.
    fn attempt(&mut self, peer: &Peer) -> Result<(), String> {
        let mut channel = self.attest(peer)?;
        phase(StartPhase::Attested);
        let (accepted, deliverer, bundle) = self.take(&mut channel, peer.role()).inspect_err(|why| {
            // Who delivered may be gone; there is nobody else to tell.
            let _ = Message::Refused(why.clone()).write(&mut channel);
        })?;
        Message::Accepted.write(&mut channel).map_err(|error| error.to_string())?;
        if peer.role() == Role::Server {
            let output = deliverer.output;
            self.owners.push(Owner { channel: Arc::new(Mutex::new(channel)), output });
        } else {
            channel.close();
            peer.close("");
        }
        self.done.push(deliverer.name);
        self.accepted = Some(accepted);
        self.bundle.module = self.bundle.module.take().or(bundle.module);
        self.bundle.env.extend(bundle.env);
        self.bundle.files.extend(bundle.files);
        self.bundle.keys.extend(bundle.keys);
        Ok(())
    }

    /// Hellos, fresh key, quote for the peer's nonce, handshake.
    fn attest(&self, peer: &Peer) -> Result<Channel<Peer>, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let mut stream = peer.clone();
        Hello::new().and_then(|own| own.write(&mut stream)).map_err(|e| text(&e))?;
        let hello = Hello::read(&mut stream).map_err(|e| text(&e))?;
        let key = SessionKey::generate().map_err(|e| text(&e))?;
        let claims = key.claims(&hello, self.accepted.as_ref().map(Accepted::digest));
        let quote = evidence::quote(&report_data(&claims.to_bytes())).map_err(|e| text(&e))?;
        let now = clock::realtime() / 1_000_000_000;
        let attested = key.certify(&claims, &quote, now).map_err(|e| text(&e))?;
        match peer.role() {
            Role::Server => Channel::accept(attested_server(attested).map_err(|e| text(&e))?, stream),
            Role::Client => Channel::connect(attested_client(attested).map_err(|e| text(&e))?, stream),
        }
        .map_err(|e| text(&e))
    }

    /// Workload, deliverer and bundle, each believed or refused before more is read.
    fn take(&self, channel: &mut Channel<Peer>, role: Role) -> Result<(Accepted, Deliverer, Bundle), String> {
        let key = channel.peer_key();
        if let Some(known) = &self.accepted {
            self.admit(known, key, role)?;
        }
        let accepted = match read(channel, MAX_WORKLOAD)? {
            Message::Workload(presented) => self.workload(&presented)?,
            other => return Err(format!("a message of kind {} came instead of the workload", other.name())),
        };
        let deliverer = self.admit(&accepted, key, role)?;
        Message::Accepted.write(channel).map_err(|error| error.to_string())?;
        let bundle = match read(channel, MAX_BUNDLE)? {
            Message::Bundle(bytes) => Bundle::from_bytes(&bytes).map_err(|error| error.to_string())?,
            other => return Err(format!("a message of kind {} came instead of a bundle", other.name())),
        };
        bundle.check(&deliverer).map_err(|error| error.to_string())?;
        if let Some(module) = &bundle.module {
            accepted.check_module(module).map_err(|error| format!("bundle.module: {error}"))?;
        }
        Ok((accepted, deliverer, bundle))
    }

    /// The workload that CONFIGID names; under an owner's identity the one that the others have delivered to.
    fn workload(&self, presented: &[u8]) -> Result<Accepted, String> {
        let report = identity::own_report();
        let accepted = Candidate::parse(presented)
            .and_then(|candidate| candidate.accept(&report.configid, report.configsvn))
            .map_err(|error| format!("workload: {error}"))?;
        if self.accepted.as_ref().is_some_and(|known| known.digest() != accepted.digest()) {
            return Err("workload: it is another one than this run's".to_owned());
        }
        Ok(accepted)
    }

    /// Who delivers with `key`, if it is their turn.
    fn admit(&self, accepted: &Accepted, key: Option<[u8; 32]>, role: Role) -> Result<Deliverer, String> {
        let deliverer = key
            .and_then(|key| accepted.workload().deliverer(&key))
            .ok_or("the workload names another deliverer (workload.delivery.key)")?;
        let name = &deliverer.name;
        if self.done.contains(name) {
            return Err(format!("{name} has delivered already"));
        }
        if deliverer.output && role == Role::Client {
            return Err(format!(
                "the program's output is for {name}, who gets it only by connecting: start with --await-owner"
            ));
        }
        Ok(deliverer.clone())
    }
}

fn read(channel: &mut Channel<Peer>, limit: u64) -> Result<Message, String> {
    Message::read(channel, limit).map_err(|error| error.to_string())
}

/// A deliverer who waits for the result.
#[derive(Clone)]
pub struct Owner {
    channel: Arc<Mutex<Channel<Peer>>>,
    output: bool,
}

impl Owner {
    fn channel(&self) -> MutexGuard<'_, Channel<Peer>> {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this deliverer gets standard output and error, and the host does not.
    pub fn gets_output(&self) -> bool {
        self.output
    }

    /// Standard output or error as this deliverer's.
    pub fn output(&self, stdout: bool) -> OwnerOutput {
        OwnerOutput { owner: self.clone(), stdout }
    }

    /// Tells how the run ended. What the program computed with is in the message, perhaps: all of it is for who gets the
    /// output, for others what the host gets as well.
    pub fn tell(&self, End(code, status, message): &End, for_all: &str) {
        let message = if self.output { message } else { for_all };
        let ended = Ended { outcome: *code as u8, code: *status, message: message.to_owned() };
        // An owner who has gone has chosen not to know.
        let _ = Message::Ended(ended).write(&mut *self.channel());
    }
}

/// A stream of the program's that goes to a deliverer.
pub struct OwnerOutput {
    owner: Owner,
    stdout: bool,
}

/// Most bytes of output in one message.
const PIECE: usize = 64 << 10;

impl Output for OwnerOutput {
    fn write(&mut self, buf: &[u8]) -> Result<(), StreamError> {
        for piece in buf.chunks(PIECE) {
            let bytes = piece.to_vec();
            let message = if self.stdout { Message::Stdout(bytes) } else { Message::Stderr(bytes) };
            message.write(&mut *self.owner.channel()).map_err(|_| StreamError::Failed)?;
        }
        Ok(())
    }
}
