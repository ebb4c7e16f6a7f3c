//! Test vectors: a frozen volume of each format version, and volumes that are sealed properly and wrong inside.

use std::fmt::Write;

use twine_vfs::FileSystem;

use super::support::{Random, create, dump, open, tiny};
use crate::format::chunk::Chunk;
use crate::format::cursor::{Reader, put_varint};
use crate::format::entry::Entry;
use crate::format::inode::Inode;
use crate::format::key::Key;
use crate::format::node::{self, inner, leaf};
use crate::format::pointer::{Pointer, Salt};
use crate::format::record::{Record, SEALED};
use crate::format::{SLOT, VERSION, offset_of, reserved};
use crate::space::Space;
use crate::store::{MemoryStore, WriteAt};
use crate::{Error, Options, Volume, copy_tree};

/// The volume of `vectors/v2.txt`: master key 32 times 7; entropy SplitMix64 from 2026, in its second run from 2027; clock 0. The
/// second run ends without an unmount, with three records in the log. That of `vectors/v1.txt` was made by the first run.
fn frozen() -> MemoryStore {
    let store = MemoryStore::default();
    let volume = create(store.clone(), 2026, &tiny()).expect("create");
    let root = volume.root();
    let inline = volume.create(root, "inline").expect("create");
    volume.write(inline, 0, b"inline contents").expect("write");
    let blocks = volume.create(root, "blocks").expect("create");
    volume.write(blocks, 8190, b"across a border of blocks").expect("write");
    volume.set_size(blocks, 1 << 20).expect("set_size");
    let dir = volume.mkdir(root, "directory").expect("mkdir");
    volume.link(inline, dir, "hard link").expect("link");
    volume.symlink(dir, "symbolic link", "../blocks").expect("symlink");
    volume.unmount().expect("unmount");
    drop(volume);
    let volume = open(store.clone(), 2027, &tiny()).expect("open");
    volume.set_size(blocks, 2 << 20).expect("set_size");
    volume.sync_all().expect("a root, as the first of a run is");
    let late = volume.create(dir, "late").expect("create");
    volume.write(late, 0, b"in the log").expect("write");
    volume.sync_all().expect("sync");
    volume.write(blocks, 5000, &[7; 100]).expect("write");
    volume.sync_all().expect("sync");
    volume.unlink(root, "inline").expect("unlink");
    volume.set_size(late, 6).expect("set_size");
    volume.sync_all().expect("sync");
    assert_eq!(volume.info().counters.logged, 3);
    store
}

/// One line for each slot that is not zero: its number and its bytes up to the last that is not zero, in hexadecimal.
fn to_text(image: &[u8]) -> String {
    let mut out = String::new();
    for (slot, page) in image.chunks_exact(SLOT).enumerate() {
        if let Some(last) = page.iter().rposition(|b| *b != 0) {
            write!(out, "{slot} ").expect("a string");
            page[..=last].iter().for_each(|b| write!(out, "{b:02x}").expect("a string"));
            out.push('\n');
        }
    }
    out
}

fn from_text(text: &str) -> Vec<u8> {
    let mut image = vec![0; 256 * SLOT];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (slot, hex) = line.split_once(' ').expect("a slot and its bytes");
        let start = slot.parse::<usize>().expect("a number") * SLOT;
        for (i, pair) in hex.as_bytes().chunks(2).enumerate() {
            let digits = std::str::from_utf8(pair).expect("ASCII");
            image[start + i] = u8::from_str_radix(digits, 16).expect("hexadecimal");
        }
    }
    image
}

const V1: &str = include_str!("vectors/v1.txt");
const V2: &str = include_str!("vectors/v2.txt");

#[test]
fn version_2_is_written_as_it_was() {
    let text = to_text(&frozen().image());
    let frozen: String = V2.lines().filter(|l| !l.starts_with('#')).flat_map(|l| [l, "\n"]).collect();
    if let Some(path) = std::env::var_os("TWINE_VOLUME_WRITE_VECTOR") {
        std::fs::write(path, &text).expect("write");
    }
    assert!(
        text == frozen,
        "the format changed: that takes a new version (docs/volume-format.md, section 13)"
    );
}

/// At most `n` bytes of a file.
fn read(volume: &Volume, path: &str, offset: u64, n: usize) -> Vec<u8> {
    let ino = super::support::resolve(volume, path).expect("a path");
    let mut buf = vec![1; n];
    let got = volume.read(ino, offset, &mut buf).expect("read");
    buf.truncate(got);
    buf
}

/// What the first run of [`frozen`] made.
fn shows_the_first_run(volume: &Volume) {
    assert_eq!(read(volume, "/directory/hard link", 7, 100), b"contents");
    assert_eq!(read(volume, "/blocks", 8190, 25), b"across a border of blocks");
    let link = super::support::resolve(volume, "/directory/symbolic link").expect("a path");
    assert_eq!(volume.readlink(link), Ok("../blocks".into()));
}

