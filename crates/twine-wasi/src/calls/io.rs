//! Reading, writing and moving within what is open.

use crate::abi::{ADVICE_COUNT, FdFlags, Rights, Whence};
use crate::context::WasiCtx;
use crate::descriptor::{Descriptor, File};
use crate::end::Outcome;
use crate::errno::Errno;
use crate::memory::{GuestMemory, aligned};
use crate::stdio::Stream;

/// Largest offset: off_t of wasi-libc is signed.
const OFFSET_MAX: u64 = i64::MAX as u64;

/// An array of buffers in linear memory, `iovec` or `ciovec`, of which at most 4 GiB - 1 are used by one call.
struct Buffers {
    array: u32,
    count: u32,
}

impl Buffers {
    fn new(array: u32, count: u32) -> Outcome<Buffers> {
        if count > 0 {
            aligned(array, 4)?;
        }
        Ok(Buffers { array, count })
    }

    /// Calls `each` with address and length of every buffer that isn't empty until one is done in part or fails;
    /// a failure after some progress is a short count, as in readv(2) and writev(2).
    fn transfer(
        &self,
        memory: &mut GuestMemory<'_>,
        mut each: impl FnMut(&mut GuestMemory<'_>, u32, u32, u32) -> Outcome<u32>,
    ) -> Outcome<u32> {
        let mut total: u32 = 0;
        for index in 0..self.count {
            let (address, len) = memory.iovec(self.array, index)?;
            let len = len.min(u32::MAX - total);
            if len == 0 {
                continue;
            }
            match each(memory, address, len, total) {
                Ok(done) => {
                    total += done.min(len);
                    if done < len {
                        break;
                    }
                }
                Err(crate::end::Failure::Errno(_)) if total > 0 => break,
                Err(failure) => return Err(failure),
            }
        }
        Ok(total)
    }
}

impl File {
    fn read(&self, memory: &mut GuestMemory<'_>, buffers: &Buffers, offset: u64) -> Outcome<u32> {
        if !self.rights.contains(Rights::FD_READ) {
            return Err(Errno::BADF.into());
        }
        if self.flags.has(FdFlags::RSYNC) && self.flags.has(FdFlags(FdFlags::SYNC.0 | FdFlags::DSYNC.0)) {
            self.sync_as_asked()?;
        }
        buffers.transfer(memory, |memory, address, len, done| {
            let buf = memory.bytes_mut(address, len)?;
            let read = self.handle.fs.read(self.handle.ino, offset.saturating_add(done.into()), buf)?;
            Ok(read.min(len as usize) as u32)
        })
    }

    /// Writes at `offset`, or at the end whatever the offset if the descriptor appends (pwrite(2) on Linux does so
    /// too). Answers the count and, if it appended, the new size.
    fn write(
        &self,
        memory: &mut GuestMemory<'_>,
        buffers: &Buffers,
        offset: u64,
    ) -> Outcome<(u32, Option<u64>)> {
        if !self.rights.contains(Rights::FD_WRITE) {
            return Err(Errno::BADF.into());
        }
        let append = self.flags.has(FdFlags::APPEND);
        let mut end = None;
        let total = buffers.transfer(memory, |memory, address, len, done| {
            let buf = memory.bytes(address, len)?;
            if append {
                end = Some(self.handle.fs.append(self.handle.ino, buf)?);
            } else {
                let at = offset.checked_add(done.into()).ok_or(Errno::FBIG)?;
                self.handle.fs.write(self.handle.ino, at, buf)?;
            }
            Ok(len)
        })?;
        if total > 0 && self.flags.has(FdFlags(FdFlags::SYNC.0 | FdFlags::DSYNC.0)) {
            self.sync_as_asked()?;
        }
        Ok((total, end))
    }

