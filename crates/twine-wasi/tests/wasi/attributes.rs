//! Sizes, times, types.

use crate::guest::*;

const NOW: u64 = 1_700_000_000_000_000_000;

#[test]
fn a_file_has_all_of_them() {
    let mut guest = Guest::new();
    let fd = guest.create("f");
    guest.write(fd, b"hello world!!").unwrap();
    let stat = guest.filestat(fd).unwrap();
    assert_eq!(stat.size, 13);
    assert_eq!((stat.filetype, stat.nlink, stat.dev), (4, 1, 1));
    assert_eq!((stat.atim, stat.mtim, stat.ctim), (NOW, NOW, NOW));
    assert_eq!(guest.stat(ROOT, 0, "f").unwrap(), stat);
    assert_eq!(guest.filestat(ROOT).unwrap().filetype, 3);
    for stream in 0..3 {
        let zero = Filestat { dev: 0, ino: 0, filetype: 0, nlink: 0, size: 0, atim: 0, mtim: 0, ctim: 0 };
        assert_eq!(guest.filestat(stream).unwrap(), zero);
    }
    assert_eq!(guest.filestat(99), Err(BADF));
}

#[test]
fn writing_moves_the_times() {
    let mut guest = Guest::new();
    let fd = guest.create("f");
    guest.host.with(|host| host.realtime = NOW + 5);
    guest.write(fd, b"x").unwrap();
    let stat = guest.filestat(fd).unwrap();
    assert_eq!((stat.atim, stat.mtim, stat.ctim), (NOW, NOW + 5, NOW + 5));
    guest.host.with(|host| host.realtime = NOW + 9);
    guest.file("g", b"");
    assert_eq!(guest.filestat(ROOT).unwrap().mtim, NOW + 9, "a new name changes its directory");
    guest.link(ROOT, 0, "f", ROOT, "h").unwrap();
    assert_eq!(guest.filestat(fd).unwrap().ctim, NOW + 9);
}

#[test]
fn times_are_set_as_the_flags_say() {
    let [atim, atim_now, mtim, mtim_now] = [1, 2, 4, 8];
    let mut guest = Guest::new();
    let fd = guest.create("f");
    for (flags, expected) in [
        (0, (NOW, NOW)),
        (atim, (5, NOW)),
        (mtim, (5, 6)),
        (atim | mtim, (5, 6)),
        (atim_now, (NOW + 1, 6)),
        (atim | mtim_now, (5, NOW + 1)),
    ] {
        guest.host.with(|host| host.realtime = NOW + 1);
        guest.call("fd_filestat_set_times", &[fd.into(), 5, 6, flags]).unwrap();
        let stat = guest.filestat(fd).unwrap();
        assert_eq!((stat.atim, stat.mtim), expected, "{flags}");
    }
    for flags in [atim | atim_now, mtim | mtim_now, 16, 15] {
        assert_eq!(guest.call("fd_filestat_set_times", &[fd.into(), 7, 7, flags]), Err(INVAL));
        guest.put(0x1000, b"f");
        let by_path = [ROOT.into(), 0, 0x1000, 1, 7, 7, flags];
        assert_eq!(guest.call("path_filestat_set_times", &by_path), Err(INVAL));
    }
    assert_eq!(guest.filestat(fd).unwrap().mtim, NOW + 1, "untouched by what was refused");
    for fd in [0, 1, 2, 99] {
        assert_eq!(guest.call("fd_filestat_set_times", &[fd, 7, 7, 5]), Err(BADF));
    }
    guest.call("fd_filestat_set_times", &[ROOT.into(), 7, 8, 5]).unwrap();
    assert_eq!(guest.filestat(ROOT).unwrap().mtim, 8);
}

#[test]
fn a_link_has_times_of_its_own() {
    let mut guest = Guest::new();
    guest.file("f", b"");
    guest.symlink("f", ROOT, "l").unwrap();
    guest.put(0x1000, b"l");
    guest.call("path_filestat_set_times", &[ROOT.into(), 0, 0x1000, 1, 5, 6, 5]).unwrap();
    assert_eq!(guest.stat(ROOT, 0, "l").unwrap().mtim, 6);
    assert_eq!(guest.stat(ROOT, 0, "f").unwrap().mtim, NOW);
    guest.put(0x1000, b"l");
    guest.call("path_filestat_set_times", &[ROOT.into(), 1, 0x1000, 1, 15, 16, 5]).unwrap();
    assert_eq!(guest.stat(ROOT, 0, "l").unwrap().mtim, 6);
    assert_eq!(guest.stat(ROOT, FOLLOW, "l").unwrap().mtim, 16);
    assert_eq!(guest.stat(ROOT, 2, "l"), Err(INVAL));
}
