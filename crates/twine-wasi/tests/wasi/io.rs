//! Reading, writing, positions, sizes.

use crate::guest::*;

const HUGE: u64 = 1 << 63;

#[test]
fn positions_follow_reads_and_writes() {
    let mut guest = Guest::new();
    let fd = guest.create("f");
    assert_eq!(guest.tell(fd), Ok(0));
    assert_eq!(guest.write(fd, &[7; 100]), Ok(100));
    assert_eq!(guest.tell(fd), Ok(100));
    assert_eq!(guest.seek(fd, -50, CUR), Ok(50));
    assert_eq!(guest.read(fd, 100).unwrap(), [7; 50]);
    assert_eq!(guest.tell(fd), Ok(100));
    assert_eq!(guest.read(fd, 100).unwrap(), []);
    assert_eq!(guest.seek(fd, 0, SET), Ok(0));
    assert_eq!(guest.seek(fd, 1000, CUR), Ok(1000), "beyond the end is no error");
    assert_eq!(guest.read(fd, 1).unwrap(), []);
    assert_eq!(guest.seek(fd, -2, END), Ok(98));
    assert_eq!(guest.filestat(fd).unwrap().size, 100, "seeking does not grow");
}

#[test]
fn a_position_below_zero_or_beyond_off_t_is_refused_and_not_taken() {
    let mut guest = Guest::new();
    let fd = guest.create("f");
    guest.write(fd, b"hello").unwrap();
    for (offset, whence) in
        [(-1, SET), (-6, CUR), (-6, END), (i64::MAX, CUR), (i64::MAX, END), (i64::MIN, CUR)]
    {
        assert_eq!(guest.seek(fd, offset, whence), Err(INVAL), "{offset} {whence}");
        assert_eq!(guest.tell(fd), Ok(5));
    }
    assert_eq!(guest.seek(fd, 0, 3), Err(INVAL), "no such whence");
    assert_eq!(guest.seek(fd, i64::MAX, SET), Ok(i64::MAX as u64));
    assert_eq!(guest.read(fd, 10).unwrap(), []);
    assert_eq!(guest.write(fd, b"x"), Err(FBIG));
}

#[test]
fn streams_have_no_position_and_directories_no_contents() {
    let mut guest = Guest::new();
    for stream in 0..3 {
        assert_eq!(guest.seek(stream, 0, CUR), Err(SPIPE));
        assert_eq!(guest.tell(stream), Err(SPIPE));
    }
    assert_eq!(guest.pread(0, 1, 0), Err(SPIPE));
    assert_eq!(guest.pread(1, 1, 0), Err(BADF));
    assert_eq!(guest.pwrite(1, b"x", 0), Err(SPIPE));
    assert_eq!(guest.pwrite(2, b"x", 0), Err(SPIPE));
    assert_eq!(guest.pwrite(0, b"x", 0), Err(BADF));
    assert_eq!(guest.write(0, b"x"), Err(BADF));
    assert_eq!(guest.read(1, 1), Err(BADF));
    for fd in [ROOT, 77] {
        assert_eq!(guest.read(fd, 1), Err(BADF));
        assert_eq!(guest.write(fd, b"x"), Err(BADF));
        assert_eq!(guest.pread(fd, 1, 0), Err(BADF));
        assert_eq!(guest.pwrite(fd, b"x", 0), Err(BADF));
        assert_eq!(guest.seek(fd, 0, CUR), Err(BADF));
        assert_eq!(guest.tell(fd), Err(BADF));
        assert_eq!(guest.call("fd_allocate", &[fd.into(), 0, 1]), Err(BADF));
        assert_eq!(guest.call("fd_advise", &[fd.into(), 0, 1, 0]), Err(BADF));
        assert_eq!(guest.call("fd_filestat_set_size", &[fd.into(), 0]), Err(BADF));
    }
}

