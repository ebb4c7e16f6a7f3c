//! What ends a program instead of returning to it, and what the embedder sees.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use twine_wasi::{Exit, Fault, Stopped, WasiCtx, WasiCtxBuilder, add_to_linker};
use wasmtime::{Engine, Linker, Module, Store};

use crate::guest::*;

#[test]
fn exit_is_a_typed_error_with_any_status() {
    for status in [0, 1, 125, 126, 255, u32::MAX] {
        let error = Guest::new().raw("proc_exit", &[status.into()]).unwrap_err();
        assert_eq!(error.downcast_ref::<Exit>(), Some(&Exit(status)));
    }
}

#[test]
fn pointers_that_cannot_be_are_faults() {
    let end = 4 << 16;
    let mut guest = Guest::new();
    let fd = u64::from(guest.create("f"));
    let out_of_bounds = |address: u64, len| Fault::OutOfBounds { address: address as u32, len };
    let misaligned = |address, alignment| Fault::Misaligned { address, alignment };
    for (name, args, fault) in [
        ("clock_time_get", &[0, 0, end][..], out_of_bounds(end, 8)),
        ("clock_time_get", &[0, 0, end - 8 + 1], misaligned(end as u32 - 7, 8)),
        ("clock_time_get", &[0, 0, u32::MAX as u64 - 7], out_of_bounds(u32::MAX as u64 - 7, 8)),
        ("random_get", &[end - 4, 5], out_of_bounds(end - 4, 5)),
        ("random_get", &[end - 4, u32::MAX.into()], out_of_bounds(end - 4, u32::MAX.into())),
        ("random_get", &[end + 1, 0], out_of_bounds(end + 1, 0)),
        ("fd_fdstat_get", &[0, 68], misaligned(68, 8)),
        ("fd_filestat_get", &[0, end - 56], out_of_bounds(end - 56, 64)),
        ("fd_write", &[fd, 0x102, 1, 64], misaligned(0x102, 4)),
        ("fd_read", &[fd, end - 8, 2, 64], out_of_bounds(end - 8, 16)),
        ("fd_read", &[fd, 8, u32::MAX.into(), 64], out_of_bounds(8, end)),
        ("path_create_directory", &[ROOT.into(), end - 1, 2], out_of_bounds(end - 1, 2)),
        ("poll_oneoff", &[64, 128, u32::MAX.into(), 64], out_of_bounds(128, u32::MAX as u64 * 32)),
        ("fd_prestat_get", &[ROOT.into(), 66], misaligned(66, 4)),
    ] {
        let error = guest.raw(name, args).unwrap_err();
        match (name, error.downcast_ref::<Fault>()) {
            // Which element is the first one outside is not the point.
            ("fd_read", Some(Fault::OutOfBounds { .. })) => {}
            (_, found) => assert_eq!(found, Some(&fault), "{name} {args:?}"),
        }
    }
}

#[test]
fn a_buffer_beyond_memory_is_a_fault_and_an_empty_one_is_not_looked_at() {
    let mut guest = Guest::new();
    let fd = guest.create("f");
    guest.put(0x100, &[0xff; 4]);
    guest.put(0x104, &[0; 4]);
    guest.call("fd_write", &[fd.into(), 0x100, 1, 64]).unwrap();
    guest.call("fd_read", &[fd.into(), 0x100, 1, 64]).unwrap();
    guest.put(0x104, &[1, 0, 0, 0]);
    let error = guest.raw("fd_write", &[fd.into(), 0x100, 1, 64]).unwrap_err();
    assert_eq!(error.downcast_ref::<Fault>(), Some(&Fault::OutOfBounds { address: u32::MAX, len: 1 }));
}

