//! Descriptors as such: numbers, flags, rights.

use crate::guest::*;

#[test]
fn the_highest_free_number_is_taken() {
    let mut guest = Guest::new();
    let fds: Vec<u32> = (0..4).map(|index| guest.create(&format!("f{index}"))).collect();
    assert_eq!(fds, [4, 5, 6, 7]);
    for fd in [6, 4, 5] {
        guest.close(fd).unwrap();
    }
    assert_eq!([guest.create("a"), guest.create("b"), guest.create("c"), guest.create("d")], [6, 5, 4, 8]);
    guest.close(0).unwrap();
    assert_eq!(guest.create("e"), 0);
}

#[test]
fn descriptors_run_out() {
    let mut guest = Guest::with(|builder, fs| {
        let root = fs.root();
        builder.max_descriptors(6).preopen("/", fs, root, twine_wasi::Access::ReadWrite)
    });
    let fds = [guest.create("a"), guest.create("b")];
    assert_eq!(guest.open(ROOT, 0, "c", CREAT, WRITE, 0), Err(MFILE));
    assert_eq!(guest.stat(ROOT, 0, "c"), Err(NOENT), "nothing was created on the way");
    guest.close(fds[0]).unwrap();
    assert_eq!(guest.open(ROOT, 0, "c", CREAT, WRITE, 0), Ok(fds[0]));
}

#[test]
fn closing() {
    let mut guest = Guest::new();
    let fd = guest.create("f");
    guest.close(fd).unwrap();
    assert_eq!(guest.close(fd), Err(BADF));
    assert_eq!(guest.read(fd, 1), Err(BADF));
    assert_eq!(guest.close(u32::MAX), Err(BADF));
    guest.close(ROOT).unwrap();
    assert_eq!(guest.call("fd_prestat_get", &[ROOT.into(), 64]), Err(BADF), "a preopen can be closed");
}

#[test]
fn renumbering() {
    let mut guest = Guest::new();
    guest.file("one", b"1");
    let (one, two) = (guest.create("one"), guest.create("two"));
    let before = guest.fdstat(one).unwrap();
    let renumber =
        |guest: &mut Guest, from: u32, to: u32| guest.call("fd_renumber", &[from.into(), to.into()]);
    renumber(&mut guest, one, two).unwrap();
    assert_eq!(guest.fdstat(two), Ok(before));
    assert_eq!(guest.read(two, 9).unwrap(), b"1");
    assert_eq!(guest.close(one), Err(BADF));
    assert_eq!(renumber(&mut guest, two, one), Err(BADF), "the target must be open");
    assert_eq!(renumber(&mut guest, 99, two), Err(BADF));
    renumber(&mut guest, two, two).unwrap();
    assert_eq!(guest.create("three"), one);
    // Streams and preopens move and are replaced like any other.
    renumber(&mut guest, 1, two).unwrap();
    assert_eq!(guest.write(two, b"out"), Ok(3));
    assert_eq!(guest.write(1, b"x"), Err(BADF));
    let root = guest.filestat(ROOT);
    let dir = guest.open(ROOT, 0, ".", DIRECTORY, READ, 0).unwrap();
    renumber(&mut guest, dir, ROOT).unwrap();
    assert_eq!(guest.filestat(ROOT), root);
    assert_eq!(guest.call("fd_prestat_get", &[ROOT.into(), 64]), Err(BADF), "what came is no preopen");
}

#[test]
fn flags_can_change_but_for_durability() {
    let mut guest = Guest::new();
    guest.file("f", b"");
    let fd = guest.open(ROOT, 0, "f", 0, WRITE, 16).unwrap();
    let set = |guest: &mut Guest, fd: u32, flags| guest.call("fd_fdstat_set_flags", &[fd.into(), flags]);
    set(&mut guest, fd, 16 | 4 | 1).unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().flags, 21);
    for flags in [0, 2 | 16, 8 | 16, 32] {
        assert_eq!(set(&mut guest, fd, flags), Err(INVAL));
    }
    assert_eq!(guest.fdstat(fd).unwrap().flags, 21);
    for fd in [0, 1, 2, ROOT, 99] {
        assert_eq!(set(&mut guest, fd, 0), Err(BADF));
    }
}

#[test]
fn rights_shrink_and_never_grow() {
    let mut guest = Guest::new();
    let fd = guest.create("f");
    guest.write(fd, b"abcd").unwrap();
    let full = guest.fdstat(fd).unwrap();
    let set = |guest: &mut Guest, fd: u32, base, inheriting| {
        guest.call("fd_fdstat_set_rights", &[fd.into(), base, inheriting])
    };
    set(&mut guest, fd, full.base, full.inheriting).unwrap();
    set(&mut guest, fd, full.base & !(READ | WRITE), full.inheriting).unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().base, full.base & !(READ | WRITE));
    assert_eq!(guest.read(fd, 1), Err(BADF));
    assert_eq!(guest.write(fd, b"x"), Err(BADF));
    assert_eq!(guest.seek(fd, 0, SET), Ok(0));
    assert_eq!(set(&mut guest, fd, full.base, full.inheriting), Err(NOTCAPABLE));
    assert_eq!(set(&mut guest, fd, 1 << 30, 0), Err(INVAL));
    assert_eq!(set(&mut guest, 0, READ, 0), Err(BADF));
    assert_eq!(set(&mut guest, 99, 0, 0), Err(BADF));
}

