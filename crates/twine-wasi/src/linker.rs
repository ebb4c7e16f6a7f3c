//! The one list of the 46 functions, from which linking and tracing derive.

use wasmtime::{Caller, Extern, Linker, Memory};

use crate::calls::{attributes, descriptors, directories, io, paths, poll, process, sockets, startup};
use crate::context::WasiCtx;
use crate::end::{Exit, Failure, Fault, Outcome, Stopped};
use crate::errno::Errno;
use crate::memory::GuestMemory;
use crate::trace::{Kind, Signature, TracedCall};

/// The module that programs import from.
pub const MODULE: &str = "wasi_snapshot_preview1";
pub(crate) const MEMORY: &str = "memory";

macro_rules! functions {
    ($($module:ident::$name:ident($($param:ident: $type:ty = $kind:ident),*);)*) => {
        const SIGNATURES: &[Signature] = &[
            $(Signature { name: stringify!($name), params: &[$((stringify!($param), Kind::$kind)),*] },)*
        ];

        /// Links all 46 functions of `wasi_snapshot_preview1`; `get` finds the context in the store's data.
        ///
        /// A call that cannot return to the program fails with [`Exit`], [`Stopped`] or [`Fault`], to be found with
        /// `downcast_ref` on the error that the embedder's own call of the program returns.
        pub fn add_to_linker<T: 'static>(
            linker: &mut Linker<T>,
            get: impl Fn(&mut T) -> &mut WasiCtx + Copy + Send + Sync + 'static,
        ) -> wasmtime::Result<()> {
            let mut signatures = SIGNATURES.iter();
            $(
                let signature = next(&mut signatures)?;
                linker.func_wrap(
                    MODULE,
                    stringify!($name),
                    move |mut caller: Caller<'_, T>, $($param: $type),*| -> wasmtime::Result<u32> {
                        let memory = find_memory(&mut caller, get)?;
                        let (bytes, data) = memory.data_and_store_mut(&mut caller);
                        let (mut memory, ctx) = (GuestMemory::new(bytes), get(data));
                        let outcome = match ctx.check_stop() {
                            Ok(()) => $module::$name(ctx, &mut memory, $($param),*),
                            stopped => stopped,
                        };
                        if ctx.trace.is_some() {
                            trace(ctx, signature, &[$($param as u64),*], &memory, outcome);
                        }
                        returned(outcome)
                    },
                )?;
            )*
            link_proc_exit(linker, get)
        }
    };
}

functions! {
    startup::args_get(argv: u32 = Hex, argv_buf: u32 = Hex);
    startup::args_sizes_get(argc: u32 = Out32, argv_buf_size: u32 = Out32);
    startup::environ_get(environ: u32 = Hex, environ_buf: u32 = Hex);
    startup::environ_sizes_get(count: u32 = Out32, buf_size: u32 = Out32);
    process::clock_res_get(id: u32 = Num, resolution: u32 = Out64);
    process::clock_time_get(id: u32 = Num, precision: u64 = Num, time: u32 = Out64);
    io::fd_advise(fd: u32 = Num, offset: u64 = Num, len: u64 = Num, advice: u32 = Num);
    io::fd_allocate(fd: u32 = Num, offset: u64 = Num, len: u64 = Num);
    descriptors::fd_close(fd: u32 = Num);
    io::fd_datasync(fd: u32 = Num);
    descriptors::fd_fdstat_get(fd: u32 = Num, stat: u32 = Hex);
    descriptors::fd_fdstat_set_flags(fd: u32 = Num, flags: u32 = Hex);
    descriptors::fd_fdstat_set_rights(fd: u32 = Num, rights_base: u64 = Hex, rights_inheriting: u64 = Hex);
    attributes::fd_filestat_get(fd: u32 = Num, stat: u32 = Hex);
    attributes::fd_filestat_set_size(fd: u32 = Num, size: u64 = Num);
    attributes::fd_filestat_set_times(fd: u32 = Num, atim: u64 = Num, mtim: u64 = Num, fst_flags: u32 = Hex);
    io::fd_pread(fd: u32 = Num, iovs: u32 = Hex, iovs_len: u32 = Num, offset: u64 = Num, nread: u32 = Out32);
    startup::fd_prestat_get(fd: u32 = Num, prestat: u32 = Hex);
    startup::fd_prestat_dir_name(fd: u32 = Num, path: u32 = Text, path_len: u32 = Len);
    io::fd_pwrite(fd: u32 = Num, iovs: u32 = Hex, iovs_len: u32 = Num, offset: u64 = Num, nwritten: u32 = Out32);
    io::fd_read(fd: u32 = Num, iovs: u32 = Hex, iovs_len: u32 = Num, nread: u32 = Out32);
    directories::fd_readdir(fd: u32 = Num, buf: u32 = Hex, buf_len: u32 = Num, cookie: u64 = Num, used: u32 = Out32);
    descriptors::fd_renumber(fd: u32 = Num, to: u32 = Num);
    io::fd_seek(fd: u32 = Num, offset: i64 = Signed, whence: u32 = Num, position: u32 = Out64);
    io::fd_sync(fd: u32 = Num);
    io::fd_tell(fd: u32 = Num, position: u32 = Out64);
    io::fd_write(fd: u32 = Num, iovs: u32 = Hex, iovs_len: u32 = Num, nwritten: u32 = Out32);
    directories::path_create_directory(fd: u32 = Num, path: u32 = Text, path_len: u32 = Len);
    attributes::path_filestat_get(
        fd: u32 = Num, flags: u32 = Hex, path: u32 = Text, path_len: u32 = Len, stat: u32 = Hex
    );
    attributes::path_filestat_set_times(
        fd: u32 = Num, flags: u32 = Hex, path: u32 = Text, path_len: u32 = Len,
        atim: u64 = Num, mtim: u64 = Num, fst_flags: u32 = Hex
    );
    paths::path_link(
        old_fd: u32 = Num, old_flags: u32 = Hex, old_path: u32 = Text, old_path_len: u32 = Len,
        new_fd: u32 = Num, new_path: u32 = Text, new_path_len: u32 = Len
    );
    paths::path_open(
        fd: u32 = Num, dirflags: u32 = Hex, path: u32 = Text, path_len: u32 = Len, oflags: u32 = Hex,
        rights_base: u64 = Hex, rights_inheriting: u64 = Hex, fdflags: u32 = Hex, opened: u32 = Out32
    );
    paths::path_readlink(
        fd: u32 = Num, path: u32 = Text, path_len: u32 = Len, buf: u32 = Hex, buf_len: u32 = Num, used: u32 = Out32
    );
    directories::path_remove_directory(fd: u32 = Num, path: u32 = Text, path_len: u32 = Len);
    paths::path_rename(
        fd: u32 = Num, old_path: u32 = Text, old_path_len: u32 = Len,
        new_fd: u32 = Num, new_path: u32 = Text, new_path_len: u32 = Len
    );
    paths::path_symlink(
        old_path: u32 = Text, old_path_len: u32 = Len, fd: u32 = Num, new_path: u32 = Text, new_path_len: u32 = Len
    );
    paths::path_unlink_file(fd: u32 = Num, path: u32 = Text, path_len: u32 = Len);
    poll::poll_oneoff(subscriptions: u32 = Hex, events: u32 = Hex, count: u32 = Num, nevents: u32 = Out32);
    process::proc_raise(signal: u32 = Num);
    process::random_get(buf: u32 = Hex, buf_len: u32 = Num);
    process::sched_yield();
    sockets::sock_accept(fd: u32 = Num, flags: u32 = Hex, accepted: u32 = Out32);
    sockets::sock_recv(
        fd: u32 = Num, iovs: u32 = Hex, iovs_len: u32 = Num, ri_flags: u32 = Hex, nread: u32 = Out32, ro_flags: u32 = Hex
    );
    sockets::sock_send(fd: u32 = Num, iovs: u32 = Hex, iovs_len: u32 = Num, si_flags: u32 = Hex, nwritten: u32 = Out32);
    sockets::sock_shutdown(fd: u32 = Num, how: u32 = Hex);
}

