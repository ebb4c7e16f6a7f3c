//! Workloads that the tests share.
#![allow(dead_code, reason = "each test file uses some of them")]

use ring::signature::{Ed25519KeyPair, KeyPair};
use twine_workload::{
    Clock, Deliverer, EnvValue, EnvVar, Freshness, Identity, KeyPolicy, Limits, MeasuredFile, Mount,
    MountSource, Moves, NetworkAction, NetworkRule, Stdio, Workload, sha256,
};

/// The smallest module: magic and version.
pub const MODULE: &[u8] = b"\0asm\x01\0\0\0";

pub fn minimal() -> Workload {
    Workload::new(sha256(MODULE))
}

/// Every part, and every variant of every part.
pub fn full() -> Workload {
    let file = |path: &str, contents: &[u8]| MeasuredFile {
        path: path.into(),
        size: contents.len() as u64,
        sha256: sha256(contents),
    };
    let volume = |name: &str, key, freshness| MountSource::Volume { name: name.into(), key, freshness };
    let service = |moves| Freshness::Service { key: [7; 32], moves };
    let mount = |guest: &str, source, read_only| Mount { guest: guest.into(), source, read_only };
    let deliverer = |name: &str, key, env: &[&str], files: &[&str], volumes: &[&str]| {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Deliverer {
            name: name.into(),
            key,
            output: false,
            env: list(env),
            files: list(files),
            volumes: list(volumes),
        }
    };
    let rule = |action, host: &str, port| NetworkRule { action, host: host.into(), port };
    Workload {
        args: vec!["app".into(), "--level".into(), "é".into(), String::new()],
        env: vec![
            EnvVar { name: "LANG".into(), value: EnvValue::Fixed("C.UTF-8".into()) },
            EnvVar { name: "TERM".into(), value: EnvValue::Passthrough },
            EnvVar { name: "TOKEN".into(), value: EnvValue::Delivered },
        ],
        stdio: Stdio { stdin: false, stdout: true, stderr: false },
        mounts: vec![
            mount("/cache", MountSource::Scratch { bytes: 64 << 20 }, false),
            mount("/data", volume("accounts", KeyPolicy::Signer, Freshness::Run), false),
            mount("/host", MountSource::InsecureHost, true),
            mount("/lib", MountSource::Measured { files: vec![file("a/b", b"1"), file("a.b", b"")] }, true),
            mount(
                "/log",
                volume(
                    "log",
                    KeyPolicy::Enclave,
                    Freshness::InsecureFile { moves: Moves::Interval(30_000_000_000) },
                ),
                false,
            ),
            mount("/secrets", MountSource::Delivered { files: vec!["a/b".into(), "a.b".into()] }, true),
            mount("/vault", volume("vault", KeyPolicy::Owner, service(Moves::EverySync)), true),
            mount("/wal", volume("wal", KeyPolicy::Signer, service(Moves::OpenAndClose)), false),
        ],
        network: vec![
            rule(NetworkAction::Connect, "*", Some(443)),
            rule(NetworkAction::Connect, "db.example.org", Some(5432)),
            rule(NetworkAction::Listen, "::1", None),
        ],
        limits: Limits {
            memory: 1 << 30,
            table_elements: 10_000,
            stack: 512 << 10,
            descriptors: 64,
            fuel: Some(u64::MAX),
        },
        clock: Clock::Denied,
        diagnostics: false,
        delivery: Some(vec![
            deliverer("bank-a", [8; 32], &["TOKEN"], &["/secrets/a.b", "/secrets/a/b"], &[]),
            Deliverer { output: true, ..deliverer("bank-b", owner_key(), &[], &[], &["vault"]) },
        ]),
        ..minimal()
    }
}

pub fn owned() -> Workload {
    let identity = Identity::Owner { key: owner_key(), name: "credit-scoring".into(), version: 3 };
    Workload { identity, ..minimal() }
}

pub fn owner_key() -> [u8; 32] {
    pair().public_key().as_ref().try_into().unwrap()
}

/// Canonical bytes with the owner's signature, made as docs/workload.md says and not with the crate's own code.
pub fn sign(bytes: &[u8]) -> Vec<u8> {
    let signature = pair().sign(&[b"twine/workload/1/signature\0", bytes].concat());
    [bytes, signature.as_ref()].concat()
}

/// What the host hands to the enclave.
pub fn presented(workload: &Workload) -> Vec<u8> {
    let bytes = workload.to_bytes().unwrap();
    if matches!(workload.identity, Identity::Owner { .. }) { sign(&bytes) } else { bytes }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// The secret key of RFC 8032, section 7.1, test 1.
fn pair() -> Ed25519KeyPair {
    let seed = unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    Ed25519KeyPair::from_seed_unchecked(&seed).unwrap()
}
