//! `twine-bench`: Twine, the same Wasmtime outside an enclave and native code, in turn, on one machine.
//!
//! A [`workload::Workload`] prepares [`row::Row`]s, each a thing to measure with a command a side; [`measure`] runs the
//! sides of a row in turn; [`results`] is what is kept, with a published schema; [`report`] draws it.
#![forbid(unsafe_code)]

mod cli;
mod compare;
mod kit;
mod machine;
mod measure;
mod process;
mod protected;
mod report;
mod results;
mod row;
mod statistics;
mod sync;
mod workload;
mod workloads;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().execute() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("twine-bench: {error:#}");
            ExitCode::from(2)
        }
    }
}
