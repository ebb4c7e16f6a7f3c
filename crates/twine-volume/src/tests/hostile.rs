//! A hostile host: flips, swaps, replays, mixes (docs/volume-format.md, section 9). Whatever it does, what is shown is a state that
//! was once committed, whole, or an error.

use twine_vfs::FileSystem;

use super::support::{Dump, Random, create, dump, open, tiny};
use crate::format::record::slot_of;
use crate::format::{LOG, RING, SLOT, VERSION, reserved};
use crate::store::MemoryStore;
use crate::{Error, Volume};

/// A volume of a few files, its image after each commit and what it showed then.
fn history(store: &MemoryStore) -> (Volume, Vec<Vec<u8>>, Vec<Dump>) {
    let volume = create(store.clone(), 1, &tiny()).expect("create");
    let root = volume.root();
    let (mut images, mut dumps) = (vec![store.image()], vec![dump(&volume).expect("dump")]);
    let mut random = Random(3);
    let big = volume.create(root, "big").expect("create");
    let small = volume.create(root, "small").expect("create");
    for round in 0..8u64 {
        let dir = volume.mkdir(root, &format!("dir{round}")).expect("mkdir");
        volume.symlink(dir, "link", "../big").expect("symlink");
        volume.write(small, 0, format!("round {round}").as_bytes()).expect("write");
        let bytes = random.bytes(9000);
        volume.write(big, random.below(5) * 4096, &bytes).expect("write");
        // Every second commit stands in the log, the last one does not.
        if round % 2 == 0 {
            volume.sync_all().expect("sync");
        } else {
            volume.lock().settle().expect("a root");
        }
        images.push(store.image());
        dumps.push(dump(&volume).expect("dump"));
    }
    (volume, images, dumps)
}

/// What a store shows: a committed state, or nothing.
fn shown(image: Vec<u8>, states: &[Dump], context: &str) -> Option<usize> {
    let volume = open(MemoryStore::new(image), 77, &tiny()).ok()?;
    let found = dump(&volume).ok()?;
    let state = states.iter().position(|state| *state == found);
    assert!(state.is_some(), "{context}: shows a state that was never committed");
    state
}

#[test]
fn every_flipped_byte_is_detected_or_harmless() {
    let store = MemoryStore::default();
    let (_, _, states) = history(&store);
    let image = store.image();
    println!("seed 11");
    let mut random = Random(11);
    let (mut flips, mut refused) = (0, 0);
    let mut at = 0;
    while at < image.len() {
        let page = &image[at / SLOT * SLOT..(at / SLOT + 1) * SLOT];
        if page.iter().all(|b| *b == 0) {
            at = (at / SLOT + 1) * SLOT;
            continue;
        }
        let mut flipped = image.clone();
        flipped[at] ^= 1 << random.below(8);
        flips += 1;
        refused += u32::from(shown(flipped, &states, &format!("flip at {at}")).is_none());
        at += 1 + random.below(150) as usize;
    }
    println!("{flips} flips, {refused} refused");
    assert!(flips > 1000 && refused > 30);
}

#[test]
fn slots_of_several_states_never_mix() {
    let store = MemoryStore::default();
    let (_, images, states) = history(&store);
    for seed in 0..400 {
        let mut random = Random(seed);
        let mut image = images[random.below(images.len() as u64) as usize].clone();
        let slots = (image.len() / SLOT) as u64;
        for _ in 0..1 + random.below(12) {
            // From another state to the same place, to another place, or swapped within.
            let from = &images[random.below(images.len() as u64) as usize];
            let used = |random: &mut Random| {
                (if random.below(3) == 0 { 2 } else { 64 } + random.below(30)).min(slots - 1) as usize
            };
            let (a, b) = (used(&mut random), used(&mut random));
            let b = if random.below(2) == 0 { a } else { b };
            image[a * SLOT..(a + 1) * SLOT].copy_from_slice(&from[b * SLOT..(b + 1) * SLOT]);
        }
        shown(image, &states, &format!("seed {seed}"));
    }
}

