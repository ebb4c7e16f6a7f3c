//! Delivery: evidence out, code and secrets in, over TLS that ends here (docs/attestation.md, "Delivery").
//!
//! Whoever comes gets evidence, which is no secret, and must prove to hold an Ed25519 key. A bundle counts only if the
//! workload that CONFIGID names says that this key delivers; so a host that delivers something of its own is refused, and
//! so is a stranger. A refused peer is told why and sent away; an enclave that waits goes on waiting.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use twine_abi::calls::{Outcome as Code, StartPhase};
use twine_attest::claims::report_data;
use twine_attest::delivery::{
    Bundle, Channel, ChannelError, Ended, MAX_BUNDLE, Message, attested_client, attested_server,
};
use twine_attest::ratls::{Hello, SessionKey};
use twine_enclave::{clock, identity};
use twine_wasi::{Output, StreamError};
use twine_workload::{Accepted, Candidate, DeliveryOutput};

use crate::peer::Peer;
use crate::{End, evidence, phase};

/// How deliverer and enclave come together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The owner connects.
    Await,
    /// The enclave connects to a key service.
    Fetch,
}

/// What was delivered, for the workload that it is for.
pub struct Delivered {
    /// The workload.
    pub accepted: Accepted,
    /// Code and secrets: exactly what the workload asks for.
    pub bundle: Bundle,
    /// Where the result goes, if somebody waits for it.
    pub owner: Option<Owner>,
}

/// Gets a delivery. `known` is the workload, if the host has handed it over already.
pub fn receive(way: Way, known: Option<&Accepted>) -> Result<Delivered, End> {
    loop {
        let peer = Peer::open().map_err(|status| {
            let who = if way == Way::Await { "no owner came" } else { "the key service cannot be reached" };
            End(Code::Failed, 0, format!("{who} ({status:?}); the host's log says why"))
        })?;
        match attempt(way, &peer, known) {
            Ok(delivered) => return Ok(delivered),
            Err(why) => {
                peer.close(&why);
                if way == Way::Fetch {
                    return Err(End::refused(format!("nothing was delivered: {why}")));
                }
            }
        }
    }
}

/// One connection. `Err` says why it brought nothing.
fn attempt(way: Way, peer: &Peer, known: Option<&Accepted>) -> Result<Delivered, String> {
    let mut channel = attested(way, peer, known)?;
    phase(StartPhase::Attested);
    let message = match Message::read(&mut channel, MAX_BUNDLE) {
        Ok(Message::Bundle(bytes)) => take(&bytes, &channel, known),
        Ok(other) => Err(format!("a message of kind {} came instead of a bundle", other.name())),
        Err(ChannelError::Message(malformed)) => Err(malformed.to_string()),
        Err(error) => return Err(error.to_string()),
    };
    let (accepted, bundle) = message.inspect_err(|why| {
        // Who delivered may be gone; there is nobody else to tell.
        let _ = Message::Refused(why.clone()).write(&mut channel);
    })?;
    Message::Accepted.write(&mut channel).map_err(|error| error.to_string())?;
    phase(StartPhase::Delivered);
    let output = accepted.workload().delivery.map_or(DeliveryOutput::Host, |delivery| delivery.output);
    let owner = match way {
        Way::Await => Some(Owner { channel: Arc::new(Mutex::new(channel)), output }),
        Way::Fetch => {
            channel.close();
            peer.close("");
            None
        }
    };
    Ok(Delivered { accepted, bundle, owner })
}

/// Hellos, fresh key, quote for the peer's nonce, handshake.
fn attested(way: Way, peer: &Peer, known: Option<&Accepted>) -> Result<Channel<Peer>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let own = Hello::new().map_err(|e| text(&e))?;
    own.write(&mut peer.clone()).map_err(|e| text(&e))?;
    let hello = Hello::read(&mut peer.clone()).map_err(|e| text(&e))?;
    let key = SessionKey::generate().map_err(|e| text(&e))?;
    let claims = key.claims(&hello, known.map(Accepted::digest));
    let quote = evidence::quote(&report_data(&claims.to_bytes())).map_err(|e| text(&e))?;
    let now = clock::realtime() / 1_000_000_000;
    let certificate = key.certify(&claims, &quote, now).map_err(|e| text(&e))?;
    match way {
        Way::Await => Channel::accept(attested_server(certificate).map_err(|e| text(&e))?, peer.clone()),
        Way::Fetch => Channel::connect(attested_client(certificate).map_err(|e| text(&e))?, peer.clone()),
    }
    .map_err(|e| text(&e))
}

/// Believes a bundle, or says why not.
fn take(
    bytes: &[u8],
    channel: &Channel<Peer>,
    known: Option<&Accepted>,
) -> Result<(Accepted, Bundle), String> {
    let bundle = Bundle::from_bytes(bytes).map_err(|error| error.to_string())?;
    let accepted = match (&bundle.workload, known) {
        // Both would be the one that CONFIGID names.
        (None, Some(known)) => known.clone(),
        (Some(presented), _) => {
            let report = identity::own_report();
            Candidate::parse(presented)
                .and_then(|candidate| candidate.accept(&report.configid, report.configsvn))
                .map_err(|error| format!("bundle.workload: {error}"))?
        }
        (None, None) => {
            return Err("bundle.workload: it is missing, and the host has not given the workload either".into());
        }
    };
    let workload = accepted.workload();
    let Some(delivery) = workload.delivery else {
        return Err("the workload names nobody who delivers (workload.delivery.key)".into());
    };
    if channel.peer_key() != Some(delivery.key) {
        return Err("the workload names another deliverer (workload.delivery.key)".into());
    }
    bundle.check(workload).map_err(|error| error.to_string())?;
    if let Some(module) = &bundle.module {
        accepted.check_module(module).map_err(|error| format!("bundle.module: {error}"))?;
    }
    Ok((accepted, bundle))
}

/// The owner, who waits for the result.
#[derive(Clone)]
pub struct Owner {
    channel: Arc<Mutex<Channel<Peer>>>,
    output: DeliveryOutput,
}

impl Owner {
    fn channel(&self) -> MutexGuard<'_, Channel<Peer>> {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the owner gets standard output and error, and the host does not.
    pub fn gets_output(&self) -> bool {
        self.output == DeliveryOutput::Owner
    }

    /// Standard output or error as the owner's.
    pub fn output(&self, stdout: bool) -> OwnerOutput {
        OwnerOutput { owner: self.clone(), stdout }
    }

    /// Tells how the run ended.
    pub fn tell(&self, End(code, status, message): &End) {
        let ended = Ended { outcome: *code as u8, code: *status, message: message.clone() };
        // An owner who has gone has chosen not to know.
        let _ = Message::Ended(ended).write(&mut *self.channel());
    }
}

/// A stream of the program's that goes to the owner.
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