#[test]
fn version_2_is_read_as_it_was() {
    for read_only in [true, false] {
        let options = Options { read_only, ..tiny() };
        let volume = open(MemoryStore::new(from_text(V2)), 5, &options).expect("open");
        assert_eq!(volume.recovery().log_records, 3);
        shows_the_first_run(&volume);
        assert_eq!(read(&volume, "/directory/late", 0, 100), b"in the");
        let middle = [&[0; 5000][..], &[7; 100], &[0; 3090]].concat();
        assert_eq!(read(&volume, "/blocks", 0, 8190), middle);
        assert_eq!(read(&volume, "/blocks", (2 << 20) - 3, 10), [0; 3]);
        assert_eq!(super::support::resolve(&volume, "/inline"), None);
        assert_eq!(volume.check(), Ok(vec![]));
    }
}

/// The version before is read and written as such, and a copy is of this version.
#[test]
fn version_1_goes_on_without_a_log_until_it_is_copied() {
    let store = MemoryStore::new(from_text(V1));
    for run in 0..2 {
        let volume = open(store.clone(), 5 + run, &tiny()).expect("open");
        assert_eq!(volume.check(), Ok(vec![]));
        shows_the_first_run(&volume);
        assert_eq!(read(&volume, "/inline", 0, 100), b"inline contents");
        assert_eq!(read(&volume, "/blocks", 0, 8190), vec![0; 8190]);
        for n in 0..3 {
            volume.mkdir(volume.root(), &format!("{run} {n}")).expect("mkdir");
            volume.sync_all().expect("sync");
        }
        assert_eq!(volume.info().counters.logged, 0);
    }
    let old = open(store.clone(), 8, &Options { read_only: true, ..tiny() }).expect("open");
    let new = MemoryStore::default();
    let copy = create(new.clone(), 9, &tiny()).expect("create");
    copy_tree(&old, &copy, false, &mut |_| ()).expect("copy");
    assert_eq!(dump(&old), dump(&copy));
    copy.unmount().expect("unmount");
    assert_eq!([store.image()[8], new.image()[8]], [1, 2], "the versions in the headers");
}

/// A volume with one file of two blocks, then these items put in as they are and committed.
fn forged(items: &[(Key, Vec<u8>)]) -> (MemoryStore, u64) {
    let store = MemoryStore::default();
    let volume = create(store.clone(), 1, &tiny()).expect("create");
    let ino = volume.create(volume.root(), "file").expect("create");
    volume.write(ino, 0, &[1; 2 * SLOT]).expect("write");
    volume.lock().settle().expect("a root");
    let mut engine = volume.lock();
    for (key, value) in items {
        engine.core.put(*key, value).expect("put");
    }
    engine.changed = true;
    engine.commit().expect("commit");
    drop(engine);
    (store, ino.0)
}

/// Everything a reader does; what it makes of a volume that is wrong inside. It must not panic.
fn exercise(volume: &Volume) -> bool {
    let shown = dump(volume);
    let findings = volume.check();
    let _ = volume.compact();
    shown.is_err() || findings != Ok(vec![])
}

#[test]
fn wrong_items_under_right_seals_are_found() {
    let (_, file) = forged(&[]);
    let pointer = Pointer { slot: 70, counter: 1, salt: Salt([0; 16]), tag: [0; 16] };
    let mut blocks = [None; 32];
    blocks[3] = Some(pointer);
    let runs = Chunk::Blocks(Box::new(blocks)).encode();
    let with = |extra: &[u8]| [&runs[..], extra].concat();
    let name = |name: &[u8]| [&[1], &file.to_le_bytes()[..], name].concat();
    let cases: Vec<(&str, Key, Vec<u8>)> = vec![
        ("an inode cut short", Key::inode(file), vec![1; 52]),
        ("an inode with bytes left", Key::inode(file), vec![1; 54]),
        ("an inode of no type", Key::inode(file), vec![9; 53]),
        ("an inode that is too large", Key::inode(file), [&[1, 1, 0, 0, 0][..], &[0xff; 48]].concat()),
        ("a chunk of no form", Key::chunk(file, 0), vec![7, 1, 2]),
        ("an empty chunk", Key::chunk(file, 0), vec![]),
        ("a run past the chunk", Key::chunk(file, 0), with(&[31, 2])),
        ("a run cut short", Key::chunk(file, 0), with(&[5, 1, 0, 0])),
        ("runs that overlap", Key::chunk(file, 0), [&runs[..], &runs[1..]].concat()),
        ("a run of nothing", Key::chunk(file, 0), with(&[9, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0])),
        ("a pointer to nowhere", Key::chunk(file, 0), runs.clone()),
        ("blocks past the end", Key::chunk(file, 1 << 50), runs.clone()),
        ("inline contents that are too long", Key::chunk(file, 0), vec![1; 3074]),
        ("a name that is no UTF-8", Key::entry(1, 256), name(&[0xff, 0xfe])),
        ("an empty name", Key::entry(1, 256), name(b"")),
        ("a name that is too long", Key::entry(1, 256), name(&[b'n'; 256])),
        ("a name under a wrong cookie", Key::entry(1, 256), name(b"other")),
        ("a name without an inode", Key::entry(1, 256), [&[1, 99, 0, 0, 0, 0, 0, 0, 0][..], b"x"].concat()),
        ("an item of no kind", Key(u128::from(file) << 64 | 9 << 60), vec![1]),
        ("an orphan that is none", Key::orphan(500), vec![]),
        ("a map item cut short", Key::map(0), vec![0xff; 127]),
        ("a map item with all slots used", Key::map(0), vec![0xff; 128]),
        ("a map item far past the end", Key::map(9999), vec![0xff; 128]),
    ];
    for (what, key, value) in cases {
        let (store, _) = forged(&[(key, value)]);
        match open(store, 2, &tiny()) {
            Err(error) => assert!(matches!(error, Error::Corrupted { .. }), "{what}: {error}"),
            Ok(volume) => {
                assert!(exercise(&volume) || what.starts_with("an orphan"), "{what} was not noticed")
            }
        }
    }
}

