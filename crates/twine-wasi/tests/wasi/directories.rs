//! Listing, creating and removing directories.

use std::collections::BTreeSet;

use crate::guest::*;

#[test]
fn dots_come_first_and_cookies_continue() {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "dir").unwrap();
    guest.file("dir/file", b"");
    guest.symlink("file", ROOT, "dir/link").unwrap();
    let dir = guest.open(ROOT, 0, "dir", DIRECTORY, READ, 0).unwrap();
    let (entries, full) = guest.readdir(dir, 1000, 0).unwrap();
    assert!(!full);
    let mut listed: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.filetype)).collect();
    listed[2..].sort(); // The order is the file system's own.
    assert_eq!(listed, [(".", 3), ("..", 3), ("file", 4), ("link", 7)]);
    assert_eq!(entries[0].ino, guest.filestat(dir).unwrap().ino);
    let file = entries.iter().find(|entry| entry.name == "file").unwrap();
    assert_eq!(file.ino, guest.stat(ROOT, 0, "dir/file").unwrap().ino);
    for (index, entry) in entries.iter().enumerate() {
        assert_eq!(guest.readdir(dir, 1000, entry.next).unwrap().0, entries[index + 1..]);
    }
    assert_eq!(guest.readdir(dir, 1000, u64::MAX).unwrap(), (vec![], false));
}

#[test]
fn an_entry_is_cut_where_the_buffer_ends() {
    let mut guest = Guest::new();
    guest.file("a-file", b"");
    let whole = {
        guest.call("fd_readdir", &[ROOT.into(), 0x8000, 1000, 0, 64]).unwrap();
        guest.bytes(0x8000, guest.u32(64))
    };
    assert_eq!(whole.len(), 24 * 3 + 1 + 2 + 6);
    for room in 0..=whole.len() as u32 {
        guest.put(0x8000, &[0xaa; 200]);
        guest.call("fd_readdir", &[ROOT.into(), 0x8000, room.into(), 0, 64]).unwrap();
        assert_eq!(guest.u32(64), room, "a full buffer says that there is more");
        assert_eq!(guest.bytes(0x8000, room), whole[..room as usize]);
        assert_eq!(guest.bytes(0x8000 + room, 8), [0xaa; 8], "and nothing beyond it is touched");
    }
}

#[test]
fn many_entries_are_listed_once_each() {
    let mut guest = Guest::new();
    for index in 0..1000 {
        let fd = guest.create(&format!("file.{index}"));
        guest.close(fd).unwrap();
    }
    let mut names = Vec::new();
    let mut cookie = 0;
    loop {
        let (entries, full) = guest.readdir(ROOT, 256, cookie).unwrap();
        cookie = entries.last().map_or(cookie, |entry| entry.next);
        names.extend(entries.into_iter().map(|entry| entry.name));
        if !full {
            break;
        }
    }
    assert_eq!(names.len(), 1002);
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 1002);
}

#[test]
fn what_stays_is_listed_while_the_rest_goes() {
    let mut guest = Guest::new();
    for index in 0..300 {
        guest.file(&format!("{}{index}", if index % 3 == 0 { "keep" } else { "drop" }), b"");
    }
    let mut kept = BTreeSet::new();
    let mut cookie = 0;
    loop {
        let (entries, full) = guest.readdir(ROOT, 200, cookie).unwrap();
        for entry in &entries {
            if entry.name.starts_with("drop") {
                guest.unlink(ROOT, &entry.name).unwrap();
            } else {
                assert!(kept.insert(entry.name.clone()), "{} came twice", entry.name);
            }
        }
        cookie = entries.last().map_or(cookie, |entry| entry.next);
        if !full {
            break;
        }
    }
    assert_eq!(kept.len(), 100 + 2);
    assert_eq!(guest.readdir(ROOT, 1 << 15, 0).unwrap().0.len(), 100 + 2);
}

#[test]
fn only_directories_are_listed() {
    let mut guest = Guest::new();
    let file = guest.create("f");
    for fd in [0, file, 99] {
        assert_eq!(guest.readdir(fd, 100, 0), Err(BADF));
    }
}

#[test]
fn creating() {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "d").unwrap();
    guest.mkdir(ROOT, "d/e/").unwrap();
    guest.symlink("nope", ROOT, "dangling").unwrap();
    guest.file("f", b"");
    for taken in ["d", "d/", ".", "d/.", "d/..", "f", "f/", "dangling", "dangling/", "d/e"] {
        assert_eq!(guest.mkdir(ROOT, taken), Err(EXIST), "{taken}");
    }
    assert_eq!(guest.mkdir(ROOT, "x/y"), Err(NOENT));
    assert_eq!(guest.mkdir(ROOT, "f/y"), Err(NOTDIR));
    assert_eq!(guest.mkdir(ROOT, ""), Err(NOENT));
    assert_eq!(guest.mkdir(ROOT, "n".repeat(255)), Ok(()));
    assert_eq!(guest.mkdir(ROOT, "n".repeat(256)), Err(NAMETOOLONG));
}

#[test]
fn removing() {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "d").unwrap();
    guest.mkdir(ROOT, "d/e").unwrap();
    guest.file("f", b"");
    guest.symlink("d/e", ROOT, "link").unwrap();
    assert_eq!(guest.rmdir(ROOT, "d"), Err(NOTEMPTY));
    assert_eq!(guest.rmdir(ROOT, "d/"), Err(NOTEMPTY));
    assert_eq!(guest.rmdir(ROOT, "f"), Err(NOTDIR));
    assert_eq!(guest.rmdir(ROOT, "f/"), Err(NOTDIR));
    assert_eq!(guest.rmdir(ROOT, "link"), Err(NOTDIR));
    assert_eq!(guest.rmdir(ROOT, "link/"), Err(NOTDIR), "a link's target is not removed by the link");
    assert_eq!(guest.rmdir(ROOT, "nope"), Err(NOENT));
    assert_eq!(guest.rmdir(ROOT, "."), Err(INVAL));
    assert_eq!(guest.rmdir(ROOT, "d/."), Err(INVAL));
    assert_eq!(guest.rmdir(ROOT, "d/.."), Err(INVAL));
    assert_eq!(guest.rmdir(ROOT, ".."), Err(PERM));
    guest.rmdir(ROOT, "d/e/").unwrap();
    guest.rmdir(ROOT, "d").unwrap();
}

#[test]
fn a_removed_directory_that_is_open_is_empty_and_takes_nothing() {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "d").unwrap();
    let fd = guest.open(ROOT, 0, "d", DIRECTORY, READ, 0).unwrap();
    guest.rmdir(ROOT, "d").unwrap();
    assert_eq!(guest.mkdir(fd, "x"), Err(NOENT));
    assert_eq!(guest.open(fd, 0, "x", CREAT, WRITE, 0), Err(NOENT));
    assert_eq!(guest.readdir(fd, 100, 0).unwrap().0.len(), 2);
    assert_eq!(guest.filestat(fd).unwrap().nlink, 0);
}
