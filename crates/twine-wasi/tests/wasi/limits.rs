//! What a program sees of a file system that is full.

use std::sync::Arc;

use twine_vfs::{FileSystem, MemFs, MemLimits};
use twine_wasi::Access;

use crate::guest::*;

#[test]
fn a_failure_after_some_progress_is_a_short_count() {
    let fs = Arc::new(MemFs::new(MemLimits { bytes: 8200, inodes: 10 }, || 0));
    let mut guest = Guest::with(|builder, _| builder.preopen("/", fs.clone(), fs.root(), Access::ReadWrite));
    let fd = guest.create("f");
    assert_eq!(guest.writev(fd, &[1; 12288], &[4096, 4096, 4096]), Ok(8192));
    assert_eq!(guest.tell(fd), Ok(8192));
    assert_eq!(guest.write(fd, b"x"), Err(NOSPC));
    assert_eq!(guest.filestat(fd).unwrap().size, 8192, "nothing of a failed write stays");
    assert_eq!(guest.mkdir(ROOT, "a long enough name"), Err(NOSPC));
    assert_eq!(guest.call("fd_allocate", &[fd.into(), 0, 1 << 40]), Err(NOSPC));
    guest.call("fd_filestat_set_size", &[fd.into(), 20 << 30]).unwrap();
    guest.unlink(ROOT, "f").unwrap();
    assert_eq!(fs.inodes_used(), 2, "still open");
    guest.close(fd).unwrap();
    assert_eq!((fs.inodes_used(), fs.bytes_used()), (1, 0));
}
