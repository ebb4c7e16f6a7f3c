//! Volumes that are sealed to an enclave: checked, compacted, exported inside it; what opens them after an upgrade, and what
//! does not.

mod common;

use std::fs;

use common::{Ended, User, program};
use twine::Image;
use twine::image_format::sigstruct::Variant;
use twine_host::sim::Fuse;

/// A workload's manifest over `append.wat`, its volume `data` as the root directory.
fn manifest(user: &User, file: &str, mount: &str, workload: &str) {
    user.file("append.wat", fs::read(program("append.wat")).unwrap());
    let signature = if workload.is_empty() { "" } else { "signature = \"signature\"\n" };
    user.file(
        file,
        format!(
            "version = 1\n{workload}\n[[workload.mount]]\nguest = \"/\"\nkind = \"volume\"\nname = \"data\"\n{mount}\n\
             [host]\nmodule = \"append.wat\"\n{signature}[host.paths]\n\"/\" = \"data.volume\"\n"
        ),
    );
}

#[track_caller]
fn counts(ended: &Ended, expected: &str) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), expected), "{}", ended.stderr);
}

/// `twine volume VERB --tee sim ARGS`
fn volume(user: &User, verb: &str, args: &[&str]) -> Ended {
    Ended::of(user.twine().args(["volume", verb, "--tee", "sim"]).args(args))
}

/// The id of a new owner's key.
fn owner_key(user: &User, file: &str) -> String {
    let shown = user.ok(&["key", "create", "--kind", "volume", file]);
    shown.lines().find_map(|line| line.strip_prefix("key         ")).unwrap().to_owned()
}

#[test]
fn an_export_goes_under_the_key_that_the_workload_names_and_under_no_other() {
    let user = User::new();
    let id = owner_key(&user, "owner.key");
    let host = owner_key(&user, "host.key");
    manifest(&user, "twine.toml", &format!("export_to = \"{id}\""), "");
    let run = |manifest: &str| user.run(&["--debug", "-c", manifest]);
    counts(&run("twine.toml"), "1\n");
    let export = |manifest: &str, key: &str, out: &str| {
        let key = format!("data={key}");
        volume(
            &user,
            "export",
            &["--debug", "-c", manifest, "--insecure-volume-key", &key, "data.volume", out],
        )
    };
    let ended = export("twine.toml", "owner.key", "out.volume");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let exported = fs::read(user.home.path().join("out.volume")).unwrap();
    assert!(!exported.windows(16).any(|window| window == b"secret-in-a-file"), "in clear");
    let open = |key: &str| Ended::of(user.twine().args(["volume", "cat", "--key", key, "out.volume::/log"]));
    counts(&open("owner.key"), "secret-in-a-file");
    open("host.key").fails(77, &["it opens under key"]);
    assert_eq!(user.ok(&["volume", "check", "--key", "owner.key", "out.volume"]), "whole\n");
    export("twine.toml", "owner.key", "out.volume").fails(74, &["out.volume exists"]);

    let stolen = || assert!(!user.home.path().join("stolen.volume").exists());
    // The host's own key, no key, and a production enclave, which takes none from the host.
    export("twine.toml", "host.key", "stolen.volume").fails(77, &["not the one that the workload names"]);
    stolen();
    volume(&user, "export", &["--debug", "-c", "twine.toml", "data.volume", "stolen.volume"])
        .fails(77, &["nobody gave this run the owner's key"]);
    stolen();
    let production =
        ["-c", "twine.toml", "--insecure-volume-key", "data=owner.key", "data.volume", "stolen.volume"];
    volume(&user, "export", &production).fails(77, &["only debug enclaves take one"]);
    stolen();
    // The host names its own key: another workload, which the volume does not open for.
    manifest(&user, "host.toml", &format!("export_to = \"{host}\""), "");
    export("host.toml", "host.key", "stolen.volume").fails(77, &["another workload: CONFIGID"]);
    stolen();
    // A workload that names none.
    manifest(&user, "nobody.toml", "", "");
    fs::rename(user.home.path().join("data.volume"), user.home.path().join("kept.volume")).unwrap();
    counts(&run("nobody.toml"), "1\n");
    export("nobody.toml", "owner.key", "stolen.volume").fails(77, &["exports it under no key"]);
    stolen();
}

