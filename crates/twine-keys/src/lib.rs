//! The owner's key service: enclaves connect, attest themselves, and get the code and the secrets of their workload.
//!
//! A [`Service`] has one [`Entry`] per workload: its policy and its bundle. Who comes is judged by the entry that its
//! evidence claims, inside the TLS handshake; a bundle goes out only after its line in the [`Audit`] log is on disk. Peers
//! are strangers until then: their number, their time and their rate have limits. Threads, no runtime: a delivery is a
//! few round trips.
//!
//! `twine keys serve` is this; `docs/attestation.md` is the reference.

#![forbid(unsafe_code)]

mod audit;
mod config;
mod limits;
mod serve;

pub use audit::{Audit, Event};
pub use config::{Config, EntryTable, LimitsTable, json_schema};
pub use serve::{Entry, Service, Totals};
