//! The options that say where it runs: processor, image, cache.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use twine::image_format::sigstruct::Variant;
use twine::workload::{Digest, Freshness, Mount, MountSource};
use twine::{Folders, Image, Program, Runner, Tee};

use super::failure::Failure;
use super::output::note;

/// Where it runs.
#[derive(Args)]
pub struct Enclave {
    /// Processor: auto (hardware or a refusal, never sim), sgx, or sim (simulated: no confidentiality)
    #[arg(long, env = "TWINE_TEE", default_value = "auto", value_name = "auto|sgx|sim")]
    tee: Tee,
    /// Debug enclave: a debugger may look in, the program's calls may be traced, nothing is confidential
    #[arg(long)]
    debug: bool,
    #[command(flatten)]
    files: ImageFiles,
    /// Compile again, and keep nothing
    #[arg(long)]
    no_cache: bool,
}

/// An image other than the built-in one.
#[derive(Args)]
pub struct ImageFiles {
    /// Use this enclave image instead of the built-in one
    #[arg(long, value_name = "FILE", requires = "sigstruct")]
    image: Option<PathBuf>,
    /// Launch with this SIGSTRUCT, which also says whether it is a debug enclave
    #[arg(long, value_name = "FILE", conflicts_with = "debug")]
    sigstruct: Option<PathBuf>,
}

impl ImageFiles {
    /// The image that these options mean.
    pub fn open(&self, debug: bool) -> Result<Image, Failure> {
        let variant = if debug { Variant::Debug } else { Variant::Production };
        Ok(match (&self.image, &self.sigstruct) {
            (_, None) => Image::embedded(variant)?,
            (None, Some(sigstruct)) => Image::embedded(variant)?.with_sigstruct(sigstruct)?,
            (Some(image), Some(sigstruct)) => Image::from_files(image, sigstruct)?,
        })
    }
}

impl Enclave {
    /// The runner, after saying what about it is not secure.
    pub fn runner(&self) -> Result<Runner, Failure> {
        let image = self.files.open(self.debug)?;
        let runner = Runner::with(self.tee, image, &Folders::of_user()?)?;
        insecurities(&runner).iter().for_each(note);
        Ok(if self.no_cache { runner.without_cache() } else { runner })
    }
}

/// Everything about a run that takes protection away.
pub fn insecurities(runner: &Runner) -> Vec<&'static str> {
    let debug = runner.image().is_debug();
    [
        (runner.tee() == "sim", "simulated processor: no confidentiality"),
        (debug, "debug enclave: no confidentiality, debuggers may look in"),
    ]
    .into_iter()
    .filter_map(|(on, text)| on.then_some(text))
    .collect()
}

/// Everything about a program's mounts that takes protection away.
pub fn insecure_mounts(program: &Program) -> Vec<String> {
    let insecure = |mount: &Mount| match &mount.source {
        MountSource::InsecureHost => {
            Some(format!("insecure mount {}: a folder of the host in clear", mount.guest))
        }
        MountSource::Volume { freshness: Freshness::InsecureFile { .. }, .. } => {
            Some(format!("insecure freshness of {}: the host can restore the anchor's file", mount.guest))
        }
        _ => None,
    };
    program.workload().mounts.iter().filter_map(insecure).collect()
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "MRENCLAVE   {}", self.mrenclave)?;
        writeln!(f, "MRSIGNER    {}", self.mrsigner)?;
        writeln!(f, "CONFIGID    {}", self.configid)?;
        writeln!(f, "CONFIGSVN   {}", self.configsvn)?;
        self.module_sha256.iter().try_for_each(|module| writeln!(f, "module      sha256:{module}"))
    }
}

/// Who runs, as JSON.
#[derive(Serialize)]
pub struct Identity {
    tee: &'static str,
    secure: bool,
    insecure: Vec<String>,
    mrenclave: String,
    mrsigner: String,
    isvprodid: u16,
    isvsvn: u16,
    debug: bool,
    configid: String,
    configsvn: u16,
    /// None where the host does not know it.
    module_sha256: Option<String>,
}

impl Identity {
    /// Takes note of something more that takes protection away.
    pub fn is_insecure(&mut self, what: impl Into<String>) {
        self.secure = false;
        self.insecure.push(what.into());
    }

    /// Of a program on a runner.
    pub fn of(runner: &Runner, program: &Program, enclave: &dyn twine::Enclave) -> Self {
        let candidate = program.candidate();
        let module = Some(program.workload().module.to_string());
        Self {
            module_sha256: module,
            ..Self::hidden(runner, candidate.config_id(), candidate.config_svn(), enclave)
        }
    }

    /// Of a program that this host does not know.
    pub fn hidden(runner: &Runner, configid: Digest, configsvn: u16, enclave: &dyn twine::Enclave) -> Self {
        let insecure: Vec<_> = insecurities(runner).into_iter().map(str::to_owned).collect();
        let sigstruct = runner.image().sigstruct().fields();
        Self {
            tee: runner.tee(),
            secure: insecure.is_empty(),
            insecure,
            mrenclave: hex::encode(enclave.mrenclave()),
            mrsigner: hex::encode(enclave.mrsigner()),
            isvprodid: sigstruct.isvprodid,
            isvsvn: sigstruct.isvsvn,
            debug: runner.image().is_debug(),
            configid: configid.to_string(),
            configsvn,
            module_sha256: None,
        }
    }
}
