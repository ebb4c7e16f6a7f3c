//! The owner's anchor service: its messages, and the enclave's side of it.
//!
//! ```text
//! request  "TWANCRQ1" | operation u8, 1 load, 2 swap | index [32] | volume's public key [32] | nonce [32]
//!          | expected u8, 0 none, 1 given | expected record [89] | new record [89] | signature [64]
//! answer   "TWANCAN1" | result u8 | record [89] | signature [64]
//! ```
//! Records are those of the file anchor; absent ones are zero. The volume signs `"twine anchor request v1"` NUL and all that
//! stands before its signature, so that nobody else moves its record; the service signs `"twine anchor answer v1"` NUL,
//! the SHA-256 of the whole request with its nonce, and the answer, so that no answer serves twice.

use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::{Anchor, AnchorError, AnchorState, RECORD};
use crate::format::cursor::Reader;
use crate::provider::Entropy;

#[cfg(feature = "file")]
const REQUEST: usize = 8 + 1 + 3 * 32 + 1 + 2 * RECORD + 64;
const ANSWER: usize = 8 + 1 + RECORD + 64;
const SIGNATURE: usize = 64;
const REQUEST_DOMAIN: &[u8] = b"twine anchor request v1\0";
const ANSWER_DOMAIN: &[u8] = b"twine anchor answer v1\0";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Load = 1,
    Swap = 2,
}

/// What the service did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The record follows.
    Known = 1,
    /// There is none.
    Unknown = 2,
    Swapped = 3,
    /// There is another record than expected, or the new one is older.
    Conflict = 4,
    /// The index belongs to another volume's key.
    OtherVolume = 5,
}

/// A request taken apart.
pub(super) struct Request {
    pub(super) operation: Operation,
    pub(super) index: [u8; 32],
    pub(super) volume_key: [u8; 32],
    pub(super) expected: Option<[u8; RECORD]>,
    pub(super) new: [u8; RECORD],
}

impl Request {
    fn encode(&self, nonce: &[u8; 32], key: &Ed25519KeyPair) -> Vec<u8> {
        let mut out = b"TWANCRQ1".to_vec();
        out.push(self.operation as u8);
        out.extend_from_slice(&self.index);
        out.extend_from_slice(&self.volume_key);
        out.extend_from_slice(nonce);
        out.push(self.expected.is_some().into());
        out.extend_from_slice(&self.expected.unwrap_or([0; RECORD]));
        out.extend_from_slice(&self.new);
        let signature = key.sign(&[REQUEST_DOMAIN, &out].concat());
        out.extend_from_slice(signature.as_ref());
        out
    }

    /// A request that the volume has signed.
    #[cfg(feature = "file")]
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (signed, signature) = bytes.split_at_checked(REQUEST - SIGNATURE)?;
        let mut reader = Reader::new(signed);
        if reader.array() != Some(*b"TWANCRQ1") {
            return None;
        }
        let operation = match reader.u8()? {
            1 => Operation::Load,
            2 => Operation::Swap,
            _ => return None,
        };
        let (index, volume_key) = (reader.array()?, reader.array()?);
        let _nonce: [u8; 32] = reader.array()?;
        let given = reader.u8()?;
        let expected = reader.array()?;
        let new = reader.array()?;
        reader.finish()?;
        UnparsedPublicKey::new(&ED25519, volume_key)
            .verify(&[REQUEST_DOMAIN, signed].concat(), signature)
            .ok()?;
        let expected = match given {
            0 => None,
            1 => Some(expected),
            _ => return None,
        };
        Some(Self { operation, index, volume_key, expected, new })
    }
}

/// An answer to `request`, signed.
#[cfg(feature = "file")]
pub(super) fn answer(
    request: &[u8],
    outcome: Outcome,
    record: Option<[u8; RECORD]>,
    key: &Ed25519KeyPair,
) -> Vec<u8> {
    let mut out = b"TWANCAN1".to_vec();
    out.push(outcome as u8);
    out.extend_from_slice(&record.unwrap_or([0; RECORD]));
    let signature = key.sign(&answered(request, &out));
    out.extend_from_slice(signature.as_ref());
    out
}

