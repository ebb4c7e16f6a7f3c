//! Measured files and insecure folders as directories of a program.

mod common;
#[path = "common/liar.rs"]
mod liar;
#[path = "common/script.rs"]
mod script;

use std::collections::HashMap;
use std::fs;

use common::{Ended, User};
use script::errno::*;
use script::*;
use twine::Outcome;
use twine_host::run::End;

fn run(user: &User, mounts: &[&str], script: &Script) -> Ended {
    let module = user.file("program.wat", script.wat());
    let mut args = Vec::new();
    for mount in mounts {
        args.extend(["--dir", mount]);
    }
    args.push(module.to_str().unwrap());
    user.run(&args)
}

#[track_caller]
fn passes(ended: &Ended, script: &Script) {
    assert_eq!(ended.code, Some(0), "{}\n{}", script.step(&ended.stdout), ended.stderr);
}

/// Reads `/lib/sub/model.txt`, which holds "weights".
fn reads_model() -> Script {
    let mut s = Script::new();
    let file = s.open(ROOT, "sub/model.txt", 0, READ);
    s.size(file, 7);
    s.read(file, 20, b"weights");
    s.entries(ROOT, 4096, 3);
    s.cannot_open(ROOT, 0, "sub/model.txt", 0, READ | WRITE, ROFS);
    s.cannot_open(ROOT, 0, "new", CREAT, READ | WRITE, ROFS);
    s.mkdir(ROOT, "dir", ROFS);
    s.unlink(ROOT, "sub/model.txt", ROFS);
    s
}

fn lib(user: &User) {
    fs::create_dir_all(user.home.path().join("lib/sub")).unwrap();
    user.file("lib/sub/model.txt", "weights");
}

#[test]
fn measured_files_are_read_and_are_part_of_the_identity() {
    let (user, script) = (User::new(), reads_model());
    lib(&user);
    passes(&run(&user, &["lib::/lib:measured"], &script), &script);
    let module = user.home.path().join("program.wat");
    let measure = || user.ok(&["measure", "--dir", "lib::/lib:measured", module.to_str().unwrap()]);
    let before = measure();
    user.file("lib/sub/model.txt", "Weights");
    assert_ne!(before, measure(), "a changed file is another workload");
}

/// The manifest names the digest, so that what the host shows later is compared with it.
fn manifest(user: &User) -> String {
    lib(user);
    let manifest = "version = 1\n[workload]\n[[workload.mount]]\nguest = \"/lib\"\nkind = \"measured\"\n\
                    [host]\nmodule = \"program.wat\"\n[host.paths]\n\"/lib\" = \"lib\"\n";
    user.file("twine.toml", manifest).to_str().unwrap().to_owned()
}

#[test]
fn a_single_file_is_a_folder_with_it() {
    let user = User::new();
    lib(&user);
    user.file("lib/other", "not for the program");
    let mut s = Script::new();
    let file = s.open(ROOT, "model.txt", 0, READ);
    s.read(file, 20, b"weights");
    s.entries(ROOT, 4096, 3);
    s.cannot_open(ROOT, 0, "../other", 0, READ, PERM);
    passes(&run(&user, &["lib/sub/model.txt::/models:measured"], &s), &s);
}

#[test]
fn a_manifest_mounts_measured_files() {
    let (user, script) = (User::new(), reads_model());
    let manifest = manifest(&user);
    user.file("program.wat", script.wat());
    passes(&user.run(&["--manifest", &manifest]), &script);
    // Links are refused where they are measured: what they lead to would not be.
    std::os::unix::fs::symlink("model.txt", user.home.path().join("lib/sub/link")).unwrap();
    user.run(&["--manifest", &manifest]).fails(78, &["neither a file nor a directory"]);
}

#[test]
fn an_insecure_folder_is_read_written_and_announced() {
    let user = User::new();
    fs::create_dir(user.home.path().join("work")).unwrap();
    user.file("work/in", "from the host");
    let mut s = Script::new();
    let input = s.open(ROOT, "in", 0, READ);
    s.read(input, 20, b"from the host");
    let output = s.open(ROOT, "out", CREAT, READ | WRITE);
    s.write(output, b"from the program");
    s.call("fd_sync", &output.to_string(), OK);
    s.mkdir(ROOT, "dir", OK);
    s.symlink("in", ROOT, "dir/link", OK);
    s.rename(ROOT, "dir", ROOT, "moved", OK);
    let ended = run(&user, &["work::/work:insecure-host"], &s);
    passes(&ended, &s);
    ended.fails(0, &["insecure mount /work", "in clear"]);
    assert_eq!(fs::read_to_string(user.home.path().join("work/out")).unwrap(), "from the program");
    assert_eq!(fs::read_link(user.home.path().join("work/moved/link")).unwrap().to_str(), Some("in"));
}

