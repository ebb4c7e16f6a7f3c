//! The stored layout (docs/volume-format.md): every number, size and encoding, and nothing that acts.

pub(crate) mod chunk;
pub(crate) mod cursor;
pub(crate) mod entry;
mod exercise;
pub(crate) mod header;
pub(crate) mod inode;
pub(crate) mod key;
pub(crate) mod log;
pub(crate) mod node;
pub(crate) mod pointer;
pub(crate) mod record;

pub use exercise::exercise_decoders;

/// Version of the format that new volumes get, in header and records.
pub(crate) const VERSION: u32 = 2;
/// The version before, which has no log.
pub(crate) const WITHOUT_LOG: u32 = 1;
/// Bytes of a slot, a block, a page.
pub(crate) const SLOT: usize = 4096;
/// First slot of the ring of records.
pub(crate) const RING: u32 = 2;
/// Records in the ring.
pub(crate) const RING_LEN: u32 = 62;
/// First slot of the log.
pub(crate) const LOG: u32 = RING + RING_LEN;
/// Slots of the log.
pub(crate) const LOG_LEN: u32 = 64;
/// Slots of a segment, the unit of the store's length.
pub(crate) const SEGMENT: u32 = 256;
/// Slots of a region, the unit of the allocation map.
pub(crate) const REGION: u32 = 1024;
/// Bytes of an authentication tag.
pub(crate) const TAG: usize = 16;
/// The root directory's inode.
pub(crate) const ROOT_INO: u64 = 1;
/// Longest contents that stay inline.
pub(crate) const INLINE_MAX: usize = 3072;
/// Longest target of a symbolic link.
pub(crate) const TARGET_MAX: usize = 4095;
/// Largest file: what a signed 64-bit offset reaches.
pub(crate) const FILE_MAX: u64 = i64::MAX as u64;

/// One slot's bytes.
pub(crate) type Page = [u8; SLOT];

const _: () = assert!(REGION.is_multiple_of(SEGMENT) && LOG + LOG_LEN < SEGMENT);

/// Slots before the first block: two headers, the ring and, where the version has one, the log.
pub(crate) fn reserved(version: u32) -> u32 {
    if version == WITHOUT_LOG { LOG } else { LOG + LOG_LEN }
}

/// Byte offset of a slot.
pub(crate) fn offset_of(slot: u32) -> u64 {
    u64::from(slot) * SLOT as u64
}
