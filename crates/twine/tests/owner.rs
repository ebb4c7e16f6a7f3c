//! The owner's tool: volumes under an owner's key, made, filled, read, checked and mended without an enclave, and used by
//! one.

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;

use common::{Ended, User, program};

/// A user with a key and an empty volume.
fn owner() -> User {
    let user = User::new();
    user.ok(&["key", "create", "--kind", "volume", "owner.key"]);
    user.ok(&["volume", "create", "--key", "owner.key", "data.volume"]);
    user
}

/// `twine volume VERB --key owner.key ARGS`
fn volume(user: &User, verb: &str, args: &[&str]) -> Ended {
    Ended::of(user.twine().args(["volume", verb, "--key", "owner.key"]).args(args))
}

#[track_caller]
fn ok(user: &User, verb: &str, args: &[&str]) -> String {
    let ended = volume(user, verb, args);
    assert_eq!(ended.code, Some(0), "{verb} {args:?}: {}", ended.stderr);
    ended.stdout
}

/// Text without a pattern of blocks.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        b'a' + (state >> 56) as u8 % 26
    };
    (0..length).map(|_| next()).collect()
}

/// A folder with files of several sizes, folders, a symbolic and a hard link, a hole, and times of its own.
fn make_tree(at: &Path) {
    fs::create_dir_all(at.join("folder/below")).unwrap();
    fs::write(at.join("empty"), "").unwrap();
    fs::write(at.join("small"), "small contents").unwrap();
    fs::write(at.join("folder/large"), noise(1_500_000)).unwrap();
    fs::write(at.join("folder/below").join("n".repeat(200)), "a long name").unwrap();
    let sparse = fs::File::create(at.join("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    std::os::unix::fs::symlink("../small", at.join("folder/link")).unwrap();
    fs::hard_link(at.join("small"), at.join("folder/second name")).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
    for path in ["small", "folder/large", "folder/below", "folder", ""] {
        fs::File::open(at.join(path)).unwrap().set_modified(time).unwrap();
    }
}

/// Asserts that two trees are equal, times and links included.
#[track_caller]
fn same(a: &Path, b: &Path) {
    let listing = |top: &Path| {
        let mut out = Vec::new();
        let mut todo = vec![top.to_owned()];
        while let Some(at) = todo.pop() {
            let path = at.strip_prefix(top).unwrap().to_owned();
            let metadata = fs::symlink_metadata(&at).unwrap();
            let contents = if metadata.is_symlink() {
                fs::read_link(&at).unwrap().into_os_string().into_encoded_bytes()
            } else if metadata.is_dir() {
                todo.extend(fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().path()));
                Vec::new()
            } else {
                fs::read(&at).unwrap()
            };
            let links = if metadata.is_dir() { 0 } else { metadata.nlink() };
            out.push((path, metadata.file_type(), metadata.modified().unwrap(), links, contents));
        }
        out.sort_by(|a, b| a.0.cmp(&b.0));
        out
    };
    let (a, b) = (listing(a), listing(b));
    for (a, b) in a.iter().zip(&b) {
        assert!(a == b, "{:?} {:?} {:?} {} is not {:?} {:?} {:?} {}", a.0, a.1, a.2, a.3, b.0, b.1, b.2, b.3);
    }
    assert_eq!(a.len(), b.len());
}

#[test]
fn a_tree_goes_in_and_comes_out_as_it_was() {
    let user = owner();
    let home = user.home.path();
    make_tree(&home.join("tree"));
    ok(&user, "cp", &["-r", "tree", "data.volume::/"]);
    ok(&user, "cp", &["-r", "data.volume::/tree", "out"]);
    same(&home.join("tree"), &home.join("out"));
    assert!(fs::metadata(home.join("out/sparse")).unwrap().blocks() < 100, "a hole stays a hole");
    // A second time into the same place changes nothing.
    ok(&user, "cp", &["-r", "tree", "data.volume::/"]);
    ok(&user, "cp", &["-r", "data.volume::/tree/", "again"]);
    same(&home.join("tree"), &home.join("again"));
    assert_eq!(ok(&user, "cat", &["data.volume::/tree/folder/link"]), "small contents");
    assert_eq!(ok(&user, "ls", &["data.volume"]), "tree\n");
    let listed = ok(&user, "ls", &["-lr", "data.volume::/tree"]);
    assert!(listed.contains("file     2      14 2001-09-09T01:46:40Z folder/second name\n"), "{listed}");
    assert!(listed.contains("folder/link -> ../small\n"), "{listed}");
    assert_eq!(ok(&user, "check", &["data.volume"]), "whole\n");
    ok(&user, "rm", &["-r", "data.volume::/tree"]);
    assert_eq!(ok(&user, "ls", &["data.volume"]), "");
    ok(&user, "compact", &["data.volume"]);
    assert_eq!(fs::metadata(home.join("data.volume")).unwrap().len(), 1 << 20);
}

#[test]
fn export_and_import_agree_with_tar() {
    let user = owner();
    let home = user.home.path();
    make_tree(&home.join("tree"));
    ok(&user, "import", &["data.volume", "tree"]);
    ok(&user, "export", &["data.volume", "out.tar"]);
    fs::create_dir(home.join("by-tar")).unwrap();
    let tar = |args: &[&str]| {
        assert!(std::process::Command::new("tar").current_dir(home).args(args).status().unwrap().success());
    };
    tar(&["-xf", "out.tar", "-C", "by-tar"]);
    let top = home.join("tree");
    // A tar stream of ours has no entry for the top itself.
    let time = fs::metadata(&top).unwrap().modified().unwrap();
    fs::File::open(home.join("by-tar")).unwrap().set_modified(time).unwrap();
    same(&top, &home.join("by-tar"));
    // From tar's own formats, by a pipe, into another volume.
    for format in ["gnu", "pax"] {
        let name = format!("{format}.volume");
        ok(&user, "create", &[&name]);
        tar(&["-cf", "theirs.tar", &format!("--format={format}"), "-C", "tree", "."]);
        let mut import = user.twine();
        import.args(["volume", "import", "--key", "owner.key", &name, "-"]);
        import.stdin(fs::File::open(home.join("theirs.tar")).unwrap());
        assert_eq!(Ended::of(&mut import).code, Some(0));
        let out = format!("out-{format}");
        fs::create_dir(home.join(&out)).unwrap();
        ok(&user, "export", &[&name, &out]);
        if format == "pax" {
            same(&top, &home.join(&out));
        }
        assert_eq!(fs::read(home.join(&out).join("folder/large")).unwrap(), noise(1_500_000));
        assert_eq!(ok(&user, "check", &[&name]), "whole\n");
    }
    volume(&user, "export", &["data.volume", "out.tar"]).fails(74, &["out.tar exists"]);
    volume(&user, "export", &["data.volume", "tree"]).fails(74, &["not empty"]);
    let piped = volume(&user, "export", &["data.volume", "-"]);
    assert_eq!(piped.stdout.into_bytes(), fs::read(home.join("out.tar")).unwrap());
}

#[test]
fn a_tar_stream_that_leads_out_of_the_volume_is_refused_and_leaves_nothing() {
    let user = owner();
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(4);
    header.as_ustar_mut().unwrap().name[..7].copy_from_slice(b"../evil");
    header.set_cksum();
    builder.append(&header, &b"evil"[..]).unwrap();
    user.file("evil.tar", builder.into_inner().unwrap());
    volume(&user, "import", &["data.volume", "evil.tar"]).fails(65, &["../evil", "leads out"]);
    // Through a link that came with the stream.
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "link", "/folder").unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(4);
    builder.append_data(&mut header, "link/file", &b"evil"[..]).unwrap();
    user.file("evil.tar", builder.into_inner().unwrap());
    volume(&user, "import", &["data.volume", "evil.tar"]).fails(74, &["link/file", "not a directory"]);
    user.file("cut.tar", [b'x'; 600]);
    volume(&user, "import", &["data.volume", "cut.tar"]).fails(65, &["cut.tar", "tar stream"]);
    assert_eq!(ok(&user, "ls", &["data.volume"]), "", "an import is one commit");
}

