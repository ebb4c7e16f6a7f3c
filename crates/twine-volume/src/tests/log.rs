//! The log (docs/volume-format.md, section 7): what it holds opens again, and what a host does to it is noticed.

use twine_vfs::FileSystem;

use super::support::{Driver, Dump, Random, TestClock, create, dump, environment, master, open, tiny};
use crate::format::key::Key;
use crate::format::log::{Change, Changes, LogRecord, State};
use crate::format::record::slot_of;
use crate::format::{LOG, LOG_LEN, SLOT, offset_of};
use crate::store::{FaultyStore, MemoryStore, WriteAt};
use crate::{Counters, Error, Options, Volume};

/// A volume whose last root is followed by four records, its image and state after the root and after each.
fn four_records() -> (Volume, Vec<(Vec<u8>, Dump)>) {
    let store = MemoryStore::default();
    let volume = create(store.clone(), 1, &tiny()).expect("create");
    let file = volume.create(volume.root(), "file").expect("create");
    volume.write(file, 0, &Random(1).bytes(20_000)).expect("write");
    volume.lock().settle().expect("a root");
    let mut states = vec![(store.image(), dump(&volume).expect("dump"))];
    for n in 0..4u64 {
        volume.write(file, n * 4096, &Random(n).bytes(100)).expect("write");
        volume.mkdir(volume.root(), &format!("{n}")).expect("mkdir");
        volume.sync_all().expect("sync");
        states.push((store.image(), dump(&volume).expect("dump")));
    }
    assert_eq!(volume.info().counters.logged, 4);
    (volume, states)
}

/// The slots where the log's records begin.
fn begins(image: &[u8]) -> Vec<usize> {
    let slots = LOG as usize..(LOG + LOG_LEN) as usize;
    slots.filter(|slot| image[slot * SLOT..].starts_with(b"TVL1")).collect()
}

fn opened(image: Vec<u8>) -> crate::Result<Dump> {
    open(MemoryStore::new(image), 7, &tiny()).map(|volume| dump(&volume).expect("dump"))
}

/// Random histories with a sync after every few steps, opened again after each: by a reader that may change nothing, and to
/// go on from.
#[test]
fn what_the_log_holds_opens_as_it_was() {
    let mut counters = Counters::default();
    for seed in 0..12 {
        println!("seed {seed}");
        let clock = TestClock::default();
        let store = MemoryStore::default();
        let model = twine_vfs::MemFs::new(twine_vfs::MemLimits::default(), || 0);
        let options = if seed % 2 == 0 { tiny() } else { Options::default() };
        let mut volume =
            Volume::create(Box::new(store.clone()), &master(), environment(seed, &clock), &options)
                .expect("create");
        let mut driver = Driver::new(seed);
        driver.reach = 30_000;
        let mut dice = Random(seed ^ 3);
        for step in 0..600 {
            let (what, _) = driver.step(&model, &volume);
            if dice.below(3) > 0 {
                continue;
            }
            volume.sync_all().expect("sync");
            let state = dump(&volume).expect("dump");
            let copy = MemoryStore::new(store.image());
            let reader = open(copy.clone(), step, &Options { read_only: true, ..tiny() }).expect("open");
            assert_eq!(dump(&reader).as_ref(), Ok(&state), "seed {seed}, step {step}, {what}");
            assert_eq!(reader.check(), Ok(vec![]), "seed {seed}, step {step}, {what}");
            assert_eq!(copy.image(), store.image(), "a reader wrote");
            if dice.below(20) == 0 {
                let found = volume.info().counters;
                counters.commits += found.commits;
                counters.logged += found.logged;
                drop(driver);
                volume = open(store.clone(), 1000 + step, &options).expect("open");
                assert_eq!(dump(&volume).as_ref(), Ok(&state), "seed {seed}, step {step}, {what}");
                assert_eq!(dump(&model).as_ref(), Ok(&state), "seed {seed}, step {step}, {what}");
                driver = Driver::new(seed << 32 | step);
            }
        }
    }
    println!("{counters:?}");
    assert!(counters.logged > 200 && counters.commits - counters.logged > 100, "{counters:?}");
}

