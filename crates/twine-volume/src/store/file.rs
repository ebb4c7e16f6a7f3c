//! A store in one file of the host.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};
use rustix::io::Errno;

use super::{ReadAt, Store, StoreError, WriteAt};

/// Most pieces that one system call takes (IOV_MAX on Linux is 1024).
const IOV: usize = 128;

/// One locked file.
pub struct FileStore {
    file: File,
    punches: bool,
}

impl FileStore {
    /// Opens an existing file. Writers exclude everyone else, readers exclude writers.
    pub fn open(path: &Path, write: bool) -> Result<Self, StoreError> {
        let file = File::options().read(true).write(write).open(path).map_err(|e| failed("open", &e))?;
        Self::locked(file, write)
    }

    /// Creates a new file and makes its name durable; an existing one is an error.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|e| failed("create", &e))?;
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent).and_then(|dir| dir.sync_all()).map_err(|e| failed("sync of the folder", &e))?;
        Self::locked(file, true)
    }

    fn locked(file: File, write: bool) -> Result<Self, StoreError> {
        let how = if write {
            FlockOperation::NonBlockingLockExclusive
        } else {
            FlockOperation::NonBlockingLockShared
        };
        match flock(&file, how) {
            Ok(()) => Ok(FileStore { file, punches: true }),
            Err(Errno::WOULDBLOCK) => Err(StoreError::InUse),
            Err(errno) => Err(errno_failed("lock", errno)),
        }
    }
}

impl AsFd for FileStore {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn failed(operation: &'static str, error: &std::io::Error) -> StoreError {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(errno) => errno_failed(operation, errno),
        None => StoreError::Failed { operation, code: 0 },
    }
}

fn errno_failed(operation: &'static str, errno: Errno) -> StoreError {
    match errno {
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => StoreError::NoSpace,
        _ => StoreError::Failed { operation, code: errno.raw_os_error() },
    }
}

/// How many pieces from `first` on follow one another in the store.
fn run_length(mut place: impl FnMut(usize) -> Option<(u64, usize)>) -> usize {
    let Some((mut end, len)) = place(0) else { return 0 };
    end += len as u64;
    let mut n = 1;
    while n < IOV
        && let Some((offset, len)) = place(n)
        && offset == end
    {
        end += len as u64;
        n += 1;
    }
    n
}

impl Store for FileStore {
    fn length(&mut self) -> Result<u64, StoreError> {
        Ok(self.file.metadata().map_err(|e| failed("stat", &e))?.len())
    }

    fn read(&mut self, mut pieces: &mut [ReadAt<'_>]) -> Result<(), StoreError> {
        while let Some(first) = pieces.first() {
            let mut offset = first.offset;
            let n = run_length(|i| pieces.get(i).map(|p| (p.offset, p.buf.len())));
            let (run, rest) = pieces.split_at_mut(n);
            let mut slices: Vec<_> = run.iter_mut().map(|p| IoSliceMut::new(p.buf)).collect();
            let mut left = slices.as_mut_slice();
            while !left.is_empty() {
                match rustix::io::preadv(&self.file, left, offset) {
                    Ok(0) => {
                        left.iter_mut().for_each(|slice| slice.fill(0));
                        break;
                    }
                    Ok(got) => {
                        offset += got as u64;
                        IoSliceMut::advance_slices(&mut left, got);
                    }
                    Err(Errno::INTR) => {}
                    Err(errno) => return Err(errno_failed("read", errno)),
                }
            }
            pieces = rest;
        }
        Ok(())
    }

    fn write(&mut self, mut pieces: &[WriteAt<'_>]) -> Result<(), StoreError> {
        while let Some(first) = pieces.first() {
            let mut offset = first.offset;
            let n = run_length(|i| pieces.get(i).map(|p| (p.offset, p.bytes.len())));
            let mut slices: Vec<_> = pieces.iter().take(n).map(|p| IoSlice::new(p.bytes)).collect();
            let mut left = slices.as_mut_slice();
            while !left.is_empty() {
                match rustix::io::pwritev(&self.file, left, offset) {
                    Ok(0) => return Err(StoreError::Failed { operation: "write", code: 0 }),
                    Ok(put) => {
                        offset += put as u64;
                        IoSlice::advance_slices(&mut left, put);
                    }
                    Err(Errno::INTR) => {}
                    Err(errno) => return Err(errno_failed("write", errno)),
                }
            }
            pieces = pieces.get(n..).unwrap_or_default();
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(|e| failed("sync", &e))
    }

    fn allocate(&mut self, offset: u64, len: u64) -> Result<(), StoreError> {
        match fallocate(&self.file, FallocateFlags::empty(), offset, len) {
            Ok(()) => Ok(()),
            // A file system without allocation: the length at least; running full then shows at a write.
            Err(Errno::OPNOTSUPP) => {
                let end = offset.saturating_add(len);
                if self.length()? < end {
                    self.file.set_len(end).map_err(|e| failed("extend", &e))?;
                }
                Ok(())
            }
            Err(errno) => Err(errno_failed("allocate", errno)),
        }
    }

    fn punch(&mut self, offset: u64, len: u64) -> Result<(), StoreError> {
        if !self.punches {
            return Ok(());
        }
        match fallocate(&self.file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, len) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP) => {
                self.punches = false;
                Ok(())
            }
            Err(errno) => Err(errno_failed("punch", errno)),
        }
    }

    fn truncate(&mut self, len: u64) -> Result<(), StoreError> {
        self.file.set_len(len).map_err(|e| failed("truncate", &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_does_what_the_trait_says() {
        let path = std::env::temp_dir().join(format!("twine-volume-file-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let mut store = FileStore::create(&path).expect("create");
        assert!(FileStore::create(&path).is_err(), "an existing file is kept");
        store.allocate(0, 1 << 20).expect("allocate");
        assert_eq!(store.length(), Ok(1 << 20));
        let (a, b) = (vec![1; 5000], vec![2; 300]);
        // Pieces that follow one another, one elsewhere, and one over the first.
        let pieces = [(0, &a[..]), (5000, &b[..]), (1 << 19, &b[..]), (10, &b[..])];
        store.write(&pieces.map(|(offset, bytes)| WriteAt { offset, bytes })).expect("write");
        store.sync().expect("sync");
        let (mut head, mut next, mut far, mut past) = ([9; 5000], [9; 300], [9; 400], [9; 64]);
        let mut wanted = [
            ReadAt { offset: 0, buf: &mut head },
            ReadAt { offset: 5000, buf: &mut next },
            ReadAt { offset: 1 << 19, buf: &mut far },
            ReadAt { offset: (1 << 20) - 10, buf: &mut past },
        ];
        store.read(&mut wanted).expect("read");
        assert!(head[..10] == [1; 10] && head[10..310] == [2; 300] && head[310..] == [1; 4690]);
        assert!(next == [2; 300] && far[..300] == [2; 300] && far[300..] == [0; 100] && past == [0; 64]);
        store.punch(0, 4096).expect("punch");
        store.truncate(8192).expect("truncate");
        assert_eq!(store.length(), Ok(8192));
        let mut after = [9; 8192];
        store.read(&mut [ReadAt { offset: 0, buf: &mut after }]).expect("read");
        assert!(after[4096..5000] == [1; 904] && after[5000..5300] == [2; 300]);
        std::fs::remove_file(&path).expect("remove");
    }
}
