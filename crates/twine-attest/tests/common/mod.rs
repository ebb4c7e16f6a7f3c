//! Evidence that the tests share: Intel's, out of packages, and the simulation's.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::{path::PathBuf, process::Command, sync::LazyLock};

use aes::Aes128;
use cmac::{Cmac, KeyInit, Mac};
use serde_json::Value;
use twine_attest::{Collateral, Policy, sim};
use twine_sgx::{
    Attributes, AttributesFlags, REPORT_SIZE, Targetinfo, mac_data, report_from_bytes, report_to_bytes,
};

/// 2025-06-20T00:00:00Z, when the sample's collateral was valid.
pub const SAMPLE_TIME: u64 = 1_750_377_600;
/// 2026-06-01T00:00:00Z, when the simulation's tests take place.
pub const NOW: u64 = 1_780_272_000;

/// A file that a package of the dependency tree carries.
pub fn package_file(package: &str, path: &str) -> Vec<u8> {
    static METADATA: LazyLock<Value> = LazyLock::new(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--offline", "--format-version", "1", "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    });
    let packages = METADATA["packages"].as_array().unwrap();
    let manifest = packages.iter().find(|p| p["name"] == package).unwrap()["manifest_path"].as_str().unwrap();
    let file = PathBuf::from(manifest).parent().unwrap().join(path);
    std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// A production quote under Intel's root, and its collateral.
pub fn sample() -> (Vec<u8>, Vec<u8>) {
    (
        package_file("dcap-qvl", "sample/sgx_quote"),
        package_file("dcap-qvl", "sample/sgx_quote_collateral.json"),
    )
}

/// A policy that the sample meets.
pub fn sample_policy() -> String {
    let (quote, _) = sample();
    let (mrenclave, mrsigner) = (hex(&quote[48 + 64..48 + 96]), hex(&quote[48 + 128..48 + 160]));
    format!(
        "version = 1\n[[enclave.image]]\nmrenclave = \"{mrenclave}\"\nmrsigner = \"{mrsigner}\"\n[workload]\ninsecure_any = true\n[platform]\ntcb_status = \
         [\"ConfigurationAndSWHardeningNeeded\"]\nadvisories = [\"INTEL-SA-00289\", \"INTEL-SA-00615\"]\n[evidence]\n"
    )
}

pub fn policy(text: &str) -> Policy {
    Policy::from_toml(text, "policy.toml").unwrap()
}

/// A simulated processor with an enclave on it.
#[derive(Clone)]
pub struct Platform {
    pub cpusvn: [u8; 16],
    pub secret: [u8; 32],
    pub mrenclave: [u8; 32],
    pub mrsigner: [u8; 32],
    pub isvsvn: u16,
    pub debug: bool,
    pub configid: [u8; 64],
    pub configsvn: u16,
    pub report_data: [u8; 64],
}

pub const MRSIGNER: [u8; 32] = [0x51; 32];

impl Default for Platform {
    fn default() -> Self {
        Self {
            cpusvn: sim::BASE_CPUSVN,
            secret: [9; 32],
            mrenclave: [0xE1; 32],
            mrsigner: MRSIGNER,
            isvsvn: 5,
            debug: false,
            configid: [0xC0; 64],
            configsvn: 0,
            report_data: [0xDA; 64],
        }
    }
}

impl Platform {
    pub fn quoting_enclave(&self) -> sim::QuotingEnclave {
        sim::QuotingEnclave::new(self.cpusvn, &self.secret)
    }

    /// What EREPORT makes for `target`.
    pub fn report(&self, target: &Targetinfo) -> [u8; REPORT_SIZE] {
        let mut report = report_from_bytes(&[0; REPORT_SIZE]);
        report.cpusvn = self.cpusvn;
        report.mrenclave = self.mrenclave;
        report.mrsigner = self.mrsigner;
        report.isvprodid = 7;
        report.isvsvn = self.isvsvn;
        report.configid = self.configid;
        report.configsvn = self.configsvn;
        report.reportdata = self.report_data;
        let mut flags = AttributesFlags::INIT | AttributesFlags::MODE64BIT | AttributesFlags::KSS;
        flags.set(AttributesFlags::DEBUG, self.debug);
        report.attributes = Attributes { flags, xfrm: 7 };
        report.keyid = [3; 32];
        let mut mac = Cmac::<Aes128>::new(&self.report_key(target, &report.keyid).into());
        mac.update(&mac_data(&report));
        report.mac = mac.finalize().into_bytes().into();
        report_to_bytes(&report)
    }

    /// What EGETKEY gives the target; any function of the processor and both arguments will do.
    pub fn report_key(&self, target: &Targetinfo, keyid: &[u8; 32]) -> [u8; 16] {
        let digest = twine_workload::sha256(&[&self.secret[..], &target.to_bytes(), keyid].concat()).0;
        digest[..16].try_into().unwrap()
    }

    pub fn quote(&self) -> Vec<u8> {
        let enclave = self.quoting_enclave();
        let report = self.report(&enclave.target());
        enclave.quote(&report, |target, keyid| self.report_key(target, keyid)).unwrap()
    }

    /// A policy that this platform's quote meets.
    pub fn policy(&self) -> String {
        format!(
            "version = 1\n[[enclave.image]]\nmrenclave = \"{}\"\nmrsigner = \"{}\"\n[workload]\ndigest = [\"{}\"]\n[evidence]\n\
             insecure_simulation = true\n",
            hex(&self.mrenclave),
            hex(&self.mrsigner),
            hex(&self.configid)
        )
    }
}

pub fn collateral() -> Collateral {
    sim::collateral(NOW, sim::BASE_CPUSVN).unwrap()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A small generator (xorshift) whose seed a failing test prints.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let seed = std::env::var("TWINE_SEED").ok().and_then(|s| s.parse().ok());
        let seed = seed.unwrap_or(now.as_nanos() as u64) | 1;
        println!("TWINE_SEED={seed}");
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Not zero: what to xor a byte with to change it.
    pub fn flip(&mut self) -> u8 {
        (self.next() % 255 + 1) as u8
    }
}
