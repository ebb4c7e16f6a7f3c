//! Freshness across restarts: a place outside the store that remembers the newest state (section 10).

use std::sync::{Arc, Mutex, PoisonError};

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
    /// It could not be reached or its answer did not verify.
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

/// An anchor in a file beside the store. Insecure: the host that can turn back the store can turn back the file. It
/// shows the protocol and finds accidents, such as a restored backup.
#[cfg(feature = "file")]
pub struct InsecureFileAnchor {
    path: std::path::PathBuf,
}

#[cfg(feature = "file")]
impl InsecureFileAnchor {
    /// The file need not exist yet.
    pub fn new(path: impl Into<std::path::PathBuf>) -> Self {
        InsecureFileAnchor { path: path.into() }
    }

    fn decode(bytes: &[u8], volume: &[u8; 16]) -> Option<AnchorState> {
        let mut reader = crate::format::cursor::Reader::new(bytes);
        if reader.array() != Some(*b"TWINEANC") || reader.array() != Some(*volume) {
            return None;
        }
        let mut successor = || Some(Successor { sequence: reader.u64()?, tag: reader.array()? });
        let (current, pending) = (successor()?, successor()?);
        let (announces, writer) = (reader.u8()? != 0, reader.array()?);
        reader.finish()?;
        Some(AnchorState { current, pending: (pending.sequence != 0).then_some(pending), announces, writer })
    }

    fn encode(state: &AnchorState, volume: &[u8; 16]) -> Vec<u8> {
        let mut out = b"TWINEANC".to_vec();
        out.extend_from_slice(volume);
        for successor in [state.current, state.pending.unwrap_or(Successor { sequence: 0, tag: [0; 16] })] {
            out.extend_from_slice(&successor.sequence.to_le_bytes());
            out.extend_from_slice(&successor.tag);
        }
        out.push(state.announces.into());
        out.extend_from_slice(&state.writer);
        out
    }

    fn replace(&self, bytes: &[u8]) -> std::io::Result<()> {
        use std::io::Write;
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let mut file = std::fs::File::create(&name)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&name, &self.path)
    }
}

#[cfg(feature = "file")]
impl Anchor for InsecureFileAnchor {
    fn load(&mut self, volume: &[u8; 16]) -> Result<Option<AnchorState>, AnchorError> {
        match std::fs::read(&self.path) {
            Ok(bytes) => Self::decode(&bytes, volume)
                .map(Some)
                .ok_or_else(|| AnchorError::Failed("the anchor file is damaged or another volume's".into())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(AnchorError::Failed(format!("reading the anchor file: {e}"))),
        }
    }

    fn swap(
        &mut self,
        volume: &[u8; 16],
        expected: Option<&AnchorState>,
        new: &AnchorState,
    ) -> Result<(), AnchorError> {
        if self.load(volume)?.as_ref() != expected {
            return Err(AnchorError::Conflict);
        }
        self.replace(&Self::encode(new, volume))
            .map_err(|e| AnchorError::Failed(format!("writing the anchor file: {e}")))
    }

    fn name(&self) -> &'static str {
        "insecure-file"
    }
}
