//! What a program sees of a volume that is full.

use std::sync::Arc;

use twine_vfs::FileSystem;
use twine_volume::Options;
use twine_wasi::Access;

use crate::backing::volume;
use crate::guest::*;

#[test]
fn a_full_volume_says_so_and_has_room_again_after_a_removal() {
    let options = Options { max_store_bytes: 16 << 20, ..Options::default() };
    let fs = Arc::new(volume(&Shared::default(), &options));
    let mut guest = Guest::with(|builder, _| builder.preopen("/", fs.clone(), fs.root(), Access::ReadWrite));
    let fill = |guest: &mut Guest, path: &str| {
        let fd = guest.create(path);
        let mut chunks = 0;
        let failure = loop {
            let write = guest.write(fd, &[5; 1 << 15]).and_then(|_| guest.call("fd_sync", &[fd.into()]));
            match write {
                Ok(()) => chunks += 1,
                Err(errno) => break errno,
            }
            assert!(chunks < 1000, "the limit does not hold");
        };
        guest.close(fd).unwrap();
        (chunks, failure)
    };
    let (first, failure) = fill(&mut guest, "a");
    assert_eq!(failure, NOSPC);
    assert!(first > 100, "{first} chunks of 32 KiB in 16 MiB");
    guest.unlink(ROOT, "a").unwrap();
    let (second, failure) = fill(&mut guest, "b");
    assert_eq!(failure, NOSPC);
    assert!(second > first / 2, "{second} after {first}");
    assert_eq!(fs.check().unwrap().len(), 0);
}
