//! What callers may rely on besides contents: host calls, memory, sparse and small files, listings, copies.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use twine_vfs::{Error as FsError, FileSystem, MemFs, MemLimits, SetTime, Times};

use super::support::{Random, create, dump, open, tiny};
use crate::format::{VERSION, reserved};
use crate::store::{FaultyStore, MemoryStore, ReadAt, Store, StoreError, WriteAt};
use crate::{Counters, Options, Volume, copy_tree, structure};

fn total(c: Counters) -> u64 {
    c.reads + c.writes + c.syncs + c.resizes
}

fn names(volume: &Volume, from: u64, most: usize) -> Vec<(u64, String)> {
    let mut out = Vec::new();
    let listed = volume.readdir(volume.root(), from, &mut |entry| {
        out.push((entry.cookie, entry.name.to_owned()));
        out.len() < most
    });
    listed.expect("readdir");
    out
}

#[test]
fn cached_reads_and_clean_syncs_make_no_host_call() {
    let volume = create(MemoryStore::default(), 1, &Options::default()).expect("create");
    let ino = volume.create(volume.root(), "file").expect("create");
    volume.write(ino, 0, &[1; 1 << 20]).expect("write");
    volume.sync_all().expect("sync");
    let before = volume.info().counters;
    let mut buf = vec![0; 4096];
    for block in 0..256 {
        assert_eq!(volume.read(ino, block * 4096, &mut buf), Ok(4096));
    }
    volume.sync(ino, false).expect("sync");
    volume.sync_all().expect("sync");
    assert_eq!(volume.info().counters, before);
}

#[test]
fn a_sync_is_one_write_and_one_barrier() {
    let volume = create(MemoryStore::default(), 1, &Options::default()).expect("create");
    let ino = volume.create(volume.root(), "file").expect("create");
    volume.write(ino, 0, &[1; 200_000]).expect("write");
    volume.sync_all().expect("sync");
    let start = volume.info().counters;
    for round in 0..100 {
        let before = volume.info().counters;
        volume.write(ino, round % 40 * 4096, &[2; 4096]).expect("write");
        volume.sync(ino, true).expect("sync");
        let after = volume.info().counters;
        assert_eq!((after.syncs - before.syncs, after.writes - before.writes), (1, 1));
        if after.logged > before.logged {
            assert_eq!(after.bytes_written - before.bytes_written, 2 * 4096, "a page and what belongs to it");
        }
    }
    let end = volume.info().counters;
    assert_eq!(end.logged - start.logged, 97, "a root for each 32 records");
    let written = (end.bytes_written - start.bytes_written) / 4096;
    assert!(written < 100 * 7 / 2, "{written} blocks for 100");
}

#[test]
fn a_large_sync_takes_a_second_barrier_so_that_opening_stays_fast() {
    let store = MemoryStore::default();
    let volume = create(store.clone(), 1, &Options::default()).expect("create");
    let ino = volume.create(volume.root(), "file").expect("create");
    let before = volume.info().counters;
    volume.write(ino, 0, &vec![1; 70 << 20]).expect("write");
    volume.sync_all().expect("sync");
    assert_eq!(volume.info().counters.syncs - before.syncs, 2);
    drop(volume);
    let volume = open(store, 2, &Options::default()).expect("open");
    assert!(volume.info().counters.blocks_read < 500, "{} blocks", volume.info().counters.blocks_read);
}

#[test]
fn a_file_that_comes_and_goes_costs_no_data_writes() {
    let volume = create(MemoryStore::default(), 1, &Options::default()).expect("create");
    let root = volume.root();
    let before = volume.info().counters;
    let ino = volume.create(root, "journal").expect("create");
    volume.write(ino, 0, &[3; 1 << 20]).expect("write");
    volume.unlink(root, "journal").expect("unlink");
    volume.sync_all().expect("sync");
    assert!(volume.info().counters.bytes_written - before.bytes_written < 10 * 4096);
    // Unlinked while open, as temporary files are: nor then.
    let before = volume.info().counters;
    let ino = volume.create(root, "temporary").expect("create");
    volume.open(ino).expect("open");
    volume.unlink(root, "temporary").expect("unlink");
    volume.write(ino, 0, &[3; 1 << 20]).expect("write");
    volume.sync_all().expect("sync");
    assert!(volume.info().counters.bytes_written - before.bytes_written < 10 * 4096);
    let mut buf = [0; 10];
    assert_eq!(volume.read(ino, 1000, &mut buf), Ok(10));
    assert_eq!(buf, [3; 10]);
    volume.close(ino);
    assert_eq!(volume.stat(ino), Err(FsError::NotFound));
    volume.sync_all().expect("sync");
    assert_eq!(volume.check(), Ok(vec![]));
}

