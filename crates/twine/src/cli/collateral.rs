//! Where collateral comes from: a file, a service, or the simulation.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use twine_attest::ratls::CollateralSource;
use twine_attest::{Quote, sim};

use super::failure::Failure;
use super::pccs::Pccs;

/// Options of every verb that judges evidence.
#[derive(Args)]
pub struct Source {
    /// Collateral for the quote's platform, as PCCS clients write it (JSON)
    #[arg(long, value_name = "FILE", conflicts_with = "pccs")]
    collateral: Option<PathBuf>,
    /// Fetch collateral from Intel's service or a cache of it, like https://pccs.example.org:8081
    #[arg(long, value_name = "URL")]
    pccs: Option<String>,
    /// Trust this authority (PEM) for the cache's HTTPS; collateral is signed whoever serves it
    #[arg(long, value_name = "FILE", requires = "pccs", conflicts_with = "collateral")]
    pccs_ca: Option<PathBuf>,
    /// Accept a simulated processor, which protects nothing; its collateral is made here if none is given
    #[arg(long)]
    pub allow_simulation: bool,
}

impl Source {
    /// The source, which has been read as far as it is here.
    pub fn source(&self) -> Result<Arc<dyn CollateralSource>, Failure> {
        Ok(match (&self.collateral, &self.pccs) {
            (Some(path), _) => Arc::new(fs::read(path).map_err(Failure::reading(path))?),
            (None, Some(url)) => Arc::new(Pccs::new(url, self.pccs_ca.as_deref()).map_err(Failure::usage)?),
            (None, None) if self.allow_simulation => Arc::new(sim::Simulated),
            (None, None) => Arc::new(Absent),
        })
    }
}

/// Nobody said where it is.
#[derive(Debug)]
struct Absent;

impl CollateralSource for Absent {
    fn collateral(&self, _: &Quote, _: u64) -> Result<Vec<u8>, String> {
        Err("none was given: name a file with --collateral, or a service with --pccs".into())
    }
}

/// A file that is read again for each quote: somebody keeps it fresh.
#[derive(Debug)]
pub struct Watched(pub PathBuf);

impl CollateralSource for Watched {
    fn collateral(&self, _: &Quote, _: u64) -> Result<Vec<u8>, String> {
        fs::read(&self.0).map_err(|e| format!("{}: {e}", self.0.display()))
    }
}
