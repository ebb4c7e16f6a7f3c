//! `twine verify` as a transcript: what a relying party types, sees, and gets as exit code.

mod common;

use std::fs;

use common::evidence::{AT, AT_SECONDS, Quoted, VERIFY, folder, twine};
use serde_json::Value;
use twine_attest::claims::{Claims, ProgramClaims, report_data};
use twine_attest::ratls::Evidence;
use twine_workload::Digest;

#[test]
fn accepted_evidence() {
    let folder = folder(false);
    let (code, stdout, stderr) = twine(folder.path(), &format!("{VERIFY} --allow-simulation"));
    assert_eq!(
        (code, stderr.as_str()),
        (0, "twine: simulated processor: the evidence proves nothing\n"),
        "{stdout}"
    );
    assert!(stdout.ends_with("\naccepted\n") && !stdout.contains("FAIL"), "{stdout}");
    let ids: Vec<_> =
        stdout.lines().filter_map(|line| line.strip_prefix("ok   ")?.split(' ').next()).collect();
    let expected = [
        "quote.format",
        "collateral.format",
        "quote.authentic",
        "enclave.identity",
        "enclave.attributes",
        "enclave.debug",
        "workload.identity",
        "platform.root",
        "platform.tcb-status",
        "platform.advisories",
    ];
    assert_eq!(ids, expected);
}

#[test]
fn json_is_one_object_with_every_check() {
    let folder = folder(true);
    let (code, stdout, _) = twine(folder.path(), &format!("{VERIFY} --allow-simulation --json"));
    let object: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(code, 1);
    assert_eq!((&object["schema"], &object["status"]), (&"twine.verify/1".into(), &"fail".into()));
    let data = &object["data"];
    assert_eq!(data["verdict"], "refused");
    assert_eq!(data["evidence"]["debug"], true);
    assert_eq!(data["evidence"]["simulated"], true);
    assert_eq!(data["evidence"]["verified_at"], AT);
    let failed: Vec<_> =
        data["checks"].as_array().unwrap().iter().filter(|check| check["pass"] == false).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["id"], "enclave.debug");
}

#[test]
fn each_verdict_has_its_exit_code() {
    let folder = folder(false);
    let code = |arguments: &str| twine(folder.path(), arguments).0;
    let without = VERIFY.replace(" --collateral collateral.json", "");
    assert_eq!(code(&format!("{VERIFY} --allow-simulation")), 0);
    // The simulation's collateral can be made by everybody, so also here.
    assert_eq!(code(&format!("{without} --allow-simulation")), 0);
    assert_eq!(code(VERIFY), 1);
    assert_eq!(code(&format!("{VERIFY} --allow-simulation --report-data {}", "00".repeat(64))), 1);
    assert_eq!(code(&format!("{VERIFY} --allow-simulation --report-data {}", "da".repeat(64))), 0);
    assert_eq!(code(&VERIFY.replace("verify quote", "verify policy.toml")), 2);
    assert_eq!(code(&VERIFY.replace("collateral.json", "policy.toml")), 2);
    assert_eq!(code(&without), 3);
    assert_eq!(code(&format!("{} --allow-simulation", VERIFY.replace("2026-06-01", "2026-08-01"))), 3);
    assert_eq!(code("verify"), 64);
    assert_eq!(code(&format!("{VERIFY} --nonce zz")), 64);
    assert_eq!(code(&VERIFY.replace("2026-06-01T00:00:00Z", "yesterday")), 64);
    assert_eq!(code(&VERIFY.replace("verify quote", "verify none")), 66);
    fs::write(folder.path().join("policy.toml"), "version = 1\n[enclav]\n").unwrap();
    let (code, _, stderr) = twine(folder.path(), VERIFY);
    let expected = "twine: policy.toml:2:2: unknown key `enclav`; did you mean `enclave`?\n";
    assert_eq!((code, stderr.as_str()), (78, expected));
}