#[test]
fn orphans_of_a_killed_run_are_freed() {
    let store = MemoryStore::default();
    let volume = create(store.clone(), 1, &tiny()).expect("create");
    let ino = volume.create(volume.root(), "temporary").expect("create");
    volume.write(ino, 0, &[3; 1 << 20]).expect("write");
    volume.open(ino).expect("open");
    volume.sync_all().expect("sync");
    volume.unlink(volume.root(), "temporary").expect("unlink");
    volume.sync_all().expect("sync");
    let used = volume.info().used_bytes;
    drop(volume);
    let volume = open(store, 2, &tiny()).expect("open");
    assert_eq!(volume.recovery().orphans, 1);
    volume.sync_all().expect("sync");
    assert!(volume.info().used_bytes + (1 << 20) <= used);
    assert_eq!(volume.check(), Ok(vec![]));
    assert_eq!(volume.stat(ino), Err(FsError::NotFound));
}

#[test]
fn a_sparse_giant_is_free() {
    let volume = create(MemoryStore::default(), 1, &Options::default()).expect("create");
    let ino = volume.create(volume.root(), "sparse").expect("create");
    volume.sync_all().expect("sync");
    let before = volume.info();
    volume.set_size(ino, 20 << 30).expect("set_size");
    assert_eq!(total(volume.info().counters), total(before.counters), "extending made host calls");
    volume.write(ino, (20 << 30) - 5, b"tail!").expect("write");
    volume.sync_all().expect("sync");
    assert!(volume.info().used_bytes - before.used_bytes < 64 * 1024);
    let mut buf = [9; 100];
    assert_eq!(volume.read(ino, 10 << 30, &mut buf), Ok(100));
    assert_eq!(buf, [0; 100]);
    assert_eq!(volume.read(ino, (20 << 30) - 5, &mut buf), Ok(5));
    assert_eq!(&buf[..5], b"tail!");
    volume.set_size(ino, 3).expect("set_size");
    volume.set_size(ino, 20 << 30).expect("set_size");
    assert_eq!(volume.read(ino, (20 << 30) - 5, &mut buf), Ok(5));
    assert_eq!(&buf[..5], [0; 5], "what was cut off came back");
    assert_eq!(volume.set_size(ino, u64::MAX), Err(FsError::TooLarge));
    assert_eq!(volume.write(ino, i64::MAX as u64, b"x"), Err(FsError::TooLarge));
}

#[test]
fn memory_stays_in_its_bound_whatever_is_written() {
    let cache_bytes = 4 << 20;
    let volume = create(MemoryStore::default(), 1, &Options { cache_bytes, ..tiny() }).expect("create");
    let root = volume.root();
    let ino = volume.create(root, "big").expect("create");
    // One call larger than the cache, then many small ones without a sync.
    volume.write(ino, 0, &vec![5; 24 << 20]).expect("write");
    let mut random = Random(1);
    for _ in 0..4000 {
        volume.write(ino, random.below(5000) * 4096, &[6; 4096]).expect("write");
    }
    for n in 0..3000 {
        volume.create(root, &format!("file {n}")).expect("create");
    }
    let info = volume.info();
    assert!(info.cache_bytes.1 <= cache_bytes as u64, "{} bytes of pages", info.cache_bytes.1);
    {
        let engine = volume.lock();
        assert!(engine.inodes.len() <= engine.bounds.inodes + 1);
    }
    assert_eq!(info.sequence, 1, "the bound published a state");
    volume.sync_all().expect("sync");
    assert_eq!(volume.check(), Ok(vec![]));
}

#[test]
fn small_files_are_inline_and_empty_ones_small() {
    let volume = create(MemoryStore::default(), 1, &Options::default()).expect("create");
    let root = volume.root();
    volume.sync_all().expect("sync");
    let before = volume.info().used_bytes;
    for n in 0..1000 {
        volume.create(root, &format!("empty{n:04}")).expect("create");
    }
    volume.sync_all().expect("sync");
    let each = (volume.info().used_bytes - before) / 1000;
    assert!(each <= 512, "an empty file takes {each} bytes");
    let ino = volume.create(root, "small").expect("create");
    for (size, inline) in [(1, true), (3072, true), (3073, false), (5000, false)] {
        volume.set_size(ino, 0).expect("set_size");
        volume.write(ino, 0, &vec![1; size]).expect("write");
        volume.lock().settle().expect("a root");
        let chunk = volume.lock().chunk(ino.0, 0).expect("chunk");
        assert_eq!(matches!(chunk, crate::format::chunk::Chunk::Inline(_)), inline, "{size} bytes");
    }
}

