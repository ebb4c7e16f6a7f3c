//! What keeps a workload's data over upgrades of runtime and manifest, and what may not have it: two workloads, downgrades.

mod common;

use common::{Ended, User, program};

/// Signs the built-in image as security versions 1 and 2 of one signer.
fn signer(user: &User) {
    user.ok(&["key", "create", "signer.pem"]);
    for version in ["1", "2"] {
        let out = format!("{version}.sig");
        let sign = ["image", "sign", "--key", "signer.pem", "--date", "2026-11-23", "--out", &out];
        user.ok(&[&sign[..], &["--security-version", version]].concat());
    }
}

#[track_caller]
fn counts(ended: &Ended, expected: &str) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), expected), "{}", ended.stderr);
}

#[test]
fn a_runtime_with_a_higher_security_version_keeps_the_volume_and_a_lower_one_cannot_have_it() {
    let user = User::new();
    signer(&user);
    let append = |version: &str, store: &str| {
        let (sigstruct, dir) = (format!("{version}.sig"), format!("{store}::/"));
        user.run(&["--sigstruct", &sigstruct, "--dir", &dir, &program("append.wat")])
    };
    counts(&append("1", "old.volume"), "1\n");
    counts(&append("2", "old.volume"), "2\n");
    counts(&append("2", "new.volume"), "1\n");
    append("1", "new.volume").fails(77, &["volume root"]);
    counts(&append("2", "new.volume"), "2\n");
}

/// A manifest of this version of an owner's workload, signed.
fn version(user: &User, key: &str, name: &str, version: u16, args: &str) -> String {
    let (file, signature) = (format!("{name}-{version}.toml"), format!("{name}-{version}.sig"));
    user.file(
        &file,
        format!(
            "version = 1\n[workload]\nargs = [{args}]\n[workload.identity]\nowner = \"{key}\"\nname = \"{name}\"\n\
             version = {version}\n[[workload.mount]]\nguest = \"/\"\nkind = \"volume\"\nname = \"data\"\n\
             [host]\nmodule = \"append.wat\"\nsignature = \"{signature}\"\n[host.paths]\n\"/\" = \"data.volume\"\n"
        ),
    );
    user.ok(&["key", "sign", "--key", "owner.pem", "--out", &signature, &file]);
    file
}

#[test]
fn a_higher_version_of_an_owners_manifest_keeps_the_volume_and_a_lower_one_cannot_have_it() {
    let user = User::new();
    let shown = user.ok(&["key", "create", "--kind", "owner", "owner.pem"]);
    let key = shown.lines().find_map(|line| line.strip_prefix("owner       ")).unwrap();
    std::fs::copy(program("append.wat"), user.home.path().join("append.wat")).unwrap();
    let [one, two] =
        [(1, "\"a\""), (2, "\"b\", \"c\"")].map(|(n, args)| version(&user, key, "counter", n, args));
    let run = |manifest: &str| user.run(&["--manifest", manifest]);
    counts(&run(&one), "1\n");
    counts(&run(&two), "2\n");
    // Another workload of the same owner.
    let other = version(&user, key, "other", 9, "\"a\"");
    run(&other).fails(77, &["volume data"]);
    // What the new version has made is not the old one's.
    std::fs::remove_file(user.home.path().join("data.volume")).unwrap();
    let _ = std::fs::remove_file(user.home.path().join("data.volume.label"));
    counts(&run(&two), "1\n");
    run(&one).fails(77, &["volume data"]);
    counts(&run(&two), "2\n");
}
