//! What an enclave takes and refuses, seen from a host that may hand in anything.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use common::{MODULE, full, minimal, owned, presented};
use twine_workload::{Candidate, Clock, Error, Identity, Workload};

fn candidate(workload: &Workload) -> Candidate {
    Candidate::parse(&presented(workload)).unwrap()
}

#[test]
fn an_enclave_refuses_a_workload_that_its_report_does_not_name() {
    let config_id = candidate(&minimal()).config_id();
    assert!(candidate(&minimal()).accept(&config_id.0, 0).is_ok());
    assert!(matches!(candidate(&full()).accept(&config_id.0, 0), Err(Error::ConfigId { .. })));
    assert!(matches!(
        candidate(&minimal()).accept(&config_id.0, 1),
        Err(Error::ConfigSvn { expected: 0, found: 1 })
    ));
    assert!(matches!(candidate(&minimal()).accept(&[0; 64], 0), Err(Error::ConfigId { .. })));
}

#[test]
fn an_owner_upgrades_under_one_identity_and_the_version_is_in_the_report() {
    let old = candidate(&owned());
    let Identity::Owner { key, name, .. } = owned().identity else { unreachable!() };
    let identity = Identity::Owner { key, name, version: 4 };
    let new = candidate(&Workload { identity, clock: Clock::Denied, ..owned() });
    assert_eq!(old.config_id(), new.config_id());
    assert_ne!(old.digest(), new.digest());
    // The old manifest in an enclave that was started for the new version, to reach its keys.
    assert!(matches!(old.accept(&new.config_id().0, 4), Err(Error::ConfigSvn { expected: 3, found: 4 })));
}

#[test]
fn only_the_measured_module_is_taken() {
    let config_id = candidate(&minimal()).config_id();
    let accepted = candidate(&minimal()).accept(&config_id.0, 0).unwrap();
    assert_eq!(accepted.check_module(MODULE).unwrap().bytes(), MODULE);
    assert!(matches!(accepted.check_module(b""), Err(Error::Module { .. })));
}

#[test]
fn every_change_of_a_byte_is_refused_or_another_identity() {
    for workload in [minimal(), full()] {
        let bytes = workload.to_bytes().unwrap();
        let change = |at: usize| {
            for flip in 1..=255 {
                let mut changed = bytes.clone();
                changed[at] ^= flip;
                if let Ok(other) = Candidate::parse(&changed) {
                    assert_ne!(*other.workload(), workload, "byte {at} xor {flip:#x} has a second encoding");
                    assert_eq!(other.workload().to_bytes().unwrap(), changed);
                    assert!(
                        !workload.diff(other.workload()).is_empty(),
                        "byte {at} xor {flip:#x}: no difference shown"
                    );
                }
            }
        };
        // On every core: it is a quarter of a million of them.
        let (next, cores) = (AtomicUsize::new(0), thread::available_parallelism().map_or(1, usize::from));
        thread::scope(|scope| {
            for _ in 0..cores {
                scope.spawn(|| {
                    while let Some(at) = Some(next.fetch_add(1, Relaxed)).filter(|at| *at < bytes.len()) {
                        change(at);
                    }
                });
            }
        });
    }
}

#[test]
fn every_change_of_a_signed_byte_is_refused() {
    let bytes = presented(&owned());
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(Candidate::parse(&changed).is_err(), "byte {at}");
    }
}

#[test]
fn lengths_that_the_input_does_not_have_are_refused_without_allocating_them() {
    // An array of 2^63 arguments, a string of 2^63 bytes, and arrays nested as deep as the input is long.
    let head = [0x82, 1, 0xaa, 0];
    let huge = [&head[..], &[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]].concat();
    let long =
        [&[0x82, 1, 0xaa, 2, 0x81][..], &[0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]].concat();
    let deep = [&[0x82, 1, 0xaa, 0x17][..], &vec![0x81; 1 << 20]].concat();
    for bytes in [huge, long, deep] {
        assert!(matches!(Candidate::parse(&bytes), Err(Error::Malformed(_))));
    }
    let too_long = vec![0; twine_workload::MAX_LEN + 1];
    assert!(matches!(Candidate::parse(&too_long), Err(Error::TooLong { .. })));
}

#[test]
fn a_difference_is_named_by_its_field() {
    let mut new = full();
    new.args[1] = "--verbose".into();
    new.env.remove(0);
    let changes = full().diff(&new);
    let changes: Vec<_> =
        changes.iter().map(|c| (c.name.as_str(), c.old.as_deref(), c.new.as_deref())).collect();
    let expected = [
        ("args[1]", Some("\"--level\""), Some("\"--verbose\"")),
        ("env.\"LANG\"", Some("\"C.UTF-8\""), None),
    ];
    assert_eq!(changes, expected);
    assert!(full().diff(&full()).is_empty());
}
