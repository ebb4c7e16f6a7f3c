//! What the unmodified protected-file layer of WAMR's SGX port did when it was tried against a hostile host, and that here the
//! opposite happens: attacks A to H and every deviation from POSIX, one test each, in a real enclave.
//!
//! There the host answers for names, descriptors, links and sizes; here it stores opaque bytes and is asked for none of these.

mod common;
#[path = "common/liar.rs"]
mod liar;
#[path = "common/script.rs"]
mod script;

use std::fs;
use std::path::PathBuf;

use common::{User, program};
use script::errno::*;
use script::*;
use twine::Outcome;
use twine_abi::calls::Call;
use twine_host::run::End;

const SECRET: &[u8] = b"TOPSECRET-2";

/// A manifest with one mount at `/`, kept in `path`.
fn manifest(user: &User, script: &Script, mount: &str, path: &str) -> PathBuf {
    user.file("program.wat", script.wat());
    let text = format!(
        "version = 1\n[workload]\n[[workload.mount]]\nguest = \"/\"\n{mount}\n\
         [host]\nmodule = \"program.wat\"\n[host.paths]\n\"/\" = \"{path}\"\n"
    );
    user.file("twine.toml", text)
}

const VOLUME: &str = "kind = \"volume\"\nname = \"data\"";

/// Writes the secret into `k.db` and reads it back.
fn keeps_secret() -> Script {
    let mut s = Script::new();
    let file = s.open(ROOT, "k.db", CREAT, READ | WRITE);
    s.write(file, SECRET);
    s.call("fd_sync", &file.to_string(), OK);
    s.pread(file, 20, 0, SECRET);
    s.close(file);
    s
}

#[track_caller]
fn exited(lied: &liar::Lied, script: &Script) {
    let exited = matches!(&lied.end, End::Finished { outcome: Outcome::Exited, code: 0, .. });
    assert!(exited, "{:?}: {}", lied.end, script.step(&lied.stdout.text()));
}

/// A: an honest host sees no byte of plaintext, and neither a name.
#[test]
fn attack_a_the_host_sees_nothing() {
    let (user, script) = (User::new(), keeps_secret());
    let manifest = manifest(&user, &script, VOLUME, "data.volume");
    let lied = liar::run(&user, &manifest, || (), |_, _, length| length);
    exited(&lied, &script);
    let store = fs::read(user.home.path().join("data.volume")).unwrap();
    for plain in [SECRET, b"k.db"] {
        assert!(!lied.left.holds(plain), "{plain:?} left the enclave");
        assert!(!store.windows(plain.len()).any(|window| window == plain), "{plain:?} is in the store");
    }
}

/// B: the host answers an open with 1, the number of standard output. There the secret came out in clear.
#[test]
fn attack_b_a_handle_that_is_1_leads_nothing_to_standard_output() {
    let (user, script) = (User::new(), keeps_secret());
    let manifest = manifest(&user, &script, VOLUME, "data.volume");
    for handle in [0, 1, 2, u64::MAX] {
        let lied = liar::run(
            &user,
            &manifest,
            || (),
            move |call, buffer, length| {
                if call == Call::StoreOpen && length > 8 {
                    liar::set_word(buffer, 1, handle);
                }
                length
            },
        );
        // Handle 0 is the honest one; to the others this host has no store, and the run ends.
        assert_eq!(matches!(lied.end, End::Finished { outcome: Outcome::Exited, code: 0, .. }), handle == 0);
        for place in [&lied.stdout, &lied.left] {
            assert!(!place.holds(SECRET), "handle {handle}");
        }
    }
}

/// C and D: the host leads an open to another file, by a link or by a number. There the guest read `old/k.db`.
#[test]
fn attacks_c_and_d_the_host_cannot_lead_an_open_to_another_file() {
    // In a volume, no call names a file, so there is nothing to lie about.
    let (user, script) = (User::new(), keeps_secret());
    let volume = manifest(&user, &script, VOLUME, "data.volume");
    let lied = liar::run(
        &user,
        &volume,
        || (),
        |call, _, length| {
            assert!(!call.name().starts_with("folder"), "{call:?}");
            length
        },
    );
    exited(&lied, &script);
    // A measured file is the one that the workload names, or none.
    for name in ["k.db", "other.db"] {
        let user = User::new();
        fs::create_dir_all(user.home.path().join("lib/old")).unwrap();
        for (path, contents) in
            [("lib/k.db", "new keys"), ("lib/other.db", "the rest"), ("lib/old/k.db", "old keys")]
        {
            user.file(path, contents);
        }
        let mut s = Script::new();
        let file = s.open(ROOT, name, 0, READ);
        s.cannot_read(file, IO);
        let measured = manifest(&user, &s, "kind = \"measured\"", "lib");
        let place = user.home.path().join("lib");
        let swap = || {
            fs::copy(place.join("old/k.db"), place.join(name)).unwrap();
        };
        let lied = liar::run(&user, &measured, swap, |_, _, length| length);
        exited(&lied, &s);
    }
}

