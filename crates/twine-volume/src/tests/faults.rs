//! Disks that fail and disks that fill.

use twine_vfs::{Error as FsError, FileSystem};

use super::support::{Random, create, dump, open, tiny};
use crate::store::{Fault, FaultyStore};
use crate::{Error, Options};

#[test]
fn after_a_failed_write_or_sync_nothing_is_written_again() {
    for n in 0..40 {
        let store = FaultyStore::default();
        let volume = create(store.clone(), 1, &tiny()).expect("create");
        let ino = volume.create(volume.root(), "file").expect("create");
        volume.write(ino, 0, &[1; 5000]).expect("write");
        volume.sync_all().expect("sync");
        let mut states = vec![dump(&volume).expect("dump")];
        store.arm(store.calls() + n, Fault::Fail);
        let mut failed = false;
        for round in 0..20u64 {
            let done = volume.write(ino, round * 100_000, &Random(round).bytes(90_000));
            states.push(dump(&volume).expect("dump"));
            failed |= done.is_err() || volume.sync_all().is_err();
            if failed {
                break;
            }
        }
        assert!(failed);
        assert!(volume.failure().is_some() && volume.read_only());
        let calls = store.calls();
        assert_eq!(volume.create(volume.root(), "more"), Err(FsError::ReadOnly));
        assert!(volume.sync_all().is_err(), "a failed sync must not look mended");
        assert!(volume.sync(ino, false).is_err());
        assert_eq!(store.calls(), calls, "call {n}: the store was changed after a failure");
        let again = open(FaultyStore::new(store.image()), 2, &tiny()).expect("open");
        assert_eq!(again.check(), Ok(vec![]));
        let found = dump(&again).expect("dump");
        assert!(
            states[states.len() - 2..].contains(&found),
            "call {n}: neither the last synced state nor the next"
        );
    }
}

#[test]
fn a_full_volume_leaves_room_to_delete() {
    for limit in [2u64 << 20, 5 << 20, 20 << 20] {
        let store = FaultyStore::default();
        let options = Options { max_store_bytes: limit, ..tiny() };
        let volume = create(store.clone(), 1, &options).expect("create");
        let root = volume.root();
        for round in 0..4 {
            let mut names = Vec::new();
            let mut random = Random(round);
            let full = loop {
                let name = format!("file{}", names.len());
                let made = volume.create(root, &name).and_then(|ino| {
                    names.push(name);
                    let n = 1 + random.below(60_000) as usize;
                    volume.write(ino, 0, &random.bytes(n))
                });
                if let Err(error) = made {
                    break error;
                }
                if names.len() % 10 == 0 {
                    volume.sync_all().expect("sync");
                }
            };
            assert_eq!(full, FsError::NoSpace, "limit {limit} round {round}: {:?}", volume.failure());
            volume.sync_all().expect("a full volume syncs");
            let used = volume.info().used_bytes;
            assert!(used > limit / 2, "full at {used} of {limit} bytes");
            for name in &names {
                volume.unlink(root, name).expect("a full volume deletes");
            }
            volume.sync_all().expect("sync");
            assert!(store.image().len() as u64 <= limit);
            assert_eq!(volume.check(), Ok(vec![]));
        }
    }
}

#[test]
fn a_full_disk_of_the_host_is_no_failure() {
    let store = FaultyStore::default();
    let volume = create(store.clone(), 1, &tiny()).expect("create");
    let ino = volume.create(volume.root(), "file").expect("create");
    store.arm(store.calls(), Fault::Full);
    let mut written = 0u64;
    let error = loop {
        match volume.write(ino, written, &[7; 10_000]) {
            Ok(()) => written += 10_000,
            Err(error) => break error,
        }
    };
    assert_eq!((error, volume.failure()), (FsError::NoSpace, None));
    assert_eq!(volume.stat(ino).expect("stat").size, written, "a refused write left something behind");
    volume.sync_all().expect("sync");
    let volume = open(FaultyStore::new(store.image()), 2, &tiny()).expect("open");
    let mut bytes = vec![0; written as usize];
    assert_eq!(volume.read(ino, 0, &mut bytes), Ok(bytes.len()));
    assert!(bytes.iter().all(|b| *b == 7));
    assert!(matches!(volume.unlink(volume.root(), "file"), Ok(())));
}

#[test]
fn without_entropy_nothing_is_written() {
    struct Dry;
    impl crate::Entropy for Dry {
        fn fill(&mut self, _: &mut [u8]) -> Result<(), crate::EntropyFailed> {
            Err(crate::EntropyFailed)
        }
    }
    let store = FaultyStore::default();
    create(store.clone(), 1, &tiny()).expect("create").unmount().expect("close");
    let mut environment = super::support::environment(1, &Default::default());
    environment.entropy = Box::new(Dry);
    let opened = crate::Volume::open(Box::new(store), &super::support::master(), environment, &tiny());
    assert_eq!(opened.err(), Some(Error::Entropy));
}
