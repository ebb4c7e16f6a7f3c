//! Verifying everything: every block, and that inodes, names, chunks and the allocation map agree.

use std::collections::{BTreeMap, BTreeSet};

use twine_vfs::FileType;

use crate::crypto::Place;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::format::chunk::{CHUNK, Chunk};
use crate::format::entry::{COLLISIONS, Entry, first_cookie};
use crate::format::header::{Found, Header};
use crate::format::inode::Inode;
use crate::format::key::{self, Key};
use crate::format::node::{self, inner, leaf};
use crate::format::pointer::Pointer;
use crate::format::{LOG, LOG_LEN, Page, RING, ROOT_INO, SEGMENT, SLOT, log, offset_of, record, reserved};
use crate::open::read_headers;
use crate::store::{ReadAt, Store};

/// Something wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub what: &'static str,
    /// The inode that it concerns.
    pub inode: Option<u64>,
    /// The slot that it was found in.
    pub slot: Option<u32>,
}

impl core::fmt::Display for Finding {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.what)?;
        if let Some(inode) = self.inode {
            write!(f, ", inode {inode}")?;
        }
        match self.slot {
            Some(slot) => write!(f, ", slot {slot} (byte {})", offset_of(slot)),
            None => Ok(()),
        }
    }
}

/// What one header slot looks like without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderReport {
    /// No header was written here.
    Absent,
    /// A header whose checksum fails.
    Damaged,
    /// A header of another version of the format.
    Version(u32),
    /// A whole header: the volume's id and the header's generation.
    Whole {
        /// The volume's identity.
        id: [u8; 16],
        /// One more at each re-key.
        generation: u64,
    },
}

/// What can be said about a store without a key: nothing of it is authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    /// The two header slots.
    pub headers: [HeaderReport; 2],
    /// Records that look like records.
    pub records: u32,
    /// The highest sequence among them.
    pub newest: Option<u64>,
    /// Bytes of the store.
    pub length: u64,
    /// Whether the length is whole segments and holds the reserved slots.
    pub length_is_plausible: bool,
}

/// Looks at a store without a key.
///
/// # Errors
/// [`Error::Store`] only.
pub fn structure(store: &mut dyn Store) -> Result<Structure> {
    let headers = read_headers(store)?.map(|page| match Header::find(&page) {
        Found::Nothing => HeaderReport::Absent,
        Found::Damaged => HeaderReport::Damaged,
        Found::Version(version) => HeaderReport::Version(version),
        Found::Whole(header, _) => HeaderReport::Whole { id: header.id, generation: header.generation },
    });
    let mut bytes = vec![0; (LOG + LOG_LEN - RING) as usize * SLOT];
    store.read(&mut [ReadAt { offset: offset_of(RING), buf: &mut bytes }])?;
    let sequence = |page: &[u8]| {
        let root = record::Clear::decode(page.get(..record::CLEAR)?).map(|clear| clear.sequence);
        root.or_else(|| log::Clear::decode(page.get(..log::CLEAR)?).map(|clear| clear.sequence))
    };
    let sequences: Vec<_> = bytes.chunks_exact(SLOT).filter_map(sequence).collect();
    let length = store.length()?;
    Ok(Structure {
        headers,
        records: sequences.len() as u32,
        newest: sequences.into_iter().max(),
        length,
        length_is_plausible: length.is_multiple_of(offset_of(SEGMENT)) && length >= offset_of(SEGMENT),
    })
}

/// What a walk over the whole tree gathers.
#[derive(Default)]
struct Survey {
    findings: Vec<Finding>,
    /// For every slot whether something refers to it.
    slots: Vec<bool>,
    inodes: BTreeMap<u64, Inode>,
    orphans: BTreeSet<u64>,
    /// Names, and for directories the parent that names them.
    names: BTreeMap<u64, (u32, u64)>,
    entries: BTreeMap<u64, u64>,
    /// End of the last block of each file, and whether it is inline.
    ends: BTreeMap<u64, (u64, bool)>,
    /// A part of the tree could not be read: what refers to it cannot be judged.
    incomplete: bool,
}

impl Survey {
    fn report(&mut self, what: &'static str, inode: Option<u64>, slot: Option<u32>) {
        self.findings.push(Finding { what, inode, slot });
    }

    fn refer(&mut self, slot: u32, inode: Option<u64>) {
        match self.slots.get_mut(slot as usize) {
            Some(seen) if *seen => self.report("a slot that is used twice", inode, Some(slot)),
            Some(seen) => *seen = true,
            None => self.report("a slot outside the store", inode, Some(slot)),
        }
    }
}

impl Engine {
    /// Reads and verifies everything below the last root, past the cache. Where writing is allowed, changes are committed
    /// to it first; else what the log adds was verified when it was read.
    pub(crate) fn check(&mut self) -> Result<Vec<Finding>> {
        self.settle()?;
        let slots = vec![false; self.core.space.slots() as usize];
        let mut survey = Survey { slots, ..Survey::default() };
        let root = self.committed.root;
        self.survey(&mut survey, &root.pointer, root.level, (Key(0), None))?;
        if !survey.incomplete {
            compare_names(&mut survey);
            compare_contents(&mut survey);
            let seen = std::mem::take(&mut survey.slots);
            for (slot, seen) in (0..).zip(seen).skip(reserved(self.core.io.keys.version()) as usize) {
                match (self.core.space.is_committed(slot), seen) {
                    (true, false) => survey.report("a used slot that nothing refers to", None, Some(slot)),
                    (false, true) => survey.report("a slot in use that the map calls free", None, Some(slot)),
                    _ => {}
                }
            }
        }
        Ok(survey.findings)
    }

