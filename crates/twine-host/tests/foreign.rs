//! Enclaves that nobody here wrote, through the ecosystem's loader trait. They come from published packages at test time.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use common::*;
use sgxs::loader::{Load, MappingInfo, Tcs};
use sgxs::sgxs::{PageChunk, SecinfoTruncated, SgxsWrite};
use twine_host::backend::{Exit, Leaf, LoadError, Regs};
use twine_sgx::{
    Attributes, AttributesFlags, ErrorCode, Miscselect, PageType, REPORT_SIZE, SecinfoFlags, Sigstruct,
    Targetinfo, report_from_bytes, sigstruct_from_bytes,
};

/// Folder of a package's published source: cargo fetches it and says where it is.
fn package(name: &str) -> PathBuf {
    static METADATA: LazyLock<serde_json::Value> = LazyLock::new(|| {
        // A copy outside the source tree, because cargo writes a lock file beside the manifest.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("foreign");
        std::fs::create_dir_all(folder.join("src")).unwrap();
        std::fs::write(folder.join("src/lib.rs"), "").unwrap();
        let manifest = folder.join("Cargo.toml");
        std::fs::write(&manifest, include_str!("foreign/Cargo.toml")).unwrap();
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"])
            .arg("--manifest-path")
            .arg(manifest)
            .output()
            .unwrap();
        assert!(output.status.success(), "cargo cannot fetch: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    });
    let packages = METADATA["packages"].as_array().unwrap();
    let found = packages.iter().find(|package| package["name"] == name).unwrap();
    Path::new(found["manifest_path"].as_str().unwrap()).parent().unwrap().to_path_buf()
}

fn attributes_of(flags: AttributesFlags) -> Attributes {
    Attributes { flags: flags | AttributesFlags::MODE64BIT, xfrm: 3 }
}

fn measure(stream: &[u8]) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    let mut measured = Vec::new();
    sgxs::sgxs::copy_measured(&mut &stream[..], &mut measured).unwrap();
    Sha256::digest(&measured).into()
}

/// The report enclave with the TARGETINFO page that its host appends.
fn report_enclave(target: &Targetinfo) -> Vec<u8> {
    let mut stream = std::fs::read(package("report-test").join("enclave/report.sgxs")).unwrap();
    let flags = SecinfoFlags::R | SecinfoFlags::W | PageType::Reg.into();
    let page = target.to_bytes();
    stream
        .write_page((&mut &page[..], [PageChunk::Included; 16]), 0x3000, SecinfoTruncated { flags })
        .unwrap();
    stream
}

#[test]
fn the_report_enclave_reports() {
    let mut sim = sim();
    let target = Targetinfo { measurement: [0x42; 32], configid: [7; 64], ..Default::default() };
    let stream = report_enclave(&target);
    let attributes = attributes_of(AttributesFlags::empty());
    let sig = Sigstruct { attributes, miscselect: Miscselect::empty(), ..sigstruct(measure(&stream)) };
    let sig = sigstruct_from_bytes(&sign(sig));
    let loaded = sim.load(&mut &stream[..], &sig, attributes, Miscselect::empty()).unwrap();
    assert_eq!(loaded.info.size(), 0x4000);
    let enclave = loaded.info.enclave();
    let mut out = [0_u8; REPORT_SIZE];
    let mut regs = Regs { rdi: out.as_mut_ptr() as u64, ..Default::default() };
    assert_eq!(enclave.enter(Leaf::Eenter, loaded.tcss[0].address() as u64, &mut regs), Ok(Exit::Exited));
    assert_eq!(regs.rdi, 0, "a normal exit");

    let report = report_from_bytes(&out);
    assert!(sim.processor().verify_report(&report, &target));
    assert!(!sim.processor().verify_report(&report, &Targetinfo::default()));
    assert_eq!(report.mrenclave, measure(&stream));
    assert_eq!(report.mrsigner, enclave.mrsigner());
    assert_eq!(report.attributes, attributes_of(AttributesFlags::INIT));
    assert_eq!((report.configid, report.configsvn), ([0; 64], 0));
}

#[test]
fn the_enclave_lives_as_long_as_a_tcs() {
    let mut sim = sim();
    let stream = report_enclave(&Targetinfo::default());
    let attributes = attributes_of(AttributesFlags::empty());
    let sig = Sigstruct { attributes, miscselect: Miscselect::empty(), ..sigstruct(measure(&stream)) };
    let sig = sigstruct_from_bytes(&sign(sig));
    let loaded = sim.load(&mut &stream[..], &sig, attributes, Miscselect::empty()).unwrap();
    let mapped = |address: usize| {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().any(|line| line.starts_with(&format!("{address:x}-")))
    };
    let base = loaded.info.address() as usize;
    drop(loaded.info);
    assert!(mapped(base));
}

#[test]
fn attributes_other_than_signed_are_refused() {
    let mut sim = sim();
    let stream = report_enclave(&Targetinfo::default());
    let signed = attributes_of(AttributesFlags::empty());
    let sig = Sigstruct { attributes: signed, ..sigstruct(measure(&stream)) };
    let sig = sigstruct_from_bytes(&sign(sig));
    let mut code = |attributes, miscselect| {
        let error = sim.load(&mut &stream[..], &sig, attributes, miscselect).map(drop).unwrap_err();
        match error.downcast::<LoadError>().unwrap() {
            LoadError::Launch { code, .. } => code,
            other => panic!("{other}"),
        }
    };
    let debug = attributes_of(AttributesFlags::DEBUG);
    let wider = Attributes { xfrm: 7, ..signed };
    for attributes in [debug, wider] {
        assert_eq!(code(attributes, Miscselect::EXINFO), ErrorCode::InvalidAttribute);
    }
    assert_eq!(code(signed, Miscselect::empty()), ErrorCode::InvalidAttribute, "EXINFO is masked in");
}

#[test]
fn the_test_enclave_of_sgxs_tools_loads_and_runs() {
    let folder = package("sgxs-tools").join("src/sgx_detect/tests");
    let stream = std::fs::read(folder.join("test_enclave.sgxs")).unwrap();
    let sig = std::fs::read(folder.join("test_enclave.sig")).unwrap();
    let sig = sigstruct_from_bytes(&sig.try_into().unwrap());
    let loaded = sim().load(&mut &stream[..], &sig, sig.attributes, sig.miscselect).unwrap();
    let enclave = loaded.info.enclave();
    assert_eq!(enclave.mrenclave(), sig.enclavehash);
    // Like its own host: call it with a number that it takes for a usercall's, which it then asks for.
    let mut regs = Regs { rdi: u64::MAX, ..Default::default() };
    assert_eq!(enclave.enter(Leaf::Eenter, loaded.tcss[0].address() as u64, &mut regs), Ok(Exit::Exited));
    assert_eq!(regs.rdi, u64::MAX, "{regs:x?}");
}
