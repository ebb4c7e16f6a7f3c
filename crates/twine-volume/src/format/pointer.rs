//! Pointers to blocks (section 4).

use super::TAG;
use super::cursor::Reader;

/// Bytes of an encoded pointer.
pub(crate) const POINTER: usize = 40;

/// The salt of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Salt(pub(crate) [u8; 16]);

/// Where a block is and what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub(crate) slot: u32,
    pub(crate) counter: u32,
    pub(crate) salt: Salt,
    pub(crate) tag: [u8; TAG],
}

/// The counter of a pointer to a node that so far exists in memory only; above every epoch's limit.
const IN_MEMORY: u32 = u32::MAX;

impl Pointer {
    /// To a node that is not sealed yet and has this slot waiting for it.
    pub(crate) fn in_memory(slot: u32) -> Pointer {
        Pointer { slot, counter: IN_MEMORY, salt: Salt([0; 16]), tag: [0; TAG] }
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        self.counter == IN_MEMORY
    }

    pub(crate) fn encode(&self) -> [u8; POINTER] {
        let mut out = [0; POINTER];
        out[..4].copy_from_slice(&self.slot.to_le_bytes());
        out[4..8].copy_from_slice(&self.counter.to_le_bytes());
        out[8..24].copy_from_slice(&self.salt.0);
        out[24..].copy_from_slice(&self.tag);
        out
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Option<Pointer> {
        Some(Pointer {
            slot: reader.u32()?,
            counter: reader.u32()?,
            salt: Salt(reader.array()?),
            tag: reader.array()?,
        })
    }
}
