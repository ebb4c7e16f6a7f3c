//! `twine.toml`: the workload as people write it, and what the host may choose beside it.
//!
//! [`Config`] lays flags over environment over file over defaults and remembers where each value came from;
//! [`Manifest`] is the typed result; [`Manifest::resolve`] reads the files that it names and makes the [`crate::Workload`].
//! The table `workload` is measured, the table `host` is not.

mod config;
mod error;
mod owner;
mod resolve;
mod schema;
mod tables;
pub mod tomlfile;

pub use config::{Config, Origin, Setting};
pub use error::{FileError, FileErrorKind};
pub use owner::{KeyError, OwnerKey};
pub use resolve::Resolved;
pub use schema::json_schema;
pub use tables::{
    ClockWord, DEFAULT_ARG0, DeliveryTable, EnvEntry, EnvTable, FreshnessWord, HostTable, IdentityTable,
    KeyWord, LimitsTable, Manifest, MountKind, MountTable, NetworkTable, Size, StdioTable,
    UnknownImportsWord, WorkloadTable,
};
/// A value of the manifest, as [`Config::set`] takes it.
pub use toml::Value;
