//! Listings of a host's folder.
//!
//! ```text
//! entry  [cookie][inode][kind][length][name, zero-padded to 8]
//! ```

use crate::calls::NodeKind;
use crate::wire::padded;

/// Size of an entry's four leading words.
const HEAD: usize = 32;

/// One entry of a directory, as the host tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Goes on after this entry.
    pub cookie: u64,
    /// The host's number of the node.
    pub inode: u64,
    /// What it is.
    pub kind: NodeKind,
    /// One path component, in an honest answer.
    pub name: &'a str,
}

impl Entry<'_> {
    /// Writes the entry to the start of `out` and answers its size, or nothing if it does not fit.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let size = HEAD + padded(self.name.len());
        let (head, rest) = out.get_mut(..size)?.split_at_mut(HEAD);
        let words = [self.cookie, self.inode, self.kind as u64, self.name.len() as u64];
        for (slot, word) in head.chunks_exact_mut(8).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        let (name, padding) = rest.split_at_mut(self.name.len());
        name.copy_from_slice(self.name.as_bytes());
        padding.fill(0);
        Some(size)
    }
}

/// The entries of a listing; `None` where it is malformed, and then no more.
pub struct Entries<'a>(&'a [u8]);

impl<'a> Entries<'a> {
    /// Of an answer's bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn parse(&mut self) -> Option<Entry<'a>> {
        let (head, rest) = self.0.split_at_checked(HEAD)?;
        let mut words =
            head.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
        let mut word = || words.next().unwrap_or_default();
        let (cookie, inode, kind) = (word(), word(), NodeKind::from_word(word())?);
        let length = usize::try_from(word()).ok().filter(|length| *length <= rest.len())?;
        let name = core::str::from_utf8(&rest[..length]).ok()?;
        self.0 = rest.get(padded(length)..)?;
        Some(Entry { cookie, inode, kind, name })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Option<Entry<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let entry = self.parse();
        if entry.is_none() {
            self.0 = &[];
        }
        Some(entry)
    }
}
