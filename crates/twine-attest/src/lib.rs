//! Evidence, policy and verification of SGX quotes; no SGX hardware needed.
//!
//! A relying party holds a quote, collateral and a policy, and trusts none of the first two. [`Quote::parse`] and
//! [`Collateral::from_json`] give them structure, [`Verifier::verify`] makes a [`QuoteVerified`] by checking every
//! signature up to a root, [`Policy::appraise`] makes a [`PolicyMatched`] of it: these two types exist only where the
//! check was made, and what acts on evidence takes them as arguments. [`judge`] does all three and tells of each check.
//!
//! [`ratls`] carries evidence through TLS 1.3, in certificates that other RA-TLS tools recognise.
//!
//! [`sim`] is the other side for machines without SGX: a quoting enclave in software, under a root of its own whose
//! key everybody knows. It proves that the formats fit and nothing else; a verifier refuses it unless told otherwise.
//!
//! `docs/attestation.md` is the reference.

#![forbid(unsafe_code)]

mod chain;
pub mod claims;
mod collateral;
mod judge;
mod policy;
mod quote;
pub mod ratls;
pub mod sim;
mod verify;

pub use collateral::Collateral;
pub use judge::{Check, Inputs, Judgement, Summary, Verdict, judge};
pub use policy::{
    EnclaveTable, EvidenceTable, Expected, OwnerRule, PlatformTable, Policy, PolicyMatched, SignerRule,
    WorkloadTable, json_schema,
};
pub use quote::{Malformed, Quote};
pub use verify::{QuoteVerified, Root, Verifier, VerifyError};