#[test]
fn a_check_inside_tells_structure_and_no_contents() {
    let user = User::new();
    manifest(&user, "twine.toml", "", "");
    // A file of many blocks comes in by an import.
    user.ok(&["key", "create", "--kind", "volume", "owner.key"]);
    user.ok(&["volume", "create", "--key", "owner.key", "source.volume"]);
    user.file("secret-name", "contents ".repeat(30_000));
    user.ok(&["volume", "cp", "--key", "owner.key", "secret-name", "source.volume::/"]);
    let debug =
        |verb: &str, args: &[&str]| volume(&user, verb, &[&["--debug", "-c", "twine.toml"], args].concat());
    let import = ["--insecure-volume-key", "data=owner.key", "data.volume", "source.volume"];
    assert_eq!(debug("import", &import).code, Some(0));
    let check = || debug("check", &["data.volume"]);
    counts(&check(), "whole\n");
    let path = user.home.path().join("data.volume");
    let good = fs::read(&path).unwrap();
    let mut damaged = 0;
    for slot in (64..good.len() / 4096).step_by(5) {
        if good[slot * 4096..][..4096].iter().all(|byte| *byte == 0) {
            continue;
        }
        let mut bad = good.clone();
        bad[slot * 4096 + 9] ^= 1;
        fs::write(&path, &bad).unwrap();
        let ended = check();
        for secret in ["secret-name", "inode", "file data"] {
            assert!(!ended.stdout.contains(secret), "{}", ended.stdout);
        }
        if ended.code == Some(1) {
            let expected =
                format!("wrong       a block that does not verify, slot {slot} (byte {})", slot * 4096);
            assert!(ended.stdout.starts_with(&expected), "{}", ended.stdout);
            damaged += 1;
        }
        if damaged == 2 {
            break;
        }
    }
    assert_eq!(damaged, 2);
    fs::write(&path, &good).unwrap();
    let json = debug("check", &["--json", "data.volume"]);
    assert!(
        json.stdout.starts_with("{\"schema\":\"twine.volume.check/1\",\"status\":\"success\""),
        "{}",
        json.stdout
    );
    let info = debug("info", &["data.volume"]);
    assert!(
        info.stdout.contains("anchor none; the host can take back everything"),
        "{} {}",
        info.stdout,
        info.stderr
    );
    assert_eq!(debug("compact", &["data.volume"]).code, Some(0));
    counts(&check(), "whole\n");
    debug("check", &["other.volume"]).fails(66, &["other.volume"]);
    user.file("other.volume", "");
    debug("check", &["other.volume"]).fails(64, &["keeps no volume in"]);
    volume(&user, "check", &["-c", "twine.toml", "data.volume"])
        .fails(77, &["a debug enclave, this is a production one"]);
    // Without its workload.
    Ended::of(user.twine().args(["volume", "ls", "data.volume"]))
        .fails(77, &["no file's", "inside its enclave"]);
    let with_key = ["volume", "ls", "--key", "owner.key", "data.volume"];
    Ended::of(user.twine().args(with_key)).fails(77, &["inside its enclave"]);
    let info = user.ok(&["volume", "info", "data.volume"]);
    assert!(info.contains("opens for   enclaves of one signer\n  MRENCLAVE"), "{info}");
}

#[test]
fn statistics_name_the_freshness_of_each_volume() {
    let user = User::new();
    let ended = user.run(&["--stats", "--dir", "data.volume::/", &program("append.wat")]);
    for text in [
        "volume      root: state",
        "anchor none; the host can take back everything since the volume was made",
    ] {
        assert!(ended.stderr.contains(text), "{}", ended.stderr);
    }
}

/// Signs the built-in image, or one from a file, under one key with a security version.
fn sign(user: &User, image: Option<&str>, version: &str, out: &str) {
    if !user.home.path().join("signer.key").exists() {
        user.ok(&["key", "create", "signer.key"]);
    }
    let mut args = vec!["image", "sign", "--key", "signer.key", "--date", "2026-11-23"];
    args.extend(["--security-version", version, "--out", out]);
    args.extend(image.into_iter().flat_map(|image| ["--image", image]));
    user.ok(&args);
}

#[test]
fn a_newer_runtime_of_the_signer_keeps_a_volume_and_an_older_one_loses_it() {
    let user = User::new();
    sign(&user, None, "1", "1.sig");
    sign(&user, None, "2", "2.sig");
    let append = program("append.wat");
    let run = |sigstruct: &str| user.run(&["--sigstruct", sigstruct, "--dir", "data.volume::/", &append]);
    let isvsvn = || user.ok(&["volume", "info", "data.volume"]);
    counts(&run("1.sig"), "1\n");
    assert!(isvsvn().contains("ISVSVN 1"), "{}", isvsvn());
    // Reading alone changes nothing.
    let before = fs::read(user.home.path().join("data.volume")).unwrap();
    let check = ["--sigstruct", "2.sig", "--dir", "data.volume::/", "data.volume", &append];
    counts(&volume(&user, "check", &check), "whole\n");
    assert!(before == fs::read(user.home.path().join("data.volume")).unwrap());
    counts(&run("2.sig"), "2\n");
    assert!(isvsvn().contains("ISVSVN 2"), "{}", isvsvn());
    run("1.sig").fails(77, &["a newer runtime: ISVSVN 2, this is 1"]);
    counts(&run("2.sig"), "3\n");
    // Another signer.
    user.run(&["--dir", "data.volume::/", &append]).fails(77, &["another signer: MRSIGNER"]);
}

