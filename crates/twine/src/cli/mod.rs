//! The command line: one file per verb, each with its options and an `execute`.

mod anchor;
mod collateral;
mod compile;
mod completions;
mod config;
mod delivery;
mod deploy;
mod enclave;
mod failure;
mod image;
mod inspect;
mod key;
mod keys;
mod measure;
mod output;
mod pccs;
mod platform;
mod progress;
mod run;
mod stats;
mod verify;
mod volume;
mod workload;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use twine::exit::Code;

use failure::Failure;
use output::Output;

/// Runs WebAssembly programs inside SGX enclaves.
#[derive(Parser)]
#[command(name = "twine", version, after_help = EXIT_CODES)]
struct Cli {
    /// Print one JSON object on standard output, and nothing else there
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

const EXIT_CODES: &str = "\
Exit codes: the program's own status, or
  64 usage            65 bad module or image   66 missing file     69 no trusted execution environment
  70 internal         74 input or output       76 rolled back or forked volume
  77 refused by identity or policy             78 configuration
  124 time or fuel used up                     134 trap
`twine run --json` and `--status-fd` say whose a code is.";

#[derive(Subcommand)]
enum Verb {
    /// Run a program in an enclave
    Run(run::Options),
    /// Compile a module inside an enclave, into the sealed cache
    Compile(compile::Options),
    /// Predict, without running anything, what will be attested
    Measure(measure::Options),
    /// Describe a module, an image, a SIGSTRUCT or an ELF file
    Inspect(inspect::Options),
    /// Check what this machine offers: exits 0 for SGX, 1 for simulation only, 69 for neither
    Platform(platform::Options),
    /// Make, show and use keys
    #[command(subcommand)]
    Key(key::Options),
    /// Sign enclave images, here or elsewhere
    #[command(subcommand)]
    Image(image::Options),
    /// Check that a quote is authentic and what a policy asks for; needs no SGX
    Verify(verify::Options),
    /// Verify an enclave that waits for its owner, deliver code and secrets to it, and get the result
    Deploy(deploy::Options),
    /// Serve code and secrets to enclaves that start without a person
    #[command(subcommand)]
    Keys(keys::Options),
    /// Keep volumes fresh: the service that remembers their newest state
    #[command(subcommand)]
    Anchor(anchor::Options),
    /// Make, read, change, check and copy encrypted volumes under an owner's key
    #[command(subcommand)]
    Volume(volume::Options),
    /// Check and explain manifests
    #[command(subcommand)]
    Config(config::Options),
    /// Print the completions of a shell, for a file that it reads
    Completions(completions::Options),
}

/// Parses, executes, and turns what happened into an exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing is left to tell a closed terminal.
            let _ = error.print();
            // clap's own code for usage errors is 2; help and version are no errors.
            return if error.use_stderr() { Code::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    let output = Output::new(cli.json);
    let (schema, result) = match cli.verb {
        Verb::Run(options) => (run::SCHEMA, options.execute(&output)),
        Verb::Compile(options) => (compile::SCHEMA, options.execute(&output)),
        Verb::Measure(options) => (measure::SCHEMA, options.execute(&output)),
        Verb::Inspect(options) => (inspect::SCHEMA, options.execute(&output)),
        Verb::Platform(options) => (platform::SCHEMA, options.execute(&output)),
        Verb::Key(options) => (key::SCHEMA, options.execute(&output)),
        Verb::Image(options) => (image::SCHEMA, options.execute(&output)),
        Verb::Verify(options) => (verify::SCHEMA, options.execute(&output)),
        Verb::Deploy(options) => (deploy::SCHEMA, options.execute(&output)),
        Verb::Keys(options) => (keys::SCHEMA, options.execute(&output)),
        Verb::Anchor(options) => (anchor::SCHEMA, options.execute(&output)),
        Verb::Volume(options) => (options.schema(), options.execute(&output)),
        Verb::Config(options) => (config::SCHEMA, options.execute(&output)),
        Verb::Completions(options) => return options.execute(&mut Cli::command()),
    };
    result.unwrap_or_else(|failure: Failure| {
        output.failure(schema, &failure);
        failure.code.into()
    })
}
