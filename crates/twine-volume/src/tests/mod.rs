//! Tests through the crate's own seams: a store that fails, an oracle in memory, a builder of invalid volumes.

#[cfg(feature = "file")]
mod anchor_service;
mod anchors;
mod behaviour;
mod crash;
mod faults;
mod hostile;
mod keys;
mod log;
mod model;
mod support;
mod vectors;
