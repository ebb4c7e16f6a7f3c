//! The test vectors of docs/workload.md: built here, written to `tests/vectors/workload-1.json`, and read back through
//! the reader that the enclave uses. `TWINE_UPDATE=1 cargo test -p twine-workload --test vectors` writes the file.

mod common;

use std::path::Path;

use common::{full, hex, minimal, owned, owner_key, presented, sign, unhex};
use minicbor::Encoder;
use serde_json::{Value, json};
use twine_workload::{Candidate, Deliverer, EnvValue, EnvVar, Error, Mount, MountSource, Workload};

#[test]
fn the_file_is_what_the_builder_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/workload-1.json");
    let mut built = serde_json::to_string_pretty(&build()).unwrap();
    built.push('\n');
    if std::env::var_os("TWINE_UPDATE").is_some() {
        std::fs::write(&path, &built).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    // As values: the order of keys depends on a feature of serde_json that other crates of a build may switch on.
    assert!(
        serde_json::from_str::<Value>(&committed).is_ok_and(|committed| committed == build()),
        "the format changed: that is a new format version; see the head of this file"
    );
}

#[test]
fn the_reader_agrees_with_every_vector() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/workload-1.json")).unwrap();
    for vector in vectors["valid"].as_array().unwrap() {
        let name = vector["name"].as_str().unwrap();
        let bytes = unhex(bytes_hex(vector));
        let candidate = Candidate::parse(&bytes).unwrap();
        assert_eq!(candidate.digest().to_string(), vector["digest"], "{name}");
        assert_eq!(candidate.config_id().to_string(), vector["config_id"], "{name}");
        assert_eq!(candidate.config_svn(), vector["config_svn"], "{name}");
        let canonical = candidate.workload().to_bytes().unwrap();
        assert_eq!(hex(&canonical), bytes_hex(vector)[..2 * canonical.len()], "{name}");
    }
    for vector in vectors["invalid"].as_array().unwrap() {
        let name = vector["name"].as_str().unwrap();
        let bytes = unhex(bytes_hex(vector));
        let error = Candidate::parse(&bytes).expect_err(name);
        assert_eq!(error_name(&error), vector["error"], "{name}: {error}");
    }
}

fn bytes_hex(vector: &Value) -> &str {
    vector["bytes"].as_str().unwrap()
}

fn build() -> Value {
    let valid =
        [("minimal", minimal()), ("everything", full()), ("owner", owned())].map(|(name, workload)| {
            let bytes = presented(&workload);
            let candidate = Candidate::parse(&bytes).unwrap();
            json!({
                "name": name,
                "bytes": hex(&bytes),
                "digest": candidate.digest().to_string(),
                "config_id": candidate.config_id().to_string(),
                "config_svn": candidate.config_svn(),
            })
        });
    json!({
        "format": "twine workload 1",
        "owner_public_key": hex(&owner_key()),
        "valid": valid,
        "invalid": invalid(),
    })
}

/// Each fails for one reason only.
fn invalid() -> Vec<Value> {
    let bytes = minimal().to_bytes().unwrap();
    let signed = presented(&owned());
    let unsigned = owned().to_bytes().unwrap();
    let (head, body) = (&bytes[..2], &bytes[2..]);
    let case = |name: &str, bytes: Vec<u8>, error: &str| json!({ "name": name, "bytes": hex(&bytes), "error": error });
    let mut cases = vec![
        case("empty", vec![], "Malformed"),
        case("cut by one byte", bytes[..bytes.len() - 1].to_vec(), "Malformed"),
        case("a byte after the end", [&bytes[..], &[0]].concat(), "UnexpectedSignature"),
        case("version 2", [&[0x82, 2], body].concat(), "Version"),
        case("version in two bytes", [&[0x82, 0x18, 1], body].concat(), "NotCanonical"),
        case("indefinite outer array", [&[0x9f], &bytes[1..], &[0xff]].concat(), "Malformed"),
        case("indefinite map", [head, &[0xbf], &body[1..], &[0xff]].concat(), "NotCanonical"),
        // The map's head AA (10 entries) becomes AB; key 23 comes last, where RFC 8949 sorts it.
        case("an unknown key", [head, &[0xab], &body[1..], &[0x17, 0]].concat(), "NotCanonical"),
        case("a key twice", [head, &[0xab], &body[1..], &[0x09, 0xf5]].concat(), "NotCanonical"),
        case("a key missing", [head, &[0xa9], &body[1..body.len() - 2]].concat(), "Malformed"),
        case("signature missing", unsigned.clone(), "Unsigned"),
        case(
            "signature of other bytes",
            [&unsigned[..], &sign(&bytes)[bytes.len()..]].concat(),
            "BadSignature",
        ),
        case("signature cut", signed[..signed.len() - 1].to_vec(), "BadSignature"),
        case("a byte after the signature", [&signed[..], &[0]].concat(), "BadSignature"),
        case("signature of a digest workload", sign(&bytes), "UnexpectedSignature"),
    ];
    cases.extend(broken_rules().into_iter().map(|(name, workload)| {
        let mut encoder = Encoder::new(Vec::new());
        encoder.array(2).unwrap().u64(1).unwrap().encode(&workload).unwrap();
        case(name, encoder.into_writer(), "Invalid")
    }));
    cases
}

