//! Freshness across restarts (docs/volume-format.md, section 10).

use twine_vfs::FileSystem;

use super::support::{TestClock, environment, master, tiny};
use crate::store::{Fault, FaultyStore, MemoryStore, Store};
use crate::{Anchor, AnchorPolicy, Environment, Error, MemoryAnchor, Options, Result, Volume};

fn anchored(seed: u64, anchor: &MemoryAnchor) -> Environment {
    Environment { anchor: Some(Box::new(anchor.clone())), ..environment(seed, &TestClock::default()) }
}

fn create(store: impl Store + 'static, anchor: &MemoryAnchor, options: &Options) -> Volume {
    Volume::create(Box::new(store), &master(), anchored(1, anchor), options).expect("create")
}

fn open(store: impl Store + 'static, seed: u64, anchor: &MemoryAnchor, options: &Options) -> Result<Volume> {
    Volume::open(Box::new(store), &master(), anchored(seed, anchor), options)
}

fn commit(volume: &Volume, name: &str) {
    volume.create(volume.root(), name).expect("create");
    volume.sync_all().expect("sync");
}

#[test]
fn an_old_store_is_refused() {
    let (store, anchor) = (MemoryStore::default(), MemoryAnchor::default());
    let volume = create(store.clone(), &anchor, &tiny());
    commit(&volume, "a");
    let old = store.image();
    commit(&volume, "b");
    drop(volume);
    let error = open(MemoryStore::new(old.clone()), 2, &anchor, &tiny()).err();
    assert_eq!(error, Some(Error::Rollback { found: 2, anchored: 3 }));
    let read_only = Options { read_only: true, ..tiny() };
    assert!(matches!(
        open(MemoryStore::new(old), 2, &anchor, &read_only).err(),
        Some(Error::Rollback { .. })
    ));
    let volume = open(store, 2, &anchor, &tiny()).expect("the newest state opens");
    assert_eq!(volume.info().anchor, "memory");
    assert_eq!(volume.info().anchor_policy, Some(AnchorPolicy::EverySync));
}

#[test]
fn a_second_writer_ends_the_first() {
    let (store, anchor) = (MemoryStore::default(), MemoryAnchor::default());
    let first = create(store.clone(), &anchor, &tiny());
    commit(&first, "a");
    let second = open(MemoryStore::new(store.image()), 2, &anchor, &tiny()).expect("a clone opens");
    first.create(first.root(), "b").expect("create");
    assert!(matches!(first.sync_all(), Err(Error::Forked { .. })));
    assert_eq!(first.create(first.root(), "c"), Err(twine_vfs::Error::ReadOnly));
    commit(&second, "d");
}

#[test]
fn a_fork_of_the_same_sequence_is_refused() {
    let (store, anchor) = (MemoryStore::default(), MemoryAnchor::default());
    let volume = create(store.clone(), &anchor, &tiny());
    let base = store.image();
    commit(&volume, "a");
    drop(volume);
    // The same sequence, written where the anchor did not see it.
    let fork = MemoryStore::new(base);
    let unseen =
        Volume::open(Box::new(fork.clone()), &master(), environment(9, &TestClock::default()), &tiny());
    let unseen = unseen.expect("open");
    commit(&unseen, "b");
    assert_eq!(
        open(MemoryStore::new(fork.image()), 3, &anchor, &tiny()).err(),
        Some(Error::Forked { sequence: 2 })
    );
    // Nor a later one, which an announcing writer would have announced.
    commit(&unseen, "c");
    drop(unseen);
    assert_eq!(open(fork, 3, &anchor, &tiny()).err(), Some(Error::Forked { sequence: 3 }));
}

#[test]
fn every_cut_around_an_anchored_sync_opens_again() {
    for n in 0..6 {
        let (store, anchor) = (FaultyStore::default(), MemoryAnchor::default());
        let volume = create(store.clone(), &anchor, &tiny());
        commit(&volume, "a");
        let calls = store.calls();
        volume.create(volume.root(), "b").expect("create");
        store.arm(calls + n, Fault::Kill);
        let synced = volume.sync_all().is_ok();
        drop(volume);
        for seed in 0..8 {
            let mut random = super::support::Random(seed);
            let image = store.crash(&mut || random.next());
            let state = anchor.clone().load(&[0; 16]).expect("memory");
            let copy = MemoryAnchor::default();
            copy.clone().swap(&[0; 16], None, &state.expect("anchored")).expect("memory");
            let volume =
                open(MemoryStore::new(image), 5, &copy, &tiny()).expect("an honest crash is no rollback");
            assert!(!synced || volume.lookup(volume.root(), "b").is_ok());
            commit(&volume, "c");
        }
    }
}

