//! What is fuzzed: one function for every decoder that meets bytes of a host, a store or a peer.
//!
//! A [`Target`] takes any bytes and must come back: no panic, no endless loop, no memory beyond a multiple of the input.
//! Where a decoder accepts one encoding of each value only, what was decoded is encoded again and must be the same bytes.
//! Where there is a seal or a signature, changed bytes must not be accepted as another value.
//!
//! `fuzz/` gives the same functions to libFuzzer; `tests/mutations.rs` runs them on seeded mutations of [`Target::seeds`].

#![forbid(unsafe_code)]

mod attest;
mod border;
mod cache;
mod delivery;
mod image;
mod volume;
mod workload;

/// One decoder, or several that meet the same bytes.
pub struct Target {
    /// The name, that of the file in `fuzz/fuzz_targets` as well.
    pub name: &'static str,
    /// What must survive any bytes.
    pub run: fn(&[u8]),
    /// Inputs that are accepted, or nearly.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Runs of the ordinary test: as many as take about a second.
    pub rounds: u32,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "run_request",
        run: border::run_request,
        seeds: border::run_request_seeds,
        rounds: 50_000,
    },
    Target { name: "reply", run: border::reply, seeds: border::reply_seeds, rounds: 50_000 },
    Target { name: "workload", run: workload::workload, seeds: workload::workload_seeds, rounds: 10_000 },
    Target { name: "manifest", run: workload::manifest, seeds: workload::manifest_seeds, rounds: 1_000 },
    Target { name: "sgxs", run: image::sgxs, seeds: image::sgxs_seeds, rounds: 1_000 },
    Target { name: "elf", run: image::elf, seeds: image::elf_seeds, rounds: 1_000 },
    Target { name: "sigstruct", run: image::sigstruct, seeds: image::sigstruct_seeds, rounds: 100 },
    Target { name: "volume_parts", run: volume::parts, seeds: volume::parts_seeds, rounds: 20_000 },
    Target { name: "volume", run: volume::whole, seeds: volume::whole_seeds, rounds: 200 },
    Target { name: "artefact", run: cache::artefact, seeds: cache::artefact_seeds, rounds: 2_000 },
    Target { name: "quote", run: attest::quote, seeds: attest::quote_seeds, rounds: 500 },
    Target { name: "collateral", run: attest::collateral, seeds: attest::collateral_seeds, rounds: 500 },
    Target { name: "policy", run: attest::policy, seeds: attest::policy_seeds, rounds: 1_000 },
    Target { name: "claims", run: attest::claims, seeds: attest::claims_seeds, rounds: 20_000 },
    Target { name: "certificate", run: attest::certificate, seeds: attest::certificate_seeds, rounds: 500 },
    Target { name: "bundle", run: delivery::bundle, seeds: delivery::bundle_seeds, rounds: 20_000 },
    Target { name: "sealed", run: delivery::sealed, seeds: delivery::sealed_seeds, rounds: 20_000 },
];

/// The target with this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
