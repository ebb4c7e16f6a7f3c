//! Listing, creating and removing directories.

use twine_vfs::{DirEntry, FileType, Ino};

use super::walk;
use crate::abi::{Filetype, Rights, SIZE_DIRENT};
use crate::context::WasiCtx;
use crate::end::Outcome;
use crate::errno::Errno;
use crate::memory::{GuestMemory, Record};
use crate::resolve::{Follow, Last};

/// `.` and `..` come first and have the cookies 1 and 2; the file system's own follow, moved by as much.
const DOTS: u64 = 2;

pub(crate) fn fd_readdir(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    buf: u32,
    buf_len: u32,
    cookie: u64,
    used: u32,
) -> Outcome {
    let handle = &ctx.table.directory(fd)?.must(Rights::FD_READDIR)?.handle;
    let mut listing = Listing { buf: memory.bytes_mut(buf, buf_len)?, used: 0 };
    let dots = [(1, "."), (2, "..")].into_iter().filter(|&(next, _)| next > cookie);
    let mut room = true;
    for (next, name) in dots {
        // What is above is not this descriptor's to know: both stand for the directory itself, as in Wasmtime.
        room = room && listing.add(next, name, handle.ino, FileType::Directory);
    }
    if room {
        handle.fs.readdir(handle.ino, cookie.saturating_sub(DOTS), &mut |entry: DirEntry<'_>| {
            listing.add(entry.cookie.saturating_add(DOTS), entry.name, entry.ino, entry.file_type)
        })?;
    }
    let count = listing.used as u32;
    Ok(memory.write_u32(used, count)?)
}

/// Entries one after the other, the last one cut where the buffer ends: a full buffer tells that there is more.
struct Listing<'a> {
    buf: &'a mut [u8],
    used: usize,
}

impl Listing<'_> {
    /// Whether there is room for more.
    fn add(&mut self, next: u64, name: &str, ino: Ino, file_type: FileType) -> bool {
        let header = Record::<SIZE_DIRENT>::new()
            .put(0, next.to_le_bytes())
            .put(8, ino.0.to_le_bytes())
            .put(16, (name.len() as u32).to_le_bytes())
            .put(20, [Filetype::from(file_type).0]);
        self.push(header.as_bytes()) && self.push(name.as_bytes())
    }

    fn push(&mut self, bytes: &[u8]) -> bool {
        let left = &mut self.buf[self.used..];
        let len = bytes.len().min(left.len());
        left[..len].copy_from_slice(&bytes[..len]);
        self.used += len;
        self.used < self.buf.len()
    }
}

pub(crate) fn path_create_directory(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Outcome {
    let (handle, place) =
        walk(ctx, memory, fd, Rights::PATH_CREATE_DIRECTORY, (path, path_len), Follow::Never)?;
    match place.last {
        Last::Name { dir, name } if place.found.is_none() => {
            handle.fs.mkdir(dir, &name)?;
            Ok(())
        }
        _ => Err(Errno::EXIST.into()),
    }
}

pub(crate) fn path_remove_directory(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Outcome {
    let (handle, place) =
        walk(ctx, memory, fd, Rights::PATH_REMOVE_DIRECTORY, (path, path_len), Follow::Never)?;
    match place.last {
        // A directory cannot be removed by a name that is not its own.
        Last::Dot | Last::DotDot => Err(Errno::INVAL.into()),
        Last::Name { dir, name } => Ok(handle.fs.rmdir(dir, &name)?),
    }
}
