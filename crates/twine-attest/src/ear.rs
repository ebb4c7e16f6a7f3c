//! The judgement as an EAT Attestation Result (draft-ietf-rats-ear) with a trustworthiness vector
//! (draft-ietf-rats-ar4si): JSON, unsigned.

use serde_json::{Value, json};

use crate::{Judgement, Verdict};

/// Values of trustworthiness claims (draft-ietf-rats-ar4si, section 2.3.4).
const AFFIRMING: i32 = 2;
const WARNING: i32 = 32;
const CONTRAINDICATED: i32 = 96;

impl Judgement {
    /// This judgement as of `at`, in seconds since 1970.
    pub fn to_ear(&self, at: u64) -> Value {
        // Each claim rests on checks; what was not checked is not claimed.
        let claim = |prefixes: &[&str]| {
            let about = |id: &str| prefixes.iter().any(|prefix| id.starts_with(prefix));
            let mut checks = self.checks.iter().filter(|check| about(check.id)).peekable();
            checks
                .peek()
                .is_some()
                .then(|| if checks.all(|check| check.pass) { AFFIRMING } else { CONTRAINDICATED })
        };
        let simulated = self.evidence.as_ref().is_some_and(|evidence| evidence.simulated);
        let debug = self.evidence.as_ref().is_some_and(|evidence| evidence.debug);
        let weaker =
            |claim: Option<i32>, weak: bool| claim.map(|claim| if weak { claim.max(WARNING) } else { claim });
        let vector = [
            ("instance-identity", claim(&["quote.", "collateral."])),
            ("configuration", claim(&["workload."])),
            ("executables", claim(&["enclave.identity"])),
            ("hardware", weaker(claim(&["platform."]), simulated)),
            ("runtime-opaque", weaker(claim(&["enclave.attributes", "enclave.debug"]), debug || simulated)),
        ];
        let worst = vector.iter().filter_map(|(_, claim)| *claim).max();
        let status = match (self.verdict, worst) {
            (Verdict::Accepted, Some(AFFIRMING)) => "affirming",
            (Verdict::Accepted, _) => "warning",
            (Verdict::Refused | Verdict::Malformed, _) => "contraindicated",
            (Verdict::NoCollateral, _) => "none",
        };
        let vector: serde_json::Map<_, _> =
            vector.into_iter().filter_map(|(name, claim)| Some((name.to_owned(), json!(claim?)))).collect();
        let enclave = json!({
            "ear.status": status,
            "ear.trustworthiness-vector": vector,
            "twine.checks": self.checks,
            "twine.evidence": self.evidence,
            "twine.claims": self.claims,
        });
        let nonce = self.claims.as_ref().and_then(|claims| claims.nonce.clone());
        let mut ear = json!({
            "eat_profile": "tag:github.com,2023:veraison/ear",
            "iat": at,
            "ear.verifier-id": { "developer": "Twine", "build": concat!("twine-attest ", env!("CARGO_PKG_VERSION")) },
            "submods": { "enclave": enclave },
        });
        if let (Some(nonce), Value::Object(fields)) = (nonce, &mut ear) {
            fields.insert("eat_nonce".to_owned(), json!(nonce));
        }
        ear
    }
}
