//! Keys, headers, identities.

use super::support::{Random, create, environment, open, tiny};
use crate::format::{SLOT, VERSION};
use crate::store::{Fault, FaultyStore, MemoryStore, Store, StoreError};
use crate::{Error, MasterKey, Options, Volume, labels, rekey};

fn open_with(store: MemoryStore, key: u8) -> crate::Result<Volume> {
    Volume::open(Box::new(store), &MasterKey::new([key; 32]), environment(9, &Default::default()), &tiny())
}

fn error_of(outcome: crate::Result<Volume>) -> Error {
    outcome.err().expect("must be refused")
}

#[test]
fn another_key_opens_nothing() {
    let store = MemoryStore::default();
    create(store.clone(), 1, &tiny()).expect("create").unmount().expect("close");
    assert_eq!(error_of(open_with(store.clone(), 8)), Error::WrongKey);
    assert!(open_with(store, 7).is_ok());
}

#[test]
fn an_expected_identity_is_checked() {
    let store = MemoryStore::default();
    let id = create(store.clone(), 1, &tiny()).expect("create").info().id;
    let expecting = |id| Options { expected_id: Some(id), ..tiny() };
    assert!(open(store.clone(), 2, &expecting(id)).is_ok());
    assert_eq!(error_of(open(store, 2, &expecting([0; 16]))), Error::OtherVolume);
}

#[test]
fn what_is_no_volume_says_so() {
    assert_eq!(error_of(open(MemoryStore::default(), 1, &tiny())), Error::NotAVolume);
    assert_eq!(error_of(open(MemoryStore::new(vec![3; 70_000]), 1, &tiny())), Error::NotAVolume);
}

#[test]
fn damaged_and_foreign_headers_are_told_apart() {
    let store = MemoryStore::default();
    create(store.clone(), 1, &tiny()).expect("create").unmount().expect("close");
    let image = store.image();
    let with = |change: &dyn Fn(&mut [u8])| {
        let mut bytes = image.clone();
        change(&mut bytes);
        open(MemoryStore::new(bytes), 2, &tiny())
    };
    assert!(with(&|b| b[50] ^= 1).is_ok(), "the second copy serves");
    let both = |b: &mut [u8], at: usize, mask: u8| {
        b[at] ^= mask;
        b[SLOT + at] ^= mask;
    };
    assert_eq!(error_of(with(&|b| both(b, 50, 1))), Error::HeaderDamaged);
    assert_eq!(error_of(with(&|b| both(b, 8, 1))), Error::UnsupportedVersion(VERSION ^ 1));
}

#[test]
fn rekeying_survives_a_cut_at_every_call() {
    for n in 0..5 {
        let memory = MemoryStore::default();
        create(memory.clone(), 1, &tiny()).expect("create").unmount().expect("close");
        let mut store = FaultyStore::new(memory.image());
        store.arm(n, Fault::Kill);
        let (old, new) = (MasterKey::new([7; 32]), MasterKey::new([8; 32]));
        let done = rekey(&mut store, &old, &new, &mut Random(5)).is_ok();
        assert_eq!(done, n == 4);
        for seed in 0..20 {
            let mut random = Random(seed);
            let image = MemoryStore::new(store.crash(&mut || random.next()));
            let (old, new) = (open_with(image.clone(), 7).is_ok(), open_with(image, 8).is_ok());
            assert!(if done { new && !old } else { old || new }, "call {n} seed {seed}: old {old} new {new}");
        }
    }
    let mut store = MemoryStore::default();
    let key = MasterKey::new([7; 32]);
    assert_eq!(rekey(&mut store, &key, &key, &mut Random(1)), Err(Error::NotAVolume));
}

#[cfg(feature = "file")]
#[test]
fn a_second_opener_of_a_file_is_refused() {
    let path = std::env::temp_dir().join(format!("twine-volume-lock-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let first = crate::store::FileStore::create(&path).expect("create");
    assert_eq!(crate::store::FileStore::open(&path, true).err(), Some(StoreError::InUse));
    assert_eq!(crate::store::FileStore::open(&path, false).err(), Some(StoreError::InUse));
    drop(first);
    let (a, b) = (crate::store::FileStore::open(&path, false), crate::store::FileStore::open(&path, false));
    assert!(a.is_ok() && b.is_ok(), "readers share");
    assert_eq!(crate::store::FileStore::open(&path, true).err(), Some(StoreError::InUse));
    let mut store = a.expect("open");
    assert_eq!(store.length(), Ok(0));
    std::fs::remove_file(&path).expect("remove");
}

#[test]
fn labels_lead_to_the_key_that_opens_after_a_cut() {
    let label = |n: u8| [n; 128];
    for n in 0..5 {
        let mut memory = MemoryStore::default();
        create(memory.clone(), 1, &tiny()).expect("create").unmount().expect("close");
        let first = MasterKey::new([7; 32]).labelled(label(1));
        rekey(&mut memory, &MasterKey::new([7; 32]), &first, &mut Random(4)).expect("rekey");
        assert_eq!(labels(&mut memory), Ok(vec![label(1)]));
        let mut store = FaultyStore::new(memory.image());
        store.arm(n, Fault::Kill);
        let second = MasterKey::new([8; 32]).labelled(label(2));
        let _ = rekey(&mut store, &first, &second, &mut Random(5));
        for seed in 0..20 {
            let mut random = Random(seed);
            let mut image = MemoryStore::new(store.crash(&mut || random.next()));
            let found = labels(&mut image).expect("a whole header");
            let opens = found.iter().any(|found| {
                let key = if *found == label(1) { 7 } else { 8 };
                open_with(image.clone(), key).is_ok()
            });
            assert!(opens, "call {n} seed {seed}: {} labels", found.len());
        }
    }
    assert_eq!(labels(&mut MemoryStore::default()), Err(Error::NotAVolume));
}

#[test]
fn a_header_authenticates_its_label() {
    let mut store = MemoryStore::default();
    create(store.clone(), 1, &tiny()).expect("create").unmount().expect("close");
    let key = MasterKey::new([7; 32]).labelled([3; 128]);
    rekey(&mut store, &key, &key, &mut Random(4)).expect("rekey");
    let mut image = store.image();
    for slot in [0, SLOT] {
        image[slot + 150] ^= 1;
        let sum = ring::digest::digest(&ring::digest::SHA256, &image[slot..slot + 280]);
        image[slot + 280..slot + 312].copy_from_slice(sum.as_ref());
    }
    assert!(open_with(store, 7).is_ok());
    assert_eq!(error_of(open_with(MemoryStore::new(image), 7)), Error::WrongKey);
}
