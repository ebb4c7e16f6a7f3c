//! Quotes of version 3: structure only, nothing believed.

use dcap_qvl::{
    intel,
    verify::{AuthData, Quote as Parsed},
};
use twine_sgx::{REPORT_BODY_SIZE, REPORT_SIZE, Report, report_from_bytes};

use crate::{Malformed, chain};

/// Bytes of a quote's header (Intel SGX ECDSA QuoteLibReference DCAP API, table "Quote header").
const HEADER: usize = 48;
/// Certification data that is the PCK certificate and the chain above it, as PEM.
const PCK_CERT_CHAIN: u16 = 5;

/// The model of a platform and who certifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClaimedPlatform {
    /// FMSPC.
    pub fmspc: [u8; 6],
    /// `processor` or `platform`.
    pub ca: &'static str,
}

/// A quote of version 3 over an SGX report with an ECDSA P-256 attestation key. Nothing in it is verified.
#[derive(Clone, Debug)]
pub struct Quote {
    bytes: Vec<u8>,
    report: Report,
    pck_chain: Vec<Vec<u8>>,
}

impl Quote {
    /// Takes exactly one quote: a length that does not fit, slack bytes and a second spelling of the certificates are
    /// refused, because no signature covers them.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let malformed = |why: &str| Malformed::new("quote", why);
        match bytes.get(..8) {
            None => return Err(malformed("it is shorter than a header")),
            Some([3, 0, 2, 0, 0, 0, 0, 0]) => {}
            Some([3, 0, ..]) => {
                return Err(malformed("its attestation key is not ECDSA P-256, or it is not of SGX"));
            }
            Some([version, high, ..]) => {
                let version = u16::from_le_bytes([*version, *high]);
                return Err(malformed(&format!("it has version {version}; version 3 is taken")));
            }
            Some(_) => return Err(malformed("it is shorter than a header")),
        }
        let parsed = Parsed::parse(bytes).map_err(|e| Malformed::new("quote", e))?;
        let AuthData::V3(auth) = &parsed.auth_data else {
            return Err(malformed("its signature data is not of version 3"));
        };
        let signature = auth.ecdsa_signature.len()
            + auth.ecdsa_attestation_key.len()
            + auth.qe_report.len()
            + auth.qe_report_signature.len()
            + (2 + auth.qe_auth_data.data.len())
            + (6 + auth.certification_data.body.data.len());
        if bytes.len() != HEADER + REPORT_BODY_SIZE + 4 + signature {
            return Err(malformed("its length is not the sum of its parts"));
        }
        if auth.certification_data.cert_type != PCK_CERT_CHAIN {
            return Err(malformed(&format!(
                "its certification data has type {}; only a PCK certificate chain (5) is taken: let the quoting side \
                 provision PCK certificates",
                auth.certification_data.cert_type
            )));
        }
        let pck_chain = chain::split(&auth.certification_data.body.data, "quote's certificate chain")?;
        let mut report = [0; REPORT_SIZE];
        for (to, from) in report.iter_mut().zip(bytes.iter().skip(HEADER).take(REPORT_BODY_SIZE)) {
            *to = *from;
        }
        Ok(Self { bytes: bytes.to_vec(), report: report_from_bytes(&report), pck_chain })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The report as the quote claims it, for people to look at: KEYID and MAC are not part of a quote and zero.
    /// Decisions take the one in [`crate::QuoteVerified`].
    pub fn claimed_report(&self) -> &Report {
        &self.report
    }

    /// What services ask for to find the quote's collateral, as its PCK certificate claims it.
    pub fn platform(&self) -> Result<ClaimedPlatform, Malformed> {
        fn malformed(e: impl core::fmt::Display) -> Malformed {
            Malformed::new("quote's PCK certificate", format!("{e:#}"))
        }
        let leaf = self.pck_chain.first().map(Vec::as_slice).unwrap_or_default();
        let fmspc = intel::parse_pck_extension(leaf).map_err(malformed)?.fmspc;
        let ca = intel::pck_ca(leaf).map_err(malformed)?.as_id_str();
        Ok(ClaimedPlatform { fmspc, ca })
    }

    /// The PCK certificate, its issuer and the root, as DER.
    pub fn pck_chain(&self) -> &[Vec<u8>] {
        &self.pck_chain
    }
}
