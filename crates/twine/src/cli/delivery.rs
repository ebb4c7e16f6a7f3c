//! The options that say where code and secrets come from, if not from this host.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use twine::exit::Code;
use twine::workload::Digest;
use twine::{Hidden, Ways};

use super::failure::Failure;
use super::output::note;

/// Where code and secrets come from.
#[derive(Args)]
pub struct Delivery {
    /// Wait here (HOST:PORT) for the owner, who delivers code and secrets with `twine deploy`
    #[arg(long, value_name = "ADDRESS")]
    await_owner: Option<String>,
    /// Fetch code and secrets from an owner's key service (`twine keys serve`) at this address; NAME is what the workload
    /// calls the owner, where there are several
    #[arg(long, value_name = "[NAME=]ADDRESS")]
    key_service: Vec<String>,
    /// Run the program with this CONFIGID, of which this host knows nothing else: its owner delivers it
    #[arg(long, value_name = "HEX", value_parser = digest, conflicts_with = "manifest")]
    configid: Option<Digest>,
    /// CONFIGSVN of that program
    #[arg(long, value_name = "N", requires = "configid", default_value_t = 0)]
    configsvn: u16,
    /// Keep the volume NAME of that program in this file
    #[arg(long, value_name = "NAME=FILE", requires = "configid")]
    store: Vec<String>,
}

fn digest(text: &str) -> Result<Digest, String> {
    let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(Digest).ok_or_else(|| "write 128 hex digits, as `twine measure` prints them".to_owned())
}

impl Delivery {
    /// Opens the way by which the delivery comes.
    pub fn ways(&self) -> Result<Option<Ways>, Failure> {
        let services = self.key_service.iter().map(|service| {
            let (name, address) = service.split_once('=').unwrap_or(("", service));
            (name.to_owned(), address.to_owned())
        });
        let services: Vec<_> = services.collect();
        let listener = match &self.await_owner {
            None if services.is_empty() => return Ok(None),
            None => None,
            Some(address) => {
                let unusable = |error| {
                    let text = format!(
                        "--await-owner {address}: {error}; name an address of this machine, HOST:PORT"
                    );
                    Failure::new(Code::Io, "io", text)
                };
                let listener = TcpListener::bind(address).map_err(unusable)?;
                note(format_args!("waiting for the owner on {}", listener.local_addr().map_err(unusable)?));
                Some(listener)
            }
        };
        Ok(Some(Ways { listener, services }))
    }

    /// The identity of a program that this host does not know, and what it knows of it.
    pub fn hidden(&self, timeout: Option<Duration>) -> Result<Option<(Digest, u16, Hidden)>, Failure> {
        let Some(configid) = self.configid else { return Ok(None) };
        if self.await_owner.is_none() && self.key_service.is_empty() {
            return Err(Failure::usage(
                "--configid: say who delivers the program, with --await-owner or --key-service",
            ));
        }
        let mut volumes = Vec::new();
        for store in &self.store {
            let usage = || Failure::usage(format!("--store {store}: write NAME=FILE"));
            let (name, file) = store.split_once('=').ok_or_else(usage)?;
            volumes.push((name.to_owned(), PathBuf::from(file)));
        }
        Ok(Some((configid, self.configsvn, Hidden { volumes, timeout, ..Hidden::default() })))
    }
}