/// The 46th: it has no result and needs no memory.
fn link_proc_exit<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut WasiCtx + Copy + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    const SIGNATURE: Signature = Signature { name: "proc_exit", params: &[("status", Kind::Num)] };
    linker.func_wrap(
        MODULE,
        SIGNATURE.name,
        move |mut caller: Caller<'_, T>, status: u32| -> wasmtime::Result<()> {
            let ctx = get(caller.data_mut());
            // The embedder flushes again after every end and learns there what could not be written.
            let _ = ctx.flush();
            let outcome = Err(Failure::Exit(status));
            if ctx.trace.is_some() {
                trace(ctx, &SIGNATURE, &[u64::from(status)], &GuestMemory::new(&mut []), outcome);
            }
            returned(outcome).map(|_| ())
        },
    )?;
    Ok(())
}

fn next(signatures: &mut std::slice::Iter<'static, Signature>) -> wasmtime::Result<&'static Signature> {
    signatures.next().ok_or_else(|| wasmtime::Error::msg("the list of functions and the linker disagree"))
}

fn find_memory<T: 'static>(
    caller: &mut Caller<'_, T>,
    get: impl Fn(&mut T) -> &mut WasiCtx,
) -> wasmtime::Result<Memory> {
    let known = get(caller.data_mut()).memory_export;
    let export = known.and_then(|export| caller.get_module_export(&export));
    match export.or_else(|| caller.get_export(MEMORY)) {
        Some(Extern::Memory(memory)) => Ok(memory),
        Some(Extern::SharedMemory(_)) => Err(wasmtime::Error::new(Fault::SharedMemory)),
        _ => Err(wasmtime::Error::new(Fault::NoMemory)),
    }
}

fn returned(outcome: Outcome) -> wasmtime::Result<u32> {
    match outcome {
        Ok(()) => Ok(u32::from(Errno::SUCCESS.raw())),
        Err(Failure::Errno(errno)) => Ok(u32::from(errno.raw())),
        Err(Failure::Fault(fault)) => Err(wasmtime::Error::new(fault)),
        Err(Failure::Exit(status)) => Err(wasmtime::Error::new(Exit(status))),
        Err(Failure::Stopped) => Err(wasmtime::Error::new(Stopped)),
    }
}

#[cold]
fn trace(
    ctx: &mut WasiCtx,
    signature: &'static Signature,
    raw: &[u64],
    memory: &GuestMemory<'_>,
    outcome: Outcome,
) {
    if let Some(hook) = &mut ctx.trace {
        hook(&TracedCall::decode(signature, raw, memory, outcome));
    }
}