#[test]
fn an_insecure_folder_can_be_read_only() {
    let user = User::new();
    fs::create_dir(user.home.path().join("work")).unwrap();
    user.file("work/in", "text");
    let mut s = Script::new();
    let input = s.open(ROOT, "in", 0, READ);
    s.read(input, 20, b"text");
    s.cannot_open(ROOT, 0, "in", 0, READ | WRITE, ROFS);
    s.cannot_open(ROOT, 0, "out", CREAT, READ | WRITE, ROFS);
    passes(&run(&user, &["work::/work:insecure-host:ro"], &s), &s);
}

#[test]
fn insecure_mounts_are_in_the_result() {
    let user = User::new();
    fs::create_dir(user.home.path().join("work")).unwrap();
    let module = user.file("program.wat", Script::new().wat());
    let module = module.to_str().unwrap();
    let text = user.ok(&["--json", "run", "--tee", "sim", "--dir", "work::/work:insecure-host", module]);
    assert!(text.contains("insecure mount /work") && text.contains("\"secure\":false"), "{text}");
}

#[test]
fn a_wrong_mount_is_a_usage_error_that_says_how() {
    let user = User::new();
    fs::create_dir(user.home.path().join("folder")).unwrap();
    let s = Script::new();
    for (mount, texts) in [
        ("folder::/data", ["a volume is a file", ":insecure-host"]),
        ("folder::/data:measurd", ["\"measurd\" is no kind", "HOST::GUEST"]),
        ("folder::/data:measured:insecure-host", ["more than one kind", "HOST::GUEST"]),
        ("none::/data:insecure-host", ["no such folder", "HOST::GUEST"]),
        ("::/data", ["no file or folder", "HOST::GUEST"]),
        ("data.volume", ["no guest path", "HOST::GUEST"]),
    ] {
        run(&user, &[mount], &s).fails(64, &texts);
    }
    run(&user, &["none::/lib:measured"], &s).fails(66, &["none"]);
}

#[test]
fn mounts_of_every_kind_stand_beside_one_another() {
    let user = User::new();
    lib(&user);
    fs::create_dir(user.home.path().join("work")).unwrap();
    let mut s = Script::new();
    // Sorted by guest path: /data is 3, /lib 4, /work 5.
    let (data, lib, work) = (Fd::Number(3), Fd::Number(4), Fd::Number(5));
    s.file(data, "a");
    s.file(work, "a");
    s.rename(data, "a", work, "b", XDEV);
    s.link(lib, 0, "sub/model.txt", work, "model", XDEV);
    s.link(work, 0, "a", data, "c", XDEV);
    let mounts = ["data.volume::/data", "lib::/lib:measured", "work::/work:insecure-host"];
    passes(&run(&user, &mounts, &s), &s);
}