/// The page cache of a reader is small, and it must hold what the log and the root differ by, however large the writer's is.
#[test]
fn what_a_root_and_its_log_differ_by_is_bounded() {
    for options in [tiny(), Options::default()] {
        let store = MemoryStore::default();
        let volume = create(store.clone(), 1, &options).expect("create");
        for n in 0..3000 {
            let name = format!("{n}");
            // Nodes alone, then pages, too.
            if n < 1500 {
                volume.mkdir(volume.root(), &name).expect("mkdir");
            } else {
                let ino = volume.create(volume.root(), &name).expect("create");
                volume.write(ino, 0, b"small").expect("write");
            }
            // Few at a time for a while, then many.
            if n % 5 == 0 && n % 500 < 300 {
                volume.sync_all().expect("sync");
            }
            if n % 50 == 0 {
                let copy = MemoryStore::new(store.image());
                let reader = open(copy, 2, &Options { read_only: true, ..tiny() }).expect("open");
                let engine = reader.lock();
                assert!(engine.dirty.pages() <= 64 && engine.core.dirty_nodes <= 32, "{n}");
            }
        }
        let counters = volume.info().counters;
        assert!(counters.logged > 100 && counters.commits > counters.logged + 10, "{counters:?}");
    }
}

/// An epoch's key seals a bounded number of the log's slots, too.
#[test]
fn the_log_counts_towards_the_limit_of_a_key() {
    let store = MemoryStore::default();
    let options = Options { blocks_per_epoch: Some(20), ..Options::default() };
    let volume = create(store.clone(), 1, &options).expect("create");
    let file = volume.create(volume.root(), "file").expect("create");
    let mut slots = std::collections::BTreeMap::<Vec<u8>, usize>::new();
    for n in 0..100 {
        volume.write(file, 0, &Random(n).bytes(4096)).expect("write");
        let before = volume.info().counters.logged;
        volume.sync_all().expect("sync");
        if volume.info().counters.logged > before {
            let image = store.image();
            let newest = begins(&image)
                .into_iter()
                .map(|slot| &image[slot * SLOT..])
                .max_by_key(|at| u64::from_le_bytes(at[4..12].try_into().expect("8 bytes")));
            *slots.entry(newest.expect("a record")[12..28].to_vec()).or_default() += 2;
        }
    }
    assert!(slots.len() > 5 && slots.values().all(|used| *used <= 21), "{slots:?}");
}

#[test]
fn a_record_that_is_lost_from_the_middle_is_corruption() {
    let (_, states) = four_records();
    let (newest, _) = &states[4];
    let slots = begins(newest);
    assert_eq!(slots.len(), 4);
    for (n, slot) in slots.iter().enumerate() {
        let mut image = newest.clone();
        image[slot * SLOT + 700] ^= 1;
        match opened(image) {
            Ok(found) => assert_eq!((n, found), (3, states[3].1.clone()), "only the last one can be torn"),
            Err(error) => assert!(n < 3 && matches!(error, Error::Corrupted { .. }), "{n}: {error}"),
        }
    }
}

#[test]
fn without_its_root_the_log_is_corruption() {
    let (volume, states) = four_records();
    let root = volume.lock().committed.base.sequence;
    let mut image = states[4].0.clone();
    image[slot_of(root) as usize * SLOT + 100] ^= 1;
    assert!(matches!(opened(image), Err(Error::Corrupted { .. })));
    // A block that the root's barrier covered is no torn one, since the log came later.
    let block = volume.lock().committed.root.pointer.slot;
    let mut image = states[4].0.clone();
    image[block as usize * SLOT] ^= 1;
    assert_eq!(opened(image), Err(Error::Corrupted { what: "tree node", slot: block }));
    // Without a log it is.
    let mut image = states[0].0.clone();
    image[block as usize * SLOT] ^= 1;
    assert!(opened(image).is_ok());
}

/// The log goes round: what an older root's log left behind is none of the new one's.
#[test]
fn records_of_an_older_root_or_of_another_place_are_nothing() {
    let (volume, states) = four_records();
    volume.lock().settle().expect("a root");
    let settled = dump(&volume).expect("dump");
    let file = volume.lookup(volume.root(), "file").expect("lookup").0;
    volume.write(file, 9000, b"later").expect("write");
    volume.sync_all().expect("sync");
    let later = dump(&volume).expect("dump");
    drop(volume);
    let old = &states[4].0;
    let log = LOG as usize * SLOT..(LOG + LOG_LEN) as usize * SLOT;
    let store = MemoryStore::new(old.clone());
    let again = open(store.clone(), 50, &tiny()).expect("open");
    assert_eq!(dump(&again).as_ref(), Ok(&states[4].1));
    again.lock().settle().expect("a root");
    assert_eq!(dump(&again).as_ref(), Ok(&settled), "the log's changes are in the tree");
    again.write(file, 9000, b"later").expect("write");
    again.sync_all().expect("sync");
    let newest = store.image();
    // Every record of the old log in every place of the new one, in whole.
    for from in begins(old) {
        for to in (LOG as usize..).take(12) {
            let mut mixed = newest.clone();
            mixed[to * SLOT..(to + 2) * SLOT].copy_from_slice(&old[from * SLOT..(from + 2) * SLOT]);
            let found = opened(mixed).expect("open");
            assert!([&settled, &later].contains(&&found), "{from} at {to}");
        }
    }
    let mut mixed = newest;
    mixed[log.clone()].copy_from_slice(&old[log]);
    assert_eq!(opened(mixed).as_ref(), Ok(&settled));
}