#[test]
fn anchoring_at_close_has_one_run_as_its_window() {
    let options = Options { anchor_policy: AnchorPolicy::OpenAndClose, ..tiny() };
    let (store, anchor) = (MemoryStore::default(), MemoryAnchor::default());
    let volume = create(store.clone(), &anchor, &options);
    commit(&volume, "a");
    let within = store.image();
    commit(&volume, "b");
    // A crash: the anchor still has the state of the opening, any later one is accepted.
    drop(volume);
    let volume = open(MemoryStore::new(within.clone()), 2, &anchor, &options).expect("inside the window");
    commit(&volume, "c");
    volume.unmount().expect("close");
    assert!(matches!(
        open(MemoryStore::new(within), 3, &anchor, &options).err(),
        Some(Error::Rollback { .. })
    ));
}

#[test]
fn an_interval_bounds_the_window() {
    let options = Options { anchor_policy: AnchorPolicy::Interval(100), ..tiny() };
    let (store, anchor, clock) = (MemoryStore::default(), MemoryAnchor::default(), TestClock::default());
    let environment = Environment { anchor: Some(Box::new(anchor.clone())), ..environment(1, &clock) };
    let volume = Volume::create(Box::new(store.clone()), &master(), environment, &options).expect("create");
    let at = |time, name| {
        clock.0.store(time, std::sync::atomic::Ordering::Relaxed);
        commit(&volume, name);
        store.image()
    };
    let (first, second) = (at(1000, "a"), at(1050, "b"));
    let reopens = |image: &[u8]| {
        let copy = MemoryAnchor::default();
        let state = anchor.clone().load(&[0; 16]).expect("memory").expect("anchored");
        copy.clone().swap(&[0; 16], None, &state).expect("memory");
        open(MemoryStore::new(image.to_vec()), 2, &copy, &options).is_ok()
    };
    assert!(reopens(&first) && reopens(&second), "both lie in one interval");
    let third = at(1100, "c");
    assert!(!reopens(&first) && !reopens(&second) && reopens(&third));
}

#[cfg(feature = "file")]
#[test]
fn the_file_anchor_keeps_its_word_between_runs() {
    let path = std::env::temp_dir().join(format!("twine-volume-anchor-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let with = |seed| Environment {
        anchor: Some(Box::new(crate::InsecureFileAnchor::new(crate::FileRecord(path.clone())))),
        ..environment(seed, &TestClock::default())
    };
    let store = MemoryStore::default();
    let volume = Volume::create(Box::new(store.clone()), &master(), with(1), &tiny()).expect("create");
    let old = store.image();
    commit(&volume, "a");
    volume.unmount().expect("close");
    let refused = Volume::open(Box::new(MemoryStore::new(old)), &master(), with(2), &tiny()).err();
    assert!(matches!(refused, Some(Error::Rollback { .. })));
    Volume::open(Box::new(store.clone()), &master(), with(3), &tiny()).expect("open");
    std::fs::write(&path, b"TWINEANC and nonsense").expect("write");
    let refused = Volume::open(Box::new(store.clone()), &master(), with(4), &tiny()).err();
    assert!(matches!(refused, Some(Error::Anchor(_))));
    std::fs::remove_file(&path).expect("remove");
    let refused = Volume::open(Box::new(store), &master(), with(5), &tiny()).err();
    assert_eq!(refused, Some(Error::Unanchored), "an anchor that was deleted");
    let other = MemoryStore::default();
    drop(Volume::create(Box::new(other.clone()), &master(), with(6), &tiny()).expect("create"));
    let refused = Volume::create(Box::new(MemoryStore::default()), &master(), with(7), &tiny()).err();
    assert_eq!(refused, Some(Error::OtherAnchor), "a volume that was deleted, and its anchor was not");
    std::fs::remove_file(&path).expect("remove");
}