#[test]
fn keys_are_for_their_owner_and_wrong_ones_are_named() {
    let user = owner();
    let key = user.home.path().join("owner.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&key).unwrap().starts_with("-----BEGIN TWINE VOLUME KEY-----"));
    user.ok(&["key", "create", "--kind", "volume", "other.key"]);
    let id = |file: &str| {
        let shown = user.ok(&["key", "show", file]);
        shown.lines().nth(1).unwrap().strip_prefix("key         ").unwrap().to_owned()
    };
    let open = |key: &str| Ended::of(user.twine().args(["volume", "ls", "--key", key, "data.volume"]));
    let wrong = format!("it opens under key {}, this is key {}", id("owner.key"), id("other.key"));
    open("other.key").fails(77, &[&wrong, "twine key show"]);
    open("none.key").fails(66, &["none.key"]);
    open("data.volume").fails(74, &["data.volume"]);
    user.file("not.key", "hello");
    open("not.key").fails(65, &["TWINE VOLUME KEY", "twine key create --kind volume"]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(open("owner.key").stderr.contains("chmod 600"));
    Ended::of(user.twine().args(["volume", "ls", "data.volume"]))
        .fails(64, &["--key FILE or TWINE_VOLUME_KEY"]);
    let mut by_variable = user.twine();
    by_variable.args(["volume", "ls", "data.volume"]).env("TWINE_VOLUME_KEY", "owner.key");
    assert_eq!(Ended::of(&mut by_variable).code, Some(0));
    volume(&user, "create", &["data.volume"]).fails(74, &["exists"]);
    user.file("not.volume", [7; 5000]);
    volume(&user, "ls", &["not.volume"]).fails(65, &["not a volume"]);
    volume(&user, "ls", &["none.volume"]).fails(66, &["none.volume"]);
    volume(&user, "ls", &["."]).fails(65, &["not a file"]);
}

/// Breaks the block at a byte of the volume, which must be one that `check` then names.
fn break_slot(user: &User, slot: usize) {
    let path = user.home.path().join("data.volume");
    let mut bytes = fs::read(&path).unwrap();
    bytes[slot * 4096 + 100] ^= 1;
    fs::write(&path, bytes).unwrap();
}

#[test]
fn check_says_what_is_damaged_and_salvage_keeps_the_rest() {
    let user = owner();
    let home = user.home.path();
    fs::create_dir(home.join("tree")).unwrap();
    fs::write(home.join("tree/large"), noise(300_000)).unwrap();
    fs::write(home.join("tree/small"), "small contents").unwrap();
    ok(&user, "import", &["data.volume", "tree"]);
    // The first block of the large file: find it by its being the only one that breaks nothing else.
    let good = fs::read(home.join("data.volume")).unwrap();
    let mut found = false;
    for slot in 64..200 {
        break_slot(&user, slot);
        let ended = volume(&user, "check", &["data.volume"]);
        fs::write(home.join("data.volume"), &good).unwrap();
        if ended.stdout.contains("file data that does not verify, /large, slot") {
            assert_eq!(ended.code, Some(1));
            assert!(
                ended.stdout.contains(&format!("slot {slot} (byte {})", slot * 4096)),
                "{}",
                ended.stdout
            );
            assert!(ended.stdout.ends_with("damaged: 1 finding\n"), "{}", ended.stdout);
            break_slot(&user, slot);
            found = true;
            break;
        }
    }
    assert!(found);
    volume(&user, "cat", &["data.volume::/large"]).fails(65, &["twine volume check"]);
    volume(&user, "export", &["data.volume", "out.tar"]).fails(74, &["large"]);
    assert!(!home.join("out.tar").exists(), "no half a stream");
    let ended = volume(&user, "check", &["--salvage", "saved", "data.volume"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("lost        large: 1 blocks of 4 KiB"), "{}", ended.stdout);
    assert_eq!(fs::read(home.join("saved/small")).unwrap(), b"small contents");
    let saved = fs::read(home.join("saved/large")).unwrap();
    let differs = noise(300_000).iter().zip(&saved).filter(|(a, b)| a != b).count();
    assert_eq!(saved.len(), 300_000);
    assert!((3000..=4096).contains(&differs), "{differs}");
    let structure = Ended::of(user.twine().args(["volume", "check", "--structure", "data.volume"]));
    assert_eq!((structure.code, structure.stdout.as_str()), (Some(0), "whole\n"), "{}", structure.stderr);
    volume(&user, "snapshot", &["data.volume", "copy.volume"]).fails(65, &["does not verify"]);
    assert!(!home.join("copy.volume").exists());
}

#[test]
fn salvage_copies_what_is_left_of_a_volume_that_does_not_open() {
    let user = owner();
    let home = user.home.path();
    fs::create_dir(home.join("tree")).unwrap();
    let contents = |n: usize| format!("contents of file {n} ").repeat(20);
    for n in 0..300 {
        fs::write(home.join(format!("tree/{n}")), contents(n)).unwrap();
    }
    ok(&user, "import", &["data.volume", "tree"]);
    let good = fs::read(home.join("data.volume")).unwrap();
    let mut closed = 0;
    for slot in 64..good.len() / 4096 {
        if good[slot * 4096..][..4096].iter().all(|byte| *byte == 0) {
            continue;
        }
        break_slot(&user, slot);
        if volume(&user, "info", &["data.volume"]).code == Some(65) {
            volume(&user, "check", &["data.volume"]).fails(65, &["slot"]);
            let saved = format!("saved-{slot}");
            let ended = volume(&user, "check", &["--salvage", &saved, "data.volume"]);
            let (mut found, mut right) = (0, 0);
            for n in 0..300 {
                if let Ok(bytes) = fs::read(home.join(&saved).join(n.to_string())) {
                    found += 1;
                    right += usize::from(bytes == contents(n).as_bytes());
                }
            }
            println!("slot {slot}: {:?}, {found} files, {right} of them whole", ended.code);
            // Below a root that reads there is something left; what is left is right, or is said to be lost.
            if ended.code == Some(1) {
                let lost = ended.stdout.lines().filter(|line| line.starts_with("lost ")).count();
                assert!(right + lost >= found, "slot {slot}: {found} files, {right} whole, {}", ended.stdout);
                closed += usize::from(right > 100);
            } else {
                ended.fails(65, &[]);
            }
        }
        fs::write(home.join("data.volume"), &good).unwrap();
    }
    assert!(closed > 0, "no broken block kept the volume from opening and left files");
}

#[test]
fn a_cut_or_headless_volume_is_told_without_a_key() {
    let user = owner();
    let path = user.home.path().join("data.volume");
    let good = fs::read(&path).unwrap();
    let structure = || Ended::of(user.twine().args(["volume", "check", "--structure", "data.volume"]));
    fs::write(&path, &good[..good.len() - 100]).unwrap();
    assert!(structure().stdout.contains("not whole segments"), "{}", structure().stdout);
    let mut bad = good.clone();
    bad[50] ^= 1;
    fs::write(&path, &bad).unwrap();
    assert_eq!(structure().code, Some(1));
    assert!(structure().stdout.contains("a damaged header in slot 0"), "{}", structure().stdout);
    assert_eq!(ok(&user, "ls", &["data.volume"]), "", "the other copy serves");
}

#[test]
fn a_quick_rekey_changes_the_key_and_a_full_one_the_contents() {
    let user = owner();
    let home = user.home.path();
    make_tree(&home.join("tree"));
    ok(&user, "import", &["data.volume", "tree"]);
    user.ok(&["key", "create", "--kind", "volume", "new.key"]);
    let before = fs::read(home.join("data.volume")).unwrap();
    ok(&user, "rekey", &["--new-key", "new.key", "data.volume"]);
    let after = fs::read(home.join("data.volume")).unwrap();
    assert!(before[..8192] != after[..8192] && before[8192..] == after[8192..], "only the headers");
    volume(&user, "ls", &["data.volume"]).fails(77, &["it opens under key"]);
    let full = ["volume", "rekey", "--key", "new.key", "--new-key", "owner.key", "--full", "data.volume"];
    user.ok(&full);
    let full = fs::read(home.join("data.volume")).unwrap();
    let kept = |a: &[u8], b: &[u8]| {
        a.chunks(4096).zip(b.chunks(4096)).skip(64).any(|(a, b)| a == b && a != [0; 4096])
    };
    assert!(!kept(&after, &full), "every block is another one");
    fs::create_dir(home.join("out")).unwrap();
    ok(&user, "export", &["data.volume", "out"]);
    same(&home.join("tree"), &home.join("out"));
    assert!(!home.join("data.volume.rekey").exists());
    // One that was interrupted has left its file.
    user.file("data.volume.rekey", "half a volume");
    ok(&user, "rekey", &["--new-key", "new.key", "--full", "data.volume"]);
    assert!(!home.join("data.volume.rekey").exists());
}

#[test]
fn a_full_rekey_that_is_killed_leaves_one_whole_volume() {
    let user = owner();
    let home = user.home.path();
    make_tree(&home.join("tree"));
    ok(&user, "import", &["data.volume", "tree"]);
    user.ok(&["key", "create", "--kind", "volume", "new.key"]);
    let opens = |key: &str| {
        Ended::of(user.twine().args(["volume", "check", "--key", key, "data.volume"])).stdout == "whole\n"
    };
    // At each point of its work, until it is through.
    for round in 0.. {
        let mut rekey = user.twine();
        rekey.args([
            "volume",
            "rekey",
            "--key",
            "owner.key",
            "--new-key",
            "new.key",
            "--full",
            "data.volume",
        ]);
        let mut child = rekey.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Time is where it is killed, not what is waited for.
        std::thread::sleep(std::time::Duration::from_millis(round * 20));
        let _ = child.kill();
        child.wait().unwrap();
        if opens("new.key") {
            break;
        }
        assert!(opens("owner.key"), "round {round}");
        assert!(round < 1000, "it never ends");
    }
}

#[test]
fn a_full_disk_fails_cleanly() {
    let user = owner();
    let home = user.home.path();
    fs::write(home.join("large"), noise(8 << 20)).unwrap();
    // A file that may not grow is a full disk to the volume.
    let limited = |args: &[&str], kib: u32| {
        let mut shell = std::process::Command::new("bash");
        let twine = user.twine();
        for (name, value) in twine.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let script = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$@\"");
        shell
            .current_dir(home)
            .args(["-c", &script, "bash", env!("CARGO_BIN_EXE_twine"), "volume"])
            .args(args);
        Ended::of(&mut shell)
    };
    limited(&["cp", "--key", "owner.key", "large", "data.volume::/large"], 4096)
        .fails(74, &["no space left"]);
    assert_eq!(ok(&user, "check", &["data.volume"]), "whole\n");
    ok(&user, "cp", &["large", "data.volume::/large"]);
    user.ok(&["key", "create", "--kind", "volume", "new.key"]);
    let rekey = ["rekey", "--key", "owner.key", "--new-key", "new.key", "--full", "data.volume"];
    limited(&rekey, 4096).fails(74, &["no space left"]);
    assert!(!home.join("data.volume.rekey").exists());
    limited(&["export", "--key", "owner.key", "data.volume", "out.tar"], 4096).fails(74, &["out.tar"]);
    assert!(!home.join("out.tar").exists());
    limited(&["snapshot", "--key", "owner.key", "data.volume", "copy"], 4096).fails(74, &["no space left"]);
    assert!(!home.join("copy").exists() && !home.join("copy.part").exists());
    limited(&["create", "--key", "owner.key", "new.volume"], 512).fails(74, &["no space left"]);
    assert!(!home.join("new.volume").exists());
    assert_eq!(ok(&user, "check", &["data.volume"]), "whole\n");
}

#[test]
fn a_snapshot_opens_like_the_volume_and_refuses_where_somebody_writes() {
    let user = owner();
    let home = user.home.path();
    make_tree(&home.join("tree"));
    ok(&user, "import", &["data.volume", "tree"]);
    // A reader beside it is no hindrance.
    let path = home.join("data.volume");
    let reader = twine_volume::store::FileStore::open(&path, false).unwrap();
    assert!(ok(&user, "snapshot", &["data.volume", "copy.volume"]).contains("verified    state"));
    drop(reader);
    assert_eq!(fs::read(&path).unwrap(), fs::read(home.join("copy.volume")).unwrap());
    assert_eq!(ok(&user, "check", &["copy.volume"]), "whole\n");
    let writer = twine_volume::store::FileStore::open(&path, true).unwrap();
    let refused = volume(&user, "snapshot", &["data.volume", "second.volume"]);
    refused.fails(74, &["in use by another process"]);
    volume(&user, "cp", &["tree/small", "data.volume::/"]).fails(74, &["in use"]);
    drop(writer);
    let without_key = Ended::of(user.twine().args(["volume", "snapshot", "data.volume", "third.volume"]));
    assert!(without_key.stdout.contains("not verified"), "{}", without_key.stderr);
    volume(&user, "snapshot", &["data.volume", "copy.volume"]).fails(74, &["copy.volume exists"]);
}

#[test]
fn a_huge_file_streams_in_bounded_memory() {
    let user = owner();
    let home = user.home.path();
    let file = fs::File::create(home.join("huge")).unwrap();
    let block = noise(1 << 20);
    for _ in 0..192 {
        (&file).write_all(&block).unwrap();
    }
    // Both ways in less address space than the file is long.
    let limited = |args: &[&str]| {
        let mut shell = std::process::Command::new("bash");
        let script = "ulimit -v 180000; exec \"$@\"";
        shell
            .current_dir(home)
            .args(["-c", script, "bash", env!("CARGO_BIN_EXE_twine"), "volume"])
            .args(args);
        let ended = Ended::of(&mut shell);
        assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
    };
    limited(&["cp", "--key", "owner.key", "huge", "data.volume::/huge"]);
    limited(&["export", "--key", "owner.key", "data.volume", "out.tar"]);
    fs::remove_file(home.join("huge")).unwrap();
    limited(&["cp", "--key", "owner.key", "data.volume::/huge", "huge"]);
    let back = fs::read(home.join("huge")).unwrap();
    assert!(back.chunks(1 << 20).all(|chunk| chunk == block) && back.len() == 192 << 20);
}

#[test]
fn an_owners_volume_is_used_by_an_enclave_and_back() {
    let user = owner();
    user.file("append.wat", fs::read(program("append.wat")).unwrap());
    user.file(
        "twine.toml",
        "version = 1\n[[workload.mount]]\nguest = \"/\"\nkind = \"volume\"\nname = \"data\"\nkey = \"owner\"\n\
         [host]\nmodule = \"append.wat\"\n[host.paths]\n\"/\" = \"data.volume\"\n",
    );
    let run = |args: &[&str]| {
        let mut all = vec!["-c", "twine.toml"];
        all.extend_from_slice(args);
        user.run(&all)
    };
    let with_key = ["--debug", "--insecure-volume-key", "data=owner.key"];
    let ended = run(&with_key);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "1\n"), "{}", ended.stderr);
    assert!(ended.stderr.contains("the host can read and change that volume"), "{}", ended.stderr);
    assert_eq!(ok(&user, "ls", &["data.volume"]), "log\n");
    assert_eq!(ok(&user, "cat", &["data.volume::/log"]), "secret-in-a-file");
    user.file("log", "secret-in-a-filesecret-in-a-file");
    ok(&user, "cp", &["log", "data.volume::/log"]);
    let ended = run(&with_key);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "3\n"), "{}", ended.stderr);
    // Without a key, with another's, in an enclave that keeps secrets from the host.
    run(&["--debug"]).fails(77, &["volume data", "its key is the owner's, and nobody gave one"]);
    user.ok(&["key", "create", "--kind", "volume", "other.key"]);
    run(&["--debug", "--insecure-volume-key", "data=other.key"]).fails(77, &["not the one it was made with"]);
    run(&with_key[1..]).fails(77, &["only debug enclaves take one"]);
    run(&["--debug", "--insecure-volume-key", "data"]).fails(64, &["NAME=FILE"]);
    // One that the enclave makes.
    fs::remove_file(user.home.path().join("data.volume")).unwrap();
    let ended = run(&with_key);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "1\n"), "{}", ended.stderr);
    assert_eq!(ok(&user, "check", &["data.volume"]), "whole\n");
}
