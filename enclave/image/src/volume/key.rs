//! The key that opens a volume: this workload's by EGETKEY, or the owner's.
//!
//! A sealing key is the processor's for this enclave (or its signer and product) with the workload's CONFIGID, a random key
//! id, and the security versions of the day it was sealed; HKDF adds the volume's name. The label in the volume's header
//! says what to ask for: with another label the processor gives another key, or none, and the volume does not open.

use ring::hkdf;
use twine_enclave::identity::{self, SealTo, SealVersions};
use twine_enclave::random;
use twine_sgx::{AttributesFlags, Report};
use twine_volume::{Label as Bytes, MasterKey};
use twine_volume_key::{Identity, Label, Sealed, SealedTo, Unreadable, Versions, id_of};
use twine_workload::KeyPolicy;

use super::Wanted;
use crate::anchor;
use crate::secrets::Secrets;

/// Why there is no key: for a person.
type Result<T> = core::result::Result<T, String>;

/// The key for a new volume or a new header, with the label by which it is found again.
pub fn fresh(wanted: Wanted<'_>, secrets: &Secrets) -> Result<MasterKey> {
    let Wanted { name, key: policy, freshness, .. } = wanted;
    let to = match policy {
        KeyPolicy::Enclave => SealedTo::Enclave,
        KeyPolicy::Signer => SealedTo::Signer,
        KeyPolicy::Owner => {
            // Its owner's tool writes to it as well, and has no workload to tell it of the anchor.
            let key = owners(name, secrets)?;
            let label = Label::Owner { key: id_of(key), anchor: anchor::described(freshness, name) };
            return Ok(MasterKey::new(*key).labelled(label.to_bytes()));
        }
    };
    let own = identity::own_report();
    let mut sealed = Sealed { to, versions: versions_of(&own), key_id: [0; 32], identity: identity_of(&own) };
    random::fill(&mut sealed.key_id);
    sealed_key(name, &sealed)
}

/// The key that a header's label asks for, if the workload's policy allows it.
pub fn existing(name: &str, policy: KeyPolicy, label: &Bytes, secrets: &Secrets) -> Result<MasterKey> {
    let label = match Label::from_bytes(label) {
        Ok(label) => label,
        Err(Unreadable::Empty) => {
            return Err("it is no volume of an enclave or an owner: it has no label".into());
        }
        Err(Unreadable::Unknown) => {
            return Err(
                "its label is damaged, or of another version of this runtime; restore the file".into()
            );
        }
    };
    match (policy, label) {
        (KeyPolicy::Enclave, Label::Sealed(sealed)) if sealed.to == SealedTo::Enclave => {
            sealed_key(name, &sealed)
        }
        (KeyPolicy::Signer, Label::Sealed(sealed)) if sealed.to == SealedTo::Signer => {
            sealed_key(name, &sealed)
        }
        (KeyPolicy::Owner, Label::Owner { .. }) => owners(name, secrets).map(|key| MasterKey::new(*key)),
        (_, label) => Err(format!(
            "it was made with {}, the workload says {}",
            match label {
                Label::Sealed(sealed) => policy_text(match sealed.to {
                    SealedTo::Enclave => KeyPolicy::Enclave,
                    SealedTo::Signer => KeyPolicy::Signer,
                }),
                Label::Owner { .. } => policy_text(KeyPolicy::Owner),
            },
            policy_text(policy)
        )),
    }
}

/// Whether a header was sealed under older security versions than the present ones.
pub fn is_outdated(label: &Bytes) -> bool {
    let Ok(Label::Sealed(sealed)) = Label::from_bytes(label) else { return false };
    sealed.versions != versions_of(&identity::own_report())
}

/// Why a key did not open what its label promised.
pub fn explain_refusal(label: &Bytes, name: &str, secrets: &Secrets) -> String {
    let own = identity::own_report();
    match Label::from_bytes(label) {
        Ok(Label::Sealed(sealed)) => {
            let differences = sealed.differences(&identity_of(&own), &versions_of(&own));
            if differences.is_empty() {
                return "it is another volume (of another name or machine), or its header was changed"
                    .to_owned();
            }
            format!(
                "it belongs to {}; `twine measure --diff` shows what changed in a workload",
                differences.join("; ")
            )
        }
        Ok(Label::Owner { key, .. }) if secrets.volume_key(name).is_some_and(|own| id_of(own) != key) => {
            "the owner's key that was given is not the one it was made with".to_owned()
        }
        _ => "its header was changed".to_owned(),
    }
}

fn owners<'a>(name: &str, secrets: &'a Secrets) -> Result<&'a [u8; 32]> {
    secrets
        .volume_key(name)
        .ok_or_else(|| "its key is the owner's, and nobody gave one to this run".to_owned())
}

fn sealed_key(name: &str, sealed: &Sealed) -> Result<MasterKey> {
    let to = match sealed.to {
        SealedTo::Enclave => SealTo::Enclave,
        SealedTo::Signer => SealTo::Signer,
    };
    let Versions { isvsvn, configsvn, cpusvn } = sealed.versions;
    let versions = SealVersions { isvsvn, configsvn, cpusvn };
    let secret = identity::seal_key(to, versions, sealed.key_id).map_err(|code| {
        let own = identity::own_report();
        let differences = sealed.differences(&identity_of(&own), &versions_of(&own));
        format!(
            "the processor refuses its key (EGETKEY error {code}): it belongs to {}",
            differences.join("; ")
        )
    })?;
    let mut key = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"twine volume key v1")
        .extract(&secret)
        .expand(&[name.as_bytes()], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut key))
        .map_err(|_| "its key cannot be derived".to_owned())?;
    Ok(MasterKey::new(key).labelled(Label::Sealed(sealed.clone()).to_bytes()))
}

fn versions_of(report: &Report) -> Versions {
    Versions { isvsvn: report.isvsvn, configsvn: report.configsvn, cpusvn: report.cpusvn }
}

fn identity_of(report: &Report) -> Identity {
    let short = |digest: &[u8]| core::array::from_fn(|i| digest.get(i).copied().unwrap_or_default());
    Identity {
        mrenclave: short(&report.mrenclave),
        mrsigner: short(&report.mrsigner),
        configid: short(&report.configid),
        product: report.isvprodid,
        debug: report.attributes.flags.contains(AttributesFlags::DEBUG),
    }
}

fn policy_text(policy: KeyPolicy) -> &'static str {
    match policy {
        KeyPolicy::Enclave => "key = \"enclave\"",
        KeyPolicy::Signer => "key = \"signer\"",
        KeyPolicy::Owner => "key = \"owner\"",
    }
}