#[test]
fn metadata_of_large_files_stays_below_three_percent() {
    let volume = create(MemoryStore::default(), 1, &Options::default()).expect("create");
    let ino = volume.create(volume.root(), "file").expect("create");
    let size = 16u64 << 20;
    // The worst order: every block alone, in random places.
    let mut random = Random(4);
    let mut blocks: Vec<u64> = (0..size / 4096).collect();
    for i in (1..blocks.len()).rev() {
        blocks.swap(i, random.below(i as u64 + 1) as usize);
    }
    for (n, block) in blocks.into_iter().enumerate() {
        volume.write(ino, block * 4096, &[1; 4096]).expect("write");
        if n % 100 == 0 {
            volume.sync_all().expect("sync");
        }
    }
    volume.sync_all().expect("sync");
    volume.compact().expect("compact");
    let info = volume.info();
    let overhead = info.used_bytes - u64::from(reserved(VERSION)) * 4096 - size;
    assert!(overhead * 100 <= size * 3, "{overhead} bytes of metadata for {size}");
    assert!(info.store_bytes <= info.used_bytes + info.used_bytes / 64 + (2 << 20));
    assert_eq!(volume.check(), Ok(vec![]));
}

#[test]
fn the_store_shrinks_with_its_contents() {
    let store = FaultyStore::default();
    let volume = create(store.clone(), 1, &Options::default()).expect("create");
    let root = volume.root();
    for n in 0..40 {
        let ino = volume.create(root, &format!("{n}")).expect("create");
        volume.write(ino, 0, &Random(n).bytes(1 << 20)).expect("write");
    }
    volume.sync_all().expect("sync");
    assert!(store.image().len() > 40 << 20);
    // Every second file, so that what stays is spread over the whole store.
    for n in (0..40).step_by(2) {
        volume.unlink(root, &format!("{n}")).expect("unlink");
    }
    volume.sync_all().expect("sync");
    let before = dump(&volume).expect("dump");
    let freed = volume.compact().expect("compact");
    assert!(freed > 15 << 20, "{freed} bytes");
    assert!(store.image().len() < 24 << 20, "{} bytes", store.image().len());
    assert_eq!(dump(&volume).expect("dump"), before);
    assert_eq!(volume.check(), Ok(vec![]));
    // Garbage goes away without compacting too, once some commits had no use for it.
    for n in (1..39).step_by(2) {
        volume.unlink(root, &format!("{n}")).expect("unlink");
    }
    for n in 0..40 {
        volume.create(root, &format!("later {n}")).expect("create");
        volume.sync_all().expect("sync");
    }
    let info = volume.info();
    let garbage = info.free_bytes;
    assert!(
        garbage <= info.used_bytes / 4 + (2 << 20),
        "{garbage} bytes of garbage, {} used",
        info.used_bytes
    );
    drop(volume);
    let volume = open(FaultyStore::new(store.image()), 2, &tiny()).expect("open");
    assert_eq!(volume.check(), Ok(vec![]));
}

/// A store that keeps where it was written to, call by call.
struct Recorded(MemoryStore, Arc<Mutex<Vec<Vec<u64>>>>);

