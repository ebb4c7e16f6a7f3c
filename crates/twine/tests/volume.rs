//! A program's files in an encrypted volume: kept from run to run, opened for this workload alone, opaque to the host.

mod common;

use std::fs;
use std::path::Path;

use common::{Ended, User, program};
use sha2::{Digest, Sha256};

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
    append(&user, "data.volume", &["--debug"]).fails(77, &["a production enclave, this is a debug one"]);
    counts(&append(&user, "data.volume", &[]), "2\n");
}

/// Changes bytes of both copies of a header and makes their checksums right again, as a host would.
fn change_headers(store: &mut [u8], change: impl Fn(&mut [u8])) {
    for slot in [0, 4096] {
        let header = &mut store[slot..slot + 312];
        change(header);
        let sum = Sha256::digest(&header[..280]);
        header[280..].copy_from_slice(&sum);
    }
}

#[test]
fn a_changed_header_or_label_is_refused() {
    let user = User::new();
    counts(&append(&user, "data.volume", &[]), "1\n");
    let path = user.home.path().join("data.volume");
    let good = fs::read(&path).unwrap();
    let refused = |change: &dyn Fn(&mut [u8]), text: &str| {
        let mut bad = good.clone();
        change_headers(&mut bad, change);
        fs::write(&path, &bad).unwrap();
        append(&user, "data.volume", &[]).fails(77, &["volume root", text]);
    };
    refused(&|header| header[40] ^= 1, "header was changed");
    // The label: version, policy, ISVSVN, CONFIGSVN, product, CPUSVN, key id, and who sealed.
    let label = 120;
    refused(&|header| header[label] ^= 2, "label is damaged");
    refused(&|header| header[label + 1] = 1, "key = \"enclave\"");
    refused(&|header| header[label + 1] = 3, "label is damaged");
    refused(&|header| header[label + 2] = 0xff, "a newer runtime: ISVSVN");
    refused(&|header| header[label + 4] = 1, "a newer version of the workload: CONFIGSVN 1, this is 0");
    refused(&|header| header[label + 6] ^= 1, "another product");
    refused(&|header| header[label + 8] = 0xff, "newer microcode");
    refused(&|header| header[label + 24] ^= 1, "header was changed");
    refused(&|header| header[label + 56] ^= 1, "header was changed");
    refused(&|header| header[label + 88] ^= 1, "another workload: CONFIGID");
    refused(&|header| header[label..label + 128].fill(0), "no label");
    refused(&|header| header[label + 127] = 1, "label is damaged");
    let mut bad = good.clone();
    (bad[40], bad[4096 + 40]) = (!bad[40], !bad[4096 + 40]);
    fs::write(&path, &bad).unwrap();
    append(&user, "data.volume", &[]).fails(65, &["both copies of the volume's header are damaged"]);
    fs::write(&path, &good).unwrap();
    counts(&append(&user, "data.volume", &[]), "2\n");
}

#[test]
fn volumes_of_two_workloads_or_of_two_names_cannot_be_swapped() {
    let user = User::new();
    counts(&append(&user, "a.volume", &[]), "1\n");
    counts(&append(&user, "b.volume", &["--env", "A=B"]), "1\n");
    append(&user, "b.volume", &[]).fails(77, &["another workload: CONFIGID"]);
    // One workload, two volumes: the name is in the key.
    let [one, two] = ["one.volume", "two.volume"];
    let run = |one: &str, two: &str| {
        let (one, two) = (format!("{one}::/"), format!("{two}::/two"));
        user.run(&["--dir", &one, "--dir", &two, &program("append.wat")])
    };
    counts(&run(one, two), "1\n");
    counts(&run(one, two), "2\n");
    run(two, one).fails(77, &["volume root", "another volume (of another name"]);
    // A header of one on the blocks of the other.
    let (first, second) = (user.home.path().join(one), user.home.path().join(two));
    let mut mixed = fs::read(&first).unwrap();
    mixed[..8192].copy_from_slice(&fs::read(&second).unwrap()[..8192]);
    fs::write(&first, mixed).unwrap();
    run(one, two).fails(77, &["volume root"]);
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

/// The program that appends, as version `version` of a workload that `key` owns, on the store `store`.
fn append_as_owner(user: &User, key: &Path, version: u16, store: &str) -> Ended {
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let shown: serde_json::Value =
        serde_json::from_str(&user.ok(&["key", "show", "--json", &path(key)])).unwrap();
    let owner = shown["data"]["id"].as_str().unwrap();
    let module = program("append.wat");
    let manifest = user.file(
        &format!("v{version}.toml"),
        format!(
            "version = 1\n[workload]\nargs = [\"v{version}\"]\n\
             [workload.identity]\nowner = \"{owner}\"\nname = \"counter\"\nversion = {version}\n\
             [[workload.mount]]\nguest = \"/\"\nkind = \"volume\"\nname = \"log\"\n\
             [host]\nmodule = \"{module}\"\nsignature = \"v{version}.sig\"\n\
             [host.paths]\n\"/\" = \"{store}\"\n"
        ),
    );
    let signature = user.home.path().join(format!("v{version}.sig"));
    if !signature.exists() {
        user.ok(&["key", "sign", "--key", &path(key), "--out", &path(&signature), &path(&manifest)]);
    }
    user.run(&["--manifest", &path(&manifest)])
}

#[test]
fn a_later_version_of_an_owner_s_workload_opens_it_and_an_earlier_one_does_not() {
    let user = User::new();
    let key = user.home.path().join("owner.pem");
    user.ok(&["key", "create", "--kind", "owner", key.to_str().unwrap()]);
    counts(&append_as_owner(&user, &key, 1, "one.volume"), "1\n");
    counts(&append_as_owner(&user, &key, 1, "one.volume"), "2\n");
    // From here on it belongs to the later version.
    counts(&append_as_owner(&user, &key, 2, "one.volume"), "3\n");
    append_as_owner(&user, &key, 1, "one.volume").fails(77, &["a newer version"]);
    counts(&append_as_owner(&user, &key, 2, "one.volume"), "4\n");
}