/// E: the host answers a read of 16 bytes with a million. There the number went to the guest.
#[test]
fn attack_e_an_answer_longer_than_asked_for_ends_the_enclave() {
    let mut s = Script::new();
    s.read(Fd::Number(0), 16, b"input of sixteen");
    s.file(ROOT, "f");
    let user = User::new();
    let volume = manifest(&user, &s, VOLUME, "data.volume");
    exited(&liar::run(&user, &volume, || (), |_, _, length| length), &s);
    for (about, words) in [(Call::ReadStdin, 0), (Call::StoreRead, 0)] {
        for claimed in [17, 1_000_000, 1 << 40, u64::MAX] {
            let lied = liar::run(
                &user,
                &volume,
                || (),
                move |call, buffer, length| {
                    if call == about && length > 8 {
                        liar::set_word(buffer, 1 + words, claimed);
                    }
                    length
                },
            );
            // A store's answer may be longer than 16 bytes: then the lie is one about where it ends.
            assert!(matches!(lied.end, End::Died(_)), "{about:?} {claimed}: {:?}", lied.end);
        }
    }
}

/// F: the host restores yesterday's file. There it opened with its old content.
#[test]
fn attack_f_yesterdays_volume_is_refused_where_there_is_an_anchor() {
    let (user, script) = (User::new(), keeps_secret());
    let mount = format!("{VOLUME}\nfreshness = \"insecure-file\"");
    let manifest = manifest(&user, &script, &mount, "data.volume");
    let run = || user.run(&["--manifest", manifest.to_str().unwrap()]);
    let store = user.home.path().join("data.volume");
    run().fails(0, &[]);
    let yesterday = fs::read(&store).unwrap();
    run().fails(0, &[]);
    fs::write(&store, yesterday).unwrap();
    run().fails(76, &["rolled back"]);
}

/// G: the host swaps two files of one name in different directories. There both opened.
#[test]
fn attack_g_volumes_with_equal_file_names_cannot_be_swapped() {
    let (user, script) = (User::new(), keeps_secret());
    for folder in ["one", "two"] {
        fs::create_dir(user.home.path().join(folder)).unwrap();
    }
    user.file("program.wat", script.wat());
    let text = "version = 1\n[workload]\n\
        [[workload.mount]]\nguest = \"/\"\nkind = \"volume\"\nname = \"one\"\n\
        [[workload.mount]]\nguest = \"/two\"\nkind = \"volume\"\nname = \"two\"\n\
        [host]\nmodule = \"program.wat\"\n[host.paths]\n\"/\" = \"one/k.volume\"\n\"/two\" = \"two/k.volume\"\n";
    let manifest = user.file("twine.toml", text);
    let run = || user.run(&["--manifest", manifest.to_str().unwrap()]);
    run().fails(0, &[]);
    let home = user.home.path();
    let swap = || {
        for (from, to) in [("one", "x"), ("two", "one"), ("x", "two")] {
            fs::rename(home.join(from), home.join(to)).unwrap();
        }
    };
    swap();
    run().fails(77, &["volume one"]);
    swap();
    run().fails(0, &[]);
}

/// H: another enclave of the same signer. There every module had the same key.
#[test]
fn attack_h_another_workload_or_enclave_of_the_same_signer_has_another_key() {
    let user = User::new();
    let append = program("append.wat");
    let run = |more: &[&str]| {
        let mut args = vec!["--dir", "data.volume::/"];
        args.extend_from_slice(more);
        args.push(&append);
        user.run(&args)
    };
    run(&[]).fails(0, &[]);
    run(&["--env", "MODULE=other"]).fails(77, &["volume root"]);
    run(&["--debug"]).fails(77, &["volume root"]);
    let other = user.file("other.wat", keeps_secret().wat());
    user.run(&["--dir", "data.volume::/", other.to_str().unwrap()]).fails(77, &["volume root"]);
    run(&[]).fails(0, &[]);
}

/// Runs a program on a volume and, where POSIX means the same there, in an insecure folder.
#[track_caller]
fn as_posix_says(make: impl Fn(&mut Script)) {
    let mut script = Script::new();
    make(&mut script);
    let user = User::new();
    fs::create_dir(user.home.path().join("folder")).unwrap();
    let module = user.file("program.wat", script.wat());
    for mount in ["data.volume::/", "folder::/:insecure-host"] {
        let ended = user.run(&["--dir", mount, module.to_str().unwrap()]);
        assert_eq!(ended.code, Some(0), "{mount}: {}\n{}", script.step(&ended.stdout), ended.stderr);
    }
}

/// A file with contents.
fn with(s: &mut Script, contents: &[u8]) -> Fd {
    let file = s.open(ROOT, "file", CREAT, READ | WRITE);
    s.write(file, contents);
    file
}

/// `fstat` of a 13-byte file: there 4096.
#[test]
fn deviation_fstat_tells_the_exact_size() {
    as_posix_says(|s| {
        let file = with(s, &[1; 13]);
        s.size(file, 13);
        s.stat(ROOT, 0, "file", 4, Some(13));
    });
}