impl Store for Recorded {
    fn length(&mut self) -> Result<u64, StoreError> {
        self.0.length()
    }
    fn read(&mut self, pieces: &mut [ReadAt<'_>]) -> Result<(), StoreError> {
        self.0.read(pieces)
    }
    fn write(&mut self, pieces: &[WriteAt<'_>]) -> Result<(), StoreError> {
        self.1.lock().expect("no panic").push(pieces.iter().map(|piece| piece.offset / 4096).collect());
        self.0.write(pieces)
    }
    fn sync(&mut self) -> Result<(), StoreError> {
        self.0.sync()
    }
    fn allocate(&mut self, offset: u64, len: u64) -> Result<(), StoreError> {
        self.0.allocate(offset, len)
    }
    fn punch(&mut self, offset: u64, len: u64) -> Result<(), StoreError> {
        self.0.punch(offset, len)
    }
    fn truncate(&mut self, len: u64) -> Result<(), StoreError> {
        self.0.truncate(len)
    }
}

#[test]
fn what_a_root_writes_stands_together() {
    let writes = Arc::new(Mutex::new(Vec::new()));
    let store = Recorded(MemoryStore::default(), writes.clone());
    let volume = create(store, 1, &Options::default()).expect("create");
    let ino = volume.create(volume.root(), "file").expect("create");
    let blocks = 4000u64;
    volume.write(ino, 0, &vec![1; blocks as usize * 4096]).expect("write");
    volume.sync_all().expect("sync");
    let mut dice = Random(5);
    // In any order, so that what is free is scattered.
    for _ in 0..blocks {
        volume.write(ino, dice.below(blocks) * 4096, &[2; 4096]).expect("write");
    }
    volume.sync_all().expect("sync");
    writes.lock().expect("no panic").clear();
    for _ in 0..200 {
        volume.write(ino, dice.below(blocks) * 4096, &[3; 4096]).expect("write");
        volume.lock().settle().expect("a root");
    }
    let writes = writes.lock().expect("no panic");
    // The record is in the ring, in front of all blocks.
    let together = |slots: &&Vec<u64>| slots[..slots.len() - 1].windows(2).all(|pair| pair[1] == pair[0] + 1);
    let commits = writes.iter().filter(|slots| slots.last().is_some_and(|slot| *slot < 64));
    let count = commits.clone().filter(together).count();
    assert_eq!(commits.count(), 200);
    assert!(count > 150, "{count} of 200 commits stand together");
}

#[test]
fn overwriting_in_order_keeps_garbage_in_its_bound_without_a_sync() {
    for cache_bytes in [32 << 20, 8 << 20] {
        let mut store = FaultyStore::default();
        let options = Options { cache_bytes, ..tiny() };
        let volume = create(store.clone(), 1, &options).expect("create");
        let ino = volume.create(volume.root(), "file").expect("create");
        let blocks = 6000u64;
        volume.write(ino, 0, &vec![1; blocks as usize * 4096]).expect("write");
        volume.unmount().expect("unmount");
        let volume = open(store.clone(), 2, &options).expect("open");
        for n in 0..3 * blocks {
            volume.write(ino, n % blocks * 4096, &[2; 4096]).expect("write");
            let length = store.length().expect("length");
            let live = (blocks + 64) * 4096;
            assert!(length <= live + live / 4 + (3 << 20), "write {n}: {length} bytes for {live}");
        }
        assert!(volume.info().counters.commits > 3);
        volume.sync_all().expect("sync");
        assert_eq!(volume.check(), Ok(vec![]));
    }
}

#[test]
fn listings_lose_and_repeat_nothing_that_stays() {
    let volume = create(MemoryStore::default(), 1, &Options::default()).expect("create");
    let root = volume.root();
    for n in 0..2000 {
        volume.create(root, &format!("stays {n}")).expect("create");
        volume.create(root, &format!("goes {n}")).expect("create");
    }
    let (mut seen, mut cookie, mut round) = (Vec::new(), 0, 0);
    loop {
        let part = names(&volume, cookie, 37);
        let Some((last, _)) = part.last() else { break };
        cookie = *last;
        seen.extend(part.into_iter().map(|(_, name)| name));
        for n in round * 40..(round + 1) * 40 {
            let _ = volume.unlink(root, &format!("goes {n}"));
            volume.create(root, &format!("new {n}")).expect("create");
        }
        round += 1;
    }
    let stays: Vec<_> = seen.iter().filter(|name| name.starts_with("stays")).collect();
    assert_eq!(stays.len(), 2000);
    assert_eq!(stays.into_iter().collect::<BTreeSet<_>>().len(), 2000);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len());
    assert_eq!(names(&volume, u64::MAX, 10), vec![]);
}

#[test]
fn a_read_only_open_changes_nothing() {
    let store = FaultyStore::default();
    let volume = create(store.clone(), 1, &tiny()).expect("create");
    let ino = volume.create(volume.root(), "file").expect("create");
    volume.write(ino, 0, b"contents").expect("write");
    volume.unmount().expect("close");
    let copy = FaultyStore::new(store.image());
    let volume = open(copy.clone(), 2, &Options { read_only: true, ..tiny() }).expect("open");
    assert!(volume.read_only());
    assert_eq!(volume.write(ino, 0, b"x"), Err(FsError::ReadOnly));
    assert_eq!(volume.unlink(volume.root(), "file"), Err(FsError::ReadOnly));
    let mut buf = [0; 8];
    assert_eq!(volume.read(ino, 0, &mut buf), Ok(8));
    assert_eq!(&buf, b"contents");
    volume.open(ino).expect("open");
    volume.close(ino);
    volume.sync_all().expect("nothing to sync");
    assert_eq!(volume.check(), Ok(vec![]));
    volume.unmount().expect("close");
    assert_eq!(copy.calls(), 0);
}

#[test]
fn a_copy_is_the_same_tree_under_another_key() {
    let volume = create(MemoryStore::default(), 1, &tiny()).expect("create");
    let root = volume.root();
    let ino = volume.create(root, "file").expect("create");
    volume.write(ino, 100_000, &[8; 10_000]).expect("write");
    volume.set_size(ino, 5 << 20).expect("set_size");
    let dir = volume.mkdir(root, "dir").expect("mkdir");
    volume.link(ino, dir, "again").expect("link");
    volume.symlink(dir, "link", "/file").expect("symlink");
    volume.set_times(ino, Times { accessed: SetTime::At(5), modified: SetTime::At(6) }).expect("times");
    let target = create(MemoryStore::default(), 2, &tiny()).expect("create");
    let report = copy_tree(&volume, &target, false, &mut |_| ()).expect("copy");
    assert_eq!((report.inodes, report.lost), (4, vec![]));
    assert_eq!(dump(&target), dump(&volume));
    assert!(target.info().used_bytes < 1 << 20, "holes became data");
}

#[test]
fn salvage_copies_what_verifies() {
    let store = MemoryStore::default();
    let volume = create(store.clone(), 1, &tiny()).expect("create");
    for n in 0..5u8 {
        let ino = volume.create(volume.root(), &format!("file{n}")).expect("create");
        volume.write(ino, 0, &vec![n + 1; 40_000]).expect("write");
    }
    volume.sync_all().expect("sync");
    volume.create(volume.root(), "later").expect("create");
    volume.sync_all().expect("sync");
    let victim = volume.lookup(volume.root(), "file3").expect("lookup").0;
    let (_, pointer) = volume.lock().chunk(victim.0, 0).expect("chunk").pointers().nth(4).expect("block");
    let mut image = store.image();
    image[pointer.slot as usize * 4096 + 9] ^= 1;
    drop(volume);
    let damaged = open(MemoryStore::new(image), 2, &tiny()).expect("open");
    let target = MemFs::new(MemLimits::default(), || 0);
    assert_eq!(copy_tree(&damaged, &target, false, &mut |_| ()).err(), Some(FsError::Io));
    let target = MemFs::new(MemLimits::default(), || 0);
    let report = copy_tree(&damaged, &target, true, &mut |_| ()).expect("salvage");
    assert_eq!(report.lost, vec![("/file3".to_owned(), FsError::Io)]);
    let (ino, _) = target.lookup(target.root(), "file3").expect("lookup");
    let mut bytes = vec![0; 40_000];
    assert_eq!(target.read(ino, 0, &mut bytes), Ok(40_000));
    let zeros = bytes.iter().filter(|b| **b == 0).count();
    assert_eq!(zeros, 4096, "one block is lost, no more");
}

#[test]
fn a_store_shows_its_structure_without_a_key() {
    let mut store = MemoryStore::default();
    let volume = create(store.clone(), 1, &tiny()).expect("create");
    volume.create(volume.root(), "x").expect("create");
    volume.sync_all().expect("sync");
    let id = volume.info().id;
    let seen = structure(&mut store).expect("structure");
    assert!(seen.headers.iter().all(|h| *h == crate::HeaderReport::Whole { id, generation: 1 }));
    assert_eq!((seen.records, seen.newest, seen.length_is_plausible), (2, Some(2), true));
}

#[test]
fn limits_have_their_errors() {
    let volume = create(MemoryStore::default(), 1, &tiny()).expect("create");
    let root = volume.root();
    assert_eq!(volume.create(root, &"n".repeat(256)), Err(FsError::NameTooLong));
    assert!(volume.create(root, &"n".repeat(255)).is_ok());
    for bad in ["", ".", "..", "a/b", "a\0"] {
        assert_eq!(volume.create(root, bad), Err(FsError::Invalid), "{bad:?}");
    }
    assert_eq!(volume.symlink(root, "long", &"t".repeat(4096)), Err(FsError::NameTooLong));
    let ino = volume.symlink(root, "link", &"t".repeat(4095)).expect("symlink");
    assert_eq!(volume.readlink(ino).map(|t| t.len()), Ok(4095));
    assert_eq!(volume.readlink(root), Err(FsError::Invalid));
    assert_eq!(volume.read(root, 0, &mut [0]), Err(FsError::IsDirectory));
    assert_eq!(volume.lookup(ino, "x"), Err(FsError::NotDirectory));
    let file = volume.create(root, "file").expect("create");
    for n in 1..65_000 {
        volume.link(file, root, &format!("link{n}")).expect("link");
    }
    assert_eq!(volume.link(file, root, "one more"), Err(FsError::TooManyLinks));
}
