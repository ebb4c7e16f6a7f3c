//! The log's records (section 7): what changed in the tree's items and in pages since the record before. Bytes only; sealing is
//! `crypto`'s.

use super::cursor::Reader;
use super::key::Key;
use super::pointer::Salt;
use super::{LOG_LEN, SLOT, TAG};

const MAGIC: [u8; 4] = *b"TVL1";
/// Bytes in clear at the front.
pub(crate) const CLEAR: usize = 32;
/// Most slots of one record: 15 pages and what goes with them.
pub(crate) const SLOTS_MAX: u32 = 16;
/// Bytes before the changes.
const HEAD: usize = 2 + 8 + TAG + 8 + TAG + 8 + 4;
/// Longest list of changes.
pub(crate) const CHANGES_MAX: usize = sealed(SLOTS_MAX) - HEAD;
/// Pages that a root and its log may differ by, and nodes of the tree: a reader holds them in memory.
pub(crate) const PAGES_MAX: usize = 64;
pub(crate) const NODES_MAX: usize = 32;
/// Longest value of an item in the log: inodes and names.
const VALUE_MAX: usize = 512;

const _: () = assert!(SLOTS_MAX < LOG_LEN);

/// Sealed bytes of a record of so many slots.
const fn sealed(slots: u32) -> usize {
    slots as usize * SLOT - CLEAR - TAG
}

/// The part that anyone can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clear {
    pub(crate) sequence: u64,
    pub(crate) salt: Salt,
    /// Slots of the record.
    pub(crate) slots: u32,
}

impl Clear {
    pub(crate) fn encode(&self) -> [u8; CLEAR] {
        let mut out = [0; CLEAR];
        out[..4].copy_from_slice(&MAGIC);
        out[4..12].copy_from_slice(&self.sequence.to_le_bytes());
        out[12..28].copy_from_slice(&self.salt.0);
        out[28..].copy_from_slice(&self.slots.to_le_bytes());
        out
    }

    /// `None`: no record.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Clear> {
        let mut reader = Reader::new(bytes);
        if reader.array() != Some(MAGIC) {
            return None;
        }
        let clear = Clear { sequence: reader.u64()?, salt: Salt(reader.array()?), slots: reader.u32()? };
        reader.finish()?;
        (1..=SLOTS_MAX).contains(&clear.slots).then_some(clear)
    }
}

/// A committed state by its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) sequence: u64,
    pub(crate) tag: [u8; TAG],
}

/// A state that differs from an earlier one by these changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogRecord {
    /// The root that the log begins with.
    pub(crate) root: State,
    pub(crate) previous: State,
    pub(crate) next_ino: u64,
    /// [`Changes`], encoded.
    pub(crate) changes: Vec<u8>,
}

impl LogRecord {
    /// The record's slots with what is to be sealed in its place, and how many they are. `None` when there are too many changes.
    pub(crate) fn encode(&self, version: u32) -> Option<(Vec<u8>, u32)> {
        let slots = (HEAD + self.changes.len() + CLEAR + TAG).div_ceil(SLOT) as u32;
        if slots > SLOTS_MAX {
            return None;
        }
        let mut out = Vec::with_capacity(slots as usize * SLOT);
        out.resize(CLEAR, 0);
        out.extend_from_slice(&u16::try_from(version).ok()?.to_le_bytes());
        for state in [self.root, self.previous] {
            out.extend_from_slice(&state.sequence.to_le_bytes());
            out.extend_from_slice(&state.tag);
        }
        out.extend_from_slice(&self.next_ino.to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.changes.len()).ok()?.to_le_bytes());
        out.extend_from_slice(&self.changes);
        out.resize(slots as usize * SLOT, 0);
        Some((out, slots))
    }

    pub(crate) fn decode(bytes: &[u8], version: u32) -> Option<LogRecord> {
        let mut reader = Reader::new(bytes);
        if u32::from(reader.u16()?) != version {
            return None;
        }
        let root = State { sequence: reader.u64()?, tag: reader.array()? };
        let previous = State { sequence: reader.u64()?, tag: reader.array()? };
        let (next_ino, length) = (reader.u64()?, reader.u32()?);
        let changes = reader.take(length as usize)?.to_vec();
        reader.finish_zero()?;
        Some(LogRecord { root, previous, next_ino, changes })
    }
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change<'a> {
    /// An item of the tree has this value.
    Put { key: Key, value: &'a [u8] },
    /// An item is gone.
    Delete { key: Key },
    /// A file's pages from a block on are gone.
    Cut { ino: u64, block: u64 },
    /// A page of a file; what it is short of a page is zero.
    Page { ino: u64, block: u64, bytes: &'a [u8] },
}

const PUT: u8 = 1;
const DELETE: u8 = 2;
const CUT: u8 = 3;
const PAGE: u8 = 4;

/// Changes in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Changes(Vec<u8>);

impl Changes {
    /// Whether it still fits a record; what does not is not added.
    pub(crate) fn push(&mut self, change: &Change<'_>) -> bool {
        let start = self.0.len();
        let two = |out: &mut Vec<u8>, kind, a: u64, b: u64| {
            out.push(kind);
            out.extend_from_slice(&a.to_le_bytes());
            out.extend_from_slice(&b.to_le_bytes());
        };
        let counted = |out: &mut Vec<u8>, bytes: &[u8]| {
            out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
            out.extend_from_slice(bytes);
        };
        match *change {
            Change::Put { key, value } => {
                self.0.push(PUT);
                self.0.extend_from_slice(&key.0.to_le_bytes());
                counted(&mut self.0, value);
            }
            Change::Delete { key } => {
                self.0.push(DELETE);
                self.0.extend_from_slice(&key.0.to_le_bytes());
            }
            Change::Cut { ino, block } => two(&mut self.0, CUT, ino, block),
            Change::Page { ino, block, bytes } => {
                let used = bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
                // Room for a record of one page at once: most have one.
                self.0.reserve(2 * SLOT);
                two(&mut self.0, PAGE, ino, block);
                counted(&mut self.0, bytes.get(..used).unwrap_or(bytes));
            }
        }
        if self.0.len() > CHANGES_MAX {
            self.0.truncate(start);
            return false;
        }
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The changes that `bytes` encode, or `None` for one that makes no sense, which is the last.
    pub(crate) fn read(bytes: &[u8]) -> impl Iterator<Item = Option<Change<'_>>> {
        let mut reader = Some(Reader::new(bytes));
        std::iter::from_fn(move || {
            let mut left = reader.take()?;
            if left.is_empty() {
                return None;
            }
            let change = Self::next(&mut left);
            reader = change.map(|_| left);
            Some(change)
        })
    }

    fn next<'a>(reader: &mut Reader<'a>) -> Option<Change<'a>> {
        Some(match reader.u8()? {
            PUT => {
                let key = Key(u128::from_le_bytes(reader.array()?));
                let length = usize::from(reader.u16()?);
                (length <= VALUE_MAX).then_some(Change::Put { key, value: reader.take(length)? })?
            }
            DELETE => Change::Delete { key: Key(u128::from_le_bytes(reader.array()?)) },
            CUT => Change::Cut { ino: reader.u64()?, block: reader.u64()? },
            PAGE => {
                let (ino, block, length) = (reader.u64()?, reader.u64()?, usize::from(reader.u16()?));
                let bytes = reader.take(length)?;
                // One encoding only: the last byte is no zero.
                let short = length <= SLOT && bytes.last() != Some(&0);
                short.then_some(Change::Page { ino, block, bytes })?
            }
            _ => return None,
        })
    }
}
