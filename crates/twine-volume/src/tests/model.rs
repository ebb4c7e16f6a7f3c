//! The volume against the in-memory file system: equal answers, equal trees, before and after reopening.

use std::sync::atomic::Ordering;

use twine_vfs::{FileSystem, MemFs, MemLimits};

use super::support::{Driver, Random, TestClock, dump, environment, master, tiny};
use crate::store::MemoryStore;
use crate::{Options, Volume};

fn history(seed: u64, steps: u64, options: &Options) {
    println!("seed {seed}");
    let clock = TestClock::default();
    let time = clock.0.clone();
    let model = MemFs::new(MemLimits::default(), move || time.load(Ordering::Relaxed));
    let store = MemoryStore::default();
    let mut volume = Volume::create(Box::new(store.clone()), &master(), environment(seed, &clock), options)
        .expect("create");
    let mut driver = Driver::new(seed);
    let mut dice = Random(seed ^ 1);
    for step in 0..steps {
        clock.0.store(1000 + step, Ordering::Relaxed);
        let (what, outcome) = driver.step(&model, &volume);
        assert!(!matches!(outcome, Err(twine_vfs::Error::Io)), "step {step} {what}: {:?}", volume.failure());
        match dice.below(60) {
            0 => volume.sync_all().expect("sync"),
            1 => assert_eq!(dump(&model), dump(&volume), "after step {step} {what}"),
            2 => assert_eq!(volume.check(), Ok(vec![]), "after step {step} {what}"),
            3 => drop(volume.compact().expect("compact")),
            _ => {}
        }
    }
    assert_eq!(dump(&model), dump(&volume));
    volume.unmount().expect("close");
    volume = Volume::open(Box::new(store), &master(), environment(seed + 1, &clock), options).expect("open");
    assert_eq!(dump(&model), dump(&volume), "after reopening");
    assert_eq!(volume.check(), Ok(vec![]), "after reopening");
    assert!(volume.recovery().discarded.is_none());
    assert!(volume.root() == twine_vfs::Ino(1));
}

#[test]
fn equals_the_model_with_a_tiny_cache() {
    for seed in 0..6 {
        history(seed, 1500, &tiny());
    }
}

#[test]
fn equals_the_model_with_the_default_cache() {
    for seed in 100..103 {
        history(seed, 1500, &Options::default());
    }
}

#[test]
fn equals_the_model_with_many_epochs() {
    history(200, 1000, &Options { blocks_per_epoch: Some(7), ..tiny() });
}
