//! The simulated PCS: TCB info and QE identity as Intel's API version 4 has them, and collateral made of them.

use dcap_qvl::QuoteCollateralV3;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    pki::{AUTHORITIES, Authorities, Authority, FMSPC, PCEID},
    quoting::{QE_ISVPRODID, QE_ISVSVN, QE_MRSIGNER},
};
use crate::{Collateral, Malformed, verify::hex};

/// CPUSVN of a new simulated processor; what is up to date before any TCB recovery.
pub const BASE_CPUSVN: [u8; 16] = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// SVN of the simulated provisioning certification enclave.
pub const PCESVN: u16 = 13;

/// How long Intel's collateral is valid.
const VALID: Duration = Duration::days(30);
const ADVISORY: &str = "TWINE-SA-00001";

/// Collateral issued at `at` (seconds since 1970) when `up_to_date` is the lowest CPUSVN without known flaws: platforms
/// below it are `OutOfDate`, as after a TCB recovery.
pub fn collateral(at: u64, up_to_date: [u8; 16]) -> Result<Collateral, Malformed> {
    Issue::new(at, up_to_date)?.collateral()
}

/// What is signed, before it is.
pub(super) struct Issue<'a> {
    from: OffsetDateTime,
    until: OffsetDateTime,
    pub tcb_info: Value,
    pub qe_identity: Value,
    /// PCK certificates to revoke.
    pub revoked: &'a [&'a Authority],
}

impl Issue<'_> {
    pub(super) fn new(at: u64, up_to_date: [u8; 16]) -> Result<Self, Malformed> {
        let time = i64::try_from(at).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
        // RFC 5280 writes years with four digits.
        let time = time.filter(|time| time.year() < 9999);
        let from = time.ok_or_else(|| Malformed::new("time", "it is too far in the future"))?;
        let until = from + VALID;
        let recovery = if up_to_date == BASE_CPUSVN { 1 } else { 2 };
        let (issued, next) = (text(from)?, text(until)?);
        Ok(Self {
            from,
            until,
            tcb_info: tcb_info(&issued, &next, recovery, up_to_date),
            qe_identity: qe_identity(&issued, &next, recovery),
            revoked: &[],
        })
    }

    pub(super) fn collateral(&self) -> Result<Collateral, Malformed> {
        let Authorities { root, processor_ca, tcb_signing: signer } = &*AUTHORITIES;
        let (tcb_info, qe_identity) = (self.tcb_info.to_string(), self.qe_identity.to_string());
        let signer_chain = chain(&[signer, root]);
        Collateral::new(QuoteCollateralV3 {
            pck_crl_issuer_chain: chain(&[processor_ca, root]),
            root_ca_crl: root.crl(self.from, self.until, &[]),
            pck_crl: processor_ca.crl(self.from, self.until, self.revoked),
            tcb_info_issuer_chain: signer_chain.clone(),
            tcb_info_signature: signer.key.sign_raw(tcb_info.as_bytes()),
            tcb_info,
            qe_identity_issuer_chain: signer_chain,
            qe_identity_signature: signer.key.sign_raw(qe_identity.as_bytes()),
            qe_identity,
            pck_certificate_chain: None,
        })
    }
}

/// PEM, leaf first.
pub(super) fn chain(authorities: &[&Authority]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    let block = |authority: &&Authority| {
        pem::encode_config(&pem::Pem::new("CERTIFICATE", authority.der.as_slice()), config)
    };
    authorities.iter().map(block).collect()
}

fn tcb_info(issued: &str, next: &str, recovery: u32, up_to_date: [u8; 16]) -> Value {
    let level = |cpusvn: [u8; 16], pcesvn: u16, status: &str, advisories: &[&str]| {
        let components: Vec<_> = cpusvn.iter().map(|svn| json!({ "svn": svn })).collect();
        let mut level = json!({
            "tcb": { "sgxtcbcomponents": components, "pcesvn": pcesvn },
            "tcbDate": "2026-01-01T00:00:00Z",
            "tcbStatus": status,
        });
        if !advisories.is_empty() {
            level["advisoryIDs"] = json!(advisories);
        }
        level
    };
    json!({
        "id": "SGX",
        "version": 3,
        "issueDate": issued,
        "nextUpdate": next,
        "fmspc": hex(&FMSPC).to_uppercase(),
        "pceId": hex(&PCEID),
        "tcbType": 0,
        "tcbEvaluationDataNumber": recovery,
        "tcbLevels": [
            level(up_to_date, PCESVN, "UpToDate", &[]),
            level([0; 16], 0, "OutOfDate", &[ADVISORY]),
        ],
    })
}

fn qe_identity(issued: &str, next: &str, recovery: u32) -> Value {
    json!({
        "id": "QE",
        "version": 2,
        "issueDate": issued,
        "nextUpdate": next,
        "tcbEvaluationDataNumber": recovery,
        "miscselect": "00000000",
        "miscselectMask": "FFFFFFFF",
        "attributes": "11000000000000000000000000000000",
        "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
        "mrsigner": hex(&QE_MRSIGNER).to_uppercase(),
        "isvprodid": QE_ISVPRODID,
        "tcbLevels": [
            { "tcb": { "isvsvn": QE_ISVSVN }, "tcbDate": "2026-01-01T00:00:00Z", "tcbStatus": "UpToDate" },
        ],
    })
}

fn text(time: OffsetDateTime) -> Result<String, Malformed> {
    time.format(&Rfc3339).map_err(|e| Malformed::new("time", e))
}