#[test]
fn a_policy_can_be_met_by_a_manifests_workload_only() {
    let folder = folder(false);
    fs::write(folder.path().join("app.wasm"), b"\0asm\x01\0\0\0").unwrap();
    fs::write(folder.path().join("twine.toml"), "version = 1\n[host]\nmodule = \"app.wasm\"\n").unwrap();
    let (code, stdout, _) =
        twine(folder.path(), &format!("{VERIFY} --allow-simulation --manifest twine.toml"));
    assert_eq!(code, 1);
    assert!(stdout.contains("FAIL workload.expected "), "{stdout}");
}

/// A program's evidence (`twine_tee_v1`) is one file; its data is shown when it is bound.
#[test]
fn a_programs_evidence() {
    let folder = folder(false);
    let claims = ProgramClaims {
        data: b"result: 42\n".to_vec(),
        nonce: Some(b"n1".to_vec()),
        workload: Digest([7; 64]),
    };
    let claims = claims.to_bytes();
    let quote = Quoted { debug: false, report_data: report_data(&claims) }.quote();
    let write =
        |name: &str, evidence: &Evidence| fs::write(folder.path().join(name), evidence.to_bytes()).unwrap();
    write("evidence", &Evidence { quote: quote.clone(), claims });
    let verify = format!("{} --allow-simulation", VERIFY.replace("verify quote", "verify evidence"));
    let (code, stdout, stderr) = twine(folder.path(), &format!("{verify} --nonce 6e31"));
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stdout.contains("     program says             result: 42\\n\n"), "{stdout}");
    let (_, stdout, _) = twine(folder.path(), &format!("{verify} --json"));
    let claims = serde_json::from_str::<Value>(&stdout).unwrap()["data"]["claims"].clone();
    assert_eq!((&claims["kind"], &claims["nonce"]), (&"program".into(), &"6e31".into()));
    assert_eq!(claims["data"], hex::encode("result: 42\n"));
    let (code, stdout, _) = twine(folder.path(), &format!("{verify} --nonce 6e32"));
    assert!(code == 1 && stdout.contains("FAIL evidence.nonce"), "{stdout}");
    // Other data beside the quote: nothing of it is shown.
    let forged = ProgramClaims { data: b"result: 43".to_vec(), nonce: None, workload: Digest([7; 64]) };
    write("evidence", &Evidence { quote: quote.clone(), claims: forged.to_bytes() });
    let (code, stdout, _) = twine(folder.path(), &verify);
    assert!(
        code == 1 && stdout.contains("FAIL evidence.claims") && !stdout.contains("program says"),
        "{stdout}"
    );
    // A session's claims and a program's at once are neither.
    let session = Claims { key_hash: [0; 32], nonce: None, workload: None }.to_bytes();
    let both = [&[0xA2][..], &session[1..], &forged.to_bytes()[1 + 15 + 66..]].concat();
    write("evidence", &Evidence { quote, claims: both });
    assert_eq!(twine(folder.path(), &verify).0, 1);
    // Claims stand in the file: others beside it are a mistake.
    assert_eq!(twine(folder.path(), &format!("{verify} --claims evidence")).0, 64);
    fs::write(folder.path().join("evidence"), [0xD9, 0xEA, 0x60, 0x82, 0x41]).unwrap();
    let (code, stdout, _) = twine(folder.path(), &verify);
    assert!(code == 2 && stdout.contains("FAIL evidence.format"), "{stdout}");
}

/// The result in the terms of the IETF (draft-ietf-rats-ear), for who reads attestation results already.
#[test]
fn the_result_as_an_ear() {
    let folder = folder(false);
    let (code, stdout, _) = twine(folder.path(), &format!("{VERIFY} --allow-simulation --ear"));
    let ear: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(code, 0);
    assert_eq!(ear["eat_profile"], "tag:github.com,2023:veraison/ear");
    assert_eq!(ear["iat"], AT_SECONDS);
    let enclave = &ear["submods"]["enclave"];
    // Simulated: the hardware claim is a warning, and so is the whole.
    assert_eq!(enclave["ear.status"], "warning");
    assert_eq!(enclave["ear.trustworthiness-vector"]["executables"], 2);
    assert_eq!(enclave["ear.trustworthiness-vector"]["hardware"], 32);
    let (code, stdout, _) = twine(folder.path(), &format!("{VERIFY} --ear"));
    let ear: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &ear["submods"]["enclave"]["ear.status"]), (1, &"contraindicated".into()));
}
