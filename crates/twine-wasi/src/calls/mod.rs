//! The functions, grouped by what they work on. Each takes the context, the caller's memory and the raw parameters.

#![allow(clippy::too_many_arguments, reason = "they have the parameters that WASI gives them")]

use crate::abi::Rights;
use crate::context::WasiCtx;
use crate::descriptor::Handle;
use crate::end::Outcome;
use crate::memory::GuestMemory;
use crate::resolve::{Follow, Resolved, resolve};

pub(crate) mod attributes;
pub(crate) mod descriptors;
pub(crate) mod directories;
pub(crate) mod io;
pub(crate) mod paths;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod sockets;
pub(crate) mod startup;

/// Walks a path of the program below a directory that must have `right`.
fn walk<'a>(
    ctx: &'a WasiCtx,
    memory: &'a GuestMemory<'_>,
    fd: u32,
    right: Rights,
    path: (u32, u32),
    follow: Follow,
) -> Outcome<(&'a Handle, Resolved<'a>)> {
    let handle = &ctx.table.directory(fd)?.must(right)?.handle;
    let place = resolve(&*handle.fs, handle.ino, memory.text(path.0, path.1)?, follow)?;
    Ok((handle, place))
}
