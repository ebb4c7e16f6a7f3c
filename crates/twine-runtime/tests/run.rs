//! How runs end: exits, traps, limits, and modules that ask for what is not there.

use twine_runtime::module::compile;
use twine_runtime::run::{run, store};
use twine_runtime::{Limits, Options, Outcome, engine};
use wasmtime::{Error, Linker};

const LIMITS: Limits = Limits { memory: 1 << 20, table_elements: 100, fuel: None };

/// The embedder's own way to end a guest.
#[derive(Debug)]
struct Exit(u32);

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}", self.0)
    }
}

impl std::error::Error for Exit {}

fn classify(error: &Error) -> Option<Outcome> {
    error.downcast_ref::<Exit>().map(|exit| Outcome::Exited(exit.0))
}

/// Runs a text module; the state counts calls of `host::tick`.
fn end_of(text: &str, limits: Limits) -> (Outcome, u32) {
    let options = Options { fuel: limits.fuel.is_some(), ..Options::default() };
    let engine = engine(options).unwrap();
    let module = compile(&engine, &wat::parse_str(text).unwrap(), None).unwrap();
    let mut linker = Linker::new(&engine);
    let tick =
        |mut caller: wasmtime::Caller<'_, twine_runtime::run::Guest<u32>>| caller.data_mut().state += 1;
    linker.func_wrap("host", "tick", tick).unwrap();
    linker
        .func_wrap("host", "exit", |status: u32| -> wasmtime::Result<()> { Err(Error::new(Exit(status))) })
        .unwrap();
    let mut store = store(&engine, 0, limits);
    let outcome = run(&module, &linker, &mut store, classify, || ());
    (outcome, store.data().state)
}

fn trap_of(text: &str) -> String {
    match end_of(text, LIMITS).0 {
        Outcome::Trapped(report) => report,
        other => panic!("{other:?}"),
    }
}

#[test]
fn returns_and_exits() {
    let text = r#"(module (import "host" "tick" (func $t)) (func (export "_start") call $t call $t))"#;
    assert_eq!(end_of(text, LIMITS), (Outcome::Exited(0), 2));
    let text = r#"(module (import "host" "exit" (func $e (param i32))) (func (export "_start") i32.const 9 call $e))"#;
    assert_eq!(end_of(text, LIMITS).0, Outcome::Exited(9));
}

#[test]
fn traps_name_the_reason_and_the_functions() {
    let report = trap_of(
        r#"(module (memory 1)
            (func $inner (param i32) (result i32) (i32.load (local.get 0)))
            (func $outer (drop (call $inner (i32.const 0x7fff0000))))
            (func (export "_start") (call $outer)))"#,
    );
    assert!(report.starts_with("wasm trap: out of bounds memory access"), "{report}");
    assert!(report.contains("inner") && report.contains("outer"), "{report}");
    let report = trap_of(r#"(module (func $f (export "_start") (call $f)))"#);
    assert!(report.contains("call stack exhausted"), "{report}");
    let report =
        trap_of(r#"(module (func (export "_start") (drop (i32.div_u (i32.const 1) (i32.const 0)))))"#);
    assert!(report.contains("integer divide by zero"), "{report}");
}

#[test]
fn fuel_ends_an_endless_loop_after_the_same_amount_of_work() {
    let text =
        r#"(module (import "host" "tick" (func $t)) (func (export "_start") (loop $l (call $t) (br $l))))"#;
    let limits = Limits { fuel: Some(10_000), ..LIMITS };
    let (first, ticks) = end_of(text, limits);
    assert!(matches!(first, Outcome::OutOfFuel(_)), "{first:?}");
    assert!(ticks > 100);
    assert_eq!(end_of(text, limits).1, ticks);
}

#[test]
fn growth_over_the_limit_fails_and_starting_over_it_is_refused() {
    let grows = r#"(module (memory 1) (func (export "_start")
        (if (i32.ne (memory.grow (i32.const 15)) (i32.const 1)) (then unreachable))
        (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))))"#;
    assert_eq!(end_of(grows, LIMITS).0, Outcome::Exited(0));
    let Outcome::BadModule(why) = end_of(r#"(module (memory 17) (func (export "_start")))"#, LIMITS).0 else {
        panic!("a memory over the limit")
    };
    assert!(why.contains("1114112") && why.contains("1048576") && why.contains("--max-memory"), "{why}");
    let Outcome::BadModule(why) =
        end_of(r#"(module (table 101 funcref) (func (export "_start")))"#, LIMITS).0
    else {
        panic!("a table over the limit")
    };
    assert!(why.contains("table elements"), "{why}");
    // Two memories together.
    let two = r#"(module (memory 9) (memory 9) (func (export "_start")))"#;
    assert!(matches!(end_of(two, LIMITS).0, Outcome::BadModule(_)));
}

#[test]
fn missing_imports_are_all_named_with_where_they_belong() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_dance" (func))
        (import "wasi_unstable" "fd_write" (func))
        (import "wasi:cli/run@0.2.0" "run" (func))
        (import "env" "emscripten_memcpy" (func))
        (func (export "_start")))"#;
    let Outcome::BadModule(why) = end_of(text, LIMITS).0 else { panic!("missing imports") };
    for part in ["fd_dance", "preview 0", "WASI 0.2", "emscripten_memcpy"] {
        assert!(why.contains(part), "{part} in {why}");
    }
}

#[test]
fn a_library_is_not_a_command() {
    let Outcome::BadModule(why) = end_of(r#"(module (func (export "add")))"#, LIMITS).0 else {
        panic!("no _start")
    };
    assert!(why.contains("_start"), "{why}");
}

#[test]
fn what_is_not_a_module_is_named() {
    let engine = engine(Options::default()).unwrap();
    let valid = wat::parse_str(r#"(module (func (export "_start")))"#).unwrap();
    for (bytes, expected) in [
        (&b""[..], "empty"),
        (b"\x7fELF....", "native"),
        (b"(module)", "text"),
        (b"\0asm\x0d\0\x01\0", "component"),
        (b"\0asm\x02\0\0\0", "unknown version"),
        (b"#!/bin/sh", "no WebAssembly"),
        (&valid[..valid.len() - 1], "not valid"),
    ] {
        let error = compile(&engine, bytes, None).err().unwrap().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}
