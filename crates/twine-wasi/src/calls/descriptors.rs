//! Descriptors as such: closing, renumbering, flags and rights.

use crate::abi::{FdFlags, Filetype, Rights, SIZE_FDSTAT};
use crate::context::WasiCtx;
use crate::descriptor::Descriptor;
use crate::end::Outcome;
use crate::errno::Errno;
use crate::memory::{GuestMemory, Record};
use crate::stdio::Stream;

pub(crate) fn fd_close(ctx: &mut WasiCtx, _: &mut GuestMemory<'_>, fd: u32) -> Outcome {
    match ctx.table.remove(fd)? {
        Descriptor::Stream(Stream::Stdout) => Ok(ctx.stdio.flush().map_err(Errno::from)?),
        _ => Ok(()),
    }
}

pub(crate) fn fd_renumber(ctx: &mut WasiCtx, _: &mut GuestMemory<'_>, from: u32, to: u32) -> Outcome {
    Ok(ctx.table.renumber(from, to)?)
}

pub(crate) fn fd_fdstat_get(ctx: &mut WasiCtx, memory: &mut GuestMemory<'_>, fd: u32, stat: u32) -> Outcome {
    let (filetype, flags, base, inheriting) = match ctx.table.get(fd)? {
        Descriptor::Stream(stream) => {
            let rights = match stream {
                Stream::Stdin => Rights::FD_READ,
                Stream::Stdout | Stream::Stderr => Rights::FD_WRITE,
            };
            (ctx.stdio.filetype(*stream), FdFlags::NONE, rights, rights)
        }
        Descriptor::File(file) => (Filetype::REGULAR_FILE, file.flags, file.rights, file.inheriting),
        Descriptor::Directory(directory) => {
            (Filetype::DIRECTORY, directory.flags, directory.rights, directory.inheriting)
        }
    };
    let record = Record::<{ SIZE_FDSTAT as usize }>::new()
        .put(0, [filetype.0])
        .put(2, (flags.0 as u16).to_le_bytes())
        .put(8, base.0.to_le_bytes())
        .put(16, inheriting.0.to_le_bytes());
    Ok(memory.write_record(stat, 8, &record)?)
}

/// APPEND and NONBLOCK can change; the flags of durability are chosen at opening (F_SETFL in fcntl(2) ignores them,
/// Wasmtime refuses them; so does this unless they stay as they are).
pub(crate) fn fd_fdstat_set_flags(
    ctx: &mut WasiCtx,
    _: &mut GuestMemory<'_>,
    fd: u32,
    flags: u32,
) -> Outcome {
    let flags = FdFlags::parse(flags)?;
    let Descriptor::File(file) = ctx.table.get_mut(fd)? else {
        return Err(Errno::BADF.into());
    };
    file.must(Rights::FD_FDSTAT_SET_FLAGS)?;
    if (flags.0 ^ file.flags.0) & FdFlags::DURABLE.0 != 0 {
        return Err(Errno::INVAL.into());
    }
    file.flags = flags;
    Ok(())
}

/// Rights only ever shrink.
pub(crate) fn fd_fdstat_set_rights(
    ctx: &mut WasiCtx,
    _: &mut GuestMemory<'_>,
    fd: u32,
    rights_base: u64,
    rights_inheriting: u64,
) -> Outcome {
    let (base, inheriting) = (Rights::parse(rights_base)?, Rights::parse(rights_inheriting)?);
    let (own, passed_on) = match ctx.table.get_mut(fd)? {
        Descriptor::File(file) => (&mut file.rights, &mut file.inheriting),
        Descriptor::Directory(directory) => (&mut directory.rights, &mut directory.inheriting),
        Descriptor::Stream(_) => return Err(Errno::BADF.into()),
    };
    if !own.contains(base) || !passed_on.contains(inheriting) {
        return Err(Errno::NOTCAPABLE.into());
    }
    (*own, *passed_on) = (base, inheriting);
    Ok(())
}
