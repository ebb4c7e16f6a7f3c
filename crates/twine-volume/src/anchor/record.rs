//! An anchor that is a record in the host's hands.

use super::{Anchor, AnchorError, AnchorState};

/// Where the record of an [`InsecureFileAnchor`] is kept.
pub trait AnchorRecord: Send {
    /// The record, if there is one.
    ///
    /// # Errors
    /// [`AnchorError::Failed`].
    fn get(&mut self) -> Result<Option<Vec<u8>>, AnchorError>;
    /// Replaces `expected` (empty: none) by `new` in one step.
    ///
    /// # Errors
    /// [`AnchorError::Conflict`] if there is another one; [`AnchorError::Failed`].
    fn swap(&mut self, expected: &[u8], new: &[u8]) -> Result<(), AnchorError>;
}

/// An anchor in a file beside the store. Insecure: the host that can turn back the store can turn back the file. It
/// shows the protocol and finds accidents, such as a restored backup.
pub struct InsecureFileAnchor<R>(R);

impl<R: AnchorRecord> InsecureFileAnchor<R> {
    /// The record need not exist yet.
    pub fn new(record: R) -> Self {
        Self(record)
    }
}

impl<R: AnchorRecord> Anchor for InsecureFileAnchor<R> {
    fn load(&mut self, volume: &[u8; 16]) -> Result<Option<AnchorState>, AnchorError> {
        self.0.get()?.map(|record| AnchorState::of(&record, volume)).transpose()
    }

    fn swap(
        &mut self,
        volume: &[u8; 16],
        expected: Option<&AnchorState>,
        new: &AnchorState,
    ) -> Result<(), AnchorError> {
        let expected = expected.map(|state| state.encode(volume).to_vec()).unwrap_or_default();
        self.0.swap(&expected, &new.encode(volume))
    }

    fn name(&self) -> &'static str {
        "insecure-file"
    }
}

/// A record in a file; the file need not exist yet.
#[cfg(feature = "file")]
pub struct FileRecord(pub std::path::PathBuf);

#[cfg(feature = "file")]
impl AnchorRecord for FileRecord {
    fn get(&mut self) -> Result<Option<Vec<u8>>, AnchorError> {
        match std::fs::read(&self.0) {
            Ok(record) => Ok(Some(record)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(AnchorError::Failed(format!("reading the anchor file: {e}"))),
        }
    }

    fn swap(&mut self, expected: &[u8], new: &[u8]) -> Result<(), AnchorError> {
        if self.get()?.unwrap_or_default() != expected {
            return Err(AnchorError::Conflict);
        }
        super::replace(&self.0, new).map_err(|e| AnchorError::Failed(format!("writing the anchor file: {e}")))
    }
}
