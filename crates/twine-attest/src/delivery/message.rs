//! The messages of a delivery: `[kind: u8][length: u64][payload]`, little-endian.

use std::io::{Read, Write};

use minicbor::{Decode, Encode};

use super::ChannelError;
use crate::Malformed;

/// Most bytes of a workload with its signature: all that is read of whoever has not proven to be a deliverer.
pub const MAX_WORKLOAD: u64 = 16 << 20;
/// Most bytes of a bundle: the largest module and as much again for the rest.
pub const MAX_BUNDLE: u64 = 2 << 30;
/// Most bytes of every other message.
pub const MAX_REPLY: u64 = 1 << 20;

/// One message.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// To the enclave, first: the workload's canonical bytes and, under an `owner` identity, the signature.
    Workload(Vec<u8>),
    /// To the enclave, once the workload was accepted: [`super::Bundle`].
    Bundle(Vec<u8>),
    /// From the enclave: it takes the workload, then the bundle.
    Accepted,
    /// From the enclave, last: it does not take the one or the other, and why.
    Refused(String),
    /// From the enclave: what the program wrote to standard output.
    Stdout(Vec<u8>),
    /// From the enclave: what the program wrote to standard error.
    Stderr(Vec<u8>),
    /// From the enclave, last: how the run ended.
    Ended(Ended),
}

fn send(kind: u8, payload: &[u8], to: &mut impl Write) -> Result<(), ChannelError> {
    let mut head = vec![kind];
    head.extend((payload.len() as u64).to_le_bytes());
    to.write_all(&head).and_then(|()| to.write_all(payload)).and_then(|()| to.flush())?;
    Ok(())
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ended {
    /// `Outcome` of the border (`crates/twine-abi`): 1 exited, 2 trapped, 3 out of fuel, 4 stopped, 5 bad module,
    /// 6 refused, 7 failed, 8 not written, 9 rolled back, 10 bad volume.
    #[n(0)]
    pub outcome: u8,
    /// The program's exit status, where it exited.
    #[n(1)]
    pub code: u32,
    /// For a person.
    #[n(2)]
    pub message: String,
}

impl Message {
    /// Sends it, and all before it.
    pub fn write(&self, to: &mut impl Write) -> Result<(), ChannelError> {
        match self {
            Self::Workload(bytes) => Self::write_workload(bytes, to),
            Self::Bundle(bytes) => Self::write_bundle(bytes, to),
            Self::Accepted => send(2, &[], to),
            Self::Refused(why) => send(3, why.as_bytes(), to),
            Self::Stdout(bytes) => send(4, bytes, to),
            Self::Stderr(bytes) => send(5, bytes, to),
            Self::Ended(end) => {
                let end = minicbor::to_vec(end).unwrap_or_else(|_| unreachable!("a Vec takes everything"));
                send(6, &end, to)
            }
        }
    }

    /// Sends [`Message::Workload`] of bytes that are kept.
    pub(super) fn write_workload(bytes: &[u8], to: &mut impl Write) -> Result<(), ChannelError> {
        send(7, bytes, to)
    }

    /// Sends [`Message::Bundle`] of bytes that are kept.
    pub(super) fn write_bundle(bytes: &[u8], to: &mut impl Write) -> Result<(), ChannelError> {
        send(1, bytes, to)
    }

    /// Receives the next one, whose payload has at most `limit` bytes.
    pub fn read(from: &mut impl Read, limit: u64) -> Result<Self, ChannelError> {
        let (mut kind, mut length) = ([0], [0; 8]);
        from.read_exact(&mut kind)?;
        from.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        let malformed = |why: String| ChannelError::Message(Malformed::new("message", why));
        if length > limit {
            return Err(malformed(format!("its length is {length}; at most {limit} are taken")));
        }
        let mut payload = Vec::new();
        // The length is the peer's word: memory is taken for what has come.
        if from.take(length).read_to_end(&mut payload)? as u64 != length {
            return Err(ChannelError::Closed);
        }
        let text = |bytes| String::from_utf8(bytes).map_err(|_| malformed("its text is not UTF-8".into()));
        Ok(match kind[0] {
            1 => Self::Bundle(payload),
            2 if payload.is_empty() => Self::Accepted,
            3 => Self::Refused(text(payload)?),
            4 => Self::Stdout(payload),
            5 => Self::Stderr(payload),
            6 => Self::Ended(minicbor::decode(&payload).map_err(|e| malformed(e.to_string()))?),
            7 => Self::Workload(payload),
            kind => return Err(malformed(format!("its kind is {kind}"))),
        })
    }

    /// What it is called in errors.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Workload(_) => "workload",
            Self::Bundle(_) => "bundle",
            Self::Accepted => "accepted",
            Self::Refused(_) => "refused",
            Self::Stdout(_) => "stdout",
            Self::Stderr(_) => "stderr",
            Self::Ended(_) => "ended",
        }
    }
}
