//! Paths, and the calls that make, move and remove names.

use twine_wasi::Access;

use crate::guest::*;

/// d/, d/e/, d/g, f, and links of every kind.
fn tree() -> Guest {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "d").unwrap();
    guest.mkdir(ROOT, "d/e").unwrap();
    guest.file("f", b"file");
    guest.file("d/g", b"inner");
    for (target, link) in [
        ("f", "lf"),
        ("d", "ld"),
        ("d/", "ld-slash"),
        ("f/", "lf-slash"),
        ("nope", "dangling"),
        ("loop", "loop"),
        ("..", "up"),
        ("../f", "d/back"),
        ("../../f", "d/escape"),
        (".", "dot"),
    ] {
        guest.symlink(target, ROOT, link).unwrap();
    }
    guest
}

#[test]
fn paths_lead_where_posix_says() {
    let mut guest = tree();
    for (path, size) in [
        ("f", 4),
        ("./f", 4),
        ("d/../f", 4),
        ("d/.//e/../../d/e/../g", 5),
        ("d//g", 5),
        ("ld/g", 5),
        ("ld-slash/g", 5),
        ("ld/../f", 4),
        ("d/back", 4),
        ("dot/dot/dot/f", 4),
        ("lf", 4),
    ] {
        assert_eq!(guest.stat(ROOT, FOLLOW, path).map(|stat| stat.size), Ok(size), "{path}");
    }
    for (path, errno) in [
        ("", NOENT),
        ("/", PERM),
        ("/f", PERM),
        ("..", PERM),
        ("../f", PERM),
        ("d/../..", PERM),
        ("d/../../root/f", PERM),
        ("up", PERM),
        ("up/f", PERM),
        ("d/escape", PERM),
        ("f/", NOTDIR),
        ("f//", NOTDIR),
        ("f/.", NOTDIR),
        ("f/..", NOTDIR),
        ("f/x", NOTDIR),
        ("lf/", NOTDIR),
        ("lf/x", NOTDIR),
        ("lf-slash", NOTDIR),
        ("nope", NOENT),
        ("nope/", NOENT),
        ("nope/x", NOENT),
        ("nope/..", NOENT),
        ("dangling", NOENT),
        ("dangling/x", NOENT),
        ("loop", LOOP),
        ("loop/x", LOOP),
        ("f\0", INVAL),
        ("\0", INVAL),
    ] {
        assert_eq!(guest.stat(ROOT, FOLLOW, path).map(|stat| stat.size), Err(errno), "{path:?}");
        assert_eq!(guest.open(ROOT, FOLLOW, path, 0, READ, 0), Err(errno), "{path:?}");
    }
    for bad in [&b"\xff"[..], b"d/\xc3", b"\xed\xa0\x80"] {
        assert_eq!(guest.open(ROOT, 0, bad, CREAT, WRITE, 0), Err(ILSEQ));
        assert_eq!(guest.mkdir(ROOT, bad), Err(ILSEQ));
        assert_eq!(guest.symlink(bad, ROOT, "new"), Err(ILSEQ));
    }
}

#[test]
fn the_last_link_is_an_object_unless_a_slash_follows() {
    let mut guest = tree();
    assert_eq!(guest.stat(ROOT, 0, "ld").unwrap().filetype, 7);
    assert_eq!(guest.stat(ROOT, 0, "ld/").unwrap().filetype, 3);
    assert_eq!(guest.stat(ROOT, 0, "dangling").unwrap().filetype, 7);
    assert_eq!(guest.stat(ROOT, 0, "dangling/"), Err(NOENT));
    assert_eq!(guest.stat(ROOT, 0, "loop/"), Err(LOOP));
    assert_eq!(guest.stat(ROOT, 0, "lf/"), Err(NOTDIR));
}

