//! Work on volumes that are sealed to an enclave: inside it, as the workload that they belong to.

use std::path::{Path, PathBuf};

use clap::Args;
use twine::{End, Io, Operation, Outcome, Report, exit};

use crate::cli::enclave::Enclave;
use crate::cli::failure::Failure;
use crate::cli::output::note;
use crate::cli::progress::Progress;
use crate::cli::run::{INSECURE_KEY, explain, volume_keys};
use crate::cli::workload::Workload;

/// The workload that a sealed volume belongs to, and where it runs. Instead of --key.
#[derive(Args)]
#[command(next_help_heading = "For a volume that is sealed to an enclave, its workload instead of --key")]
pub struct Inside {
    #[command(flatten)]
    enclave: Enclave,
    /// Hand an owner's key for a volume to the enclave, which the host thereby knows; debug enclaves only
    #[arg(long, value_name = "NAME=FILE")]
    insecure_volume_key: Vec<String>,
    #[command(flatten)]
    workload: Workload,
}

impl Inside {
    /// Whether a workload was named.
    pub fn is_named(&self) -> bool {
        self.workload.is_named()
    }

    /// Has the enclave do something with the volume that the host keeps in `file`, and with a store of the operation's own:
    /// what follows the volume's name in its name, and its file. The exit status, and what the enclave told.
    pub fn perform(
        &self,
        operation: Operation,
        file: &Path,
        store: Option<(&str, &Path)>,
    ) -> Result<(u32, Report), Failure> {
        if operation != Operation::Import {
            std::fs::metadata(file).map_err(Failure::reading(file))?;
        }
        let program = self.workload.program()?;
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let volume = program.volumes().iter().find(|(_, path)| absolute(path) == absolute(file));
        let Some((volume, _)) = volume else {
            let message = format!("the workload keeps no volume in {}", file.display());
            let remedy = "name it as --dir or host.paths does";
            return Err(Failure { remedy: Some(remedy.to_owned()), ..Failure::usage(message) });
        };
        let insecure_volume_keys = volume_keys(&self.insecure_volume_key)?;
        let runner = self.enclave.runner()?;
        if !insecure_volume_keys.is_empty() {
            note(INSECURE_KEY);
        }
        let mut io = Io::inherit()?;
        io.observer = Box::new(Progress::new(io.terminals[2]));
        let stores = store.map(|(suffix, path)| (format!("{volume}{suffix}"), PathBuf::from(path)));
        let options = twine::Options {
            operation,
            volume: volume.clone(),
            stores: stores.into_iter().collect(),
            insecure_volume_keys,
            ..twine::Options::default()
        };
        let report = runner.load(&program)?.run(&program, io, options)?;
        match report.end {
            End::Finished { outcome: Outcome::Exited, code, .. } => Ok((code, report)),
            _ => {
                let code = exit::code_of(&report.end).unwrap_or(exit::Code::Internal);
                let message = explain(&report, &program).unwrap_or_default();
                Err(Failure::new(code, "enclave", message))
            }
        }
    }
}
