//! The simulation's certificates and revocation lists, with the extensions that Intel's have.
//!
//! Intel's verification library tells certificates apart by names; ours contain the same words.

use std::sync::LazyLock;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CustomExtension, DistinguishedName, DnType, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose,
    RevokedCertParams, SerialNumber,
};
use time::OffsetDateTime;
use twine_workload::sha256;

use super::keys::Key;

/// Everybody's: see the module's documentation.
const SEED: &[u8] = b"twine simulated SGX platform: public, worthless as a secret";

/// The simulated platform model.
pub(super) const FMSPC: [u8; 6] = *b"\0TWINE";
pub(super) const PCEID: [u8; 2] = [0, 0];

/// Intel's OID for SGX extensions of certificates (Intel SGX PCK Certificate and CRL Profile Specification, 1.3.5).
const SGX: &[u64] = &[1, 2, 840, 113741, 1, 13, 1];

/// The authorities of the simulation.
pub(super) struct Authorities {
    pub root: Authority,
    pub processor_ca: Authority,
    pub tcb_signing: Authority,
}

/// A key, its certificate, and what it needs to issue others.
pub(super) struct Authority {
    pub key: Key,
    pub der: Vec<u8>,
    params: CertificateParams,
}

/// Made once: six signatures.
pub(super) static AUTHORITIES: LazyLock<Authorities> = LazyLock::new(|| {
    let root_key = Key::derive(SEED, "root");
    let params = params("Twine Simulated SGX Root CA", "root", &root_key, Role::Ca(1));
    let der = issued(params.self_signed(&root_key));
    let root = Authority { key: root_key, der, params };
    let ca_key = Key::derive(SEED, "processor ca");
    let processor_ca =
        root.issue("Twine Simulated SGX PCK Processor CA", "root", ca_key, Role::Ca(0), vec![]);
    let tcb_key = Key::derive(SEED, "tcb signing");
    let tcb_signing = root.issue("Twine Simulated SGX TCB Signing", "root", tcb_key, Role::Signer, vec![]);
    Authorities { root, processor_ca, tcb_signing }
});

/// The simulation's root certificate, as DER. A verifier that is given it as a trust anchor trusts everybody.
pub fn root_certificate() -> Vec<u8> {
    AUTHORITIES.root.der.clone()
}

/// The PCK certificate of a platform with this provisioning key.
pub(super) fn pck_certificate(key: Key, ppid: &[u8; 16], cpusvn: &[u8; 16], pcesvn: u16) -> Authority {
    let mut extension = CustomExtension::from_oid_content(SGX, sgx_extension(ppid, cpusvn, pcesvn));
    extension.set_criticality(false);
    let name = "Twine Simulated SGX PCK Certificate";
    AUTHORITIES.processor_ca.issue(name, "processor", key, Role::Signer, vec![extension])
}

enum Role {
    /// With so many authorities below.
    Ca(u8),
    Signer,
}

impl Authority {
    fn issue(&self, name: &str, crl: &str, key: Key, role: Role, extensions: Vec<CustomExtension>) -> Self {
        let mut params = params(name, crl, &key, role);
        params.custom_extensions = extensions;
        let der = issued(params.signed_by(&key, &self.issuer()));
        Self { key, der, params }
    }

    /// A revocation list.
    pub(super) fn crl(&self, from: OffsetDateTime, until: OffsetDateTime, revoked: &[&Authority]) -> Vec<u8> {
        let revoked = revoked.iter().filter_map(|authority| authority.params.serial_number.clone());
        let entry = |serial_number| RevokedCertParams {
            serial_number,
            revocation_time: from,
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: from,
            next_update: until,
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.map(entry).collect(),
            key_identifier_method: KeyIdMethod::PreSpecified(self.key.identifier()),
        };
        list.signed_by(&self.issuer()).map(|list| list.der().to_vec()).unwrap_or_else(fixed)
    }

    fn issuer(&self) -> Issuer<'_, &Key> {
        Issuer::from_params(&self.params, &self.key)
    }
}

fn params(name: &str, crl: &str, key: &Key, role: Role) -> CertificateParams {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names.push(DnType::OrganizationName, "Twine Simulation");
    names.push(DnType::LocalityName, "Nowhere");
    names.push(DnType::StateOrProvinceName, "NA");
    names.push(DnType::CountryName, "XX");
    let mut params = CertificateParams::default();
    params.distinguished_name = names;
    // Fixed, so that the root is the same certificate everywhere and always.
    params.not_before = OffsetDateTime::UNIX_EPOCH + time::Duration::days(365 * 50);
    params.not_after = OffsetDateTime::UNIX_EPOCH + time::Duration::days(365 * 79);
    let serial: Vec<u8> =
        [0x40].into_iter().chain(sha256(&key.identifier()).0.into_iter().take(18)).collect();
    params.serial_number = Some(SerialNumber::from(serial));
    params.use_authority_key_identifier_extension = true;
    params.key_identifier_method = KeyIdMethod::PreSpecified(key.identifier());
    let uris = vec![format!("http://simulation.invalid/{crl}.crl")];
    params.crl_distribution_points = vec![CrlDistributionPoint { uris }];
    (params.is_ca, params.key_usages) = match role {
        Role::Ca(below) => (
            IsCa::Ca(BasicConstraints::Constrained(below)),
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign],
        ),
        Role::Signer => {
            (IsCa::ExplicitNoCa, vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment])
        }
    };
    params
}

/// PPID, TCB (sixteen components, PCESVN, CPUSVN), PCEID, FMSPC, SGX type "standard".
fn sgx_extension(ppid: &[u8; 16], cpusvn: &[u8; 16], pcesvn: u16) -> Vec<u8> {
    use yasna::{DERWriter, models::ObjectIdentifier};
    let oid = |tail: &[u64]| ObjectIdentifier::new([SGX, tail].concat());
    let entry = |writer: DERWriter<'_>, tail: &[u64], value: &dyn Fn(DERWriter<'_>)| {
        writer.write_sequence(|writer| {
            writer.next().write_oid(&oid(tail));
            value(writer.next());
        });
    };
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            entry(writer.next(), &[1], &|w| w.write_bytes(ppid));
            entry(writer.next(), &[2], &|w| {
                w.write_sequence(|w| {
                    for (i, svn) in (1..).zip(cpusvn) {
                        entry(w.next(), &[2, i], &|w| w.write_u8(*svn));
                    }
                    entry(w.next(), &[2, 17], &|w| w.write_u16(pcesvn));
                    entry(w.next(), &[2, 18], &|w| w.write_bytes(cpusvn));
                });
            });
            entry(writer.next(), &[3], &|w| w.write_bytes(&PCEID));
            entry(writer.next(), &[4], &|w| w.write_bytes(&FMSPC));
            entry(writer.next(), &[5], &|w| w.write_enum(0));
        });
    })
}

fn issued(certificate: Result<Certificate, rcgen::Error>) -> Vec<u8> {
    certificate.map(|certificate| certificate.der().to_vec()).unwrap_or_else(fixed)
}

/// Inputs of the simulation's certificates are constants of this file: they encode, or no test passes.
fn fixed(error: rcgen::Error) -> Vec<u8> {
    unreachable!("{error}")
}