#[test]
fn lengths_have_limits() {
    let mut guest = tree();
    assert_eq!(guest.stat(ROOT, 0, &"n".repeat(256)), Err(NAMETOOLONG));
    assert_eq!(guest.stat(ROOT, 0, &"n".repeat(255)), Err(NOENT));
    let longest = format!("{}f", "./".repeat(2047));
    assert_eq!(longest.len(), 4095);
    assert_eq!(guest.stat(ROOT, 0, &longest).unwrap().size, 4);
    assert_eq!(guest.stat(ROOT, 0, &format!("{longest}f")), Err(NAMETOOLONG));
    assert_eq!(guest.symlink("x".repeat(4095), ROOT, "long"), Ok(()));
    assert_eq!(guest.symlink("x".repeat(4096), ROOT, "longer"), Err(NAMETOOLONG));
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let mut guest = Guest::new();
    guest.file("l0", b"end");
    for index in 1..=41 {
        guest.symlink(format!("l{}", index - 1), ROOT, format!("l{index}")).unwrap();
    }
    assert_eq!(guest.stat(ROOT, FOLLOW, "l40").unwrap().size, 3);
    assert_eq!(guest.stat(ROOT, FOLLOW, "l41"), Err(LOOP));
}

#[test]
fn a_directory_is_the_ceiling_of_its_own_descriptor() {
    let mut guest = tree();
    let dir = guest.open(ROOT, 0, "d", DIRECTORY, READ, 0).unwrap();
    assert_eq!(guest.stat(dir, 0, "e/../g").unwrap().size, 5);
    assert_eq!(guest.stat(dir, 0, "../f"), Err(PERM));
    assert_eq!(guest.stat(dir, FOLLOW, "back"), Err(PERM), "a link is no way up either");
    assert_eq!(guest.open(dir, 0, "..", DIRECTORY, READ, 0), Err(PERM));
}

#[test]
fn links_share_an_inode() {
    let mut guest = tree();
    guest.link(ROOT, 0, "f", ROOT, "d/h").unwrap();
    let (old, new) = (guest.stat(ROOT, 0, "f").unwrap(), guest.stat(ROOT, 0, "d/h").unwrap());
    assert_eq!((old, old.nlink), (new, 2));
    guest.unlink(ROOT, "f").unwrap();
    assert_eq!(guest.stat(ROOT, 0, "d/h").unwrap().nlink, 1);
    // A link to a link, dangling or looping, is one to the link itself.
    for link in ["dangling", "loop", "ld"] {
        guest.link(ROOT, 0, link, ROOT, "new").unwrap();
        assert_eq!(guest.stat(ROOT, 0, "new").unwrap().filetype, 7);
        guest.unlink(ROOT, "new").unwrap();
    }
    guest.link(ROOT, FOLLOW, "d/back", ROOT, "new").unwrap_err();
    guest.link(ROOT, 0, "d/g", ROOT, "f").unwrap();
    guest.link(ROOT, FOLLOW, "d/back", ROOT, "new").unwrap();
    assert_eq!(guest.stat(ROOT, 0, "new").unwrap().filetype, 4);
}

#[test]
fn links_that_cannot_be() {
    let mut guest = tree();
    for (old, new, errno) in [
        ("f", "f", EXIST),
        ("f", "d", EXIST),
        ("f", "d/", EXIST),
        ("f", "dangling", EXIST),
        ("f", "d/g/", NOTDIR),
        ("f", "new/", NOENT),
        ("f", "no/new", NOENT),
        ("f", ".", EXIST),
        ("f", "", NOENT),
        ("f", "/new", PERM),
        ("f/", "new", NOTDIR),
        ("d", "new", PERM),
        ("ld/", "new", PERM),
        ("nope", "new", NOENT),
        ("../f", "new", PERM),
    ] {
        assert_eq!(guest.link(ROOT, 0, old, ROOT, new), Err(errno), "{old} {new}");
    }
    assert_eq!(guest.link(ROOT, FOLLOW, "dangling", ROOT, "new"), Err(NOENT));
    assert_eq!(guest.link(ROOT, FOLLOW, "ld", ROOT, "new"), Err(PERM));
    assert_eq!(guest.link(ROOT, 2, "f", ROOT, "new"), Err(INVAL));
    assert_eq!(guest.link(ROOT, 0, "f", 1, "new"), Err(BADF));
    assert_eq!(guest.link(1, 0, "f", ROOT, "new"), Err(BADF));
}

