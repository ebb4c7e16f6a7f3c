//! Keys of the tree: inode, kind, sub (section 5).

/// A position in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) u128);

const SUB_BITS: u32 = 60;
const SUB_MASK: u64 = (1 << SUB_BITS) - 1;

/// What kind of item an inode's key names.
pub(crate) const INODE: u8 = 0;
/// See [`INODE`].
pub(crate) const ENTRY: u8 = 1;
/// See [`INODE`].
pub(crate) const CHUNK: u8 = 2;
/// Kinds of the system's items, under inode 0.
const MAP: u8 = 1;
const ORPHAN: u8 = 2;

impl Key {
    fn new(ino: u64, kind: u8, sub: u64) -> Key {
        Key(u128::from(ino) << 64 | u128::from(u64::from(kind) << SUB_BITS | (sub & SUB_MASK)))
    }

    pub(crate) fn inode(ino: u64) -> Key {
        Key::new(ino, INODE, 0)
    }

    pub(crate) fn entry(dir: u64, cookie: u64) -> Key {
        Key::new(dir, ENTRY, cookie)
    }

    pub(crate) fn chunk(ino: u64, chunk: u64) -> Key {
        Key::new(ino, CHUNK, chunk)
    }

    pub(crate) fn map(region: u32) -> Key {
        Key::new(0, MAP, u64::from(region))
    }

    pub(crate) fn orphan(ino: u64) -> Key {
        Key::new(0, ORPHAN, ino)
    }

    pub(crate) fn ino(self) -> u64 {
        (self.0 >> 64) as u64
    }

    pub(crate) fn kind(self) -> u8 {
        ((self.0 as u64) >> SUB_BITS) as u8
    }

    pub(crate) fn sub(self) -> u64 {
        self.0 as u64 & SUB_MASK
    }

    /// The region, if this is a map item.
    pub(crate) fn as_map(self) -> Option<u32> {
        (self.ino() == 0 && self.kind() == MAP).then(|| u32::try_from(self.sub()).ok())?
    }

    /// The inode, if this is an orphan item.
    pub(crate) fn as_orphan(self) -> Option<u64> {
        (self.ino() == 0 && self.kind() == ORPHAN).then(|| self.sub())
    }

    /// The key right after, or itself at the end of all keys.
    pub(crate) fn next(self) -> Key {
        Key(self.0.saturating_add(1))
    }
}
