//! What can go wrong with a volume, and whose fault it is.

use crate::store::StoreError;

/// An alias with this crate's [`Error`].
pub type Result<T> = core::result::Result<T, Error>;

/// Why a volume could not be opened, read or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No header: another file, or a volume whose creation was cut short.
    #[error("not a volume (no header found); create it first or name the right store")]
    NotAVolume,
    /// A header is there and both copies are damaged.
    #[error("both copies of the volume's header are damaged; restore the store from a copy")]
    HeaderDamaged,
    /// Written by a newer Twine.
    #[error("volume format version {0} is not supported by this build (it reads version 1)")]
    UnsupportedVersion(u32),
    /// The header is whole and does not open under this master key.
    #[error("the key does not open this volume: another identity, another owner or a re-keyed volume")]
    WrongKey,
    /// The caller expected another volume.
    #[error("this is another volume than the one expected")]
    OtherVolume,
    /// No record of the ring verifies.
    #[error("no committed state verifies ({unreadable} records unreadable); the store is damaged or forged")]
    NoRoot {
        /// Slots of the ring that hold something which does not authenticate.
        unreadable: u32,
    },
    /// Two valid states of one sequence: the store mixes two histories.
    #[error("two different states of sequence {sequence}: the store mixes two histories of this volume")]
    Equivocation {
        /// The sequence in question.
        sequence: u64,
    },
    /// Something below a valid root does not verify.
    #[error("corrupted {what} in slot {slot}: the store is damaged, forged or stale")]
    Corrupted {
        /// What was being read.
        what: &'static str,
        /// Its position in 4 KiB slots.
        slot: u32,
    },
    /// The anchor knows a newer state than the store offers.
    #[error("rolled back: the store offers state {found}, the anchor knows {anchored}")]
    Rollback {
        /// What the store offers.
        found: u64,
        /// What the anchor demands.
        anchored: u64,
    },
    /// Another writer moved the anchor, or another history has this sequence.
    #[error("forked at state {sequence}: another writer or another history of this volume exists")]
    Forked {
        /// The sequence in question.
        sequence: u64,
    },
    /// The anchor has no record of this volume, which was not created with it, or whose record was taken away.
    #[error("the freshness anchor knows nothing of this volume: its record was deleted, or it never had one")]
    Unanchored,
    /// The anchor's record is of another volume: two were swapped, or one was deleted and created again.
    #[error("the freshness anchor's record is of another volume: this one was swapped, or created anew")]
    OtherAnchor,
    /// The anchor's answer did not verify.
    #[error("the freshness anchor's answer is forged or an old one")]
    AnchorForged,
    /// The anchor did not answer.
    #[error("the freshness anchor failed: {0}")]
    Anchor(String),
    /// The untrusted store failed.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// The embedder's entropy failed.
    #[error("no entropy")]
    Entropy,
    /// Opened read-only, or read-only after a failure (see `Volume::failure`).
    #[error("the volume is read-only")]
    ReadOnly,
    /// The store cannot grow and has no free slot for this.
    #[error("no space left in the volume")]
    NoSpace,
    /// An ordinary refusal of a file-system call.
    #[error("{0}")]
    Fs(#[from] twine_vfs::Error),
    /// A defect in this crate.
    #[error("defect in twine-volume: {0}; please report it")]
    Bug(&'static str),
}

impl Error {
    /// Whether an anchor refused: the state is old, forked, or not the one that the anchor knows.
    pub fn is_stale(&self) -> bool {
        matches!(self, Error::Rollback { .. } | Error::Forked { .. } | Error::Unanchored | Error::OtherAnchor)
    }

    /// What an anchor's refusal means, where a conflict means `conflict`.
    pub(crate) fn of_anchor(error: crate::AnchorError, conflict: Error) -> Error {
        use crate::AnchorError;
        match error {
            AnchorError::Conflict => conflict,
            AnchorError::OtherVolume => Error::OtherAnchor,
            AnchorError::Forged => Error::AnchorForged,
            AnchorError::Failed(why) => Error::Anchor(why),
        }
    }

    /// The errno-like error that a guest sees.
    pub fn as_fs(&self) -> twine_vfs::Error {
        match self {
            Error::Fs(error) => *error,
            Error::ReadOnly => twine_vfs::Error::ReadOnly,
            Error::NoSpace | Error::Store(StoreError::NoSpace) => twine_vfs::Error::NoSpace,
            _ => twine_vfs::Error::Io,
        }
    }
}