    fn sync_as_asked(&self) -> Outcome {
        let data_only = !self.flags.has(FdFlags::SYNC);
        Ok(self.handle.fs.sync(self.handle.ino, data_only)?)
    }
}

pub(crate) fn fd_read(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    nread: u32,
) -> Outcome {
    let buffers = Buffers::new(iovs, iovs_len)?;
    let count = match ctx.table.get_mut(fd)? {
        Descriptor::File(file) => {
            let count = file.read(memory, &buffers, file.position)?;
            file.position = file.position.saturating_add(count.into());
            count
        }
        Descriptor::Stream(Stream::Stdin) => {
            // A prompt must be on the screen before the program waits for the answer.
            ctx.stdio.settle();
            let stdin = &mut ctx.stdio.stdin;
            let result = buffers.transfer(memory, |memory, address, len, done| {
                if done > 0 {
                    return Ok(0); // A second read could block although there is something to return.
                }
                let buf = memory.bytes_mut(address, len)?;
                Ok(stdin.read(buf).map_err(Errno::from)?.min(len as usize) as u32)
            });
            ctx.check_stop()?;
            result?
        }
        Descriptor::Stream(_) | Descriptor::Directory(_) => return Err(Errno::BADF.into()),
    };
    Ok(memory.write_u32(nread, count)?)
}

pub(crate) fn fd_pread(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nread: u32,
) -> Outcome {
    let buffers = Buffers::new(iovs, iovs_len)?;
    let count = match ctx.table.get(fd)? {
        Descriptor::File(file) => {
            let file = file.must(Rights::FD_SEEK)?;
            if offset > OFFSET_MAX {
                return Err(Errno::INVAL.into());
            }
            file.read(memory, &buffers, offset)?
        }
        Descriptor::Stream(Stream::Stdin) => return Err(Errno::SPIPE.into()),
        Descriptor::Stream(_) | Descriptor::Directory(_) => return Err(Errno::BADF.into()),
    };
    Ok(memory.write_u32(nread, count)?)
}

pub(crate) fn fd_write(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    nwritten: u32,
) -> Outcome {
    let buffers = Buffers::new(iovs, iovs_len)?;
    let count = match ctx.table.get_mut(fd)? {
        Descriptor::File(file) => {
            let (count, end) = file.write(memory, &buffers, file.position)?;
            file.position = end.unwrap_or(file.position.saturating_add(count.into()));
            count
        }
        Descriptor::Stream(stream @ (Stream::Stdout | Stream::Stderr)) => {
            let (stream, stdio) = (*stream, &mut ctx.stdio);
            buffers.transfer(memory, |memory, address, len, _| {
                let buf = memory.bytes(address, len)?;
                match stream {
                    Stream::Stderr => stdio.write_stderr(buf).map_err(Errno::from)?,
                    _ => stdio.write_stdout(buf).map_err(Errno::from)?,
                }
                Ok(len)
            })?
        }
        Descriptor::Stream(Stream::Stdin) | Descriptor::Directory(_) => return Err(Errno::BADF.into()),
    };
    Ok(memory.write_u32(nwritten, count)?)
}

pub(crate) fn fd_pwrite(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nwritten: u32,
) -> Outcome {
    let buffers = Buffers::new(iovs, iovs_len)?;
    let count = match ctx.table.get(fd)? {
        Descriptor::File(file) => {
            let file = file.must(Rights::FD_SEEK)?;
            if offset > OFFSET_MAX {
                return Err(Errno::INVAL.into());
            }
            file.write(memory, &buffers, offset)?.0
        }
        Descriptor::Stream(Stream::Stdout | Stream::Stderr) => return Err(Errno::SPIPE.into()),
        Descriptor::Stream(Stream::Stdin) | Descriptor::Directory(_) => return Err(Errno::BADF.into()),
    };
    Ok(memory.write_u32(nwritten, count)?)
}

pub(crate) fn fd_seek(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    offset: i64,
    whence: u32,
    position: u32,
) -> Outcome {
    let whence = Whence::parse(whence)?;
    let file = ctx.table.seekable(fd)?;
    // Asking for the position needs only the right to tell.
    let right = if (offset, whence) == (0, Whence::Cur) { Rights::FD_TELL } else { Rights::FD_SEEK };
    file.must(right)?;
    let base = match whence {
        Whence::Set => 0,
        Whence::Cur => file.position,
        Whence::End => file.handle.fs.stat(file.handle.ino)?.size,
    };
    let target = base.checked_add_signed(offset).filter(|&target| target <= OFFSET_MAX);
    let target = target.ok_or(Errno::INVAL)?;
    memory.write_u64(position, target)?;
    file.position = target;
    Ok(())
}

pub(crate) fn fd_tell(ctx: &mut WasiCtx, memory: &mut GuestMemory<'_>, fd: u32, position: u32) -> Outcome {
    let file = ctx.table.seekable(fd)?.must(Rights::FD_TELL)?;
    Ok(memory.write_u64(position, file.position)?)
}

pub(crate) fn fd_sync(ctx: &mut WasiCtx, _: &mut GuestMemory<'_>, fd: u32) -> Outcome {
    sync(ctx, fd, Rights::FD_SYNC, false)
}

pub(crate) fn fd_datasync(ctx: &mut WasiCtx, _: &mut GuestMemory<'_>, fd: u32) -> Outcome {
    sync(ctx, fd, Rights::FD_DATASYNC, true)
}

fn sync(ctx: &mut WasiCtx, fd: u32, right: Rights, data_only: bool) -> Outcome {
    let handle = match ctx.table.get(fd)? {
        Descriptor::File(file) => &file.must(right)?.handle,
        Descriptor::Directory(directory) => &directory.must(right)?.handle,
        Descriptor::Stream(Stream::Stdin) => return Err(Errno::BADF.into()),
        Descriptor::Stream(_) => return Ok(ctx.stdio.flush().map_err(Errno::from)?),
    };
    Ok(handle.fs.sync(handle.ino, data_only)?)
}

/// Advice changes nothing here, but it is checked.
pub(crate) fn fd_advise(
    ctx: &mut WasiCtx,
    _: &mut GuestMemory<'_>,
    fd: u32,
    offset: u64,
    len: u64,
    advice: u32,
) -> Outcome {
    if advice >= ADVICE_COUNT {
        return Err(Errno::INVAL.into());
    }
    ctx.table.file(fd)?.must(Rights::FD_ADVISE)?;
    if offset > OFFSET_MAX || len > OFFSET_MAX { Err(Errno::INVAL.into()) } else { Ok(()) }
}

pub(crate) fn fd_allocate(
    ctx: &mut WasiCtx,
    _: &mut GuestMemory<'_>,
    fd: u32,
    offset: u64,
    len: u64,
) -> Outcome {
    let file = ctx.table.file(fd)?.must(Rights::FD_ALLOCATE)?;
    if len == 0 || offset > OFFSET_MAX || len > OFFSET_MAX {
        return Err(Errno::INVAL.into());
    }
    offset.checked_add(len).filter(|&end| end <= OFFSET_MAX).ok_or(Errno::FBIG)?;
    Ok(file.handle.fs.allocate(file.handle.ino, offset, len)?)
}
