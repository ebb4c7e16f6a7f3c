//! What a quote is verified with: TCB info, QE identity, revocation lists and their certificates.

use dcap_qvl::QuoteCollateralV3;
use der::Decode;
use serde::Deserialize;
use serde_json::value::RawValue;
use x509_cert::{Certificate, certificate::Rfc5280, crl::CertificateList};

use crate::{Malformed, chain};

const WHAT: &str = "collateral";

/// Collateral for quotes of one platform model. Nothing in it is verified.
#[derive(Clone, Debug)]
pub struct Collateral {
    pub(crate) parts: QuoteCollateralV3,
    pub(crate) tcb_info: Head,
    window: Vec<Validity>,
}

/// What a PCS or PCCS answers, version 4 of its API: bodies as they came, issuer chains (headers, percent-decoded) as PEM.
#[derive(Clone, Copy, Debug)]
pub struct PcsAnswers<'a> {
    /// `tcb`.
    pub tcb_info: &'a [u8],
    /// Its header `TCB-Info-Issuer-Chain`.
    pub tcb_info_issuer_chain: &'a str,
    /// `qe/identity`.
    pub qe_identity: &'a [u8],
    /// Its header `SGX-Enclave-Identity-Issuer-Chain`.
    pub qe_identity_issuer_chain: &'a str,
    /// `pckcrl`: DER, PEM or hex.
    pub pck_crl: &'a [u8],
    /// Its header `SGX-PCK-CRL-Issuer-Chain`.
    pub pck_crl_issuer_chain: &'a str,
    /// `rootcacrl`, or what the root certificate names as its CRL: DER, PEM or hex.
    pub root_ca_crl: &'a [u8],
}

/// From when to when a part may be used, in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub part: &'static str,
    pub from: u64,
    pub until: u64,
    /// Whether it is issued anew every few weeks, so that its age tells of the collateral's age.
    pub periodic: bool,
}

/// What TCB info and QE identity have in common.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Head {
    issue_date: String,
    next_update: String,
    #[serde(default)]
    pub pce_id: String,
}

impl Collateral {
    /// Reads the JSON object that PCCS clients write (`QuoteCollateralV3`: PEM, JSON and hex in strings).
    pub fn from_json(text: &[u8]) -> Result<Self, Malformed> {
        let parts: QuoteCollateralV3 = serde_json::from_slice(text).map_err(|e| Malformed::new(WHAT, e))?;
        Self::new(parts)
    }

    pub(crate) fn new(parts: QuoteCollateralV3) -> Result<Self, Malformed> {
        let tcb_info: Head =
            serde_json::from_str(&parts.tcb_info).map_err(|e| Malformed::new("collateral's TCB info", e))?;
        let qe_identity: Head = serde_json::from_str(&parts.qe_identity)
            .map_err(|e| Malformed::new("collateral's QE identity", e))?;
        let mut window = vec![
            tcb_info.validity("TCB info")?,
            qe_identity.validity("QE identity")?,
            crl(&parts.root_ca_crl, "root CA CRL")?,
            crl(&parts.pck_crl, "PCK CRL")?,
        ];
        for (text, part) in [
            (&parts.tcb_info_issuer_chain, "TCB info issuer chain"),
            (&parts.qe_identity_issuer_chain, "QE identity issuer chain"),
            (&parts.pck_crl_issuer_chain, "PCK CRL issuer chain"),
        ] {
            for certificate in chain::split(text.as_bytes(), part)? {
                window.push(certificate_validity(&certificate, part)?);
            }
        }
        Ok(Self { parts, tcb_info, window })
    }