/// Each right, the call that needs it, and nothing else taken away.
#[test]
fn each_right_is_needed_by_its_call() {
    type Call = fn(&mut Guest, u32) -> Result<()>;
    let of_files: [(u32, Call); 9] = [
        (0, |guest, fd| guest.call("fd_datasync", &[fd.into()])),
        (2, |guest, fd| guest.seek(fd, 1, SET).map(drop)),
        (3, |guest, fd| guest.call("fd_fdstat_set_flags", &[fd.into(), 1])),
        (4, |guest, fd| guest.call("fd_sync", &[fd.into()])),
        (5, |guest, fd| guest.tell(fd).map(drop)),
        (7, |guest, fd| guest.call("fd_advise", &[fd.into(), 0, 0, 0])),
        (8, |guest, fd| guest.call("fd_allocate", &[fd.into(), 0, 1])),
        (21, |guest, fd| guest.filestat(fd).map(drop)),
        (22, |guest, fd| guest.call("fd_filestat_set_size", &[fd.into(), 0])),
    ];
    let of_directories: [(u32, Call); 17] = [
        (4, |guest, fd| guest.call("fd_sync", &[fd.into()])),
        (9, |guest, fd| guest.mkdir(fd, "new")),
        (10, |guest, fd| guest.open(fd, 0, "new", CREAT, 0, 0).map(drop)),
        (11, |guest, fd| guest.link(fd, 0, "f", ROOT, "new")),
        (12, |guest, fd| guest.link(ROOT, 0, "d/f", fd, "new")),
        (13, |guest, fd| guest.open(fd, 0, "f", 0, 0, 0).map(drop)),
        (14, |guest, fd| guest.readdir(fd, 100, 0).map(drop)),
        (15, |guest, fd| guest.readlink(fd, "l", 9).map(drop)),
        (16, |guest, fd| guest.rename(fd, "f", ROOT, "new")),
        (17, |guest, fd| guest.rename(ROOT, "d/f", fd, "new")),
        (18, |guest, fd| guest.stat(fd, 0, "f").map(drop)),
        (19, |guest, fd| guest.open(fd, 0, "f", TRUNC, 0, 0).map(drop)),
        (21, |guest, fd| guest.filestat(fd).map(drop)),
        (23, |guest, fd| guest.call("fd_filestat_set_times", &[fd.into(), 0, 0, 5])),
        (24, |guest, fd| guest.symlink("x", fd, "new")),
        (25, |guest, fd| guest.rmdir(fd, "e")),
        (26, |guest, fd| guest.unlink(fd, "f")),
    ];
    let try_all = |oflags, path: &str, calls: &[(u32, Call)]| {
        for &(bit, call) in calls {
            let mut guest = Guest::new();
            guest.mkdir(ROOT, "d").unwrap();
            guest.mkdir(ROOT, "d/e").unwrap();
            guest.file("d/f", b"");
            guest.symlink("f", ROOT, "d/l").unwrap();
            let rights = if oflags == DIRECTORY { READ } else { READ | WRITE };
            let fd = guest.open(ROOT, 0, path, oflags, rights, 0).unwrap();
            let own = guest.fdstat(fd).unwrap();
            assert_ne!(own.base & (1 << bit), 0, "bit {bit} is given");
            guest.call("fd_fdstat_set_rights", &[fd.into(), own.base & !(1 << bit), own.inheriting]).unwrap();
            assert_eq!(call(&mut guest, fd), Err(NOTCAPABLE), "without bit {bit}");
            let again = guest.open(ROOT, 0, path, oflags, rights, 0).unwrap();
            assert_eq!(call(&mut guest, again), Ok(()), "with bit {bit}");
        }
    };
    try_all(0, "d/f", &of_files);
    try_all(DIRECTORY, "d", &of_directories);
}

#[test]
fn a_directory_passes_on_what_it_may() {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "d").unwrap();
    guest.mkdir(ROOT, "d/e").unwrap();
    guest.file("d/f", b"x");
    let dir = guest.open(ROOT, 0, "d", DIRECTORY, READ, 0).unwrap();
    let own = guest.fdstat(dir).unwrap();
    let passed_on = own.inheriting & !(WRITE | 1 << 22 | 1 << 9);
    guest.call("fd_fdstat_set_rights", &[dir.into(), own.base, passed_on]).unwrap();
    assert_eq!(guest.open(dir, 0, "f", 0, READ | WRITE, 0), Err(NOTCAPABLE));
    let file = guest.open(dir, 0, "f", 0, READ, 0).unwrap();
    assert_eq!(guest.fdstat(file).unwrap().base & !passed_on, 0);
    let sub = guest.open(dir, 0, "e", DIRECTORY, READ, 0).unwrap();
    assert_eq!(guest.mkdir(sub, "new"), Err(NOTCAPABLE));
    assert_eq!(guest.mkdir(dir, "new"), Ok(()));
    assert_eq!(guest.fdstat(sub).unwrap().inheriting, passed_on);
}

#[test]
fn preopens_have_the_rights_that_c_libraries_look_for() {
    let mut guest = Guest::new();
    let own = guest.fdstat(ROOT).unwrap();
    let path_calls = 0x7f7_fe00_u64 & !(1 << 19) & !(1 << 22);
    assert_eq!(own.base & path_calls, path_calls);
    assert_eq!(own.base & (1 << 22 | 1 << 2), 0, "a directory has no size to set and no position");
    assert_eq!(own.inheriting, (1 << 28) - 1, "all but those of sockets");
}