#[test]
fn wrong_records_under_right_seals_are_refused() {
    let forge = |change: &dyn Fn(&mut LogRecord)| {
        let store = MemoryStore::default();
        let volume = create(store.clone(), 1, &tiny()).expect("create");
        let file = volume.create(volume.root(), "file").expect("create");
        volume.lock().settle().expect("a root");
        let mut engine = volume.lock();
        let engine = &mut *engine;
        let at = State { sequence: engine.committed.sequence, tag: engine.committed.tag };
        let mut record = LogRecord { root: at, previous: at, next_ino: 9, changes: vec![] };
        change(&mut record);
        let sequence = engine.committed.next;
        let (mut bytes, _) = record.encode(2).expect("fits");
        engine.core.io.seal_log_record(sequence, LOG, &mut bytes).expect("seal");
        engine.core.io.store.write(&[WriteAt { offset: offset_of(LOG), bytes: &bytes }]).expect("write");
        assert_eq!(file, twine_vfs::Ino(2));
        open(store, 4, &tiny()).map(|volume| {
            assert_eq!(volume.recovery().log_records, 1);
            assert_eq!(volume.check(), Ok(vec![]));
        })
    };
    let said = |change: Change<'_>| {
        let mut changes = Changes::default();
        assert!(changes.push(&change));
        changes.into_bytes()
    };
    assert_eq!(forge(&|_| ()), Ok(()));
    let page = |ino, block| said(Change::Page { ino, block, bytes: b"contents" });
    let cases = [
        ("a page of no inode", page(77, 0)),
        ("a page past the end", page(2, 0)),
        ("a page of the system's", page(0, 0)),
        ("a chunk", said(Change::Put { key: Key::chunk(2, 0), value: &[1, 2] })),
        ("a map item", said(Change::Put { key: Key::map(0), value: &[0xff; 128] })),
        ("a name that was not there", said(Change::Delete { key: Key::entry(1, 256) })),
        ("a change of no kind", vec![9]),
        ("a change cut short", said(Change::Cut { ino: 2, block: 0 })[..12].to_vec()),
        ("a page that ends with a zero", [&page(2, 0)[..17], &[1, 0, 0]].concat()),
        (
            "a value that is too long",
            [&said(Change::Put { key: Key::inode(2), value: &[] })[..17], &[1, 2]].concat(),
        ),
    ];
    for (what, changes) in cases {
        let error = forge(&|record| record.changes.clone_from(&changes)).expect_err(what);
        assert!(matches!(error, Error::Corrupted { .. }), "{what}: {error}");
    }
    let error = forge(&|record| record.previous.tag[0] ^= 1).expect_err("another predecessor");
    assert!(matches!(error, Error::Equivocation { .. }), "{error}");
    let error = forge(&|record| record.root.sequence += 5).expect_err("a root to come");
    assert!(matches!(error, Error::Corrupted { .. }), "{error}");
}

/// The store was full but for what the log holds when its writer was killed: the next one can still write that down.
#[test]
fn a_full_store_takes_the_root_after_its_log() {
    let options = Options { max_store_bytes: 2 << 20, ..tiny() };
    for seed in 0..20 {
        let store = FaultyStore::default();
        let volume = create(store.clone(), seed, &options).expect("create");
        let mut random = Random(seed);
        let file = volume.create(volume.root(), "file").expect("create");
        volume.sync_all().expect("sync");
        let mut at = 0;
        while volume.write(file, at, &random.bytes(4096)).is_ok() {
            at += 4096;
            if random.below(2) == 0 {
                volume.sync_all().expect("sync");
            }
        }
        volume.sync_all().expect("sync");
        let state = dump(&volume).expect("dump");
        drop(volume);
        let volume = open(FaultyStore::new(store.image()), 99, &options).expect("open");
        assert_eq!(dump(&volume).as_ref(), Ok(&state), "seed {seed}");
        volume.unlink(volume.root(), "file").expect("a full volume deletes");
        volume.unmount().expect("unmount");
        assert_eq!(volume.check(), Ok(vec![]));
    }
}