/// What a program printed, and what the enclave said.
#[derive(Clone, Default)]
struct Printed(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_measured_file_that_changes_after_it_was_measured_is_an_error() {
    let user = User::new();
    let manifest = manifest(&user);
    let mut s = Script::new();
    let file = s.open(ROOT, "sub/model.txt", 0, READ);
    s.size(file, 7);
    s.cannot_read(file, IO);
    user.file("program.wat", s.wat());
    let config = twine::workload::manifest::Config::read(manifest.as_ref()).unwrap();
    let program = twine::Program::from_config(&config).unwrap();
    user.file("lib/sub/model.txt", "Weights");
    let folders = twine::Folders { state: user.state(), cache: user.cache() };
    let image = twine::Image::embedded(twine::image_format::sigstruct::Variant::Production).unwrap();
    let runner = twine::Runner::with(twine::Tee::Sim, image, &folders).unwrap();
    let (out, log) = (Printed::default(), Printed::default());
    let mut io = twine::Io::inherit().unwrap();
    (io.streams.stdout, io.streams.log) = (Box::new(out.clone()), Box::new(log.clone()));
    let report = runner.run(&program, io).unwrap();
    let text = |printed: &Printed| String::from_utf8(printed.0.lock().unwrap().clone()).unwrap();
    let ended = twine::exit::of_end(&report.end);
    assert_eq!(ended, (twine::exit::Source::Guest, 0), "{} {:?}", s.step(&text(&out)), report.end);
    assert!(text(&log).contains("measured file /lib/sub/model.txt"), "{}", text(&log));
}

/// Any answer.
struct Any;

impl Expected for Any {
    fn all(&self) -> Vec<u32> {
        (0..77).collect()
    }
}

/// Does everything to the folder at `dir`, whatever comes of it.
fn tries_everything(s: &mut Script, dir: Fd) {
    let file = s.open_with(dir, 0, "notes", CREAT, READ | WRITE | FD_SET_SIZE, 0, Any);
    let iovec = "(i32.const 0) (i32.const 1)";
    for operands in [format!("{file} {iovec} (i32.const 64)"), format!("{file} {iovec} (i32.const 64)")] {
        s.call("fd_write", &operands, Any);
    }
    s.call("fd_pread", &format!("{file} {iovec} (i64.const 0) (i32.const 64)"), Any);
    s.call("fd_filestat_get", &format!("{file} (i32.const 128)"), Any);
    s.set_size(file, 3, Any);
    s.set_times(file, 1, 2, 5, Any);
    s.call("fd_sync", &file.to_string(), Any);
    s.mkdir(dir, "below", Any);
    s.symlink("notes", dir, "link", Any);
    s.cannot_stat(dir, FOLLOW, "link", Any);
    s.link(dir, 0, "notes", dir, "second", Any);
    s.rename(dir, "second", dir, "below/third", Any);
    for _ in 0..3 {
        s.call(
            "fd_readdir",
            &format!("{dir} (i32.const 4096) (i32.const 200) (i64.const 0) (i32.const 64)"),
            Any,
        );
    }
    s.unlink(dir, "below/third", Any);
    s.unlink(dir, "link", Any);
    s.rmdir(dir, "below", Any);
    s.unlink(dir, "notes", Any);
    s.call("fd_close", &file.to_string(), Any);
}

/// A host that answers for folders as it likes: what is measured is what was measured or an error, what is in the volume stays
/// as it was, and the enclave never panics.
#[test]
fn lies_about_folders_corrupt_nothing() {
    let user = User::new();
    lib(&user);
    fs::create_dir(user.home.path().join("work")).unwrap();
    // In the order of their paths.
    let (data, lib, work) = (Fd::Number(3), Fd::Number(4), Fd::Number(5));
    let mut s = Script::new();
    let kept = s.open(data, "kept", CREAT, READ | WRITE);
    s.write(kept, b"the volume's");
    tries_everything(&mut s, work);
    let model = s.open_with(lib, 0, "sub/model.txt", 0, READ, 0, Any);
    let judged = s.steps();
    s.read(model, 20, b"weights");
    s.pread(kept, 20, 0, b"the volume's");
    user.file("program.wat", s.wat());
    let manifest = user.file(
        "twine.toml",
        "version = 1\n[workload]\n[[workload.mount]]\nguest = \"/lib\"\nkind = \"measured\"\n\
         [[workload.mount]]\nguest = \"/work\"\nkind = \"insecure-host\"\n\
         [[workload.mount]]\nguest = \"/data\"\nkind = \"volume\"\nname = \"data\"\n\
         [host]\nmodule = \"program.wat\"\n[host.paths]\n\"/lib\" = \"lib\"\n\"/work\" = \"work\"\n\"/data\" = \"data.volume\"\n",
    );
    let honest = liar::run(&user, &manifest, || (), |_, _, length| length);
    let step = s.step(&honest.stdout.text());
    assert!(
        matches!(honest.end, End::Finished { outcome: Outcome::Exited, code: 0, .. }),
        "{:?} {step}",
        honest.end
    );
    let mut ends = HashMap::<&str, u32>::new();
    for seed in 0..60 {
        println!("seed {seed}");
        let _ = fs::remove_dir_all(user.home.path().join("work"));
        fs::create_dir(user.home.path().join("work")).unwrap();
        let mut twister = liar::Twister::new(seed, 1 + seed % 20, |call| call.name().starts_with("folder"));
        let lied =
            liar::run(&user, &manifest, || (), move |call, buffer, length| twister.lie(call, buffer, length));
        let mut end = liar::judge(seed, &lied.end);
        if let End::Finished { outcome: Outcome::Exited, code: 1, .. } = lied.end {
            // The measured file could not be read, which is all that the host can do to it.
            let step = s.step(&lied.stdout.text());
            let number: usize = lied.stdout.text().trim().parse().unwrap();
            assert!(number == judged + 1 && step.contains("fd_read"), "seed {seed}: {step}");
            end = "an error of the program's";
        }
        *ends.entry(end).or_default() += 1;
    }
    println!("{ends:?}");
    assert!(ends["finished"] > 3 && ends["ended itself"] > 3, "{ends:?}");
}
