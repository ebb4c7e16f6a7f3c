//! Reports that the simulated processor made, quoted and verified.

mod common;

use common::{MRSIGNER, NOW, collateral, hex, policy};
use twine_attest::{Expected, Inputs, Judgement, Verdict, judge, sim};
use twine_host::sim::{Fuse, Processor};
use twine_sgx::{Attributes, AttributesFlags, REPORT_SIZE, Report, report_from_bytes, report_to_bytes};

/// As the host sets it up: keys that follow from this machine's secret.
fn quoting_enclave(processor: &Processor) -> sim::QuotingEnclave {
    sim::QuotingEnclave::new(processor.cpusvn(), &processor.platform_secret(b"provisioning"))
}

fn report(processor: &Processor, target: &twine_sgx::Targetinfo) -> [u8; REPORT_SIZE] {
    let mut report: Report = report_from_bytes(&[0; REPORT_SIZE]);
    report.cpusvn = processor.cpusvn();
    report.mrenclave = [0xE1; 32];
    report.mrsigner = MRSIGNER;
    report.configid = [0xC0; 64];
    let flags = AttributesFlags::INIT | AttributesFlags::MODE64BIT | AttributesFlags::KSS;
    report.attributes = Attributes { flags, xfrm: 7 };
    processor.sign_report(&mut report, target);
    report_to_bytes(&report)
}

fn judged(processor: &Processor, collateral: &twine_attest::Collateral) -> Judgement {
    let enclave = quoting_enclave(processor);
    let report = report(processor, &enclave.target());
    let quote = enclave.quote(&report, |target, keyid| processor.report_key(target, keyid)).unwrap();
    let text = format!(
        "version = 1\n[[enclave.image]]\nmrenclave = \"{}\"\nmrsigner = \"{}\"\n[workload]\ndigest = [\"{}\"]\n[evidence]\ninsecure_simulation = true",
        hex(&[0xE1; 32]),
        hex(&MRSIGNER),
        hex(&[0xC0; 64])
    );
    judge(Inputs {
        quote: &quote,
        collateral: Ok(collateral.to_json().as_bytes()),
        policy: &policy(&text),
        expected: &Expected::default(),
        at: NOW,
        insecure_allow_simulation: false,
    })
}

#[test]
fn a_new_processor_is_up_to_date() {
    let processor = Processor::new(Fuse::random().unwrap()).unwrap();
    assert_eq!(processor.cpusvn(), sim::BASE_CPUSVN);
    let judgement = judged(&processor, &collateral());
    assert_eq!(judgement.verdict, Verdict::Accepted, "{:?}", judgement.checks);
}

#[test]
fn another_processors_report_is_not_quoted() {
    let [here, there] = [(); 2].map(|()| Processor::new(Fuse::random().unwrap()).unwrap());
    let enclave = quoting_enclave(&here);
    let foreign = report(&there, &enclave.target());
    let quote = enclave.quote(&foreign, |target, keyid| here.report_key(target, keyid));
    assert_eq!(quote, Err(sim::QuotingError::Mac));
}

#[test]
fn a_raised_cpusvn_brings_a_platform_up_to_date_after_a_recovery() {
    let folder = tempfile::tempdir().unwrap();
    let old = Processor::new(Fuse::open(folder.path()).unwrap()).unwrap();
    let mut recovered = sim::BASE_CPUSVN;
    recovered[0] += 1;
    let after = sim::collateral(NOW, recovered).unwrap();
    let status = |judgement: Judgement| judgement.evidence.unwrap().tcb_status;
    assert_eq!(status(judged(&old, &after)), "OutOfDate");
    let raised = Processor::new(Fuse::raise_cpusvn(folder.path(), recovered).unwrap()).unwrap();
    assert_eq!(status(judged(&raised, &after)), "UpToDate");
    // The raised processor stays one that older collateral knows.
    assert_eq!(status(judged(&raised, &collateral())), "UpToDate");
}
