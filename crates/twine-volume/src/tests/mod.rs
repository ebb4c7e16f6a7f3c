//! Tests through the crate's own seams: a store that fails, an oracle in memory, a builder of invalid volumes.

mod crash;
mod keys;
mod model;
mod support;
