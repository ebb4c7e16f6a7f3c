//! `twine keys`: the owner's key service.

use std::fmt;
use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use twine::exit::Code;
use twine_attest::delivery::DeliveryKey;
use twine_attest::ratls::CollateralSource;
use twine_attest::{Policy, sim};
use twine_keys::{Audit, Config, Entry, EntryTable, Service};

use super::collateral::Watched;
use super::deploy::{bundle, delivery_key};
use super::failure::Failure;
use super::output::{Output, Status, note};
use super::pccs::Pccs;

pub const SCHEMA: &str = "twine.keys/1";

/// Verbs of `twine keys`.
#[derive(Subcommand)]
pub enum Options {
    /// Deliver code and secrets to every enclave whose evidence its workload's policy accepts, until SIGTERM or SIGINT
    Serve {
        /// What is released to whom (keys.toml, docs/attestation.md)
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Check the configuration and everything that it names, and release nothing
        #[arg(long)]
        check: bool,
    },
}

#[derive(Serialize)]
struct Data {
    workloads: Vec<String>,
    /// Nothing was served.
    checked_only: bool,
    connections: u64,
    delivered: u64,
    refused: u64,
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        let Self::Serve { config: place, check } = self;
        let text = fs::read_to_string(&place).map_err(Failure::reading(&place))?;
        let config = Config::from_toml(&text, &place.display().to_string())?;
        let path = |path: &Path| Config::path(&place, path);
        let key = delivery_key(&path(&config.key))?;
        let entries: Vec<Entry> =
            config.workload.iter().map(|table| entry(table, &key, &path)).collect::<Result<_, _>>()?;
        let simulated = entries.iter().filter(|entry| entry.policy.evidence.insecure_simulation);
        for entry in simulated {
            note(format_args!(
                "{}: its policy accepts simulated processors, which protect nothing",
                entry.name
            ));
        }
        let workloads = entries.iter().map(|entry| entry.name.clone()).collect();
        let mut data = Data { workloads, checked_only: check, connections: 0, delivered: 0, refused: 0 };
        let simulated = entries.iter().any(|entry| entry.policy.evidence.insecure_simulation);
        let collateral = source(&config, &place, simulated)?;
        if !check {
            let audit_path = path(&config.audit);
            let audit = Audit::open(&audit_path).map_err(Failure::writing(&audit_path))?;
            let limits = (config.limits.connections, config.timeout()?, config.limits.per_address);
            let service = Service::new(entries, key, collateral, audit, limits);
            let io = |error: std::io::Error| {
                Failure::new(Code::Io, "io", format!("listen {}: {error}", config.listen))
            };
            let (stop, stopped) = UnixStream::pair().map_err(io)?;
            for signal in [SIGTERM, SIGINT] {
                signal_hook::low_level::pipe::register(signal, stop.try_clone().map_err(io)?).map_err(io)?;
            }
            let listener = TcpListener::bind(&config.listen).map_err(io)?;
            note(format_args!("releasing keys on {}", listener.local_addr().map_err(io)?));
            let totals = service.serve(&listener, &stopped).map_err(io)?;
            (data.connections, data.delivered, data.refused) =
                (totals.connections, totals.delivered, totals.refused);
        }
        output.result(SCHEMA, Status::Success, &data);
        Ok(ExitCode::SUCCESS)
    }
}

fn source(config: &Config, place: &Path, simulated: bool) -> Result<Arc<dyn CollateralSource>, Failure> {
    let wrong = |field: &str, what: String, remedy: &str| {
        let failure = Failure::new(Code::Config, "config", format!("{}: {what}", place.display()));
        Failure { field: Some(field.to_owned()), remedy: Some(remedy.to_owned()), ..failure }
    };
    Ok(match (&config.collateral, &config.pccs) {
        (Some(file), _) => {
            let file = Config::path(place, file);
            fs::read(&file).map_err(Failure::reading(&file))?;
            Arc::new(Watched(file))
        }
        (None, Some(url)) => {
            let ca = config.pccs_ca.as_ref().map(|ca| Config::path(place, ca));
            let pccs = Pccs::new(url, ca.as_deref());
            Arc::new(pccs.map_err(|why| wrong("pccs", why, "name the service, and its authority as PEM"))?)
        }
        (None, None) if simulated => Arc::new(sim::Simulated),
        (None, None) => {
            let remedy = "name a service in pccs, or a file that somebody keeps fresh";
            return Err(wrong("collateral", "there is none".to_owned(), remedy));
        }
    })
}

fn entry(table: &EntryTable, key: &DeliveryKey, path: &dyn Fn(&Path) -> PathBuf) -> Result<Entry, Failure> {
    let program =
        twine::Program::from_config(&twine::workload::manifest::Config::read(&path(&table.manifest))?)?;
    let policy_path = path(&table.policy);
    let text = fs::read_to_string(&policy_path).map_err(Failure::reading(&policy_path))?;
    let policy = Policy::from_toml(&text, &policy_path.display().to_string())?;
    let secrets = table.secrets.as_deref().map(path);
    let bundle = bundle(&program, key, secrets.as_deref()).map_err(|failure| Failure {
        message: format!("workload {:?}: {}", table.name, failure.message),
        ..failure
    })?;
    Ok(Entry {
        name: table.name.clone(),
        candidate: program.candidate().clone(),
        presented: program.presented().to_vec(),
        policy,
        bundle: bundle.to_bytes(),
        per_minute: table.per_minute,
    })
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.checked_only {
            return writeln!(f, "ready to release: {}", self.workloads.join(", "));
        }
        let Self { connections, delivered, refused, .. } = self;
        writeln!(f, "{connections} connections, {delivered} deliveries, {refused} refused")
    }
}
