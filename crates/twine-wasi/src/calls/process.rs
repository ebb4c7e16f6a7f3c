//! Clocks, randomness, and the process itself.

use crate::abi::{ClockId, SIGNAL_COUNT};
use crate::context::WasiCtx;
use crate::end::Outcome;
use crate::errno::Errno;
use crate::memory::GuestMemory;

/// The clocks of processor time are BADF, as in Wasmtime: an enclave cannot know how much it was given.
pub(crate) fn clock_res_get(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    id: u32,
    resolution: u32,
) -> Outcome {
    let value = match ClockId::parse(id)? {
        ClockId::Realtime => ctx.clock()?.realtime_resolution(),
        ClockId::Monotonic => ctx.clock()?.monotonic_resolution(),
        ClockId::ProcessCpu | ClockId::ThreadCpu => return Err(Errno::BADF.into()),
    };
    Ok(memory.write_u64(resolution, value)?)
}

pub(crate) fn clock_time_get(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    id: u32,
    _precision: u64,
    time: u32,
) -> Outcome {
    let value = match ClockId::parse(id)? {
        ClockId::Realtime => ctx.clock()?.realtime(),
        ClockId::Monotonic => ctx.clock()?.monotonic(),
        ClockId::ProcessCpu | ClockId::ThreadCpu => return Err(Errno::BADF.into()),
    };
    Ok(memory.write_u64(time, value)?)
}

pub(crate) fn random_get(ctx: &mut WasiCtx, memory: &mut GuestMemory<'_>, buf: u32, buf_len: u32) -> Outcome {
    ctx.random.fill(memory.bytes_mut(buf, buf_len)?);
    Ok(())
}

pub(crate) fn proc_raise(_: &mut WasiCtx, _: &mut GuestMemory<'_>, signal: u32) -> Outcome {
    Err(if signal < SIGNAL_COUNT { Errno::NOTSUP } else { Errno::INVAL }.into())
}

/// There is nothing to yield to.
pub(crate) fn sched_yield(_: &mut WasiCtx, _: &mut GuestMemory<'_>) -> Outcome {
    Ok(())
}
