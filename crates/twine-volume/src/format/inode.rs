//! Inodes (section 5).

use twine_vfs::FileType;

use super::FILE_MAX;
use super::cursor::Reader;

/// What is stored of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inode {
    pub(crate) file_type: FileType,
    pub(crate) links: u32,
    pub(crate) size: u64,
    pub(crate) accessed: u64,
    pub(crate) modified: u64,
    pub(crate) changed: u64,
    /// Entries of a directory.
    pub(crate) entries: u64,
    /// Parent of a directory; 0 for anything else.
    pub(crate) parent: u64,
}

/// Bytes of an encoded inode.
pub(crate) const INODE: usize = 53;

impl Inode {
    /// An empty one with one name; `parent` counts for directories only.
    pub(crate) fn new(file_type: FileType, parent: u64, now: u64) -> Inode {
        let parent = if file_type == FileType::Directory { parent } else { 0 };
        Inode { file_type, links: 1, size: 0, accessed: now, modified: now, changed: now, entries: 0, parent }
    }

    pub(crate) fn encode(&self) -> [u8; INODE] {
        let mut out = [0; INODE];
        out[0] = type_code(self.file_type);
        out[1..5].copy_from_slice(&self.links.to_le_bytes());
        let words = [self.size, self.accessed, self.modified, self.changed, self.entries, self.parent];
        for (to, word) in out[5..].chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Inode> {
        let mut reader = Reader::new(bytes);
        let inode = Inode {
            file_type: type_of(reader.u8()?)?,
            links: reader.u32()?,
            size: reader.u64()?,
            accessed: reader.u64()?,
            modified: reader.u64()?,
            changed: reader.u64()?,
            entries: reader.u64()?,
            parent: reader.u64()?,
        };
        reader.finish()?;
        (inode.size <= FILE_MAX).then_some(inode)
    }
}

/// The stored number of a type.
pub(crate) fn type_code(file_type: FileType) -> u8 {
    match file_type {
        FileType::File => 1,
        FileType::Directory => 2,
        FileType::Symlink => 3,
    }
}

/// The type of a stored number.
pub(crate) fn type_of(code: u8) -> Option<FileType> {
    match code {
        1 => Some(FileType::File),
        2 => Some(FileType::Directory),
        3 => Some(FileType::Symlink),
        _ => None,
    }
}
