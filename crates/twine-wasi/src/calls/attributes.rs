//! Sizes and times, by descriptor and by path.

use twine_vfs::{SetTime, Stat, Times};

use super::walk;
use crate::abi::{Filetype, FstFlags, LookupFlags, Rights, SIZE_FILESTAT};
use crate::context::WasiCtx;
use crate::descriptor::{Descriptor, Handle};
use crate::end::Outcome;
use crate::errno::Errno;
use crate::memory::{GuestMemory, Record};
use crate::resolve::Follow;

type Filestat = Record<{ SIZE_FILESTAT as usize }>;

fn filestat(stat: &Stat, device: u64) -> Filestat {
    Record::new()
        .put(0, device.to_le_bytes())
        .put(8, stat.ino.0.to_le_bytes())
        .put(16, [Filetype::from(stat.file_type).0])
        .put(24, stat.links.to_le_bytes())
        .put(32, stat.size.to_le_bytes())
        .put(40, stat.accessed.to_le_bytes())
        .put(48, stat.modified.to_le_bytes())
        .put(56, stat.changed.to_le_bytes())
}

fn times(atim: u64, mtim: u64, raw_flags: u32) -> Result<Times, Errno> {
    let flags = FstFlags::parse(raw_flags)?;
    let choose = |set, now, time| match (flags.has(set), flags.has(now)) {
        (true, true) => Err(Errno::INVAL),
        (true, false) => Ok(SetTime::At(time)),
        (false, true) => Ok(SetTime::Now),
        (false, false) => Ok(SetTime::Keep),
    };
    Ok(Times {
        accessed: choose(FstFlags::ATIM, FstFlags::ATIM_NOW, atim)?,
        modified: choose(FstFlags::MTIM, FstFlags::MTIM_NOW, mtim)?,
    })
}

pub(super) fn follow(raw_flags: u32) -> Result<Follow, Errno> {
    let flags = LookupFlags::parse(raw_flags)?;
    Ok(if flags.has(LookupFlags::SYMLINK_FOLLOW) { Follow::Always } else { Follow::OnSlash })
}

pub(crate) fn fd_filestat_get(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    stat: u32,
) -> Outcome {
    let Handle { fs, ino, device } = match ctx.table.get(fd)? {
        Descriptor::Stream(stream) => {
            // All zero but for the type: the host's stream has nothing to tell.
            let record = Filestat::new().put(16, [ctx.stdio.filetype(*stream).0]);
            return Ok(memory.write_record(stat, 8, &record)?);
        }
        Descriptor::File(file) => &file.must(Rights::FD_FILESTAT_GET)?.handle,
        Descriptor::Directory(directory) => &directory.must(Rights::FD_FILESTAT_GET)?.handle,
    };
    Ok(memory.write_record(stat, 8, &filestat(&fs.stat(*ino)?, *device))?)
}

pub(crate) fn fd_filestat_set_size(
    ctx: &mut WasiCtx,
    _: &mut GuestMemory<'_>,
    fd: u32,
    size: u64,
) -> Outcome {
    let Handle { fs, ino, .. } = &ctx.table.file(fd)?.must(Rights::FD_FILESTAT_SET_SIZE)?.handle;
    if size > i64::MAX as u64 {
        return Err(Errno::INVAL.into());
    }
    Ok(fs.set_size(*ino, size)?)
}

pub(crate) fn fd_filestat_set_times(
    ctx: &mut WasiCtx,
    _: &mut GuestMemory<'_>,
    fd: u32,
    atim: u64,
    mtim: u64,
    fst_flags: u32,
) -> Outcome {
    let times = times(atim, mtim, fst_flags)?;
    let Handle { fs, ino, .. } = match ctx.table.get(fd)? {
        Descriptor::Stream(_) => return Err(Errno::BADF.into()),
        Descriptor::File(file) => &file.must(Rights::FD_FILESTAT_SET_TIMES)?.handle,
        Descriptor::Directory(directory) => &directory.must(Rights::FD_FILESTAT_SET_TIMES)?.handle,
    };
    Ok(fs.set_times(*ino, times)?)
}

pub(crate) fn path_filestat_get(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    flags: u32,
    path: u32,
    path_len: u32,
    stat: u32,
) -> Outcome {
    let follow = follow(flags)?;
    let (handle, place) = walk(ctx, memory, fd, Rights::PATH_FILESTAT_GET, (path, path_len), follow)?;
    let found = filestat(&handle.fs.stat(place.existing()?.0)?, handle.device);
    Ok(memory.write_record(stat, 8, &found)?)
}

pub(crate) fn path_filestat_set_times(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    flags: u32,
    path: u32,
    path_len: u32,
    atim: u64,
    mtim: u64,
    fst_flags: u32,
) -> Outcome {
    let (follow, times) = (follow(flags)?, times(atim, mtim, fst_flags)?);
    let (handle, place) = walk(ctx, memory, fd, Rights::PATH_FILESTAT_SET_TIMES, (path, path_len), follow)?;
    Ok(handle.fs.set_times(place.existing()?.0, times)?)
}
