//! Which processor runs the enclave.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use twine_host::backend::Backend;
use twine_host::quote::QuoteProvider;
use twine_host::sim::{Fuse, Processor, Sim};

use crate::error::{Error, Result};
use crate::folders;
use crate::quotes::SimulatedQuotes;

/// Which processor runs the enclave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tee {
    /// Hardware, or a refusal that says what is missing. Never the simulated processor.
    #[default]
    Auto,
    /// Intel SGX.
    Sgx,
    /// The simulated processor: the same semantics and no confidentiality.
    Sim,
}

impl FromStr for Tee {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "sgx" => Ok(Self::Sgx),
            "sim" => Ok(Self::Sim),
            _ => Err("expected auto, sgx or sim".to_owned()),
        }
    }
}

impl Tee {
    /// The backend, and who quotes its reports. `state` holds the simulated processor, which is made there on first use.
    pub(crate) fn open(self, state: &Path) -> Result<(Box<dyn Backend>, Arc<dyn QuoteProvider>)> {
        match self {
            Self::Auto => Err(Error::NoTee {
                found: "no trusted execution environment: this release runs enclaves on the simulated processor only"
                    .to_owned(),
                remedy: "to try a program without confidentiality, say --tee sim (or TWINE_TEE=sim); \
                         `twine platform` shows what this machine offers",
            }),
            Self::Sgx => Err(Error::NoTee {
                found: "--tee sgx: this release has no SGX hardware backend".to_owned(),
                remedy: "use a release that has one; `twine platform` shows what this machine offers",
            }),
            Self::Sim => {
                folders::create(state, folders::STATE)?;
                let processor = Arc::new(Processor::new(Fuse::open(state)?)?);
                let quotes = Arc::new(SimulatedQuotes::new(processor.clone()));
                Ok((Box::new(Sim::new(processor)?), quotes))
            }
        }
    }
}
