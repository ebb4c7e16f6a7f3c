//! Evidence of a simulated enclave in a folder, and `twine` run in it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use twine_attest::sim::{self, QuotingEnclave};
use twine_host::sim::{Fuse, Processor};
use twine_sgx::{Attributes, AttributesFlags, REPORT_SIZE, report_from_bytes, report_to_bytes};

pub const AT: &str = "2026-06-01T00:00:00Z";
pub const AT_SECONDS: u64 = 1_780_272_000;
pub const VERIFY: &str =
    "verify quote --policy policy.toml --collateral collateral.json --at 2026-06-01T00:00:00Z";

/// What is quoted.
pub struct Quoted {
    pub debug: bool,
    pub report_data: [u8; 64],
}

impl Quoted {
    /// The quote of an enclave on a processor of its own.
    pub fn quote(&self) -> Vec<u8> {
        let processor = Processor::new(Fuse::random().unwrap()).unwrap();
        let enclave = QuotingEnclave::new(processor.cpusvn(), &processor.platform_secret(b"provisioning"));
        let mut report = report_from_bytes(&[0; REPORT_SIZE]);
        report.cpusvn = processor.cpusvn();
        report.mrenclave = [0xE1; 32];
        report.mrsigner = [0x51; 32];
        report.configid = [0xC0; 64];
        report.reportdata = self.report_data;
        let mut flags = AttributesFlags::INIT | AttributesFlags::MODE64BIT | AttributesFlags::KSS;
        flags.set(AttributesFlags::DEBUG, self.debug);
        report.attributes = Attributes { flags, xfrm: 7 };
        processor.sign_report(&mut report, &enclave.target());
        enclave.quote(&report_to_bytes(&report), |target, keyid| processor.report_key(target, keyid)).unwrap()
    }
}

/// A folder with `quote`, `policy.toml` and `collateral.json` of a simulated enclave.
pub fn folder(debug: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let policy = format!(
        "version = 1\n[[enclave.image]]\nmrenclave = \"{}\"\nmrsigner = \"{}\"\n[workload]\ndigest = [\"{}\"]\n",
        "e1".repeat(32),
        "51".repeat(32),
        "c0".repeat(64)
    );
    let collateral = sim::collateral(AT_SECONDS, sim::BASE_CPUSVN).unwrap().to_json();
    fs::write(folder.path().join("quote"), Quoted { debug, report_data: [0xDA; 64] }.quote()).unwrap();
    fs::write(folder.path().join("policy.toml"), policy).unwrap();
    fs::write(folder.path().join("collateral.json"), collateral).unwrap();
    folder
}

pub fn twine(folder: &Path, arguments: &str) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_twine"))
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}
