//! What a volume tells about itself.

use crate::anchor::AnchorPolicy;

/// Calls and work since the volume was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls of `Store::read`.
    pub reads: u64,
    /// Blocks decrypted.
    pub blocks_read: u64,
    /// Calls of `Store::write`.
    pub writes: u64,
    /// Bytes handed to `Store::write`.
    pub bytes_written: u64,
    /// Calls of `Store::sync`.
    pub syncs: u64,
    /// Calls of `Store::allocate`, `punch` and `truncate`.
    pub resizes: u64,
    /// Committed states.
    pub commits: u64,
    /// Those of them that took a record in the log alone.
    pub logged: u64,
}

/// What opening found and left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The state that was opened.
    pub sequence: u64,
    /// Records of the log that it took.
    pub log_records: u32,
    /// Slots of the ring that hold something which does not authenticate: torn, or tampered with.
    pub unreadable_records: u32,
    /// A newer commit that was never finished, and the slot of the block that proves it.
    pub discarded: Option<(u64, u32)>,
    /// Inodes without names that an earlier run had open; freed in the background.
    pub orphans: u64,
}

/// A summary for people and for evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The volume's identity.
    pub id: [u8; 16],
    /// Sequence of the last committed state.
    pub sequence: u64,
    /// Bytes of the store that the volume accounts for.
    pub store_bytes: u64,
    /// Bytes of slots in use, metadata and the reserved ones included.
    pub used_bytes: u64,
    /// Bytes of slots that can be written now.
    pub free_bytes: u64,
    /// Blocks sealed under the current epoch's key, and the most that it may seal.
    pub epoch_blocks: (u32, u32),
    /// Bound of the cache in bytes, and the most that it ever held.
    pub cache_bytes: (u64, u64),
    /// Freshness across restarts: the anchor's name, or "none".
    pub anchor: &'static str,
    /// When the anchor moves, which is the largest window that a rollback can use; `None` without an anchor.
    pub anchor_policy: Option<AnchorPolicy>,
    /// Whether nothing can be changed.
    pub read_only: bool,
    /// Work done.
    pub counters: Counters,
}
