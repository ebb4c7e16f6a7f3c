//! The relying party's policy: a TOML file, read strictly, and its appraisal of verified evidence.

mod appraise;
mod tables;

pub use appraise::{Expected, PolicyMatched};
pub use tables::{
    EnclaveTable, EvidenceTable, ImageRule, OwnerRule, PlatformTable, Policy, SignerRule, WorkloadTable,
    json_schema,
};