#[test]
fn a_whole_old_image_is_an_old_state_and_only_an_anchor_can_tell() {
    let store = MemoryStore::default();
    let (_, images, states) = history(&store);
    for (image, n) in images.iter().zip(0..) {
        assert_eq!(shown(image.clone(), &states, "old image"), Some(n));
    }
}

#[test]
fn cut_stores_are_refused_or_old() {
    let store = MemoryStore::default();
    let (_, _, states) = history(&store);
    let image = store.image();
    for slots in [0, 1, 2, 3, 10, 63, 64, 65, 66, 70, 80, 90] {
        shown(image[..(slots * SLOT).min(image.len())].to_vec(), &states, "cut");
        shown(image[..(slots * SLOT + 100).min(image.len())].to_vec(), &states, "cut");
    }
}

#[test]
fn a_stale_block_is_detected_within_a_run() {
    let store = MemoryStore::default();
    let (volume, images, states) = history(&store);
    let newest = states.last().expect("states");
    let mut refused = 0;
    for image in &images[..images.len() - 1] {
        store.replace(image.clone());
        // 128 pages of cache hold all of this small volume: everything is pushed out first.
        volume.lock().core.pool.shrink_for_test();
        match dump(&volume) {
            Ok(found) => assert_eq!(found, *newest, "an old state during a run"),
            Err(error) => {
                assert_eq!(error, twine_vfs::Error::Io);
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
}

#[test]
fn a_broken_old_block_is_corruption_and_never_falls_back() {
    let store = MemoryStore::default();
    let (volume, _, _) = history(&store);
    let root = volume.root();
    let big = volume.lookup(root, "big").expect("lookup").0;
    // The last commit touches only the small file: what it did not write is not torn, it is damaged.
    let small = volume.lookup(root, "small").expect("lookup").0;
    volume.write(small, 0, b"last").expect("write");
    volume.lock().settle().expect("a root");
    let slot = volume.lock().chunk(big.0, 0).expect("chunk").pointers().next().expect("a block").1.slot;
    drop(volume);
    let mut image = store.image();
    image[slot as usize * SLOT] ^= 1;
    let volume = open(MemoryStore::new(image), 5, &tiny()).expect("the damage is deep below");
    assert_eq!(volume.recovery().discarded, None);
    assert!(dump(&volume).is_err());
    let findings = volume.check().expect("check");
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].inode, findings[0].slot), (Some(big.0), Some(slot)));
}

#[test]
fn a_torn_last_commit_is_reported() {
    let store = MemoryStore::default();
    let (volume, _, states) = history(&store);
    let (sequence, root) = {
        let engine = volume.lock();
        (engine.committed.sequence, engine.core.root.pointer.slot)
    };
    drop(volume);
    let mut torn = store.image();
    torn[root as usize * SLOT + 512] ^= 1;
    let volume = open(MemoryStore::new(torn), 5, &tiny()).expect("the state before is whole");
    assert_eq!(volume.recovery().discarded, Some((sequence, root)));
    assert_eq!(dump(&volume).expect("dump"), states[states.len() - 2]);
    let mut unreadable = store.image();
    unreadable[slot_of(sequence) as usize * SLOT + 100] ^= 1;
    let volume = open(MemoryStore::new(unreadable), 5, &tiny()).expect("the state before is whole");
    assert_eq!(volume.recovery().unreadable_records, 1);
    assert_eq!(dump(&volume).expect("dump"), states[states.len() - 2]);
}

#[test]
fn after_a_clean_unmount_nothing_counts_as_torn() {
    let store = MemoryStore::default();
    let (volume, _, _) = history(&store);
    volume.unmount().expect("unmount");
    let root = volume.lock().core.root.pointer.slot;
    drop(volume);
    let mut image = store.image();
    image[root as usize * SLOT] ^= 1;
    let error = open(MemoryStore::new(image), 5, &tiny()).err();
    assert_eq!(error, Some(Error::Corrupted { what: "tree node", slot: root }));
}

