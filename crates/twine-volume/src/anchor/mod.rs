//! Freshness across restarts: a place outside the store that remembers the newest state (section 10).

#[cfg(feature = "file")]
mod ledger;
mod record;
mod service;

#[cfg(feature = "file")]
use ledger::replace;
#[cfg(feature = "file")]
pub use ledger::{AnchorService, FolderLedger, Ledger};
#[cfg(feature = "file")]
pub use record::FileRecord;
pub use record::{AnchorRecord, InsecureFileAnchor};
pub use service::{ServiceAnchor, Transport};

use std::sync::{Arc, Mutex, PoisonError};

use crate::format::cursor::Reader;

/// A state by its number and its record's tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Successor {
    /// Sequence of the state.
    pub sequence: u64,
    /// Tag of its record, which authenticates everything below it.
    pub tag: [u8; 16],
}

/// What an anchor keeps for one volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnchorState {
    /// The newest state that is known to be durable.
    pub current: Successor,
    /// A state that may have become durable after it.
    pub pending: Option<Successor>,
    /// Whether that run announces every commit: then no state but `current` and `pending` can be an honest one.
    pub announces: bool,
    /// The run that may move the anchor.
    pub writer: [u8; 16],
}

/// When the anchor moves: what a host can roll back to at a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnchorPolicy {
    /// With every commit: nothing that a sync acknowledged can be rolled back.
    #[default]
    EverySync,
    /// With the first commit after so many nanoseconds: those of an interval can be rolled back after a crash. The clock
    /// is the volume's, hence as good as the embedder's source of time.
    Interval(u64),
    /// At open and close: one run's commits can be rolled back after a crash.
    OpenAndClose,
}

/// A memory that the host cannot turn back. An implementation authenticates the answers of whatever serves it.
pub trait Anchor: Send {
    /// Called before anything else with 32 bytes that only those have who can open the volume, always the same ones: an
    /// anchor that has to prove who it asks for takes its key from them.
    fn unlock(&mut self, _secret: &[u8; 32]) {}
    /// What is kept for the volume; `None`: it was never anchored.
    fn load(&mut self, volume: &[u8; 16]) -> Result<Option<AnchorState>, AnchorError>;
    /// Replaces `expected` by `new` in one step, or changes nothing.
    fn swap(
        &mut self,
        volume: &[u8; 16],
        expected: Option<&AnchorState>,
        new: &AnchorState,
    ) -> Result<(), AnchorError>;
    /// Its name in reports.
    fn name(&self) -> &'static str;
}

/// Why the anchor did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// It holds something else than expected: another writer.
    #[error("the anchor was moved by another writer")]
    Conflict,
    /// What it holds is of another volume.
    #[error("the anchor is another volume's")]
    OtherVolume,
    /// The answer is not the service's, or not to this question.
    #[error("the answer is not the anchor service's, or an old one")]
    Forged,
    /// It could not be reached.
    #[error("{0}")]
    Failed(String),
}

/// An anchor in memory, for tests. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryAnchor(Arc<Mutex<Option<AnchorState>>>);

impl Anchor for MemoryAnchor {
    fn load(&mut self, _: &[u8; 16]) -> Result<Option<AnchorState>, AnchorError> {
        Ok(*self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn swap(
        &mut self,
        _: &[u8; 16],
        expected: Option<&AnchorState>,
        new: &AnchorState,
    ) -> Result<(), AnchorError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.as_ref() != expected {
            return Err(AnchorError::Conflict);
        }
        *state = Some(*new);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "memory"
    }
}

/// Bytes of a state as it is kept and sent.
pub(crate) const RECORD: usize = 89;

impl AnchorState {
    pub(crate) fn encode(&self, volume: &[u8; 16]) -> [u8; RECORD] {
        let mut out = b"TWINEANC".to_vec();
        out.extend_from_slice(volume);
        for successor in [self.current, self.pending.unwrap_or(Successor { sequence: 0, tag: [0; 16] })] {
            out.extend_from_slice(&successor.sequence.to_le_bytes());
            out.extend_from_slice(&successor.tag);
        }
        out.push(self.announces.into());
        out.extend_from_slice(&self.writer);
        let mut record = [0; RECORD];
        record.copy_from_slice(&out);
        record
    }

    /// The volume that a record is of, and its state.
    pub(crate) fn decode(bytes: &[u8]) -> Option<([u8; 16], Self)> {
        let mut reader = Reader::new(bytes);
        if reader.array() != Some(*b"TWINEANC") {
            return None;
        }
        let volume = reader.array()?;
        let mut successor = || Some(Successor { sequence: reader.u64()?, tag: reader.array()? });
        let (current, pending) = (successor()?, successor()?);
        let announces = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let writer = reader.array()?;
        reader.finish()?;
        let pending = (pending.sequence != 0).then_some(pending);
        Some((volume, Self { current, pending, announces, writer }))
    }

    /// The state of a record that must be `volume`'s.
    pub(crate) fn of(bytes: &[u8], volume: &[u8; 16]) -> Result<Self, AnchorError> {
        match Self::decode(bytes) {
            Some((of, state)) if of == *volume => Ok(state),
            Some(_) => Err(AnchorError::OtherVolume),
            None => Err(AnchorError::Failed("its record is damaged".to_owned())),
        }
    }
}
