//! Power cuts and kills at every host call of random histories (docs/volume-format.md, section 8).

use std::sync::atomic::Ordering;

use twine_vfs::{MemFs, MemLimits};

use super::support::{Driver, Dump, Random, TestClock, dump, environment, master, tiny};
use crate::store::{Fault, FaultyStore};
use crate::{Counters, Options, Volume};

/// Runs a history until it ends or the store dies; the states that each sync would leave, the last one possibly unfinished.
fn run(store: &FaultyStore, seed: u64, steps: u64) -> (Vec<Dump>, bool) {
    let mut counters = Counters::default();
    run_counted(store, seed, steps, &mut counters)
}

/// The same, with what it did.
fn run_counted(store: &FaultyStore, seed: u64, steps: u64, counters: &mut Counters) -> (Vec<Dump>, bool) {
    let clock = TestClock::default();
    let time = clock.0.clone();
    let model = MemFs::new(MemLimits::default(), move || time.load(Ordering::Relaxed));
    let mut states = vec![dump(&model).expect("a model dumps")];
    // Every third history changes its key all the time.
    let options = Options { blocks_per_epoch: (seed % 3 == 2).then_some(11), ..tiny() };
    let Ok(volume) = Volume::create(Box::new(store.clone()), &master(), environment(seed, &clock), &options)
    else {
        return (states, false);
    };
    let mut driver = Driver::new(seed);
    let mut dice = Random(seed ^ 2);
    for step in 0..steps {
        clock.0.store(1000 + step, Ordering::Relaxed);
        let (_, outcome) = driver.step(&model, &volume);
        if volume.failure().is_some() {
            return (states, true);
        }
        assert!(!matches!(outcome, Err(twine_vfs::Error::Io)));
        if dice.below(6) == 0 {
            states.push(dump(&model).expect("a model dumps"));
            // By a record of the log where it can be, or by a root.
            let synced = if dice.below(2) == 0 { volume.sync_all() } else { volume.lock().settle() };
            if synced.is_err() {
                return (states, true);
            }
            *counters = volume.info().counters;
        }
    }
    (states, true)
}

/// Cuts the power at call `n` and checks what is left, several ways, and that life goes on from there.
fn cut(seed: u64, steps: u64, n: u64) -> bool {
    let store = FaultyStore::default();
    store.arm(n, Fault::Kill);
    let (states, created) = run(&store, seed, steps);
    let mut random = Random(seed << 32 | n);
    for trial in 0..3 {
        let image = if trial == 0 { store.image() } else { store.crash(&mut || random.next()) };
        check(&states, created, image, &mut random, &format!("seed {seed} call {n} trial {trial}"), 2);
    }
    store.calls() > n
}

/// What a crash left opens as the last synced state or the one being synced; then another crash while it goes on.
fn check(states: &[Dump], created: bool, image: Vec<u8>, random: &mut Random, context: &str, depth: u32) {
    let clock = TestClock::default();
    let store = FaultyStore::new(image);
    let seed = random.next();
    let volume = match Volume::open(Box::new(store.clone()), &master(), environment(seed, &clock), &tiny()) {
        Ok(volume) => volume,
        Err(error) => {
            assert!(!created, "{context}: {error}");
            return;
        }
    };
    let found = dump(&volume).unwrap_or_else(|e| panic!("{context}: {e} {:?}", volume.recovery()));
    let allowed = &states[states.len().saturating_sub(2)..];
    assert!(allowed.contains(&found), "{context}: neither the last synced state nor the one being synced");
    assert_eq!(volume.check(), Ok(vec![]), "{context}");
    if depth == 0 {
        return;
    }
    // Goes on from the recovered state, and loses power again.
    let root = twine_vfs::FileSystem::root(&volume);
    let name = format!("again{depth}");
    clock.0.store(5, Ordering::Relaxed);
    let mut next = vec![found];
    if let Ok(ino) = twine_vfs::FileSystem::create(&volume, root, &name) {
        let bytes = random.bytes(30_000);
        twine_vfs::FileSystem::write(&volume, ino, 0, &bytes).expect("a recovered volume takes writes");
        next.push(dump(&volume).expect("dump"));
        store.arm(store.calls() + random.below(3), Fault::Kill);
        let _ = volume.sync_all();
    }
    let left = store.crash(&mut || random.next());
    check(&next, true, left, random, &format!("{context}, cut again"), depth - 1);
}

#[test]
fn every_cut_leaves_a_synced_state() {
    for seed in 0..4 {
        let mut counters = Counters::default();
        run_counted(&FaultyStore::default(), seed, 90, &mut counters);
        println!("seed {seed}: {counters:?}");
        assert!(counters.logged > 0 && counters.commits > counters.logged, "both kinds of commits are cut");
        let mut n = 0;
        while cut(seed, 90, n) {
            n += 1;
        }
        println!("{n} host calls");
    }
}

/// A process is killed, the next one builds on what only the host's cache holds, and then the power goes.
#[test]
fn a_kill_and_then_a_power_cut_leave_a_synced_state() {
    use twine_vfs::FileSystem;
    for seed in 0..300 {
        let mut random = Random(seed);
        let store = FaultyStore::default();
        let volume = super::support::create(store.clone(), seed, &tiny()).expect("create");
        let ino = volume.create(volume.root(), "file").expect("create");
        volume.write(ino, 0, &random.bytes(50_000)).expect("write");
        volume.sync_all().expect("sync");
        volume.write(ino, 20_000, &random.bytes(50_000)).expect("write");
        // Killed at the barrier: the record is in the cache, nothing of it need be on the disk.
        store.arm(store.calls() + 1, Fault::Kill);
        volume.sync_all().expect_err("killed");
        drop(volume);
        store.revive();
        let volume = super::support::open(store.clone(), seed + 1000, &tiny()).expect("open");
        let mut states = vec![dump(&volume).expect("dump")];
        volume.write(ino, 90_000, &random.bytes(20_000)).expect("write");
        states.push(dump(&volume).expect("dump"));
        store.arm(store.calls() + 1, Fault::Kill);
        volume.sync_all().expect_err("killed");
        let left = store.crash(&mut || random.next());
        check(&states, true, left, &mut random, &format!("seed {seed}"), 0);
    }
}