    fn survey(
        &mut self,
        survey: &mut Survey,
        pointer: &Pointer,
        level: u8,
        range: (Key, Option<Key>),
    ) -> Result<()> {
        survey.refer(pointer.slot, None);
        let mut page: Box<Page> = Box::new([0; SLOT]);
        match self.core.io.get(pointer, Place::Node { level }, &mut page) {
            Ok(()) if node::validate(&page, level) => {}
            Ok(()) | Err(Error::Corrupted { .. }) => {
                survey.incomplete = true;
                survey.report("a tree node that does not verify", None, Some(pointer.slot));
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let n = node::count(&page);
        for i in 0..n {
            if level == 0 {
                let at = leaf::key(&page, i);
                if at < range.0 || range.1.is_some_and(|end| at >= end) {
                    survey.report("an item outside its node's range", Some(at.ino()), Some(pointer.slot));
                }
                self.survey_item(survey, at, leaf::value(&page, i), pointer.slot)?;
                continue;
            }
            // The first child takes over its node's lower bound.
            let start = if i == 0 { range.0 } else { inner::key(&page, i) };
            let end = if i + 1 < n { Some(inner::key(&page, i + 1)) } else { range.1 };
            if end.is_some_and(|end| start >= end) {
                survey.report("children out of order", None, Some(pointer.slot));
            }
            let child = inner::pointer(&page, i).ok_or(Error::Bug("child index"))?;
            self.survey(survey, &child, level - 1, (start, end))?;
        }
        Ok(())
    }

    fn survey_item(&mut self, survey: &mut Survey, at: Key, value: &[u8], slot: u32) -> Result<()> {
        let (ino, wrong) =
            (at.ino(), |survey: &mut Survey, what| survey.report(what, Some(at.ino()), Some(slot)));
        if ino == 0 {
            if let Some(orphan) = at.as_orphan() {
                survey.orphans.insert(orphan);
            } else if at.as_map().is_none() {
                wrong(survey, "an unknown item");
            }
            return Ok(());
        }
        match at.kind() {
            key::INODE => match Inode::decode(value) {
                Some(inode) if at.sub() == 0 => drop(survey.inodes.insert(ino, inode)),
                _ => wrong(survey, "an inode that does not decode"),
            },
            key::ENTRY => match Entry::decode(value) {
                Some(entry) => {
                    let first = first_cookie(self.core.io.keys.name_hash(entry.name));
                    if !(first..first + COLLISIONS).contains(&at.sub()) {
                        wrong(survey, "a name under another name's cookie");
                    }
                    *survey.entries.entry(ino).or_default() += 1;
                    let names = survey.names.entry(entry.ino).or_default();
                    *names = (names.0 + 1, ino);
                }
                None => wrong(survey, "a directory entry that does not decode"),
            },
            key::CHUNK => match Chunk::decode(value) {
                Some(chunk) => return self.survey_chunk(survey, at, &chunk),
                None => wrong(survey, "a chunk that does not decode"),
            },
            _ => wrong(survey, "an unknown item"),
        }
        Ok(())
    }

    fn survey_chunk(&mut self, survey: &mut Survey, at: Key, chunk: &Chunk) -> Result<()> {
        let ino = at.ino();
        if let Chunk::Inline(bytes) = chunk {
            survey.ends.insert(ino, (bytes.len() as u64, true));
        }
        let mut page: Box<Page> = Box::new([0; SLOT]);
        for (n, pointer) in chunk.pointers() {
            let block = at.sub() * CHUNK + n;
            survey.refer(pointer.slot, Some(ino));
            survey.ends.insert(ino, (block + 1, false));
            match self.core.io.get(&pointer, Place::Data { ino, block }, &mut page) {
                Ok(()) => {}
                Err(Error::Corrupted { slot, .. }) => {
                    survey.report("file data that does not verify", Some(ino), Some(slot));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn compare_names(survey: &mut Survey) {
    let mut wrong = Vec::new();
    for (ino, inode) in &survey.inodes {
        let (names, parent) = survey.names.get(ino).copied().unwrap_or_default();
        let entries = survey.entries.get(ino).copied().unwrap_or_default();
        let expected = if *ino == ROOT_INO { 1 } else { names };
        if inode.links != expected {
            wrong.push(("a count of links that differs from the names", *ino));
        }
        if expected == 0 && !survey.orphans.contains(ino) {
            wrong.push(("an inode that nothing names", *ino));
        }
        if inode.entries != entries {
            wrong.push(("a count of entries that differs from the directory", *ino));
        }
        if inode.file_type == FileType::Directory && *ino != ROOT_INO && names > 0 && inode.parent != parent {
            wrong.push(("a directory with another parent than names it", *ino));
        }
    }
    for ino in survey.names.keys().filter(|ino| !survey.inodes.contains_key(ino)) {
        wrong.push(("a name without an inode", *ino));
    }
    for ino in survey.entries.keys() {
        if survey.inodes.get(ino).is_none_or(|i| i.file_type != FileType::Directory) {
            wrong.push(("entries without a directory", *ino));
        }
    }
    wrong.into_iter().for_each(|(what, ino)| survey.report(what, Some(ino), None));
}

fn compare_contents(survey: &mut Survey) {
    let mut wrong = Vec::new();
    for (ino, (end, inline)) in &survey.ends {
        match survey.inodes.get(ino) {
            None => wrong.push(("contents without an inode", *ino)),
            Some(inode) if *inline && *end > inode.size => wrong.push(("inline contents past the end", *ino)),
            Some(inode) if !*inline && *end > inode.size.div_ceil(SLOT as u64) => {
                wrong.push(("blocks past the end of a file", *ino));
            }
            Some(_) => {}
        }
    }
    wrong.into_iter().for_each(|(what, ino)| survey.report(what, Some(ino), None));
}