#[test]
fn wrong_records_under_right_seals_are_refused() {
    let forge = |change: &dyn Fn(&mut Record)| {
        let (store, _) = forged(&[]);
        let volume = open(store.clone(), 3, &tiny()).expect("open");
        let mut engine = volume.lock();
        let engine = &mut *engine;
        let mut record = Record {
            previous: engine.committed.sequence,
            previous_tag: engine.committed.tag,
            level: engine.core.root.level,
            root: engine.core.root.pointer,
            slots: engine.core.space.slots(),
            next_ino: 9,
            unsynced: vec![],
            delta: engine.core.space.delta(),
        };
        change(&mut record);
        let sequence = engine.committed.next;
        let (slot, page, _) =
            engine.core.io.seal_record(sequence, &record.encode(VERSION).expect("fits")).expect("seal");
        let piece = WriteAt { offset: offset_of(slot), bytes: &page };
        engine.core.io.store.write(&[piece]).expect("write");
        open(store, 4, &tiny()).map(|volume| assert!(!exercise(&volume), "shown as whole"))
    };
    assert_eq!(forge(&|_| ()), Ok(()));
    let mut far = Vec::new();
    put_varint(&mut far, u32::MAX);
    put_varint(&mut far, 1);
    let far_delta = |r: &mut Record| r.delta.clone_from(&far);
    type Change<'a> = &'a dyn Fn(&mut Record);
    let cases: Vec<(&str, Change<'_>)> = vec![
        ("a root of another level", &|r| r.level += 1),
        ("a root elsewhere", &|r| r.root.slot += 1),
        ("a root of another counter", &|r| r.root.counter ^= 1),
        ("a root with another tag", &|r| r.root.tag[0] ^= 1),
        ("a delta that flips a reserved slot", &|r| r.delta = vec![3, 1]),
        ("a delta past the end", &far_delta),
        ("a delta cut short", &|r| r.delta = vec![0x80]),
        ("a delta of nothing", &|r| r.delta = vec![1, 0]),
        ("fewer slots than are used", &|r| r.slots = 65),
        ("no slots at all", &|r| r.slots = 0),
        ("a predecessor after it", &|r| r.previous = u64::MAX),
        ("another predecessor", &|r| r.previous_tag[3] ^= 1),
    ];
    for (what, change) in cases {
        let error = forge(change).expect_err(what);
        assert!(matches!(error, Error::Corrupted { .. } | Error::Equivocation { .. }), "{what}: {error}");
    }
}

#[test]
fn no_decoder_panics_and_what_decodes_encodes_the_same() {
    println!("seed 12");
    let mut random = Random(12);
    for round in 0..30_000u64 {
        let length = random.below(if round % 10 == 0 { 4000 } else { 120 }) as usize;
        let mut bytes = random.bytes(length);
        // Small numbers reach deeper than noise.
        bytes.iter_mut().for_each(|b| *b = if random.below(3) > 0 { *b % 4 } else { *b });
        if let Some(chunk) = Chunk::decode(&bytes) {
            assert_eq!(Chunk::decode(&chunk.encode()), Some(chunk));
        }
        if let Some(inode) = Inode::decode(&bytes) {
            assert_eq!(inode.encode()[..], bytes);
        }
        if let Some(entry) = Entry::decode(&bytes) {
            assert_eq!(entry.encode(), bytes);
        }
        let _ = Reader::new(&bytes).varint();
        let _ = Space::load(300, reserved(VERSION), &[(0, vec![0xff; 128])], &bytes);
        bytes.resize(SEALED, 0);
        if let Some(record) = Record::decode(&bytes, VERSION) {
            assert_eq!(record.encode(VERSION).map(|b| b.to_vec()), Some(bytes.clone()));
        }
        let mut page = [0; SLOT];
        page[..SEALED].copy_from_slice(&bytes);
        for level in 0..3 {
            page[0] = level;
            if node::validate(&page, level) {
                for i in 0..node::count(&page) {
                    let _ = if level == 0 {
                        leaf::value(&page, i).len()
                    } else {
                        inner::key(&page, i).0 as usize
                    };
                }
            }
        }
    }
}