#[test]
fn a_hundred_torn_commits_in_a_row_leave_the_last_good_state() {
    let store = MemoryStore::default();
    let (volume, _, states) = history(&store);
    drop(volume);
    for seed in 0..100 {
        let volume = open(store.clone(), 1000 + seed, &tiny()).expect("open");
        assert_eq!(dump(&volume).as_ref(), Ok(states.last().expect("states")), "after {seed} torn commits");
        volume.create(volume.root(), "torn").expect("create");
        volume.sync_all().expect("sync");
        let root = volume.lock().core.root.pointer.slot as usize;
        drop(volume);
        let mut image = store.image();
        image[root * SLOT] ^= 1;
        store.replace(image);
    }
}

#[test]
fn two_histories_are_equivocation() {
    let store = MemoryStore::default();
    let (volume, _, _) = history(&store);
    let sequence = volume.info().sequence;
    drop(volume);
    let go_on = |seed| {
        let fork = MemoryStore::new(store.image());
        let volume = open(fork.clone(), seed, &tiny()).expect("open");
        for n in 0..3 {
            volume.create(volume.root(), &format!("fork {seed} {n}")).expect("create");
            volume.sync_all().expect("sync");
        }
        fork.image()
    };
    let (one, other) = (go_on(21), go_on(22));
    // The other history's first record between the one's: both are valid.
    let mut mixed = one.clone();
    let at = slot_of(sequence + 1) as usize * SLOT;
    assert_ne!(one[at..at + SLOT], other[at..at + SLOT]);
    mixed[at..at + SLOT].copy_from_slice(&other[at..at + SLOT]);
    let error = open(MemoryStore::new(mixed), 5, &tiny()).err();
    assert_eq!(error, Some(Error::Equivocation { sequence: sequence + 1 }));
}

#[test]
fn no_record_at_all_is_an_error() {
    let store = MemoryStore::default();
    drop(history(&store));
    let mut image = store.image();
    image[RING as usize * SLOT..LOG as usize * SLOT].fill(0);
    assert_eq!(open(MemoryStore::new(image), 5, &tiny()).err(), Some(Error::NoRoot { unreadable: 0 }));
}

#[test]
fn blocks_of_another_volume_do_not_serve() {
    let (one, other) = (MemoryStore::default(), MemoryStore::default());
    drop(history(&one));
    let volume = create(other.clone(), 99, &tiny()).expect("create");
    volume.create(volume.root(), "other").expect("create");
    volume.sync_all().expect("sync");
    let mut mixed = one.image();
    let ring = RING as usize * SLOT..LOG as usize * SLOT;
    mixed[ring.clone()].copy_from_slice(&other.image()[ring]);
    assert!(matches!(open(MemoryStore::new(mixed), 5, &tiny()).err(), Some(Error::NoRoot { .. })));
}

#[test]
fn a_restored_store_is_never_written_under_an_old_key() {
    let store = MemoryStore::default();
    drop(history(&store));
    // Two runs from one image, with entropy that differs as it does between any two runs.
    let salts: Vec<_> = [31, 32]
        .into_iter()
        .map(|seed| {
            let copy = MemoryStore::new(store.image());
            let volume = open(copy.clone(), seed, &tiny()).expect("open");
            volume.create(volume.root(), "x").expect("create");
            volume.sync_all().expect("sync");
            let at = slot_of(volume.info().sequence) as usize * SLOT;
            copy.image()[at + 12..at + 28].to_vec()
        })
        .collect();
    assert_ne!(salts[0], salts[1], "one salt served two runs");
    let old = store.image();
    for slot in RING..reserved(VERSION) {
        let at = slot as usize * SLOT;
        assert!(salts.iter().all(|salt| old[at + 12..at + 28] != salt[..]));
    }
}

#[test]
fn the_host_sees_no_plaintext() {
    let store = MemoryStore::default();
    let volume = create(store.clone(), 1, &tiny()).expect("create");
    let secret = b"TOP SECRET CONTENTS OF A FILE";
    for name in ["secret-name-inline", "secret-name-block"] {
        let ino = volume.create(volume.root(), name).expect("create");
        let bytes = secret.repeat(if name.ends_with("block") { 1000 } else { 1 });
        volume.write(ino, 0, &bytes).expect("write");
    }
    volume.unmount().expect("close");
    let image = store.image();
    for needle in [&secret[..], b"secret-name"] {
        assert!(!image.windows(needle.len()).any(|w| w == needle));
    }
}
