//! The calls that programs make by the million allocate nothing.

use std::sync::Arc;

use twine_vfs::{FileSystem, MemFs, MemLimits};
use twine_wasi::{
    Access, Clock, Output, Random, Sources, Stdin, StreamError, Waiter, WasiCtx, WasiCtxBuilder, Woken,
    add_to_linker,
};
use wasmtime::{Engine, Linker, Module, Store};

struct Nothing;

impl Clock for Nothing {
    fn monotonic(&self) -> u64 {
        1
    }
    fn realtime(&self) -> u64 {
        1
    }
}
impl Random for Nothing {
    fn fill(&mut self, _: &mut [u8]) {}
}
impl Stdin for Nothing {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, StreamError> {
        Ok(buf.len())
    }
}
impl Output for Nothing {
    fn write(&mut self, _: &[u8]) -> Result<(), StreamError> {
        Ok(())
    }
}
impl Waiter for Nothing {
    fn wait(&mut self, _: Option<u64>, _: bool) -> Woken {
        Woken { stdin_ready: true }
    }
}

/// Descriptor 4 is a file; at 1024 stands a buffer of 4 KiB, at 2048 a subscription to a clock that is due.
const PROGRAM: &str = r#"(module
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pread" (func $pread (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pwrite" (func $pwrite (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_get" (func $stat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (data (i32.const 16) "f")
    (data (i32.const 1024) "\00\20\00\00\00\10\00\00")
    (data (i32.const 2064) "\01")
    (func $ok (param i32) (if (local.get 0) (then unreachable)))
    (func (export "open")
      (call $ok (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 1) (i64.const 66)
        (i64.const 0) (i32.const 0) (i32.const 64))))
    (func (export "rounds") (param $left i32)
      (loop $again
        (call $ok (call $clock (i32.const 0) (i64.const 0) (i32.const 64)))
        (call $ok (call $clock (i32.const 1) (i64.const 0) (i32.const 64)))
        (call $ok (call $random (i32.const 8192) (i32.const 4096)))
        (call $ok (call $seek (i32.const 4) (i64.const 0) (i32.const 0) (i32.const 64)))
        (call $ok (call $write (i32.const 4) (i32.const 1024) (i32.const 1) (i32.const 64)))
        (call $ok (call $pwrite (i32.const 4) (i32.const 1024) (i32.const 1) (i64.const 0) (i32.const 64)))
        (call $ok (call $read (i32.const 4) (i32.const 1024) (i32.const 1) (i32.const 64)))
        (call $ok (call $pread (i32.const 4) (i32.const 1024) (i32.const 1) (i64.const 0) (i32.const 64)))
        (call $ok (call $write (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 64)))
        (call $ok (call $write (i32.const 2) (i32.const 1024) (i32.const 1) (i32.const 64)))
        (call $ok (call $read (i32.const 0) (i32.const 1024) (i32.const 1) (i32.const 64)))
        (call $ok (call $stat (i32.const 4) (i32.const 128)))
        (call $ok (call $poll (i32.const 2048) (i32.const 4096) (i32.const 1) (i32.const 64)))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))"#;

#[test]
fn hot_calls_do_not_allocate() {
    let fs = Arc::new(MemFs::new(MemLimits::default(), || 0));
    let ctx = WasiCtxBuilder::new()
        .preopen("/", fs.clone(), fs.root(), Access::ReadWrite)
        .build(Sources {
            clock: Box::new(Nothing),
            random: Box::new(Nothing),
            stdin: Box::new(Nothing),
            stdout: Box::new(Nothing),
            stderr: Box::new(Nothing),
            waiter: Box::new(Nothing),
        })
        .unwrap();
    let engine = Engine::default();
    let module = Module::new(&engine, PROGRAM).unwrap();
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx).unwrap();
    let mut store = Store::new(&engine, ctx);
    store.data_mut().use_memory_of(&module);
    let instance = linker.instantiate(&mut store, &module).unwrap();
    instance.get_typed_func::<(), ()>(&mut store, "open").unwrap().call(&mut store, ()).unwrap();
    let rounds = instance.get_typed_func::<i32, ()>(&mut store, "rounds").unwrap();
    rounds.call(&mut store, 1).unwrap();
    let mut count =
        |times| allocation_counter::measure(|| rounds.call(&mut store, times).unwrap()).count_total;
    // What entering the program costs is Wasmtime's own.
    assert_eq!(count(1000), count(1));
}