fn broken_rules() -> Vec<(&'static str, Workload)> {
    let with = |change: fn(&mut Workload)| {
        let mut workload = full();
        change(&mut workload);
        workload
    };
    let deliverers = |change: fn(&mut Vec<Deliverer>)| {
        let mut workload = full();
        workload.delivery.iter_mut().for_each(change);
        workload
    };
    let variable = |name: &str| EnvVar { name: name.into(), value: EnvValue::Passthrough };
    let env = |names: &[&str]| Workload { env: names.iter().copied().map(variable).collect(), ..minimal() };
    let mount = |guest: &str| Workload {
        mounts: vec![Mount { guest: guest.into(), source: MountSource::InsecureHost, read_only: true }],
        ..minimal()
    };
    vec![
        ("NUL in an argument", with(|w| w.args = vec!["a\0b".into()])),
        ("environment out of order", env(&["B", "A"])),
        ("environment name twice", env(&["A", "A"])),
        ("environment name empty", env(&[""])),
        ("environment name with =", env(&["A=B"])),
        ("relative guest path", mount("data")),
        ("guest path with ..", mount("/data/../etc")),
        ("guest path with / at the end", mount("/data/")),
        ("empty guest path", mount("")),
        ("mounts out of order", with(|w| w.mounts.reverse())),
        (
            "one volume twice",
            with(|w| {
                let volume =
                    w.mounts.iter().find(|m| matches!(m.source, MountSource::Volume { .. })).unwrap().clone();
                w.mounts = vec![volume.clone(), Mount { guest: "/other".into(), ..volume }];
                w.mounts.sort_by(|a, b| a.guest.cmp(&b.guest));
            }),
        ),
        (
            "measured mount to write",
            with(|w| {
                w.mounts.retain(|m| matches!(m.source, MountSource::Measured { .. }));
                w.mounts[0].read_only = false;
            }),
        ),
        (
            "measured file that is a directory",
            with(|w| {
                w.mounts.retain_mut(|m| match &mut m.source {
                    MountSource::Measured { files } => {
                        let mut below = files[0].clone();
                        below.path.push_str("/x");
                        *files = vec![files[0].clone(), below];
                        true
                    }
                    _ => false,
                });
            }),
        ),
        ("delivered values from nobody", with(|w| w.delivery = None)),
        ("an empty list of deliverers", Workload { delivery: Some(Vec::new()), ..minimal() }),
        ("deliverers out of order", deliverers(|d| d.reverse())),
        ("two deliverers with one key", deliverers(|d| d[0].key = d[1].key)),
        ("output to two deliverers", deliverers(|d| d[0].output = true)),
        ("a variable from two deliverers", deliverers(|d| d[1].env.push("TOKEN".into()))),
        ("a variable that is not delivered", deliverers(|d| d[1].env.push("LANG".into()))),
        ("a volume's key from nobody", deliverers(|d| d[1].volumes.clear())),
        ("a deliverer's files out of order", deliverers(|d| d[0].files.reverse())),
        ("a deliverer's name with a space", deliverers(|d| d[0].name = "a b".into())),
        (
            "delivered file with ..",
            with(|w| {
                let source = MountSource::Delivered { files: vec!["../a".into()] };
                w.mounts = vec![Mount { guest: "/secrets".into(), source, read_only: true }];
            }),
        ),
        (
            "delivered mount to write",
            with(|w| {
                w.mounts.retain(|m| matches!(m.source, MountSource::Delivered { .. }));
                w.mounts[0].read_only = false;
            }),
        ),
        ("host in upper case", with(|w| w.network[0].host = "Example.org".into())),
        ("address in a long form", with(|w| w.network[0].host = "0:0:0:0:0:0:0:1".into())),
    ]
}

fn error_name(error: &Error) -> String {
    let debug = format!("{error:?}");
    debug.chars().take_while(char::is_ascii_alphabetic).collect()
}
