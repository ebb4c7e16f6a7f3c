//! The workload: what a program runs as, and the identity that follows from it.
//!
//! Trusted code, linked into the enclave. A [`Workload`] holds everything that the enclave obeys; its canonical
//! bytes are hashed into SGX's CONFIGID, which every report and quote carries and which sealing keys depend on.
//! The host hands the bytes in and is believed in nothing: [`Candidate::parse`] takes only the one encoding of a
//! valid workload, and [`Candidate::accept`] makes an [`Accepted`] only if the processor's own report of the enclave
//! names the identity that those bytes have.
//!
//! `docs/workload.md` is the specification; `tests/vectors` its test vectors. With the feature `toml` (owner's and
//! host's side, never in the enclave) the module [`manifest`] reads `twine.toml`, resolves files and signs workloads.

#![forbid(unsafe_code)]

mod canonical;
mod describe;
mod error;
mod identity;
#[cfg(feature = "toml")]
pub mod manifest;
mod rules;
mod workload;

pub use canonical::MAX_LEN;
pub use describe::{Change, Field};
pub use error::{Error, Result};
pub use identity::{Accepted, Candidate, CheckedModule, Digest, owner_config_id, sha256};
pub use workload::{
    Clock, Deliverer, EnvValue, EnvVar, Freshness, Identity, KeyPolicy, Limits, MeasuredFile, Mount,
    MountSource, Moves, NetworkAction, NetworkRule, Sha256, Stdio, Workload,
};
