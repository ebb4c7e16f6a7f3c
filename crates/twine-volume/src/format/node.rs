//! Nodes of the tree as bytes (section 5).
//!
//! The accessors trust the layout: every page comes from [`init`] or has passed [`validate`].

use super::cursor::Reader;
use super::key::Key;
use super::pointer::{POINTER, Pointer};
use super::{Page, SLOT};

const HEAD: usize = 8;
const KEY: usize = 16;
const LEAF_CELL: usize = KEY + 2;
const INNER_CELL: usize = KEY + POINTER;
/// Bytes of cells (and offsets, in a leaf) that a node holds.
pub(crate) const ROOM: usize = SLOT - HEAD;
/// Cells of a full inner node.
pub(crate) const FAN_OUT: usize = ROOM / INNER_CELL;
/// No tree over 2^32 blocks is higher.
pub(crate) const LEVELS: u8 = 16;

const _: () = assert!(super::INLINE_MAX + 1 + LEAF_CELL + 2 <= ROOM, "the largest item fits a leaf");

fn u16_at(page: &Page, at: usize) -> usize {
    usize::from(u16::from_le_bytes([page[at], page[at + 1]]))
}

fn set_u16(page: &mut Page, at: usize, value: usize) {
    page[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes());
}

/// An empty node.
pub(crate) fn init(page: &mut Page, level: u8) {
    page.fill(0);
    page[0] = level;
    set_u16(page, 4, HEAD);
}

pub(crate) fn level(page: &Page) -> u8 {
    page[0]
}

pub(crate) fn count(page: &Page) -> usize {
    u16_at(page, 2)
}

fn used(page: &Page) -> usize {
    u16_at(page, 4)
}

/// Bytes of cells and offsets in use, out of [`ROOM`].
pub(crate) fn load(page: &Page) -> usize {
    used(page) - HEAD + if level(page) == 0 { 2 * count(page) } else { 0 }
}

/// Whether a page that came from the store is a node of this level.
pub(crate) fn validate(page: &Page, expected_level: u8) -> bool {
    check(page, expected_level).is_some()
}

fn check(page: &Page, expected_level: u8) -> Option<()> {
    let mut reader = Reader::new(page);
    let (level, zero) = (reader.u8()?, reader.u8()?);
    let (count, used, zero2) = (usize::from(reader.u16()?), usize::from(reader.u16()?), reader.u16()?);
    if level != expected_level || zero != 0 || zero2 != 0 {
        return None;
    }
    let table = if level == 0 { 2 * count } else { 0 };
    if used < HEAD || used + table > SLOT || (level > 0 && count == 0) {
        return None;
    }
    let mut last: Option<Key> = None;
    for i in 0..count {
        let at = SLOT - reader.left();
        if level == 0 && u16_at(page, SLOT - 2 * (i + 1)) != at {
            return None;
        }
        let key = Key(u128::from_le_bytes(reader.array()?));
        if last.is_some_and(|last| last >= key) {
            return None;
        }
        last = Some(key);
        if level == 0 {
            let length = reader.u16()?;
            reader.take(length.into())?;
        } else {
            Pointer::decode(&mut reader)?;
        }
        if SLOT - reader.left() > used {
            return None;
        }
    }
    let free = page.get(used..SLOT - table)?;
    (SLOT - reader.left() == used && free.iter().all(|b| *b == 0)).then_some(())
}

fn key_at(page: &Page, at: usize) -> Key {
    let mut bytes = [0; KEY];
    bytes.copy_from_slice(&page[at..at + KEY]);
    Key(u128::from_le_bytes(bytes))
}

