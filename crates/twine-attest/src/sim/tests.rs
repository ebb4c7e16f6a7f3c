//! What only those who hold the simulation's keys can make: properly signed collateral that does not fit.

use serde_json::json;
use twine_sgx::REPORT_BODY_SIZE;

use super::{BASE_CPUSVN, QuotingEnclave, pcs::Issue};
use crate::{Quote, QuoteVerified, Verifier, VerifyError};

const NOW: u64 = 1_780_272_000;

/// Verifies a quote under collateral that `change` was made to before it was signed.
fn verify(change: impl FnOnce(&mut Issue<'_>)) -> Result<QuoteVerified, VerifyError> {
    let mut issue = Issue::new(NOW, BASE_CPUSVN).unwrap();
    change(&mut issue);
    let quote = Quote::parse(&enclave().assemble(&[0; REPORT_BODY_SIZE])).unwrap();
    Verifier::new().insecure_allow_simulation(true).verify(&quote, &issue.collateral()?, NOW)
}

fn enclave() -> QuotingEnclave {
    QuotingEnclave::new(BASE_CPUSVN, &[1; 32])
}

fn refusal(change: impl FnOnce(&mut Issue<'_>)) -> String {
    verify(change).unwrap_err().to_string()
}

#[test]
fn signed_collateral_of_other_platforms_is_refused() {
    assert!(verify(|_| {}).is_ok());
    assert!(refusal(|issue| issue.tcb_info["pceId"] = json!("0001")).contains("another PCEID"));
    assert!(refusal(|issue| issue.tcb_info["fmspc"] = json!("00906ED50000")).contains("Fmspc mismatch"));
    assert!(refusal(|issue| issue.tcb_info["id"] = json!("TDX")).contains("TCB info"));
}

#[test]
fn another_quoting_enclave_is_refused() {
    assert!(refusal(|issue| issue.qe_identity["mrsigner"] = json!("00".repeat(32))).contains("MRSIGNER"));
    assert!(refusal(|issue| issue.qe_identity["isvprodid"] = json!(2)).contains("ISVPRODID"));
    assert!(refusal(|issue| issue.qe_identity["id"] = json!("TD_QE")).contains("QE Identity"));
    let old = |issue: &mut Issue<'_>| issue.qe_identity["tcbLevels"][0]["tcb"]["isvsvn"] = json!(9);
    assert!(matches!(verify(old), Err(VerifyError::NotAuthentic(_))));
}

#[test]
fn what_is_revoked_is_refused() {
    let revoked = |issue: &mut Issue<'_>| issue.tcb_info["tcbLevels"][0]["tcbStatus"] = json!("Revoked");
    assert!(refusal(revoked).contains("Revoked"));
    let enclave = enclave();
    let list = [&enclave.pck];
    let mut issue = Issue::new(NOW, BASE_CPUSVN).unwrap();
    issue.revoked = &list;
    let quote = Quote::parse(&enclave.assemble(&[0; REPORT_BODY_SIZE])).unwrap();
    let verifier = Verifier::new().insecure_allow_simulation(true);
    let error = verifier.verify(&quote, &issue.collateral().unwrap(), NOW).unwrap_err();
    assert!(error.to_string().contains("CertRevoked"), "{error}");
}

#[test]
fn the_quoting_enclaves_status_counts() {
    let out_of_date = |issue: &mut Issue<'_>| {
        issue.qe_identity["tcbLevels"] = json!([
            { "tcb": { "isvsvn": 9 }, "tcbDate": "2026-01-01T00:00:00Z", "tcbStatus": "UpToDate" },
            {
                "tcb": { "isvsvn": 1 }, "tcbDate": "2025-01-01T00:00:00Z", "tcbStatus": "OutOfDate",
                "advisoryIDs": ["TWINE-SA-00002"],
            },
        ]);
    };
    let verified = verify(out_of_date).unwrap();
    assert_eq!(verified.tcb_status().to_string(), "OutOfDate");
    assert_eq!(verified.advisories(), ["TWINE-SA-00002"]);
}

#[test]
fn times_out_of_range_are_refused() {
    for at in [u64::MAX, i64::MAX as u64, 300_000_000_000] {
        assert!(super::collateral(at, BASE_CPUSVN).is_err(), "{at}");
    }
}
