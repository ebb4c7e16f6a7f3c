//! The record of a commit (section 6). Bytes only; sealing is `crypto::record`'s.

use super::cursor::Reader;
use super::node::LEVELS;
use super::pointer::{POINTER, Pointer, Salt};
use super::{RING, RING_LEN, SLOT, TAG};

const MAGIC: [u8; 4] = *b"TVR1";
/// Bytes in clear at the front.
pub(crate) const CLEAR: usize = 28;
/// Bytes that are sealed.
pub(crate) const SEALED: usize = SLOT - CLEAR - TAG;
/// Most epochs between two barriers; a commit that would need more takes a barrier first.
pub(crate) const UNSYNCED_MAX: usize = 8;
/// Longest delta.
pub(crate) const DELTA_MAX: usize = 3000;

const _: () = assert!(
    2 + 8 + TAG + 1 + POINTER + 4 + 8 + 1 + UNSYNCED_MAX * 20 + 2 + DELTA_MAX <= SEALED,
    "the longest record fits its slot"
);

/// The slot of a sequence's record.
pub(crate) fn slot_of(sequence: u64) -> u32 {
    RING + (sequence % u64::from(RING_LEN)) as u32
}

/// The part that anyone can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clear {
    pub(crate) sequence: u64,
    pub(crate) salt: Salt,
}

impl Clear {
    pub(crate) fn encode(&self) -> [u8; CLEAR] {
        let mut out = [0; CLEAR];
        out[..4].copy_from_slice(&MAGIC);
        out[4..12].copy_from_slice(&self.sequence.to_le_bytes());
        out[12..].copy_from_slice(&self.salt.0);
        out
    }

    /// `None`: no record.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Clear> {
        let mut reader = Reader::new(bytes);
        if reader.array() != Some(MAGIC) {
            return None;
        }
        let clear = Clear { sequence: reader.u64()?, salt: Salt(reader.array()?) };
        reader.finish()?;
        Some(clear)
    }
}

/// A committed state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) previous: u64,
    pub(crate) previous_tag: [u8; TAG],
    pub(crate) level: u8,
    pub(crate) root: Pointer,
    pub(crate) slots: u32,
    pub(crate) next_ino: u64,
    /// Blocks of an epoch at or after a counter that no barrier covered before this record.
    pub(crate) unsynced: Vec<(Salt, u32)>,
    pub(crate) delta: Vec<u8>,
}

impl Record {
    /// `None` when a list or the delta is too long.
    pub(crate) fn encode(&self, version: u32) -> Option<[u8; SEALED]> {
        let mut out = Vec::with_capacity(SEALED);
        out.extend_from_slice(&u16::try_from(version).ok()?.to_le_bytes());
        out.extend_from_slice(&self.previous.to_le_bytes());
        out.extend_from_slice(&self.previous_tag);
        out.push(self.level);
        out.extend_from_slice(&self.root.encode());
        out.extend_from_slice(&self.slots.to_le_bytes());
        out.extend_from_slice(&self.next_ino.to_le_bytes());
        out.push(u8::try_from(self.unsynced.len()).ok()?);
        for (salt, counter) in &self.unsynced {
            out.extend_from_slice(&salt.0);
            out.extend_from_slice(&counter.to_le_bytes());
        }
        out.extend_from_slice(&u16::try_from(self.delta.len()).ok()?.to_le_bytes());
        out.extend_from_slice(&self.delta);
        if out.len() > SEALED {
            return None;
        }
        out.resize(SEALED, 0);
        out.try_into().ok()
    }

    pub(crate) fn decode(bytes: &[u8], version: u32) -> Option<Record> {
        let mut reader = Reader::new(bytes);
        if u32::from(reader.u16()?) != version {
            return None;
        }
        let (previous, previous_tag, level) = (reader.u64()?, reader.array()?, reader.u8()?);
        let (root, slots, next_ino) = (Pointer::decode(&mut reader)?, reader.u32()?, reader.u64()?);
        let n = reader.u8()?;
        let mut unsynced = Vec::new();
        for _ in 0..n {
            unsynced.push((Salt(reader.array()?), reader.u32()?));
        }
        let length = reader.u16()?;
        let delta = reader.take(length.into())?.to_vec();
        reader.finish_zero()?;
        let bounded = unsynced.len() <= UNSYNCED_MAX && delta.len() <= DELTA_MAX && level <= LEVELS;
        bounded.then_some(Record { previous, previous_tag, level, root, slots, next_ino, unsynced, delta })
    }
}