#[test]
fn a_request_to_stop_is_honoured_by_every_call() {
    let mut guest = Guest::new();
    guest.stop.store(true, Ordering::Relaxed);
    for name in guest.names() {
        if name == "proc_exit" {
            continue;
        }
        let args = vec![0; guest.types(&name).len()];
        let error = guest.raw(&name, &args).unwrap_err();
        assert!(error.downcast_ref::<Stopped>().is_some(), "{name}: {error:?}");
    }
    let error = guest.raw("proc_exit", &[3]).unwrap_err();
    assert_eq!(error.downcast_ref::<Exit>(), Some(&Exit(3)), "it stops anyway");
}

fn run(text: &str) -> wasmtime::Error {
    let mut config = wasmtime::Config::new();
    config.shared_memory(true);
    let engine = Engine::new(&config).unwrap();
    let ctx = WasiCtxBuilder::new().build(Shared::default().sources()).unwrap();
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx).unwrap();
    let mut store = Store::new(&engine, ctx);
    let module = Module::new(&engine, text).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap().call(&mut store, ()).unwrap_err()
}

#[test]
fn memories_that_cannot_be_served_are_named() {
    let program = |memory: &str| {
        run(&format!(
            "(module (import \"wasi_snapshot_preview1\" \"sched_yield\" (func $yield (result i32))) {memory}
               (func (export \"_start\") (drop (call $yield))))"
        ))
    };
    assert_eq!(program("").downcast_ref::<Fault>(), Some(&Fault::NoMemory));
    assert_eq!(program("(memory (export \"mem\") 1)").downcast_ref::<Fault>(), Some(&Fault::NoMemory));
    let shared = program("(memory (export \"memory\") 1 1 shared)");
    assert_eq!(shared.downcast_ref::<Fault>(), Some(&Fault::SharedMemory));
    assert_eq!(program("(func (export \"memory\"))").downcast_ref::<Fault>(), Some(&Fault::NoMemory));
}

#[test]
fn memory_is_found_by_name_where_no_module_was_told() {
    let error = run("(module
        (import \"wasi_snapshot_preview1\" \"args_sizes_get\" (func $sizes (param i32 i32) (result i32)))
        (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
        (memory (export \"memory\") 1)
        (func (export \"_start\")
          (i32.store (i32.const 0) (i32.const 77))
          (drop (call $sizes (i32.const 0) (i32.const 4)))
          (call $exit (i32.load (i32.const 0)))))");
    assert_eq!(error.downcast_ref::<Exit>(), Some(&Exit(0)));
}

#[test]
fn a_trace_tells_each_call() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = lines.clone();
    let mut guest = Guest::with(|builder, fs| {
        let root = fs.root();
        builder
            .preopen("/", fs, root, twine_wasi::Access::ReadWrite)
            .trace(move |call| sink.lock().unwrap().push(call.to_string()))
    });
    let fd = guest.create("näme");
    guest.seek(fd, -1, SET).unwrap_err();
    guest.seek(fd, 9, CUR).unwrap();
    guest.open(ROOT, 0, "nope", 0, READ, 0).unwrap_err();
    guest.call("sched_yield", &[]).unwrap();
    guest.raw("path_unlink_file", &[3, 0xffff_0000, 9]).unwrap_err();
    guest.raw("proc_exit", &[3]).unwrap_err();
    assert_eq!(
        *lines.lock().unwrap(),
        [
            "path_open(fd=3, dirflags=0x0, path=\"näme\", oflags=0x1, rights_base=0x42, rights_inheriting=0x0, \
             fdflags=0x0) = SUCCESS opened=4",
            "fd_seek(fd=4, offset=-1, whence=0) = INVAL",
            "fd_seek(fd=4, offset=9, whence=1) = SUCCESS position=9",
            "path_open(fd=3, dirflags=0x0, path=\"nope\", oflags=0x0, rights_base=0x2, rights_inheriting=0x0, \
             fdflags=0x0) = NOENT",
            "sched_yield() = SUCCESS",
            "path_unlink_file(fd=3, path=?) ended the program: pointer 0xffff0000 in a WASI call with 9 bytes \
             reaches beyond linear memory",
            "proc_exit(status=3) ended the program: exit",
        ]
    );
}