#[test]
#[ignore = "takes minutes: for changes to commit, recovery, space or cleaning"]
fn soak() {
    let first = std::env::var("TWINE_VOLUME_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1000);
    for seed in first..first + 12 {
        println!("seed {seed}");
        let mut n = 0;
        while cut(seed, 250, n) {
            n += 1;
        }
    }
}

/// Many commits while most of the store becomes garbage: cleaning, cutting and punching are cut short at every call too.
#[test]
fn every_cut_while_space_is_given_back_leaves_a_synced_state() {
    let script = |store: &FaultyStore| -> (Vec<Dump>, bool) {
        use twine_vfs::FileSystem;
        let mut states = vec![dump(&MemFs::new(MemLimits::default(), || 0)).expect("a model dumps")];
        let Ok(volume) = super::support::create(store.clone(), 1, &tiny()) else { return (states, false) };
        let root = volume.root();
        let mut random = Random(9);
        states.push(dump(&volume).expect("dump"));
        for n in 0..44u64 {
            let name = format!("{n}");
            if n < 10 {
                let done =
                    volume.create(root, &name).and_then(|ino| volume.write(ino, 0, &random.bytes(700_000)));
                if done.is_err() {
                    return (states, true);
                }
            } else if volume.unlink(root, &format!("{}", n - 10)).is_err()
                && volume.create(root, &name).is_err()
            {
                return (states, true);
            }
            states.push(dump(&volume).unwrap_or_default());
            if volume.sync_all().is_err() {
                return (states, true);
            }
        }
        (states, true)
    };
    let calm = FaultyStore::default();
    script(&calm);
    assert!(calm.image().len() <= 4 << 20, "nothing was given back: {}", calm.image().len());
    let mut random = Random(10);
    for n in 0..calm.calls() {
        let store = FaultyStore::default();
        store.arm(n, Fault::Kill);
        let (states, created) = script(&store);
        let left = store.crash(&mut || random.next());
        check(&states, created, left, &mut random, &format!("giving back, call {n}"), 1);
    }
}

/// Overwriting without a sync frees old blocks by commits of its own: what a cut leaves is a state between two calls, no
/// older than the last sync, and there were commits to cut.
#[test]
fn every_cut_while_much_is_overwritten_leaves_a_state_between_two_calls() {
    use twine_vfs::FileSystem;
    const FILES: u8 = 32;
    const SIZE: usize = 128 << 10;
    // A file holds the number of its last write; the sync comes after the first round.
    let script = |store: &FaultyStore| -> u64 {
        let Ok(volume) = super::support::create(store.clone(), 1, &tiny()) else { return 0 };
        let root = volume.root();
        for round in 0..3u8 {
            for n in 0..FILES {
                let ino = match round {
                    0 => volume.create(root, &format!("{n}")),
                    _ => volume.lookup(root, &format!("{n}")).map(|(ino, _)| ino),
                };
                let written = ino.and_then(|ino| volume.write(ino, 0, &[round * FILES + n; SIZE]));
                if written.is_err() {
                    return volume.info().counters.commits;
                }
            }
            if round == 0 && volume.sync_all().is_err() {
                return 0;
            }
        }
        volume.info().counters.commits
    };
    let calm = FaultyStore::default();
    let commits = script(&calm);
    assert!(commits > 3, "{commits} commits");
    let used = (64 + u64::from(FILES) * (SIZE as u64 / 4096)) * 4096;
    assert!((calm.image().len() as u64) < used + used / 4 + (3 << 20), "{} bytes", calm.image().len());
    let mut random = Random(11);
    let mut newer = 0;
    for n in 0..calm.calls() {
        let store = FaultyStore::default();
        store.arm(n, Fault::Kill);
        let commits = script(&store);
        let left = store.crash(&mut || random.next());
        let Ok(volume) = super::support::open(FaultyStore::new(left), n + 2, &tiny()) else {
            assert!(commits == 0, "call {n}: it does not open");
            continue;
        };
        let mut last = Vec::new();
        for file in 0..FILES {
            let Ok((ino, _)) = volume.lookup(volume.root(), &format!("{file}")) else { continue };
            let mut bytes = vec![0; SIZE];
            assert_eq!(volume.read(ino, 0, &mut bytes), Ok(SIZE), "call {n}, file {file}");
            assert!(bytes.iter().all(|byte| *byte == bytes[0]), "call {n}: half a call in file {file}");
            assert_eq!(bytes[0] % FILES, file);
            last.push(bytes[0]);
        }
        assert!(last.is_empty() && commits < 2 || last.len() == usize::from(FILES), "call {n}: {last:?}");
        // The last writes in a row end with the newest one.
        last.sort_unstable();
        assert!(
            last.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "call {n}: {last:?} is no state that was"
        );
        newer += u32::from(last.last().is_some_and(|last| *last >= FILES));
        assert_eq!(volume.check(), Ok(vec![]), "call {n}");
    }
    assert!(newer > 3, "{newer} cuts came after a commit that nobody had asked for");
}
