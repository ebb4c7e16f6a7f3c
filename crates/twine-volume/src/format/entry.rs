//! Directory entries (section 5).

use twine_vfs::{FileType, NAME_MAX};

use super::cursor::Reader;
use super::inode::{type_code, type_of};

/// One name of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) file_type: FileType,
    pub(crate) ino: u64,
    pub(crate) name: &'a str,
}

impl<'a> Entry<'a> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(9 + self.name.len());
        out.push(type_code(self.file_type));
        out.extend_from_slice(&self.ino.to_le_bytes());
        out.extend_from_slice(self.name.as_bytes());
        out
    }

    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Entry<'a>> {
        let mut reader = Reader::new(bytes);
        let (file_type, ino) = (type_of(reader.u8()?)?, reader.u64()?);
        let name = core::str::from_utf8(reader.rest()).ok()?;
        (!name.is_empty() && name.len() <= NAME_MAX).then_some(Entry { file_type, ino, name })
    }
}

/// Bits of a cookie that count equal hashes.
const COLLISION_BITS: u32 = 8;
/// Most names of one directory with equal hashes.
pub(crate) const COLLISIONS: u64 = 1 << COLLISION_BITS;

/// The first cookie that a name of this hash may have.
pub(crate) fn first_cookie(hash: [u8; 8]) -> u64 {
    let hash = u64::from_le_bytes(hash) >> (64 - 52);
    // Neither 0, which means the start of a directory, nor so high that the collisions leave the 60 bits of a key.
    hash.clamp(1, (1 << 52) - 2) << COLLISION_BITS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::key::Key;

    #[test]
    fn cookies_of_every_hash_stay_inside_their_directory() {
        for hash in [[0; 8], [0xff; 8], [0, 0, 0, 0, 0, 0, 0, 0x80], (1u64 << 12).to_le_bytes()] {
            let first = first_cookie(hash);
            assert!(first > 0);
            assert!(Key::entry(7, first) < Key::entry(7, first + COLLISIONS));
            assert!(Key::entry(7, first + COLLISIONS) < Key::chunk(7, 0));
        }
    }
}
