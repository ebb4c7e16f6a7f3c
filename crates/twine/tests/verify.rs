//! `twine verify` as a transcript: what a relying party types, sees, and gets as exit code.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use twine_attest::sim::{self, QuotingEnclave};
use twine_host::sim::{Fuse, Processor};
use twine_sgx::{Attributes, AttributesFlags, REPORT_SIZE, report_from_bytes, report_to_bytes};

const AT: &str = "2026-06-01T00:00:00Z";
const AT_SECONDS: u64 = 1_780_272_000;

/// A folder with `quote`, `policy.toml` and `collateral.json` of a simulated enclave.
fn evidence(debug: bool) -> tempfile::TempDir {
    let processor = Processor::new(Fuse::random().unwrap()).unwrap();
    let enclave = QuotingEnclave::new(processor.cpusvn(), &processor.platform_secret(b"provisioning"));
    let mut report = report_from_bytes(&[0; REPORT_SIZE]);
    report.cpusvn = processor.cpusvn();
    report.mrenclave = [0xE1; 32];
    report.mrsigner = [0x51; 32];
    report.configid = [0xC0; 64];
    report.reportdata = [0xDA; 64];
    let mut flags = AttributesFlags::INIT | AttributesFlags::MODE64BIT | AttributesFlags::KSS;
    flags.set(AttributesFlags::DEBUG, debug);
    report.attributes = Attributes { flags, xfrm: 7 };
    processor.sign_report(&mut report, &enclave.target());
    let quote = enclave
        .quote(&report_to_bytes(&report), |target, keyid| processor.report_key(target, keyid))
        .unwrap();

    let folder = tempfile::tempdir().unwrap();
    let policy = format!(
        "version = 1\n[[enclave.image]]\nmrenclave = \"{}\"\nmrsigner = \"{}\"\n[workload]\ndigest = [\"{}\"]\n",
        "e1".repeat(32),
        "51".repeat(32),
        "c0".repeat(64)
    );
    let collateral = sim::collateral(AT_SECONDS, sim::BASE_CPUSVN).unwrap().to_json();
    fs::write(folder.path().join("quote"), quote).unwrap();
    fs::write(folder.path().join("policy.toml"), policy).unwrap();
    fs::write(folder.path().join("collateral.json"), collateral).unwrap();
    folder
}

fn twine(folder: &Path, arguments: &str) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_twine"))
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

const VERIFY: &str =
    "verify quote --policy policy.toml --collateral collateral.json --at 2026-06-01T00:00:00Z";

#[test]
fn accepted_evidence() {
    let folder = evidence(false);
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
    let folder = evidence(true);
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
    let folder = evidence(false);
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
    let folder = evidence(false);
    fs::write(folder.path().join("app.wasm"), b"\0asm\x01\0\0\0").unwrap();
    fs::write(folder.path().join("twine.toml"), "version = 1\n[host]\nmodule = \"app.wasm\"\n").unwrap();
    let (code, stdout, _) =
        twine(folder.path(), &format!("{VERIFY} --allow-simulation --manifest twine.toml"));
    assert_eq!(code, 1);
    assert!(stdout.contains("FAIL workload.expected "), "{stdout}");
}
