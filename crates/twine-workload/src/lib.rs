//! The workload: manifest, canonical form, digest.
