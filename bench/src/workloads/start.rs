//! What it takes until a program's first instruction: time in phases, and memory.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::kit::Kit;
use crate::measure::statistics;
use crate::process::Run;
use crate::results::{Caches, Unit};
use crate::row::{Invocation, Row, Side, TWINE, Value, WASMTIME};
use crate::workload::Workload;

/// Start-up of a program that says hello.
pub struct Start;

const HASH: &str = "hash";

impl Workload for Start {
    fn name(&self) -> &'static str {
        "start"
    }

    fn about(&self) -> &'static str {
        "A program of 200 bytes that says hello. The phases are Twine's own, by the host's clock (twine run --stats); `hash` \
         is SHA-256 over the image that loading measures."
    }

    fn rows(&self, kit: &Kit) -> Result<Vec<Row>> {
        let module = module(kit)?;
        let cached = || Side::timed(TWINE, kit.twine(&[], &module, &[]));
        let compiled = || Side::timed(TWINE, kit.twine(&["--no-cache"], &module, &[]));
        let outside = || Side::timed(WASMTIME, kit.peer(&[], &module, &[]));
        let stats = kit.twine(&["--json", "--stats"], &module, &[]);
        let phase = |name: &'static str| {
            let command = stats.clone();
            let read = move |run: &Run| phase(run, &command, name);
            Side::timed(TWINE, stats.clone()).value(Value::Printed(Box::new(read)))
        };
        let hash = Invocation::new(std::env::current_exe()?).arg("hash").arg(kit.image());
        let hash = Side::timed(HASH, hash).value(Value::Printed(Box::new(seconds)));
        let rest = |side: Side| side.value(Value::MemoryAtRest);
        let mut rows = vec![
            Row::timed("start/cached", "whole process, cached", vec![outside(), cached()])
                .hold_value(TWINE, 0.060),
            Row {
                caches: Caches::Compiling,
                ..Row::timed(
                    "start/compiling",
                    "whole process, compiling",
                    vec![Side::timed(WASMTIME, kit.peer_without_cache(&[], &module, &[])), compiled()],
                )
            },
            Row::timed("start/load", "load and measure", vec![hash, phase("load and measure")])
                .not_agreeing()
                .hold(TWINE, HASH, 2.5),
        ];
        for (id, name) in [
            ("launch", "launch"),
            ("runtime", "runtime"),
            ("cache", "from the sealed cache"),
            ("instantiate", "instantiate"),
            ("program", "program"),
        ] {
            rows.push(Row::timed(format!("start/{id}"), name, vec![phase(name)]));
        }
        rows.push(
            Row::timed("start/memory", "memory at rest", vec![rest(outside()), rest(cached())])
                .unit(Unit::Bytes)
                .hold_excess(TWINE, WASMTIME, f64::from(32 << 20)),
        );
        Ok(rows)
    }
}

/// The program as a binary module; WebAssembly text is known to Twine alone.
fn module(kit: &Kit) -> Result<PathBuf> {
    let path = kit.folder("start")?.join("hello.wasm");
    let text = fs::read(kit.sources("start/hello.wat"))?;
    fs::write(&path, wat::parse_bytes(&text)?)?;
    Ok(path)
}

/// Seconds that a phase took.
fn phase(run: &Run, command: &Invocation, name: &str) -> Result<f64> {
    let (_, phases) = statistics(run, command)?;
    let us = phases.get(name).with_context(|| format!("no phase {name:?}"))?;
    Ok(*us as f64 / 1e6)
}

/// Seconds that a program printed.
fn seconds(run: &Run) -> Result<f64> {
    run.text().trim().parse().context("a number of seconds")
}
