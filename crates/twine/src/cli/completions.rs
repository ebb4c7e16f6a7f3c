//! `twine completions`.

use std::io::{Write, stdout};
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::{Shell, generate};

/// Options of `twine completions`.
#[derive(Args)]
pub struct Options {
    /// Whose
    shell: Shell,
}

impl Options {
    pub fn execute(self, command: &mut Command) -> ExitCode {
        let mut script = Vec::new();
        generate(self.shell, command, "twine", &mut script);
        // A reader that went away does not want the rest.
        let _ = stdout().write_all(&script);
        ExitCode::SUCCESS
    }
}
