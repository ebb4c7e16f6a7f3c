//! `twine platform`: what this machine offers, and what to do about what is missing.

use std::fmt;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use twine::Folders;
use twine::exit::Code;
use twine_host::platform::{Check, Need, probe, ready};

use super::failure::Failure;
use super::output::{Output, Status};

pub const SCHEMA: &str = "twine.platform/1";

/// Exit code where programs run in simulation only.
const SIMULATION_ONLY: u8 = 1;

/// Options of `twine platform`: none.
///
/// Exits 0 if SGX can be used, 1 if only the simulated processor can, 69 if neither can.
#[derive(Args)]
pub struct Options {}

#[derive(Serialize)]
struct Data {
    hardware: bool,
    simulation: bool,
    checks: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    id: &'static str,
    needed_for: &'static str,
    pass: bool,
    detail: String,
    /// Only of checks that fail.
    remedy: Option<&'static str>,
    depends_on: &'static [&'static str],
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        let folders = Folders::of_user()?;
        let mut checks = probe(&folders.state);
        checks.push(backend());
        let (hardware, simulation) = (ready(&checks, Need::Hardware), ready(&checks, Need::Simulation));
        let data = Data { hardware, simulation, checks: checks.into_iter().map(Entry::from).collect() };
        let status = if hardware { Status::Success } else { Status::Fail };
        output.result(SCHEMA, status, &data);
        Ok(match (hardware, simulation) {
            (true, _) => ExitCode::SUCCESS,
            (false, true) => ExitCode::from(SIMULATION_ONLY),
            (false, false) => Code::NoTee.into(),
        })
    }
}

/// What this program itself lacks.
fn backend() -> Check {
    Check {
        id: "sgx-backend",
        needed_for: Need::Hardware,
        pass: false,
        detail: "this release of twine runs enclaves on the simulated processor only".to_owned(),
        remedy: "say --tee sim to try programs without confidentiality",
        depends_on: &[],
    }
}

impl From<Check> for Entry {
    fn from(check: Check) -> Self {
        let Check { id, needed_for, pass, detail, remedy, depends_on } = check;
        let needed_for = match needed_for {
            Need::Hardware => "hardware",
            Need::Simulation => "simulation",
            Need::Fidelity => "fidelity",
            Need::Both => "both",
            Need::Quoting => "quoting",
        };
        Self { id, needed_for, pass, detail, remedy: (!pass).then_some(remedy), depends_on }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            let result = if check.pass { "ok" } else { "--" };
            writeln!(f, "{result}  {:<24} {:<10}  {}", check.id, check.needed_for, check.detail)?;
            // What depends on something that is missing too has no remedy of its own.
            let first = !self.checks.iter().any(|other| !other.pass && check.depends_on.contains(&other.id));
            if let Some(remedy) = check.remedy.filter(|_| first) {
                writeln!(f, "      {remedy}")?;
            }
        }
        let word = |ready| if ready { "ready" } else { "not available" };
        writeln!(f, "SGX hardware {}, simulation {}", word(self.hardware), word(self.simulation))
    }
}
