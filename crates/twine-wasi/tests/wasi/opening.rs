//! `path_open`: every flag, and what it finds.

use twine_wasi::Access;

use crate::guest::*;

#[test]
fn creating() {
    let mut guest = Guest::new();
    assert_eq!(guest.open(ROOT, 0, "f", 0, READ, 0), Err(NOENT));
    guest.file("f", b"old");
    assert_eq!(guest.open(ROOT, 0, "f", CREAT | EXCL, WRITE, 0), Err(EXIST));
    let fd = guest.open(ROOT, 0, "f", CREAT, READ, 0).unwrap();
    assert_eq!(guest.read(fd, 9).unwrap(), b"old", "CREAT on what is there opens it");
    let fd = guest.open(ROOT, 0, "f", EXCL, READ, 0).unwrap();
    assert_eq!(guest.read(fd, 9).unwrap(), b"old", "EXCL alone means nothing");
    assert_eq!(guest.open(ROOT, 0, "new/", CREAT, WRITE, 0), Err(ISDIR));
    assert_eq!(guest.open(ROOT, 0, "f/", CREAT, WRITE, 0), Err(ISDIR));
    assert_eq!(guest.open(ROOT, 0, "no/new", CREAT, WRITE, 0), Err(NOENT));
    assert_eq!(guest.open(ROOT, 0, "f/new", CREAT, WRITE, 0), Err(NOTDIR));
}

#[test]
fn truncating() {
    let mut guest = Guest::new();
    guest.file("f", b"old");
    guest.mkdir(ROOT, "d").unwrap();
    let fd = guest.open(ROOT, 0, "f", CREAT | TRUNC, READ | WRITE, 0).unwrap();
    assert_eq!(guest.read(fd, 9).unwrap(), b"");
    guest.file("g", b"old");
    guest.open(ROOT, 0, "g", TRUNC, 0, 0).unwrap();
    assert_eq!(guest.stat(ROOT, 0, "g").unwrap().size, 0, "no right to write is needed");
    assert_eq!(guest.open(ROOT, 0, "nope", TRUNC, WRITE, 0), Err(NOENT));
    assert_eq!(guest.open(ROOT, 0, "d", TRUNC, READ, 0), Err(ISDIR));
}

#[test]
fn directories() {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "d").unwrap();
    guest.file("f", b"");
    let fd = guest.open(ROOT, 0, "d", DIRECTORY, READ, 0).unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().filetype, 3);
    guest.open(fd, 0, "inner", CREAT, WRITE, 0).unwrap();
    assert!(guest.stat(ROOT, 0, "d/inner").is_ok());
    assert_eq!(guest.open(ROOT, 0, "f", DIRECTORY, READ, 0), Err(NOTDIR));
    assert_eq!(guest.open(ROOT, 0, "d", 0, READ | WRITE, 0), Err(ISDIR));
    assert_eq!(guest.open(ROOT, 0, "d", DIRECTORY, READ | WRITE, 0), Err(ISDIR));
    assert_eq!(guest.open(ROOT, 0, "d", CREAT, READ, 0), Err(ISDIR));
    for flags in [CREAT, EXCL, TRUNC] {
        assert_eq!(guest.open(ROOT, 0, "d", DIRECTORY | flags, READ, 0), Err(INVAL));
    }
    // What a preopen says of itself must be enough to open it again.
    let own = guest.fdstat(ROOT).unwrap();
    guest.open(ROOT, 0, ".", DIRECTORY, own.base, 0).unwrap();
    guest.open(ROOT, 0, ".", 0, 0, 4).unwrap();
    guest.open(ROOT, 0, ".", DIRECTORY, 0, 0).unwrap();
}

#[test]
fn links_are_followed_only_on_request() {
    let mut guest = Guest::new();
    guest.file("f", b"target");
    guest.mkdir(ROOT, "d").unwrap();
    for (target, link) in [("f", "lf"), ("d", "ld"), ("nope", "dangling"), ("loop", "loop")] {
        guest.symlink(target, ROOT, link).unwrap();
    }
    for link in ["lf", "ld", "dangling", "loop"] {
        for oflags in [0, DIRECTORY, CREAT, TRUNC] {
            assert_eq!(guest.open(ROOT, 0, link, oflags, READ, 0), Err(LOOP), "{link} {oflags}");
        }
        assert_eq!(guest.open(ROOT, FOLLOW, link, CREAT | EXCL, READ, 0), Err(EXIST), "{link}");
    }
    let fd = guest.open(ROOT, FOLLOW, "lf", 0, READ, 0).unwrap();
    assert_eq!(guest.read(fd, 9).unwrap(), b"target");
    guest.open(ROOT, FOLLOW, "ld", DIRECTORY, READ, 0).unwrap();
    guest.open(ROOT, 0, "ld/", DIRECTORY, READ, 0).unwrap();
    assert_eq!(guest.open(ROOT, FOLLOW, "lf", DIRECTORY, READ, 0), Err(NOTDIR));
    assert_eq!(guest.open(ROOT, FOLLOW, "loop", 0, READ, 0), Err(LOOP));
    assert_eq!(guest.open(ROOT, FOLLOW, "dangling", 0, READ, 0), Err(NOENT));
    guest.open(ROOT, FOLLOW, "dangling", CREAT, WRITE, 0).unwrap();
    assert_eq!(guest.stat(ROOT, 0, "nope").unwrap().filetype, 4, "the target was created");
}

