//! What the host asks for, and the check that it is what CONFIGID says.

use twine_abi::calls::RunRequest as Ask;
use twine_abi::run::{self, Operation, RunRequest};
use twine_attest::delivery::{Bundle, File, Variable};
use twine_enclave::{border, identity};
use twine_runtime::{Limits, Options};
use twine_workload::{Accepted, Candidate, EnvValue, Workload};
use zeroize::Zeroizing;

use crate::delivery::{self, Delivered, Owner};
use crate::secrets::Secrets;
use crate::{End, reader};

/// Most bytes of a run request.
const LIMIT: u64 = 16 << 20;

/// A request whose measured part is what the processor's report says.
pub struct Request {
    accepted: Accepted,
    flags: u64,
    operation: Operation,
    volume: String,
    environment: Vec<(String, String)>,
    bundle: Bundle,
    owners: Vec<Owner>,
    secrets: Secrets,
}

/// Asks the host, checks, refuses.
pub fn read() -> Result<Request, End> {
    let bytes = reader::read(LIMIT, |offset, into| {
        let max = into.len() as u64;
        border::call(&Ask { offset, max }, &[], into).map(|(reply, got)| (reply.total, got))
    });
    let Ok(Some(bytes)) = bytes else { return Err(End::refused("the host gave no run request")) };
    let request = RunRequest::parse(&bytes).map_err(|error| {
        End::refused(format!(
            "the run request is malformed ({error:?}); rebuild the host and the image together"
        ))
    })?;
    let known = match request.workload {
        [] => None,
        workload => {
            let report = identity::own_report();
            let accepted = Candidate::parse(workload)
                .and_then(|candidate| candidate.accept(&report.configid, report.configsvn));
            Some(accepted.map_err(|error| End::refused(error.to_string()))?)
        }
    };
    if request.flags & run::TRACE != 0 && !identity::is_debug() {
        return Err(End::refused("--trace shows the program's calls; only debug enclaves do that (--debug)"));
    }
    let Delivered { accepted, bundle, owners } = delivered(request.flags, known)?;
    let environment = environment(accepted.workload(), request.environment, &bundle.env)
        .inspect_err(|end| owners.iter().for_each(|owner| owner.tell(end, &end.2)))?;
    let volume = String::from_utf8_lossy(request.volume).into_owned();
    let mut secrets = Secrets::insecure(&request)?;
    for key in &bundle.keys {
        secrets.add_volume_key(&key.name, Zeroizing::new(key.key))?;
    }
    let RunRequest { flags, operation, .. } = request;
    Ok(Request { accepted, flags, operation, volume, environment, secrets, bundle, owners })
}

/// What is delivered, if the workload or the host says that anything is.
fn delivered(flags: u64, known: Option<Accepted>) -> Result<Delivered, End> {
    let by_host = flags & run::DELIVERED != 0;
    match known {
        Some(known) if by_host && known.workload().deliverers().is_empty() => Err(End::refused(
            "the workload names nobody who may deliver; set workload.delivery in the manifest",
        )),
        Some(known) if !by_host && !known.workload().deliverers().is_empty() => Err(End::refused(
            "the workload is delivered by its owner: start it with --await-owner ADDRESS, or with --key-service ADDRESS",
        )),
        known if by_host => delivery::receive(known),
        Some(accepted) => Ok(Delivered { accepted, bundle: Bundle::default(), owners: Vec::new() }),
        None => Err(End::refused("the host gave no workload")),
    }
}

/// The workload's variables: fixed values, delivered ones, and the host's for those that it may choose; what else the host says is
/// refused, so that nobody believes that it arrived.
fn environment(
    workload: &Workload,
    from_host: &[u8],
    delivered: &[Variable],
) -> Result<Vec<(String, String)>, End> {
    let from_host =
        core::str::from_utf8(from_host).map_err(|_| End::refused("an environment variable is not UTF-8"))?;
    let mut offered = Vec::new();
    for pair in from_host.split_terminator('\0') {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| End::refused("an environment variable without a name"))?;
        let may = workload.env.iter().any(|env| env.name == name && env.value == EnvValue::Passthrough);
        if !may || offered.iter().any(|(taken, _)| *taken == name) {
            return Err(End::refused(format!(
                "the workload does not let the host choose the variable {name}"
            )));
        }
        offered.push((name, value));
    }
    let value = |env: &twine_workload::EnvVar| match &env.value {
        EnvValue::Fixed(value) => Some(value.clone()),
        EnvValue::Passthrough => {
            offered.iter().find(|(name, _)| *name == env.name).map(|(_, value)| (*value).to_owned())
        }
        // The bundle was checked to hold all of them.
        EnvValue::Delivered => {
            delivered.iter().find(|variable| variable.name == env.name).map(|variable| variable.value.clone())
        }
    };
    Ok(workload.env.iter().filter_map(|env| Some((env.name.clone(), value(env)?))).collect())
}

impl Request {
    /// The measured part.
    pub fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// The measured part's contents.
    pub fn workload(&self) -> &Workload {
        self.accepted.workload()
    }

    /// The program's environment.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// The module, if it was delivered: checked against the workload then.
    pub fn module(&self) -> Option<&[u8]> {
        self.bundle.module.as_deref()
    }

    /// The files that were delivered.
    pub fn files(&self) -> &[File] {
        &self.bundle.files
    }

    /// Who waits for the result.
    pub fn owners(&self) -> &[Owner] {
        &self.owners
    }

    /// Whether a flag of `twine_abi::run` is set.
    pub fn has(&self, flag: u64) -> bool {
        self.flags & flag != 0
    }

    /// What to do.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Name of the volume that the operation is about.
    pub fn volume(&self) -> &str {
        &self.volume
    }

    /// What the owner gave this run.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// What the compiler needs to know.
    pub fn options(&self) -> Options {
        let limits = &self.workload().limits;
        Options { fuel: limits.fuel.is_some(), stack: usize::try_from(limits.stack).unwrap_or(0) }
    }

    /// What the program may use.
    pub fn limits(&self) -> Limits {
        let limits = &self.workload().limits;
        Limits { memory: limits.memory, table_elements: limits.table_elements, fuel: limits.fuel }
    }
}
