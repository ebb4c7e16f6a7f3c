//! Waiting for clocks and descriptors.

use crate::abi::{
    ClockId, EVENT_CLOCK, EVENT_FD_READ, EVENT_FD_WRITE, EVENT_HANGUP, SIZE_EVENT, SIZE_SUBSCRIPTION,
    SubclockFlags,
};
use crate::context::WasiCtx;
use crate::descriptor::Descriptor;
use crate::end::Outcome;
use crate::errno::Errno;
use crate::memory::{GuestMemory, Record, aligned};
use crate::stdio::Stream;

/// One subscription, looked at.
enum Awaited {
    /// Monotonic time of the event.
    Deadline(u64),
    /// Standard input.
    Stdin,
    /// A regular file to read: bytes that are left.
    Readable(u64),
    /// A regular file or an output stream: never blocks here.
    Writable,
}

/// Both clocks when the call began: relative times and the realtime clock are turned into monotonic ones once. Zero
/// where the program has no clock.
struct Began {
    monotonic: u64,
    realtime: u64,
}

fn now(ctx: &WasiCtx) -> u64 {
    ctx.clock().map_or(0, |clock| clock.monotonic())
}

/// Nothing is allocated: the subscriptions stay where they are and are read before and after the wait.
pub(crate) fn poll_oneoff(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    subscriptions: u32,
    events: u32,
    count: u32,
    nevents: u32,
) -> Outcome {
    if count == 0 {
        return Err(Errno::INVAL.into()); // Nothing would ever end the wait.
    }
    aligned(subscriptions, 8)?;
    aligned(events, 8)?;
    memory.element(events, count - 1, SIZE_EVENT)?;
    let realtime = ctx.clock().map_or(0, |clock| clock.realtime());
    let began = Began { monotonic: now(ctx), realtime };
    let mut deadline = None;
    let mut stdin = false;
    let mut ready = false;
    for index in 0..count {
        match look(ctx, memory, subscriptions, index, &began)? {
            Awaited::Deadline(time) if time <= began.monotonic => ready = true,
            Awaited::Deadline(time) => deadline = Some(deadline.map_or(time, |first: u64| first.min(time))),
            Awaited::Stdin => stdin = true,
            Awaited::Readable(_) | Awaited::Writable => ready = true,
        }
    }
    let stdin_ready = wait(ctx, deadline, stdin, ready, began.monotonic)?;
    let now = now(ctx);
    let mut written = 0;
    for index in 0..count {
        let (kind, bytes, hangup) = match look(ctx, memory, subscriptions, index, &began)? {
            Awaited::Deadline(time) if time <= now => (EVENT_CLOCK, 0, false),
            Awaited::Stdin if stdin_ready => (EVENT_FD_READ, 1, false),
            Awaited::Readable(left) => (EVENT_FD_READ, left, left == 0),
            Awaited::Writable => (EVENT_FD_WRITE, 1, false),
            Awaited::Deadline(_) | Awaited::Stdin => continue,
        };
        let userdata = memory.read_u64(memory.element(subscriptions, index, SIZE_SUBSCRIPTION)?)?;
        let event = Record::<{ SIZE_EVENT as usize }>::new()
            .put(0, userdata.to_le_bytes())
            .put(8, Errno::SUCCESS.raw().to_le_bytes())
            .put(10, [kind])
            .put(16, u64::to_le_bytes(bytes))
            .put(24, if hangup { EVENT_HANGUP } else { 0 }.to_le_bytes());
        let at = memory.element(events, written, SIZE_EVENT)?;
        memory.write_record(at, 8, &event)?;
        written += 1;
    }
    Ok(memory.write_u32(nevents, written)?)
}

/// Returns when there is something to report; whether standard input is part of it.
fn wait(ctx: &mut WasiCtx, deadline: Option<u64>, stdin: bool, ready: bool, began: u64) -> Outcome<bool> {
    if ready {
        let look_only = Some(began);
        return Ok(stdin && ctx.waiter.wait(look_only, true).stdin_ready);
    }
    // What the program printed must be on the screen before it waits.
    ctx.stdio.settle();
    loop {
        let woken = ctx.waiter.wait(deadline, stdin);
        ctx.check_stop()?;
        let due = deadline.is_some_and(|time| time <= now(ctx));
        if due || (stdin && woken.stdin_ready) {
            return Ok(stdin && woken.stdin_ready);
        }
    }
}

fn look(
    ctx: &WasiCtx,
    memory: &GuestMemory<'_>,
    subscriptions: u32,
    index: u32,
    began: &Began,
) -> Outcome<Awaited> {
    let at = memory.element(subscriptions, index, SIZE_SUBSCRIPTION)?;
    let tag = memory.read_u8(at + 8)?;
    if tag == EVENT_CLOCK {
        let clock = ClockId::parse(memory.read_u32(at + 16)?)?;
        ctx.clock()?;
        let timeout = memory.read_u64(at + 24)?;
        let flags = SubclockFlags::parse(memory.read_u16(at + 40)?.into())?;
        let absolute = flags.has(SubclockFlags::ABSTIME);
        let deadline = match clock {
            ClockId::Monotonic if absolute => timeout,
            ClockId::Realtime if absolute => {
                began.monotonic.saturating_add(timeout.saturating_sub(began.realtime))
            }
            ClockId::Monotonic | ClockId::Realtime => began.monotonic.saturating_add(timeout),
            ClockId::ProcessCpu | ClockId::ThreadCpu => return Err(Errno::INVAL.into()),
        };
        return Ok(Awaited::Deadline(deadline));
    }
    let descriptor = match tag {
        EVENT_FD_READ | EVENT_FD_WRITE => ctx.table.get(memory.read_u32(at + 16)?)?,
        _ => return Err(Errno::INVAL.into()),
    };
    match (descriptor, tag) {
        (Descriptor::Stream(Stream::Stdin), EVENT_FD_READ) => Ok(Awaited::Stdin),
        (Descriptor::Stream(Stream::Stdout | Stream::Stderr), EVENT_FD_WRITE) => Ok(Awaited::Writable),
        (Descriptor::File(file), EVENT_FD_READ) => {
            let size = file.handle.fs.stat(file.handle.ino)?.size;
            Ok(Awaited::Readable(size.saturating_sub(file.position)))
        }
        (Descriptor::File(_), _) => Ok(Awaited::Writable),
        (Descriptor::Stream(_) | Descriptor::Directory(_), _) => Err(Errno::BADF.into()),
    }
}
