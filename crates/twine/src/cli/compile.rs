//! `twine compile`: fills the sealed cache.

use std::fmt;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use twine::exit::{self, Code, Source};
use twine::{Io, Operation, StartPhase};

use super::enclave::{Enclave, Identity};
use super::failure::Failure;
use super::output::{Output, Status, note};
use super::progress::Progress;
use super::run::{explain, not_cached};
use super::stats::Statistics;
use super::workload::Workload;

pub const SCHEMA: &str = "twine.compile/1";

/// Options of `twine compile`.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    enclave: Enclave,
    #[command(flatten)]
    workload: Workload,
}

#[derive(Serialize)]
struct Data {
    #[serde(flatten)]
    identity: Identity,
    /// Whether an earlier run had compiled it.
    cached: bool,
    stats: Statistics,
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        let program = self.workload.program()?;
        let runner = self.enclave.runner()?;
        let mut io = Io::inherit()?;
        io.observer = Box::new(Progress::new(io.terminals[2]));
        let loaded = runner.load(&program)?;
        let identity = Identity::of(&runner, &program, loaded.enclave());
        let load = loaded.took();
        let options = twine::Options { operation: Operation::Compile, ..Default::default() };
        let report = loaded.run(&program, io, options)?;
        let message = explain(&report, &program);
        if let Some(message) = &message {
            note(message);
        }
        if not_cached(&report) {
            return Ok(Code::Io.into());
        }
        // Nothing of the program ran: what is not the end of compiling is the runtime's.
        let (source, code) = exit::of_end(&report.end);
        let done = source == Source::Guest;
        let cached = report.stats.phases.iter().any(|(phase, _)| *phase == StartPhase::Cached);
        let data = Data { identity, cached, stats: Statistics::new(&report.stats, load) };
        if done || output.is_json() {
            output.result(SCHEMA, if done { Status::Success } else { Status::Fail }, &data);
        }
        Ok(if done { ExitCode::SUCCESS } else { ExitCode::from(code) })
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", if self.cached { "in the sealed cache already" } else { "compiled and sealed" })?;
        write!(f, "{}", self.identity)
    }
}