#[test]
fn flags_that_wasi_has_not_defined_are_refused() {
    let mut guest = Guest::new();
    guest.file("f", b"");
    assert_eq!(guest.open(ROOT, 2, "f", 0, READ, 0), Err(INVAL));
    assert_eq!(guest.open(ROOT, 0, "f", 16, READ, 0), Err(INVAL));
    assert_eq!(guest.open(ROOT, 0, "f", 0, 1 << 30, 0), Err(INVAL));
    assert_eq!(guest.open(ROOT, 0, "f", 0, READ, 32), Err(INVAL));
}

#[test]
fn only_a_directory_can_be_opened_below() {
    let mut guest = Guest::new();
    let file = guest.create("f");
    assert_eq!(guest.open(file, 0, "x", 0, READ, 0), Err(NOTDIR));
    assert_eq!(guest.open(1, 0, "x", 0, READ, 0), Err(BADF));
    assert_eq!(guest.open(99, 0, "x", 0, READ, 0), Err(BADF));
}

#[test]
fn the_flags_of_an_open_are_told_and_kept() {
    let mut guest = Guest::new();
    guest.file("f", b"");
    for flags in 0..32 {
        let fd = guest.open(ROOT, 0, "f", 0, READ | WRITE, flags).unwrap();
        assert_eq!(u32::from(guest.fdstat(fd).unwrap().flags), flags);
        assert_eq!(guest.write(fd, b"x"), Ok(1));
        assert_eq!(guest.pread(fd, 1, 0).unwrap(), b"x");
        guest.close(fd).unwrap();
    }
}

#[test]
fn a_read_only_directory_refuses_every_change() {
    let mut guest = Guest::with(|builder, fs| {
        let dir = fs.mkdir(fs.root(), "d").unwrap();
        let file = fs.create(dir, "f").unwrap();
        fs.write(file, 0, b"fixed").unwrap();
        fs.symlink(dir, "l", "f").unwrap();
        fs.mkdir(dir, "e").unwrap();
        builder.preopen("/ro", fs.clone(), dir, Access::ReadOnly).preopen(
            "/rw",
            fs.clone(),
            dir,
            Access::ReadWrite,
        )
    });
    let (ro, rw) = (3, 4);
    let fd = guest.open(ro, 0, "f", 0, READ, 0).unwrap();
    assert_eq!(guest.read(fd, 9).unwrap(), b"fixed");
    assert_eq!(guest.readlink(ro, "l", 9).unwrap(), b"f");
    guest.open(ro, 0, "f", CREAT, READ, 0).unwrap();
    guest.call("fd_sync", &[fd.into()]).unwrap();
    assert_eq!(guest.open(ro, 0, "f", 0, READ | WRITE, 0), Err(ROFS));
    assert_eq!(guest.open(ro, 0, "f", TRUNC, READ, 0), Err(ROFS));
    assert_eq!(guest.open(ro, 0, "new", CREAT, READ, 0), Err(ROFS));
    assert_eq!(guest.mkdir(ro, "new"), Err(ROFS));
    assert_eq!(guest.rmdir(ro, "e"), Err(ROFS));
    assert_eq!(guest.unlink(ro, "f"), Err(ROFS));
    assert_eq!(guest.symlink("f", ro, "new"), Err(ROFS));
    assert_eq!(guest.link(ro, 0, "f", ro, "new"), Err(ROFS));
    assert_eq!(guest.rename(ro, "f", ro, "new"), Err(ROFS));
    assert_eq!(guest.call("fd_filestat_set_times", &[fd.into(), 1, 1, 5]), Err(ROFS));
    // The same directory is writable by another way in, but nothing leads from this view to that one.
    assert_eq!(guest.link(ro, 0, "f", rw, "new"), Err(XDEV));
    assert_eq!(guest.rename(ro, "f", rw, "new"), Err(XDEV));
    assert_eq!(guest.rename(rw, "f", ro, "new"), Err(XDEV));
    assert_eq!(guest.stat(rw, 0, "f").unwrap().size, 5);
}