#[test]
fn symbolic_links_that_cannot_be() {
    let mut guest = tree();
    for (target, link, errno) in [
        ("x", "f", EXIST),
        ("x", "d", EXIST),
        ("x", "d/", EXIST),
        ("x", "f/", NOTDIR),
        ("x", "new/", NOENT),
        ("x", "dangling", EXIST),
        ("x", "no/new", NOENT),
        ("x", ".", EXIST),
        ("x", "", NOENT),
        ("x", "/new", PERM),
        ("", "new", NOENT),
        ("/", "new", PERM),
        ("/f", "new", PERM),
        ("x\0", "new", INVAL),
    ] {
        assert_eq!(guest.symlink(target, ROOT, link), Err(errno), "{target} {link}");
    }
    assert_eq!(guest.symlink("../outside", ROOT, "new"), Ok(()), "it may say so, it leads nowhere");
    assert_eq!(guest.open(ROOT, FOLLOW, "new", 0, READ, 0), Err(PERM));
}

#[test]
fn reading_links() {
    let mut guest = tree();
    guest.put(0x8000, &[0xaa; 16]);
    assert_eq!(guest.readlink(ROOT, "dangling", 10).unwrap(), b"nope");
    assert_eq!(guest.bytes(0x8004, 4), [0xaa; 4], "no NUL, nothing beyond");
    assert_eq!(guest.readlink(ROOT, "dangling", 2).unwrap(), b"no", "cut without an error");
    assert_eq!(guest.readlink(ROOT, "dangling", 0).unwrap(), b"");
    assert_eq!(guest.readlink(ROOT, "f", 10), Err(INVAL));
    assert_eq!(guest.readlink(ROOT, "d", 10), Err(INVAL));
    assert_eq!(guest.readlink(ROOT, "nope", 10), Err(NOENT));
    assert_eq!(guest.readlink(ROOT, "ld/", 10), Err(INVAL));
}

#[test]
fn unlinking() {
    let mut guest = tree();
    for (path, errno) in [
        ("d", ISDIR),
        ("d/", ISDIR),
        (".", ISDIR),
        ("d/..", ISDIR),
        ("f/", NOTDIR),
        ("lf/", NOTDIR),
        ("ld/", ISDIR),
        ("nope", NOENT),
        ("nope/", NOENT),
        ("dangling/", NOENT),
        ("", NOENT),
        ("..", PERM),
        ("/f", PERM),
    ] {
        assert_eq!(guest.unlink(ROOT, path), Err(errno), "{path}");
    }
    for link in ["lf", "ld", "dangling", "loop"] {
        guest.unlink(ROOT, link).unwrap();
    }
    assert_eq!(guest.stat(ROOT, 0, "f").unwrap().size, 4, "only the link is gone");
    guest.unlink(ROOT, "ld-slash/g").unwrap();
    assert_eq!(guest.stat(ROOT, 0, "d/g"), Err(NOENT));
}

#[test]
fn renaming_files() {
    let mut guest = tree();
    guest.rename(ROOT, "f", ROOT, "moved").unwrap();
    assert_eq!(guest.open(ROOT, 0, "f", 0, READ, 0), Err(NOENT));
    assert_eq!(guest.stat(ROOT, 0, "moved").unwrap().size, 4);
    let open = guest.open(ROOT, 0, "d/g", 0, READ, 0).unwrap();
    guest.rename(ROOT, "moved", ROOT, "d/g").unwrap();
    assert_eq!(guest.stat(ROOT, 0, "d/g").unwrap().size, 4, "replaced");
    assert_eq!(guest.read(open, 9).unwrap(), b"inner", "but what was open is still there");
    guest.rename(ROOT, "d/g", ROOT, "d/g").unwrap();
    guest.link(ROOT, 0, "d/g", ROOT, "twin").unwrap();
    guest.rename(ROOT, "d/g", ROOT, "twin").unwrap();
    assert!(guest.stat(ROOT, 0, "d/g").is_ok(), "two names of one file: nothing happens");
    guest.rename(ROOT, "ld", ROOT, "ld2").unwrap();
    assert_eq!(guest.readlink(ROOT, "ld2", 9).unwrap(), b"d", "a link moves as such");
}