fn answered(request: &[u8], answer: &[u8]) -> Vec<u8> {
    [ANSWER_DOMAIN, digest(&SHA256, request).as_ref(), answer].concat()
}

/// Checks that `answer` is the service's and to `request`.
fn verify(request: &[u8], answer: &[u8], service: &[u8; 32]) -> Option<(Outcome, [u8; RECORD])> {
    let (signed, signature) = answer.split_at_checked(ANSWER - SIGNATURE)?;
    UnparsedPublicKey::new(&ED25519, service).verify(&answered(request, signed), signature).ok()?;
    let mut reader = Reader::new(signed);
    if reader.array() != Some(*b"TWANCAN1") {
        return None;
    }
    let outcome = match reader.u8()? {
        1 => Outcome::Known,
        2 => Outcome::Unknown,
        3 => Outcome::Swapped,
        4 => Outcome::Conflict,
        5 => Outcome::OtherVolume,
        _ => return None,
    };
    let record = reader.array()?;
    reader.finish()?;
    Some((outcome, record))
}

/// Brings messages to the service and back; whoever carries them is believed in nothing.
pub trait Transport: Send {
    /// Sends one message and waits for its answer.
    ///
    /// # Errors
    /// [`AnchorError::Failed`]: none came.
    fn ask(&mut self, message: &[u8]) -> Result<Vec<u8>, AnchorError>;
}

/// An anchor that a service of the owner's keeps.
pub struct ServiceAnchor {
    transport: Box<dyn Transport>,
    entropy: Box<dyn Entropy>,
    service: [u8; 32],
    index: [u8; 32],
    key: Option<Ed25519KeyPair>,
}

impl ServiceAnchor {
    /// `service` is the service's Ed25519 public key; `index` is what it knows the volume by, whatever the host shows: a
    /// volume that was deleted and created again is found out by it.
    pub fn new(
        transport: Box<dyn Transport>,
        entropy: Box<dyn Entropy>,
        service: [u8; 32],
        index: [u8; 32],
    ) -> Self {
        Self { transport, entropy, service, index, key: None }
    }

    fn ask(
        &mut self,
        operation: Operation,
        expected: Option<[u8; RECORD]>,
        new: [u8; RECORD],
    ) -> Result<(Outcome, [u8; RECORD]), AnchorError> {
        let failed = |why: &str| AnchorError::Failed(why.to_owned());
        let mut nonce = [0; 32];
        self.entropy.fill(&mut nonce).map_err(|_| failed("no entropy"))?;
        let key = self.key.as_ref().ok_or_else(|| failed("it was asked before the volume was unlocked"))?;
        let mut volume_key = [0; 32];
        volume_key.copy_from_slice(key.public_key().as_ref());
        let request = Request { operation, index: self.index, volume_key, expected, new }.encode(&nonce, key);
        let answer = self.transport.ask(&request)?;
        match verify(&request, &answer, &self.service).ok_or(AnchorError::Forged)? {
            (Outcome::OtherVolume, _) => Err(AnchorError::OtherVolume),
            answer => Ok(answer),
        }
    }
}

impl Anchor for ServiceAnchor {
    fn unlock(&mut self, secret: &[u8; 32]) {
        self.key = Ed25519KeyPair::from_seed_unchecked(secret).ok();
    }

    fn load(&mut self, volume: &[u8; 16]) -> Result<Option<AnchorState>, AnchorError> {
        match self.ask(Operation::Load, None, [0; RECORD])? {
            (Outcome::Known, record) => AnchorState::of(&record, volume).map(Some),
            (Outcome::Unknown, _) => Ok(None),
            _ => Err(AnchorError::Forged),
        }
    }

    fn swap(
        &mut self,
        volume: &[u8; 16],
        expected: Option<&AnchorState>,
        new: &AnchorState,
    ) -> Result<(), AnchorError> {
        let expected = expected.map(|state| state.encode(volume));
        match self.ask(Operation::Swap, expected, new.encode(volume))? {
            (Outcome::Swapped, _) => Ok(()),
            (Outcome::Conflict, _) => Err(AnchorError::Conflict),
            _ => Err(AnchorError::Forged),
        }
    }

    fn name(&self) -> &'static str {
        "service"
    }
}
