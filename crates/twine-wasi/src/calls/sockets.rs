//! Sockets: none can be open, so every descriptor is the wrong kind or none at all.

use crate::abi::{FD_FLAGS, RI_FLAGS, SD_FLAGS};
use crate::context::WasiCtx;
use crate::end::Outcome;
use crate::errno::Errno;
use crate::memory::GuestMemory;

fn refuse(ctx: &WasiCtx, fd: u32, flags: u32, known: u32) -> Outcome {
    if flags & !known != 0 {
        return Err(Errno::INVAL.into());
    }
    ctx.table.get(fd)?;
    Err(Errno::NOTSOCK.into())
}

pub(crate) fn sock_accept(
    ctx: &mut WasiCtx,
    _: &mut GuestMemory<'_>,
    fd: u32,
    flags: u32,
    _: u32,
) -> Outcome {
    refuse(ctx, fd, flags, FD_FLAGS)
}

pub(crate) fn sock_recv(
    ctx: &mut WasiCtx,
    _: &mut GuestMemory<'_>,
    fd: u32,
    _iovs: u32,
    _iovs_len: u32,
    ri_flags: u32,
    _nread: u32,
    _ro_flags: u32,
) -> Outcome {
    refuse(ctx, fd, ri_flags, RI_FLAGS)
}

pub(crate) fn sock_send(
    ctx: &mut WasiCtx,
    _: &mut GuestMemory<'_>,
    fd: u32,
    _iovs: u32,
    _iovs_len: u32,
    _si_flags: u32,
    _nwritten: u32,
) -> Outcome {
    refuse(ctx, fd, 0, 0)
}

pub(crate) fn sock_shutdown(ctx: &mut WasiCtx, _: &mut GuestMemory<'_>, fd: u32, how: u32) -> Outcome {
    refuse(ctx, fd, how, SD_FLAGS)
}
