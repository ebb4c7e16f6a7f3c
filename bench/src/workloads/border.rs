//! The border alone: what an exit costs, by bytes, and what gathering output saves.

use anyhow::Result;

use super::volume::printed;
use crate::kit::Kit;
use crate::process::Run;
use crate::row::{Invocation, NATIVE, Row, Side, TWINE, Value};
use crate::workload::Workload;

/// Writes to standard streams.
pub struct Border;

impl Workload for Border {
    fn name(&self) -> &'static str {
        "border"
    }

    fn about(&self) -> &'static str {
        "Writes to a standard stream: to standard error each is a host call, an exit and an entry; standard output gathers \
         64 KiB before it calls. Seconds for all writes of a row by the program's clock, so divide by their number; native \
         code makes a system call for each. On the simulated processor an exit is a signal."
    }

    fn rows(&self, kit: &Kit) -> Result<Vec<Row>> {
        let source = [kit.sources("border/border.c")];
        let native = kit.native("border", "border", &source, &[])?;
        let module = kit.wasm("border", "border", &source, &[])?;
        let row = |id: &str, title: &str, stream: &str, bytes: &str, count: &str| {
            let args = [stream, bytes, if kit.quick() { "10" } else { count }];
            let timed = |name, command: Invocation| {
                Side::timed(name, command).value(Value::Printed(Box::new(|run: &Run| {
                    // Whichever stream is not written to.
                    printed(run, run.text().lines().count().saturating_sub(1), 2)
                })))
            };
            let sides = vec![
                timed(NATIVE, Invocation::new(&native).args(args)),
                timed(TWINE, kit.twine(&[], &module, &args)),
            ];
            Row::timed(format!("border/{id}"), title, sides).not_agreeing()
        };
        Ok(vec![
            row("exit", "50,000 writes of 1 byte, an exit each", "2", "1", "50000"),
            row("gathered", "50,000 writes of 2 bytes, gathered", "1", "2", "50000"),
            row("4k", "20,000 writes of 4 KiB", "2", "4096", "20000"),
            row("64k", "2,000 writes of 64 KiB", "2", "65536", "2000"),
            row("512k", "200 writes of 512 KiB", "2", "524288", "200"),
        ])
    }
}