#[test]
fn reading_and_writing_need_to_be_asked_for() {
    let mut guest = Guest::new();
    guest.file("f", b"hello");
    let reader = guest.open(ROOT, 0, "f", 0, READ, 0).unwrap();
    let writer = guest.open(ROOT, 0, "f", 0, WRITE, 0).unwrap();
    let neither = guest.open(ROOT, 0, "f", 0, 0, 0).unwrap();
    for fd in [reader, neither] {
        assert_eq!(guest.write(fd, b"x"), Err(BADF));
        assert_eq!(guest.pwrite(fd, b"x", 0), Err(BADF));
        assert_eq!(guest.call("fd_filestat_set_size", &[fd.into(), 0]), Err(NOTCAPABLE));
        assert_eq!(guest.call("fd_allocate", &[fd.into(), 0, 1]), Err(NOTCAPABLE));
    }
    for fd in [writer, neither] {
        assert_eq!(guest.read(fd, 1), Err(BADF));
        assert_eq!(guest.pread(fd, 1, 0), Err(BADF));
    }
    assert_eq!(guest.read(reader, 9).unwrap(), b"hello");
    assert_eq!(guest.write(writer, b"J"), Ok(1));
    assert_eq!(guest.pread(reader, 9, 0).unwrap(), b"Jello");
}

#[test]
fn positioned_calls_leave_the_position() {
    let mut guest = Guest::new();
    let fd = guest.create("f");
    assert_eq!(guest.pwrite(fd, b"abc", 5), Ok(3));
    assert_eq!(guest.tell(fd), Ok(0));
    assert_eq!(guest.pread(fd, 10, 0).unwrap(), b"\0\0\0\0\0abc", "a gap reads as zero");
    assert_eq!(guest.pread(fd, 10, 7).unwrap(), b"c");
    assert_eq!(guest.pread(fd, 10, 8).unwrap(), b"", "at the end: zero, not an error");
    assert_eq!(guest.pread(fd, 10, 100).unwrap(), b"");
    assert_eq!(guest.tell(fd), Ok(0));
    assert_eq!(guest.pread(fd, 1, HUGE), Err(INVAL));
    assert_eq!(guest.pwrite(fd, b"x", HUGE), Err(INVAL));
    assert_eq!(guest.pwrite(fd, b"x", HUGE - 1), Err(FBIG));
}

#[test]
fn appending_ignores_the_position() {
    let mut guest = Guest::new();
    guest.file("f", b"AAAAAA");
    let fd = guest.open(ROOT, 0, "f", 0, READ | WRITE, APPEND).unwrap();
    assert_eq!(guest.write(fd, b"bb"), Ok(2));
    assert_eq!(guest.tell(fd), Ok(8), "the position is after what was appended");
    guest.seek(fd, 0, SET).unwrap();
    assert_eq!(guest.writev(fd, b"cdef", &[1, 3]), Ok(4));
    assert_eq!(guest.pwrite(fd, b"!", 0), Ok(1), "pwrite(2) on Linux appends too");
    assert_eq!(guest.tell(fd), Ok(12));
    assert_eq!(guest.pread(fd, 50, 0).unwrap(), b"AAAAAAbbcdef!");
    guest.call("fd_fdstat_set_flags", &[fd.into(), 0]).unwrap();
    guest.seek(fd, 0, SET).unwrap();
    assert_eq!(guest.write(fd, b"zz"), Ok(2));
    assert_eq!(guest.pread(fd, 50, 0).unwrap(), b"zzAAAAbbcdef!");
}

#[test]
fn two_descriptors_of_one_file_see_each_other() {
    let mut guest = Guest::new();
    let one = guest.create("f");
    let two = guest.create("f");
    guest.write(one, b"first").unwrap();
    assert_eq!(guest.read(two, 9).unwrap(), b"first");
    assert_eq!(guest.write(two, b" second"), Ok(7));
    assert_eq!(guest.read(one, 20).unwrap(), b" second");
}

#[test]
fn an_unlinked_file_lives_until_it_is_closed() {
    let mut guest = Guest::new();
    let fd = guest.create("f");
    guest.write(fd, b"still").unwrap();
    guest.unlink(ROOT, "f").unwrap();
    assert_eq!(guest.open(ROOT, 0, "f", 0, READ, 0), Err(NOENT));
    assert_eq!(guest.filestat(fd).unwrap().nlink, 0);
    assert_eq!(guest.pread(fd, 9, 0).unwrap(), b"still");
    guest.close(fd).unwrap();
}