#[test]
fn renaming_directories() {
    let mut guest = tree();
    guest.mkdir(ROOT, "source").unwrap();
    for (from, to) in
        [("source/", "target"), ("target", "source/"), ("source/", "target/"), ("target", "source")]
    {
        guest.rename(ROOT, from, ROOT, to).unwrap();
    }
    guest.mkdir(ROOT, "empty").unwrap();
    guest.rename(ROOT, "source", ROOT, "empty").unwrap();
    assert_eq!(guest.stat(ROOT, 0, "source"), Err(NOENT));
    guest.rename(ROOT, "d", ROOT, "empty").unwrap();
    assert_eq!(guest.stat(ROOT, 0, "empty/g").unwrap().size, 5);
    let dir = guest.open(ROOT, 0, "empty/e", DIRECTORY, READ, 0).unwrap();
    guest.rename(ROOT, "empty/e", ROOT, "e").unwrap();
    guest.rename(ROOT, "empty", dir, "below").unwrap();
    assert_eq!(guest.stat(ROOT, 0, "e/below/g").unwrap().size, 5);
}

#[test]
fn renames_that_cannot_be() {
    let mut guest = tree();
    guest.mkdir(ROOT, "empty").unwrap();
    for (from, to, errno) in [
        ("nope", "new", NOENT),
        ("nope", "f", NOENT),
        ("f", "no/new", NOENT),
        ("f", "d", ISDIR),
        ("f", "empty", ISDIR),
        ("f", "new/", NOTDIR),
        ("f/", "new", NOTDIR),
        ("lf/", "new", NOTDIR),
        ("d", "f", NOTDIR),
        ("d", "lf", NOTDIR),
        ("empty", "d", NOTEMPTY),
        ("d", "d/e/new", INVAL),
        ("d", "d/new", INVAL),
        ("d/e", "d", NOTEMPTY),
        (".", "new", BUSY),
        ("d/.", "new", BUSY),
        ("d/..", "new", BUSY),
        ("f", ".", BUSY),
        ("f", "d/..", BUSY),
        ("..", "new", PERM),
        ("f", "../new", PERM),
        ("f", "", NOENT),
        ("", "new", NOENT),
        ("f", "/new", PERM),
    ] {
        assert_eq!(guest.rename(ROOT, from, ROOT, to), Err(errno), "{from} {to}");
    }
    assert_eq!(guest.rename(ROOT, "f", 1, "new"), Err(BADF));
    assert_eq!(guest.stat(ROOT, 0, "f").unwrap().size, 4);
}

#[test]
fn nothing_moves_between_file_systems() {
    let mut guest = Guest::with(|builder, fs| {
        let other = crate::backing::new(&Shared::default());
        builder
            .preopen("/", fs.clone(), fs.root(), Access::ReadWrite)
            .preopen("/other", other.clone(), other.root(), Access::ReadWrite)
            .preopen("/same", fs.clone(), fs.root(), Access::ReadWrite)
    });
    guest.file("f", b"");
    assert_eq!(guest.rename(ROOT, "f", 4, "f"), Err(XDEV));
    assert_eq!(guest.link(ROOT, 0, "f", 4, "f"), Err(XDEV));
    assert_ne!(guest.filestat(ROOT).unwrap().dev, guest.filestat(4).unwrap().dev);
    guest.rename(ROOT, "f", 5, "g").unwrap();
    assert_eq!(guest.filestat(ROOT).unwrap(), guest.filestat(5).unwrap());
}