/// `ftruncate` to 3 of 11 bytes: there success, and nothing happened.
#[test]
fn deviation_ftruncate_shrinks() {
    as_posix_says(|s| {
        let file = with(s, b"hello world");
        s.set_size(file, 3, OK);
        s.size(file, 3);
        s.pread(file, 20, 0, b"hel");
    });
}

/// `rename`, then open: there it failed.
#[test]
fn deviation_a_renamed_file_opens() {
    as_posix_says(|s| {
        let file = with(s, b"moved");
        s.close(file);
        s.rename(ROOT, "file", ROOT, "other", OK);
        let file = s.open(ROOT, "other", 0, READ);
        s.read(file, 20, b"moved");
    });
}

/// `pread` and `pwrite` past the end: there EINVAL.
#[test]
fn deviation_reads_and_writes_past_the_end() {
    as_posix_says(|s| {
        let file = with(s, b"0123456789");
        s.pread(file, 5, 20, b"");
        s.pwrite(file, b"far", 20);
        s.size(file, 23);
        s.pread(file, 30, 8, b"89\0\0\0\0\0\0\0\0\0\0far");
    });
}

/// `O_RDWR|O_APPEND` on an existing file: there it overwrote.
#[test]
fn deviation_append_appends() {
    as_posix_says(|s| {
        let file = with(s, b"AAAAAA");
        s.close(file);
        let file = s.open_with(ROOT, 0, "file", 0, READ | WRITE, APPEND, OK);
        s.write(file, b"bb");
        s.pread(file, 20, 0, b"AAAAAAbb");
    });
}

/// `O_WRONLY` with and without `O_CREAT` and `O_APPEND`: there refused.
#[test]
fn deviation_write_only_opens_work() {
    as_posix_says(|s| {
        let file = s.open(ROOT, "file", CREAT, WRITE);
        s.write(file, b"12");
        s.close(file);
        let file = s.open(ROOT, "file", 0, WRITE);
        s.write(file, b"3");
        s.close(file);
        let file = s.open_with(ROOT, 0, "file", 0, WRITE, APPEND, OK);
        s.write(file, b"4");
        s.cannot_read(file, [BADF, NOTCAPABLE]);
        s.close(file);
        let file = s.open(ROOT, "file", 0, READ);
        s.read(file, 20, b"324");
    });
}

/// A second open of a file that is open for writing: there refused.
#[test]
fn deviation_a_file_is_opened_many_times() {
    as_posix_says(|s| {
        let first = with(s, b"one");
        let second = s.open(ROOT, "file", 0, READ | WRITE);
        s.read(second, 20, b"one");
        s.write(second, b" two");
        s.pread(first, 20, 0, b"one two");
    });
}

/// A plaintext file of the host: there it could not be opened at all. Here a mount says whose it is.
#[test]
fn deviation_a_plaintext_file_opens_where_it_is_asked_for() {
    let user = User::new();
    fs::create_dir(user.home.path().join("folder")).unwrap();
    user.file("folder/plain", "of the host");
    let mut s = Script::new();
    let file = s.open(Fd::Number(4), "plain", 0, READ | WRITE);
    s.read(file, 20, b"of the host");
    // And not where it is not.
    s.cannot_open(ROOT, 0, "plain", 0, READ, NOENT);
    let module = user.file("program.wat", s.wat());
    let mounts = ["--dir", "data.volume::/data", "--dir", "folder::/plain:insecure-host"];
    let ended = user.run(&[&mounts[..], &[module.to_str().unwrap()]].concat());
    assert_eq!(ended.code, Some(0), "{}\n{}", s.step(&ended.stdout), ended.stderr);
}

/// `O_CREAT|O_EXCL` on an existing file: there EBADF.
#[test]
fn deviation_exclusive_creation_says_that_it_exists() {
    as_posix_says(|s| {
        let file = with(s, b"x");
        s.close(file);
        s.cannot_open(ROOT, 0, "file", CREAT | EXCL, READ | WRITE, EXIST);
    });
}

/// `lseek(+5, SEEK_END)` on 10 bytes: there it answered 5.
#[test]
fn deviation_seeking_past_the_end_grows_nothing() {
    as_posix_says(|s| {
        let file = with(s, b"0123456789");
        s.seek(file, 5, END, 15);
        s.size(file, 10);
    });
}

/// `posix_fallocate(10, 100)`: there the cursor moved to 110.
#[test]
fn deviation_allocating_leaves_the_cursor() {
    as_posix_says(|s| {
        let file = with(s, b"0123456789");
        s.seek(file, 4, SET, 4);
        s.allocate(file, 10, 100, OK);
        s.tell(file, 4);
        s.size(file, 110);
    });
}

/// `lseek(-1, SEEK_SET)`: there the file grew by 185 MB in three seconds until it was killed.
#[test]
fn deviation_a_negative_position_is_invalid() {
    as_posix_says(|s| {
        let file = with(s, b"0123456789");
        s.cannot_seek(file, -1, SET, INVAL);
        s.tell(file, 10);
        s.size(file, 10);
    });
}
