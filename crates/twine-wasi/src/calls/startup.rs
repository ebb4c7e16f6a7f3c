//! What a program reads before `main`: arguments, environment, preopened directories.

use crate::abi::SIZE_PRESTAT;
use crate::context::WasiCtx;
use crate::descriptor::Descriptor;
use crate::end::Outcome;
use crate::errno::Errno;
use crate::memory::{GuestMemory, Record};

pub(crate) fn args_get(ctx: &mut WasiCtx, memory: &mut GuestMemory<'_>, argv: u32, argv_buf: u32) -> Outcome {
    ctx.args.copy(memory, argv, argv_buf)
}

pub(crate) fn args_sizes_get(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    argc: u32,
    size: u32,
) -> Outcome {
    ctx.args.sizes(memory, argc, size)
}

pub(crate) fn environ_get(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    environ: u32,
    environ_buf: u32,
) -> Outcome {
    ctx.env.copy(memory, environ, environ_buf)
}

pub(crate) fn environ_sizes_get(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    count: u32,
    size: u32,
) -> Outcome {
    ctx.env.sizes(memory, count, size)
}

fn preopen(ctx: &WasiCtx, fd: u32) -> Result<Option<&str>, Errno> {
    match ctx.table.get(fd)? {
        Descriptor::Directory(directory) => Ok(directory.preopen.as_deref()),
        Descriptor::Stream(_) | Descriptor::File(_) => Ok(None),
    }
}

/// BADF ends the loop in which C libraries look for preopens.
pub(crate) fn fd_prestat_get(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    prestat: u32,
) -> Outcome {
    let path = preopen(ctx, fd)?.ok_or(Errno::BADF)?;
    let len = u32::try_from(path.len()).map_err(|_| Errno::OVERFLOW)?;
    // The tag at offset 0 is 0: a directory, the only kind.
    let record = Record::<{ SIZE_PRESTAT as usize }>::new().put(4, len.to_le_bytes());
    Ok(memory.write_record(prestat, 4, &record)?)
}

pub(crate) fn fd_prestat_dir_name(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Outcome {
    let name = preopen(ctx, fd)?.ok_or(Errno::NOTDIR)?;
    if name.len() > path_len as usize {
        return Err(Errno::NAMETOOLONG.into());
    }
    Ok(memory.write_bytes(path, name.as_bytes())?)
}