#[test]
fn another_image_opens_what_belongs_to_its_signer_and_not_what_belongs_to_one_image() {
    let user = User::new();
    let mut image = Image::embedded(Variant::Production).unwrap().sgxs().to_vec();
    // Texts that no run here prints; a border of the stream's blocks may lie within one of them.
    let texts: [&[u8]; 3] = [b"its diagnostics", b"the host gave no workload", b"and the image together"];
    let place = |text: &&[u8]| image.windows(text.len()).position(|window| window == *text);
    let at = texts.iter().find_map(place).expect("a text in one piece");
    image[at] ^= 0x20;
    user.file("rebuilt.sgxs", image);
    sign(&user, None, "1", "old.sig");
    sign(&user, Some("rebuilt.sgxs"), "1", "new.sig");
    let old = ["--sigstruct", "old.sig"];
    let new = ["--image", "rebuilt.sgxs", "--sigstruct", "new.sig"];
    manifest(&user, "signer.toml", "key = \"signer\"", "");
    let run = |image: &[&str], manifest: &str| user.run(&[image, &["-c", manifest]].concat());
    counts(&run(&old, "signer.toml"), "1\n");
    counts(&run(&new, "signer.toml"), "2\n");
    counts(&run(&old, "signer.toml"), "3\n");
    fs::remove_file(user.home.path().join("data.volume")).unwrap();
    manifest(&user, "enclave.toml", "key = \"enclave\"", "");
    counts(&run(&old, "enclave.toml"), "1\n");
    run(&new, "enclave.toml").fails(77, &["another image: MRENCLAVE"]);
}

#[test]
fn a_volume_moves_to_another_workload_by_export_and_import() {
    let user = User::new();
    let id = owner_key(&user, "owner.key");
    manifest(&user, "old.toml", &format!("key = \"enclave\"\nexport_to = \"{id}\""), "");
    manifest(&user, "new.toml", "key = \"signer\"", "");
    let run = |manifest: &str| user.run(&["--debug", "-c", manifest]);
    counts(&run("old.toml"), "1\n");
    run("new.toml").fails(77, &["it was made with key = \"enclave\""]);
    let key = ["--debug", "--insecure-volume-key", "data=owner.key"];
    let export = [&key[..], &["-c", "old.toml", "data.volume", "moved.volume"]].concat();
    assert_eq!(volume(&user, "export", &export).code, Some(0));
    let import = [&key[..], &["-c", "new.toml", "data.volume", "moved.volume"]].concat();
    volume(&user, "import", &import).fails(77, &["it exists already"]);
    fs::remove_file(user.home.path().join("data.volume")).unwrap();
    volume(&user, "import", &import[1..]).fails(77, &["only debug enclaves take one"]);
    let ended = volume(&user, "import", &import);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    counts(&run("new.toml"), "2\n");
}

#[test]
fn a_newer_processor_keeps_a_volume_and_an_older_one_loses_it() {
    let user = User::new();
    let append = program("append.wat");
    let run = || user.run(&["--dir", "data.volume::/", &append]);
    for key in ["signer", "enclave"] {
        manifest(&user, "twine.toml", &format!("key = \"{key}\""), "");
        let run = || user.run(&["-c", "twine.toml"]);
        let _ = fs::remove_file(user.home.path().join("data.volume"));
        counts(&run(), "1\n");
        let fuse = user.state().join("processor.fuse");
        let before = fs::read(&fuse).unwrap();
        let mut cpusvn = Fuse::open(&user.state()).unwrap().cpusvn();
        cpusvn[3] += 1;
        Fuse::raise_cpusvn(&user.state(), cpusvn).unwrap();
        counts(&run(), "2\n");
        fs::write(&fuse, before).unwrap();
        run().fails(77, &["a processor with newer microcode"]);
        Fuse::raise_cpusvn(&user.state(), cpusvn).unwrap();
        counts(&run(), "3\n");
    }
    // Another machine.
    fs::remove_file(user.home.path().join("data.volume")).unwrap();
    counts(&run(), "1\n");
    fs::remove_file(user.state().join("processor.fuse")).unwrap();
    run().fails(77, &["volume root"]);
    Fuse::raise_cpusvn(&user.state(), [9; 16]).unwrap();
    run().fails(77, &["another volume (of another name or machine)"]);
}

#[test]
fn a_newer_version_of_an_owners_workload_keeps_a_volume_and_an_older_one_loses_it() {
    let user = User::new();
    let shown = user.ok(&["key", "create", "--kind", "owner", "owner.pem"]);
    let owner = shown.lines().find_map(|line| line.strip_prefix("owner       ")).unwrap();
    let run = |version: u32, arg: &str| {
        let workload = format!(
            "[workload]\nargs = [\"{arg}\"]\n[workload.identity]\nowner = \"{owner}\"\nname = \"app\"\nversion = {version}"
        );
        manifest(&user, "twine.toml", "", &workload);
        user.ok(&["key", "sign", "--key", "owner.pem", "--out", "signature", "twine.toml"]);
        user.run(&["-c", "twine.toml"])
    };
    counts(&run(1, "a"), "1\n");
    counts(&run(1, "a"), "2\n");
    counts(&run(3, "b"), "3\n");
    run(2, "c").fails(77, &["a newer version of the workload: CONFIGSVN 3, this is 2"]);
    counts(&run(3, "b"), "4\n");
}