/// First index in `0..n` at which `less` is false.
fn partition(n: usize, mut less: impl FnMut(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = (low + high) / 2;
        if less(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Leaves: items in key order.
pub(crate) mod leaf {
    use super::*;

    fn offset(page: &Page, i: usize) -> usize {
        u16_at(page, SLOT - 2 * (i + 1))
    }

    pub(crate) fn key(page: &Page, i: usize) -> Key {
        key_at(page, offset(page, i))
    }

    pub(crate) fn value(page: &Page, i: usize) -> &[u8] {
        let at = offset(page, i);
        let length = u16_at(page, at + KEY);
        &page[at + LEAF_CELL..at + LEAF_CELL + length]
    }

    /// A value to be changed in place.
    pub(crate) fn value_mut(page: &mut Page, i: usize) -> &mut [u8] {
        let at = offset(page, i);
        let length = u16_at(page, at + KEY);
        &mut page[at + LEAF_CELL..at + LEAF_CELL + length]
    }

    /// Where the key is, or where it belongs.
    pub(crate) fn find(page: &Page, wanted: Key) -> Result<usize, usize> {
        let n = count(page);
        let i = partition(n, |i| key(page, i) < wanted);
        if i < n && key(page, i) == wanted { Ok(i) } else { Err(i) }
    }

    /// Bytes that an item takes, its offset included.
    pub(crate) fn cost(value: &[u8]) -> usize {
        LEAF_CELL + value.len() + 2
    }

    /// Inserts at `i`; false when it does not fit.
    pub(crate) fn insert(page: &mut Page, i: usize, key: Key, value: &[u8]) -> bool {
        if load(page) + cost(value) > ROOM {
            return false;
        }
        let (n, end, size) = (count(page), used(page), LEAF_CELL + value.len());
        let at = if i < n { offset(page, i) } else { end };
        page.copy_within(at..end, at + size);
        // Offsets grow downwards from the end: those after `i` move down one place and on by the cell's size.
        for j in (i..n).rev() {
            let moved = offset(page, j) + size;
            set_u16(page, SLOT - 2 * (j + 2), moved);
        }
        set_u16(page, SLOT - 2 * (i + 1), at);
        page[at..at + KEY].copy_from_slice(&key.0.to_le_bytes());
        set_u16(page, at + KEY, value.len());
        page[at + LEAF_CELL..at + size].copy_from_slice(value);
        set_u16(page, 2, n + 1);
        set_u16(page, 4, end + size);
        true
    }

    pub(crate) fn remove(page: &mut Page, i: usize) {
        let (n, end, at) = (count(page), used(page), offset(page, i));
        let size = LEAF_CELL + u16_at(page, at + KEY);
        page.copy_within(at + size..end, at);
        page[end - size..end].fill(0);
        for j in i + 1..n {
            let moved = offset(page, j) - size;
            set_u16(page, SLOT - 2 * j, moved);
        }
        set_u16(page, SLOT - 2 * n, 0);
        set_u16(page, 2, n - 1);
        set_u16(page, 4, end - size);
    }
}

/// Inner nodes: lower bounds and pointers.
pub(crate) mod inner {
    use super::*;

    fn at(i: usize) -> usize {
        HEAD + i * INNER_CELL
    }

    pub(crate) fn key(page: &Page, i: usize) -> Key {
        key_at(page, at(i))
    }

    /// The child whose range holds the key; the first child's range has no lower bound.
    pub(crate) fn find(page: &Page, wanted: Key) -> usize {
        partition(count(page), |i| key(page, i) <= wanted).saturating_sub(1)
    }

    pub(crate) fn pointer(page: &Page, i: usize) -> Option<Pointer> {
        if i >= count(page) {
            return None;
        }
        let at = at(i) + KEY;
        Pointer::decode(&mut Reader::new(page.get(at..at + POINTER)?))
    }

    pub(crate) fn set_pointer(page: &mut Page, i: usize, pointer: &Pointer) {
        let at = at(i) + KEY;
        page[at..at + POINTER].copy_from_slice(&pointer.encode());
    }

    /// Inserts at `i`; false when the node is full.
    pub(crate) fn insert(page: &mut Page, i: usize, key: Key, pointer: &Pointer) -> bool {
        let n = count(page);
        if n >= FAN_OUT {
            return false;
        }
        page.copy_within(at(i)..at(n), at(i + 1));
        page[at(i)..at(i) + KEY].copy_from_slice(&key.0.to_le_bytes());
        set_u16(page, 2, n + 1);
        set_u16(page, 4, at(n + 1));
        set_pointer(page, i, pointer);
        true
    }

    pub(crate) fn remove(page: &mut Page, i: usize) {
        let n = count(page);
        page.copy_within(at(i + 1)..at(n), at(i));
        page[at(n - 1)..at(n)].fill(0);
        set_u16(page, 2, n - 1);
        set_u16(page, 4, at(n - 1));
    }
}
