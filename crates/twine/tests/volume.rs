//! A program's files in an encrypted volume: kept from run to run, opened for this workload alone, opaque to the host.

mod common;

use std::fs;

use common::{Ended, User, program};

/// Runs the program that appends 16 bytes and prints how often it has, on `store` as its root directory.
fn append(user: &User, store: &str, args: &[&str]) -> Ended {
    let dir = format!("{store}::/");
    let module = program("append.wat");
    let mut all = vec!["--dir", &dir];
    all.extend_from_slice(args);
    all.push(&module);
    user.run(&all)
}

#[track_caller]
fn counts(ended: &Ended, expected: &str) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), expected), "{}", ended.stderr);
}

#[test]
fn files_stay_from_run_to_run_and_the_host_sees_none_of_them() {
    let user = User::new();
    for expected in ["1\n", "2\n", "3\n"] {
        counts(&append(&user, "data.volume", &[]), expected);
    }
    let store = fs::read(user.home.path().join("data.volume")).unwrap();
    for plain in [&b"secret-in-a-file"[..], b"log"] {
        assert!(
            !store.windows(plain.len()).any(|window| window == plain),
            "{plain:?} is in the store in clear"
        );
    }
}

#[test]
fn another_workload_cannot_open_it() {
    let user = User::new();
    counts(&append(&user, "data.volume", &[]), "1\n");
    append(&user, "data.volume", &["--env", "A=B"]).fails(77, &["another workload", "measure --diff"]);
    append(&user, "data.volume", &["--debug"]).fails(77, &["another workload"]);
    counts(&append(&user, "data.volume", &[]), "2\n");
}

#[test]
fn a_changed_store_or_label_is_refused() {
    let user = User::new();
    counts(&append(&user, "data.volume", &[]), "1\n");
    let path = user.home.path().join("data.volume");
    let label = user.home.path().join("data.volume.label");
    let (good, good_label) = (fs::read(&path).unwrap(), fs::read(&label).unwrap());
    // Both copies of the header.
    let mut bad = good.clone();
    for slot in [0, 4096] {
        bad[slot + 40] ^= 1;
    }
    fs::write(&path, &bad).unwrap();
    append(&user, "data.volume", &[]).fails(77, &["volume root"]);
    fs::write(&path, &good).unwrap();
    for at in [0, 1, 2, 5, 30] {
        let mut bad = good_label.clone();
        bad[at] ^= 1;
        fs::write(&label, &bad).unwrap();
        append(&user, "data.volume", &[]).fails(77, &["volume root"]);
    }
    fs::write(&label, &good_label[..20]).unwrap();
    append(&user, "data.volume", &[]).fails(77, &["label"]);
    fs::remove_file(&label).unwrap();
    append(&user, "data.volume", &[]).fails(77, &["label"]);
    fs::write(&label, &good_label).unwrap();
    counts(&append(&user, "data.volume", &[]), "2\n");
}

#[test]
fn a_read_only_volume_refuses_changes_and_is_not_created() {
    let user = User::new();
    let module = program("append.wat");
    user.run(&["--dir", "none.volume::/:ro", &module]).fails(77, &["no such store"]);
    assert!(!user.home.path().join("none.volume").exists());
}

#[test]
fn a_volume_option_without_a_guest_path_is_a_usage_error() {
    let user = User::new();
    user.run(&["--dir", "data.volume", &program("append.wat")]).fails(64, &["HOST::GUEST"]);
}