    /// Puts together what a PCS or a cache of it (PCCS) answers.
    pub fn from_pcs(answers: &PcsAnswers<'_>) -> Result<Self, Malformed> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Signed<'a> {
            #[serde(borrow, alias = "enclaveIdentity")]
            tcb_info: &'a RawValue,
            signature: String,
        }
        // The signature is over the very bytes of the inner object.
        let signed = |body, what| -> Result<(String, Vec<u8>), Malformed> {
            let Signed { tcb_info, signature } =
                serde_json::from_slice(body).map_err(|e| Malformed::new(what, e))?;
            Ok((tcb_info.get().to_owned(), from_hex(signature.as_bytes(), what)?))
        };
        let (tcb_info, tcb_info_signature) = signed(answers.tcb_info, "collateral's TCB info")?;
        let (qe_identity, qe_identity_signature) = signed(answers.qe_identity, "collateral's QE identity")?;
        Self::new(QuoteCollateralV3 {
            pck_crl_issuer_chain: answers.pck_crl_issuer_chain.to_owned(),
            root_ca_crl: crl_der(answers.root_ca_crl, "root CA CRL")?,
            pck_crl: crl_der(answers.pck_crl, "PCK CRL")?,
            tcb_info_issuer_chain: answers.tcb_info_issuer_chain.to_owned(),
            tcb_info,
            tcb_info_signature,
            qe_identity_issuer_chain: answers.qe_identity_issuer_chain.to_owned(),
            qe_identity,
            qe_identity_signature,
            pck_certificate_chain: None,
        })
    }

    /// The JSON object that [`Collateral::from_json`] reads.
    pub fn to_json(&self) -> String {
        // Strings and byte strings always print.
        serde_json::to_string_pretty(&self.parts).unwrap_or_default()
    }

    /// A part that is not valid yet, or no longer, at `at`.
    pub(crate) fn unusable(&self, at: u64) -> Option<&Validity> {
        self.window.iter().find(|part| at < part.from || at > part.until)
    }

    /// When the oldest of the parts that are issued periodically was issued.
    pub(crate) fn issued(&self) -> u64 {
        self.window.iter().filter(|part| part.periodic).map(|part| part.from).min().unwrap_or(0)
    }

    /// Until when all parts are valid, in seconds since 1970.
    pub fn valid_until(&self) -> u64 {
        self.window.iter().map(|part| part.until).min().unwrap_or(0)
    }
}

impl Head {
    fn validity(&self, part: &'static str) -> Result<Validity, Malformed> {
        let seconds = |text: &str| {
            time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339)
                .ok()
                .and_then(|time| u64::try_from(time.unix_timestamp()).ok())
                .ok_or_else(|| Malformed::new(part, format!("{text:?} is not a time of RFC 3339 after 1970")))
        };
        let (from, until) = (seconds(&self.issue_date)?, seconds(&self.next_update)?);
        Ok(Validity { part, from, until, periodic: true })
    }
}

/// A revocation list in the three spellings that services use.
fn crl_der(bytes: &[u8], part: &'static str) -> Result<Vec<u8>, Malformed> {
    match bytes {
        // The tag of a SEQUENCE; hex of it starts with another digit.
        [0x30, ..] => Ok(bytes.to_vec()),
        [b'-', ..] => pem::parse(bytes).map(pem::Pem::into_contents).map_err(|e| Malformed::new(part, e)),
        _ => from_hex(bytes, part),
    }
}

fn from_hex(text: &[u8], part: &'static str) -> Result<Vec<u8>, Malformed> {
    hex::decode(text.trim_ascii()).map_err(|e| Malformed::new(part, e))
}

fn crl(der: &[u8], part: &'static str) -> Result<Validity, Malformed> {
    let list = CertificateList::<Rfc5280>::from_der(der).map_err(|e| Malformed::new(part, e))?;
    let until =
        list.tbs_cert_list.next_update.ok_or_else(|| Malformed::new(part, "it has no next update"))?;
    let from = list.tbs_cert_list.this_update.to_unix_duration().as_secs();
    Ok(Validity { part, from, until: until.to_unix_duration().as_secs(), periodic: true })
}

fn certificate_validity(der: &[u8], part: &'static str) -> Result<Validity, Malformed> {
    let certificate = Certificate::from_der(der).map_err(|e| Malformed::new(part, e))?;
    let validity = certificate.tbs_certificate().validity();
    let (from, until) = (validity.not_before.to_unix_duration(), validity.not_after.to_unix_duration());
    Ok(Validity { part, from: from.as_secs(), until: until.as_secs(), periodic: false })
}
