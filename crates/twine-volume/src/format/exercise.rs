//! Every decoder on the same bytes, for fuzzing from outside the crate.

use super::chunk::Chunk;
use super::entry::Entry;
use super::header;
use super::inode::Inode;
use super::log::{self, Changes, LogRecord};
use super::node::{self, LEVELS, inner, leaf};
use super::record::{CLEAR, Clear, Record};
use super::{Page, SLOT, VERSION};

/// Decodes `bytes` as each of the format's parts. None may panic, and what has one encoding only must encode to the bytes
/// it was decoded from.
#[doc(hidden)]
pub fn exercise_decoders(bytes: &[u8]) {
    let same = |encoded: &[u8], what: &str| assert_eq!(encoded, bytes, "{what} has another encoding");
    if let Some(inode) = Inode::decode(bytes) {
        same(&inode.encode(), "an inode");
    }
    if let Some(entry) = Entry::decode(bytes) {
        same(&entry.encode(), "an entry");
    }
    if let Some(chunk) = Chunk::decode(bytes) {
        same(&chunk.encode(), "a chunk");
        assert!(chunk.pointers().count() <= bytes.len());
    }
    if let Some(clear) = Clear::decode(bytes.get(..CLEAR).unwrap_or(bytes)) {
        assert_eq!(clear.encode(), bytes[..CLEAR]);
    }
    if let Some(record) = Record::decode(bytes, VERSION) {
        let encoded = record.encode(VERSION).expect("a record that was read can be written");
        // It fills what is sealed of its slot.
        let there = bytes.len().min(encoded.len());
        assert_eq!(encoded[..there], bytes[..there], "a record has another encoding");
    }
    if let Some(clear) = bytes.get(..log::CLEAR).and_then(log::Clear::decode) {
        assert_eq!(clear.encode(), bytes[..log::CLEAR]);
    }
    if let Some(record) = LogRecord::decode(bytes, VERSION)
        && let Some((encoded, _)) = record.encode(VERSION)
    {
        let encoded = &encoded[log::CLEAR..];
        let there = bytes.len().min(encoded.len() - super::TAG);
        assert_eq!(encoded[..there], bytes[..there], "a record of the log has another encoding");
    }
    let mut changes = Changes::default();
    let sane = Changes::read(bytes).all(|change| change.is_some_and(|change| changes.push(&change)));
    if sane {
        same(&changes.into_bytes(), "a list of changes");
    }
    // Whole pages; what is missing is zero.
    let mut page: Page = [0; SLOT];
    let there = bytes.len().min(SLOT);
    page[..there].copy_from_slice(&bytes[..there]);
    let _ = header::Header::find(&page);
    for level in 0..LEVELS {
        if !node::validate(&page, level) {
            continue;
        }
        assert!(node::load(&page) <= SLOT);
        for i in 0..node::count(&page) {
            if level == 0 {
                assert_eq!(leaf::find(&page, leaf::key(&page, i)), Ok(i));
                let _ = leaf::value(&page, i);
            } else {
                assert_eq!(inner::find(&page, inner::key(&page, i)), i);
                let _ = inner::pointer(&page, i);
            }
        }
    }
}
