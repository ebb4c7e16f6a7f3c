//! Evidence, policy and verification of SGX quotes; no SGX hardware needed.
//!
//! A relying party holds a quote, collateral and a policy, and trusts none of the first two. [`Quote::parse`] and
//! [`Collateral::from_json`] give them structure, [`Verifier::verify`] makes a [`QuoteVerified`] by checking every
//! signature up to a root, [`Policy::appraise`] makes a [`PolicyMatched`] of it: these two types exist only where the
//! check was made, and what acts on evidence takes them as arguments. [`judge`] does all three and tells of each check.
//!
//! [`ratls`] carries evidence through TLS 1.3, in certificates that other RA-TLS tools recognise.
//!
//! [`delivery`] is what goes over such a connection: code and secrets in, output and end out.
//!
//! [`sim`] is the other side for machines without SGX: a quoting enclave in software, under a root of its own whose
//! key everybody knows. It proves that the formats fit and nothing else; a verifier refuses it unless told otherwise.
//!
//! All of it is in enclaves, too, which attest themselves and judge their peers.
//!
//! `docs/attestation.md` is the reference.

#![forbid(unsafe_code)]

mod chain;
pub mod claims;
mod collateral;
pub mod delivery;
mod ear;
mod judge;
mod malformed;
mod policy;
mod provider;
mod quote;
pub mod ratls;
pub mod sim;
mod verify;

pub use malformed::Malformed;

/// A report, as a quote carries it.
pub use twine_sgx::Report;

pub use self::{
    collateral::{Collateral, PcsAnswers},
    judge::{Check, ClaimsSummary, Inputs, Judgement, Summary, Verdict, judge},
    policy::{
        EnclaveTable, EvidenceTable, Expected, ImageRule, OwnerRule, PlatformTable, Policy, PolicyMatched,
        SignerRule, WorkloadTable, json_schema,
    },
    quote::{ClaimedPlatform, Quote},
    verify::{QuoteVerified, Root, Verifier, VerifyError},
};