#[test]
fn vectors_are_filled_and_emptied_in_order() {
    let mut guest = Guest::new();
    let fd = guest.create("f");
    assert_eq!(guest.writev(fd, b"hello world", &[0, 5, 0, 1, 5]), Ok(11));
    guest.seek(fd, 0, SET).unwrap();
    assert_eq!(guest.readv(fd, &[3, 0, 4, 100]).unwrap(), b"hello world");
    assert_eq!(guest.tell(fd), Ok(11));
    assert_eq!(guest.readv(fd, &[]).unwrap(), b"");
    assert_eq!(guest.writev(fd, b"", &[]), Ok(0));
    // No buffer, no pointer: a pointer to nothing may be anything.
    guest.call("fd_write", &[fd.into(), 3, 0, 64]).unwrap();
}

#[test]
fn sizes_change_both_ways() {
    let mut guest = Guest::new();
    let fd = guest.create("f");
    guest.write(fd, b"hello world").unwrap();
    let set = |guest: &mut Guest, size| guest.call("fd_filestat_set_size", &[fd.into(), size]);
    set(&mut guest, 3).unwrap();
    assert_eq!(guest.pread(fd, 20, 0).unwrap(), b"hel");
    set(&mut guest, 6).unwrap();
    assert_eq!(guest.pread(fd, 20, 0).unwrap(), b"hel\0\0\0", "what was cut does not come back");
    assert_eq!(guest.tell(fd), Ok(11), "the position stays");
    set(&mut guest, 20 << 30).unwrap();
    assert_eq!(guest.filestat(fd).unwrap().size, 20 << 30);
    assert_eq!(guest.pread(fd, 2, (20 << 30) - 2).unwrap(), b"\0\0");
    assert_eq!(set(&mut guest, HUGE), Err(INVAL));
}

#[test]
fn allocating_grows_never_shrinks_and_keeps_the_position() {
    let mut guest = Guest::new();
    let fd = guest.create("f");
    let allocate = |guest: &mut Guest, offset, len| guest.call("fd_allocate", &[fd.into(), offset, len]);
    for (offset, len, size) in [(0, 100, 100), (10, 10, 100), (90, 20, 110)] {
        allocate(&mut guest, offset, len).unwrap();
        assert_eq!(guest.filestat(fd).unwrap().size, size);
    }
    assert_eq!(guest.tell(fd), Ok(0));
    assert_eq!(allocate(&mut guest, 0, 0), Err(INVAL));
    assert_eq!(allocate(&mut guest, HUGE, 1), Err(INVAL));
    assert_eq!(allocate(&mut guest, 0, HUGE), Err(INVAL));
    assert_eq!(allocate(&mut guest, HUGE - 1, HUGE - 1), Err(FBIG));
}

#[test]
fn advice_is_checked_and_changes_nothing() {
    let mut guest = Guest::new();
    let fd = guest.create("f");
    for advice in 0..6 {
        guest.call("fd_advise", &[fd.into(), 10, 50, advice]).unwrap();
    }
    assert_eq!(guest.call("fd_advise", &[fd.into(), 0, 0, 6]), Err(INVAL));
    assert_eq!(guest.call("fd_advise", &[fd.into(), HUGE, 0, 0]), Err(INVAL));
    assert_eq!(guest.filestat(fd).unwrap().size, 0);
}

#[test]
fn files_and_directories_sync() {
    let mut guest = Guest::new();
    let fd = guest.create("f");
    for name in ["fd_sync", "fd_datasync"] {
        for fd in [fd, ROOT, 1, 2] {
            guest.call(name, &[fd.into()]).unwrap();
        }
        assert_eq!(guest.call(name, &[0]), Err(BADF));
        assert_eq!(guest.call(name, &[99]), Err(BADF));
    }
}
