//! The official WebAssembly tests, with the engine that programs get.

use twine_abi::calls::{ReadModule, Stream, Write};
use twine_abi::wire::MAX_PAYLOAD;
use twine_enclave::border;
use twine_runtime::{Options, engine};
use twine_spectest::{decode, encode_reports, execute};

use crate::{Test, Verdict};

pub const TESTS: &[Test] = &[("spec", run)];

/// Executes the scripts of the input; their reports go to standard output.
fn run() -> Verdict {
    let scripts = decode(&input()?).map_err(|error| format!("the scripts: {error}"))?;
    let engine = engine(Options::default()).map_err(|error| format!("the engine: {error}"))?;
    let mut reports = Vec::new();
    for script in &scripts {
        log(&script.name);
        reports.push(execute(&engine, script));
    }
    let bytes = encode_reports(&reports).map_err(|error| format!("the reports: {error}"))?;
    for piece in bytes.chunks(MAX_PAYLOAD) {
        border::call(&Write { stream: Stream::Stdout as u64 }, piece, &mut [])
            .map_err(|status| format!("the host takes no reports: {status:?}"))?;
    }
    Ok(())
}

/// Should the enclave end, the host knows where.
fn log(name: &str) {
    let _ = border::call(&Write { stream: Stream::Log as u64 }, name.as_bytes(), &mut []);
}

fn input() -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    loop {
        let start = bytes.len();
        bytes.resize(start + MAX_PAYLOAD, 0);
        let ask = ReadModule { offset: start as u64, max: MAX_PAYLOAD as u64 };
        let (reply, count) = border::call(&ask, &[], &mut bytes[start..])
            .map_err(|status| format!("the host gives no scripts: {status:?}"))?;
        bytes.truncate(start + count);
        if bytes.len() as u64 >= reply.total || count == 0 {
            return Ok(bytes);
        }
    }
}
