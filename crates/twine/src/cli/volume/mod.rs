//! `twine volume`: the owner's tool for encrypted volumes.

mod cat;
mod check;
mod compact;
mod cp;
mod create;
mod export;
mod info;
mod inside;
pub mod keys;
mod ls;
mod open;
mod path;
mod progress;
mod rekey;
mod rm;
mod snapshot;
mod transfer;

use std::process::ExitCode;

use clap::Subcommand;

use super::failure::Failure;
use super::output::Output;

/// Verbs of `twine volume`.
#[derive(Subcommand)]
pub enum Options {
    /// Make an empty volume under an owner's key
    Create(create::Options),
    /// Describe a volume: without its key what anybody can see, with it what is inside
    Info(info::Options),
    /// List a directory
    Ls(ls::Options),
    /// Write files to standard output
    Cat(cat::Options),
    /// Copy files and folders into a volume or out of one, with their times
    Cp(cp::Options),
    /// Remove files
    Rm(rm::Options),
    /// Verify every block and every count, and say what is wrong where; exits 1 if anything is
    Check(check::Options),
    /// Change the key
    Rekey(rekey::Options),
    /// Give unused space back to the disk
    Compact(compact::Options),
    /// Write everything into a tar stream or an empty folder
    Export(export::Export),
    /// Add everything from a tar stream or a folder
    Import(export::Import),
    /// Copy a whole volume as it is, still encrypted, into a new file
    Snapshot(snapshot::Options),
}

impl Options {
    /// Name of the result, and of errors in its place.
    pub fn schema(&self) -> &'static str {
        match self {
            Self::Create(_) => create::SCHEMA,
            Self::Info(_) => info::SCHEMA,
            Self::Ls(_) => ls::SCHEMA,
            Self::Cat(_) => cat::SCHEMA,
            Self::Cp(_) => cp::SCHEMA,
            Self::Rm(_) => rm::SCHEMA,
            Self::Check(_) => check::SCHEMA,
            Self::Rekey(_) => rekey::SCHEMA,
            Self::Compact(_) => compact::SCHEMA,
            Self::Export(_) => export::EXPORT_SCHEMA,
            Self::Import(_) => export::IMPORT_SCHEMA,
            Self::Snapshot(_) => snapshot::SCHEMA,
        }
    }

    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(options) => options.execute(output),
            Self::Info(options) => options.execute(output),
            Self::Ls(options) => options.execute(output),
            Self::Cat(options) => options.execute(output),
            Self::Cp(options) => options.execute(output),
            Self::Rm(options) => options.execute(output),
            Self::Check(options) => options.execute(output),
            Self::Rekey(options) => options.execute(output),
            Self::Compact(options) => options.execute(output),
            Self::Export(options) => options.execute(output),
            Self::Import(options) => options.execute(output),
            Self::Snapshot(options) => options.execute(output),
        }
    }
}
