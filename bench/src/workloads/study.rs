//! What each optimisation brings, one at a time, and the paper's kind of store as the baseline.

use std::path::Path;

use anyhow::Result;

use super::volume::{Case, Files, NANOSECONDS, printed};
use crate::kit::Kit;
use crate::process::Run;
use crate::row::{Invocation, NATIVE, Row, Side, TWINE, Value};
use crate::workload::Workload;

/// The optimisation study.
pub struct Study;

/// The paper's kind of store.
const BASELINE: &str = "protected file";
/// Twine without the row's optimisation.
const WITHOUT: &str = "without";

/// Throughput of Intel's library to plain files, by operation, measured outside an enclave with nothing durable.
const INTEL: [(&str, &str, f64); 4] = [
    ("write", "sequential write", 0.42),
    ("write-random", "random write", 0.09),
    ("read", "sequential read", 0.41),
    ("read-random", "random read", 0.18),
];

impl Workload for Study {
    fn name(&self) -> &'static str {
        "study"
    }

    fn about(&self) -> &'static str {
        "First a store of the kind that the paper's system uses, written for this benchmark: a fresh key for each node of \
         4 KiB, nodes cleared, a call and two copies for each, 48 nodes of cache, nothing durable, outside any enclave. It \
         stands for Intel's library as far as its ratios to plain files are within 20 % of that library's (0.42, 0.09, 0.41 \
         and 0.18 of the throughput), which is what is held; Twine beside it runs inside the image and syncs its writes. \
         Then each optimisation of Twine that can be taken away by itself."
    }

    fn rows(&self, kit: &Kit) -> Result<Vec<Row>> {
        let files = Files::new(kit, "study")?;
        let size = if kit.quick() { 1 } else { 64 };
        let case = |cache, operation: &str| Case {
            cache,
            file: "study",
            present: size,
            operation: format!("{operation}:{size}"),
            word: NANOSECONDS,
        };
        let protected = kit.folder("study")?.join("protected");
        let mut rows = Vec::new();
        for (operation, title, ratio) in INTEL {
            // In order, into a new file; at random, over one that is there.
            let (file, present) = if operation == "write" { ("study-new", 0) } else { ("study", size) };
            let case = Case { file, present, ..case(32, operation) };
            let mut sides = files.sides(&case);
            if operation.starts_with("write") {
                // That library's writes are not durable, so neither are those of the plain file beside it.
                let unsynced = Case { operation: format!("{operation}-unsynced:{size}"), ..case };
                sides[0] = files.sides(&unsynced).swap_remove(0);
            }
            sides.insert(1, baseline(&protected, operation, size)?);
            let row = Row::timed(format!("study/baseline/{operation}"), format!("{title} of 64 MiB"), sides);
            // Within 20 % on either side.
            rows.push(row.not_agreeing().hold(BASELINE, NATIVE, 1.0 / (ratio * 0.8)).hold(
                NATIVE,
                BASELINE,
                ratio * 1.2,
            ));
        }
        let pair = |id: &str, title: &str, without: Side, with: Side| {
            let sides = vec![renamed(without), with];
            Row::timed(format!("study/{id}"), title, sides).not_agreeing()
        };
        let volume =
            |options: &[&str], cache, operation: &str| files.twine(TWINE, options, &case(cache, operation));
        for (operation, title) in [("read", "sequential"), ("read-random", "random")] {
            rows.push(pair(
                &format!("map/{operation}"),
                &format!("reading the store in the host's memory instead of by calls: cold {title} reads, 2 MiB of cache"),
                volume(&["--no-map"], 2, operation),
                volume(&[], 2, operation),
            ));
        }
        rows.push(pair(
            "cache",
            "128 MiB of cache instead of 2 MiB: random reads of 64 MiB after one pass",
            volume(&[], 2, "cached"),
            volume(&[], 128, "cached"),
        ));
        Ok(rows)
    }
}

fn renamed(side: Side) -> Side {
    Side { name: WITHOUT, ..side }
}

/// This program's own store, in a new file; what needs one that is there comes second.
fn baseline(file: &Path, operation: &str, size: u32) -> Result<Side> {
    let command =
        Invocation::new(std::env::current_exe()?).arg("protected").arg(file).arg(format!("write:{size}"));
    let (command, line) = match operation {
        "write" => (command, 0),
        _ => (command.arg(format!("{operation}:{size}")), 1),
    };
    let read = move |run: &Run| printed(run, line, NANOSECONDS);
    Ok(Side::timed(BASELINE, command).value(Value::Printed(Box::new(read))))
}
