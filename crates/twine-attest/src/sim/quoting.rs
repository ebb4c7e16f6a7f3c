//! The quoting enclave in software: checks a report as hardware would have it checked, and signs a quote.

use aes::Aes128;
use cmac::{Cmac, KeyInit, Mac};
use twine_sgx::{
    Attributes, AttributesFlags, REPORT_BODY_SIZE, REPORT_SIZE, Report, Targetinfo, mac_data,
    report_from_bytes, report_to_bytes,
};
use twine_workload::sha256;

use super::{
    keys::Key,
    pcs::{PCESVN, chain},
    pki::{AUTHORITIES, Authority, pck_certificate},
};

/// ISVPRODID of Intel's quoting enclave.
pub(super) const QE_ISVPRODID: u16 = 1;
pub(super) const QE_ISVSVN: u16 = 8;
/// There is no enclave: two constants that no image has.
const QE_MRENCLAVE: [u8; 32] = *b"twine simulated quoting enclave.";
pub(super) const QE_MRSIGNER: [u8; 32] = *b"twine simulated quoting signer..";

/// Vendor ID of quotes by Intel's quoting enclave, which is the format's.
const QE_VENDOR: [u8; 16] =
    [0x93, 0x9A, 0x72, 0x33, 0xF7, 0x9C, 0x4C, 0xA9, 0x94, 0x0A, 0x0D, 0xB3, 0x95, 0x7F, 0x06, 0x07];

/// The quoting enclave of one simulated platform.
pub struct QuotingEnclave {
    cpusvn: [u8; 16],
    attestation_key: Key,
    pub(super) pck: Authority,
    qe_id: [u8; 16],
}

/// Why a report is not quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuotingError {
    /// The MAC is not this processor's for this target.
    #[error(
        "the report was not made by this processor for its quoting enclave: take the target from the same platform"
    )]
    Mac,
}

impl QuotingEnclave {
    /// The quoting enclave of the processor with this CPUSVN and this secret, from which its provisioning and
    /// attestation keys follow. No two platforms share a secret.
    pub fn new(cpusvn: [u8; 16], secret: &[u8; 32]) -> Self {
        let identifier = |label: &str| {
            let digest = sha256(&[secret, label.as_bytes()].concat()).0;
            let mut identifier = [0; 16];
            identifier.copy_from_slice(digest.split_at(16).0);
            identifier
        };
        // A provisioning key depends on CPUSVN and PCESVN: recovery from a compromise is a new key.
        let tcb: Vec<u8> = cpusvn.iter().copied().chain(PCESVN.to_le_bytes()).collect();
        let pck_key = Key::derive(&[&secret[..], &tcb].concat(), "pck");
        Self {
            cpusvn,
            attestation_key: Key::derive(&[&secret[..], &tcb].concat(), "attestation"),
            pck: pck_certificate(pck_key, &identifier("ppid"), &cpusvn, PCESVN),
            qe_id: identifier("qe id"),
        }
    }

    /// Whom an enclave addresses its report to.
    pub fn target(&self) -> Targetinfo {
        Targetinfo::from(&self.own_report([0; 64]))
    }

    /// Quotes `report`, after checking its MAC with the report key that the processor derives for
    /// [`QuotingEnclave::target`] and the report's KEYID.
    pub fn quote(
        &self,
        report: &[u8; REPORT_SIZE],
        report_key: impl FnOnce(&Targetinfo, &[u8; 32]) -> [u8; 16],
    ) -> Result<Vec<u8>, QuotingError> {
        let report = report_from_bytes(report);
        let key = report_key(&self.target(), &report.keyid);
        let mut mac = Cmac::<Aes128>::new(&key.into());
        mac.update(&mac_data(&report));
        mac.verify_slice(&report.mac).map_err(|_| QuotingError::Mac)?;
        Ok(self.assemble(&mac_data(&report)))
    }

    /// Header, report body, length, signature data.
    pub(super) fn assemble(&self, body: &[u8; REPORT_BODY_SIZE]) -> Vec<u8> {
        let mut quote = Vec::with_capacity(5000);
        quote.extend(3_u16.to_le_bytes());
        // ECDSA with P-256, over SHA-256; TEE type SGX.
        quote.extend(2_u16.to_le_bytes());
        quote.extend(0_u32.to_le_bytes());
        quote.extend(QE_ISVSVN.to_le_bytes());
        quote.extend(PCESVN.to_le_bytes());
        quote.extend(QE_VENDOR);
        quote.extend(self.qe_id);
        quote.extend([0; 4]);
        quote.extend(body);
        let signature = self.signature_data(&quote);
        // A few kilobytes of constants and certificates.
        quote.extend((signature.len() as u32).to_le_bytes());
        quote.extend(signature);
        quote
    }

    fn signature_data(&self, signed: &[u8]) -> Vec<u8> {
        let authentication: [u8; 32] = core::array::from_fn(|i| i as u8);
        let attestation_key = self.attestation_key.coordinates();
        let mut report_data = [0; 64];
        let bound = sha256(&[attestation_key, &authentication].concat()).0;
        report_data.split_at_mut(32).0.copy_from_slice(&bound);
        let qe_report = mac_data(&self.own_report(report_data));
        let certificates = chain(&[&self.pck, &AUTHORITIES.processor_ca, &AUTHORITIES.root]);

        let mut data = self.attestation_key.sign_raw(signed);
        data.extend(attestation_key);
        data.extend(qe_report);
        data.extend(self.pck.key.sign_raw(&qe_report));
        data.extend((authentication.len() as u16).to_le_bytes());
        data.extend(authentication);
        // Certification data type 5: the PCK certificate chain.
        data.extend(5_u16.to_le_bytes());
        data.extend((certificates.len() as u32).to_le_bytes());
        data.extend(certificates.as_bytes());
        data
    }

    fn own_report(&self, report_data: [u8; 64]) -> Report {
        let mut report = report_from_bytes(&[0; REPORT_SIZE]);
        report.cpusvn = self.cpusvn;
        report.attributes = Attributes {
            flags: AttributesFlags::INIT | AttributesFlags::MODE64BIT | AttributesFlags::PROVISIONKEY,
            xfrm: 0xE7,
        };
        report.mrenclave = QE_MRENCLAVE;
        report.mrsigner = QE_MRSIGNER;
        report.isvprodid = QE_ISVPRODID;
        report.isvsvn = QE_ISVSVN;
        report.reportdata = report_data;
        report_from_bytes(&report_to_bytes(&report))
    }
}
