//! Key derivation and report MACs: what EGETKEY and EREPORT compute, for enclaves and for software enclaves.

use aes::Aes128;
use cmac::{Cmac, KeyInit, Mac};
use twine_sgx::{Attributes, Report, Targetinfo, mac_data};

use super::fuse::{Cpusvn, Fuse, StateError};

/// A simulated processor: its secrets, its CPUSVN, and the KEYID it chose at power-up.
#[derive(Debug)]
pub struct Processor {
    fuse: Fuse,
    keyid: [u8; 32],
}

/// What a key is derived from (SDM leaf EGETKEY, "Key Dependencies").
#[derive(Clone, Debug)]
pub(super) struct Dependencies {
    pub keyname: u16,
    pub isvfamilyid: [u8; 16],
    pub isvextprodid: [u8; 16],
    pub isvprodid: u16,
    pub isvsvn: u16,
    pub owner_epoch: bool,
    pub attributes: Attributes,
    pub attributemask: [u64; 2],
    pub mrenclave: [u8; 32],
    pub mrsigner: [u8; 32],
    pub keyid: [u8; 32],
    /// Keys that every machine of a kind can derive do not depend on the machine's own fuse. The simulator has no
    /// such secret; provisioning keys are marked by this flag only.
    pub seal_fuses: bool,
    pub cpusvn: Cpusvn,
    pub miscselect: u32,
    pub miscmask: u32,
    pub keypolicy: u16,
    pub configid: [u8; 64],
    pub configsvn: u16,
    pub cet_attributes: u8,
    pub cet_attributes_mask: u8,
}

impl Processor {
    /// Powers up a processor.
    ///
    /// # Errors
    /// [`StateError::Random`].
    pub fn new(fuse: Fuse) -> Result<Self, StateError> {
        let mut keyid = [0; 32];
        getrandom::fill(&mut keyid[..16]).map_err(StateError::Random)?;
        Ok(Self { fuse, keyid })
    }

    /// CPUSVN.
    pub fn cpusvn(&self) -> Cpusvn {
        self.fuse.cpusvn
    }

    /// The report key of the enclave that `target` describes: what it would get from EGETKEY for `keyid`. With it a
    /// software enclave, such as the simulated quoting enclave, checks reports that are addressed to it.
    pub fn report_key(&self, target: &Targetinfo, keyid: &[u8; 32]) -> [u8; 16] {
        self.derive(&self.report_dependencies(target, keyid))
    }

    /// What a report key depends on.
    pub(super) fn report_dependencies(&self, target: &Targetinfo, keyid: &[u8; 32]) -> Dependencies {
        Dependencies {
            keyname: twine_sgx::Keyname::Report as u16,
            isvfamilyid: [0; 16],
            isvextprodid: [0; 16],
            isvprodid: 0,
            isvsvn: 0,
            owner_epoch: true,
            attributes: target.attributes,
            attributemask: [0; 2],
            mrenclave: target.measurement,
            mrsigner: [0; 32],
            keyid: *keyid,
            seal_fuses: true,
            cpusvn: self.fuse.cpusvn,
            miscselect: target.miscselect,
            miscmask: 0,
            keypolicy: 0,
            configid: target.configid,
            configsvn: target.configsvn,
            cet_attributes: target.cet_attributes,
            cet_attributes_mask: 0,
        }
    }

    /// Whether this processor made `report` for `target`.
    pub fn verify_report(&self, report: &Report, target: &Targetinfo) -> bool {
        let mut mac = cmac(&self.report_key(target, &report.keyid));
        mac.update(&mac_data(report));
        mac.verify_slice(&report.mac).is_ok()
    }

    /// Fills KEYID and MAC of `report` for `target`, as EREPORT does; the rest is the caller's.
    pub fn sign_report(&self, report: &mut Report, target: &Targetinfo) {
        report.keyid = self.keyid;
        let mut mac = cmac(&self.report_key(target, &self.keyid));
        mac.update(&mac_data(report));
        report.mac = mac.finalize().into_bytes().into();
    }

    /// A secret of this machine for `label`, such as the seed of a simulated provisioning key. It does not change with
    /// CPUSVN. No enclave can derive it.
    pub fn platform_secret(&self, label: &[u8]) -> [u8; 32] {
        let mut secret = [0; 32];
        for (counter, half) in secret.chunks_exact_mut(16).enumerate() {
            half.copy_from_slice(&self.prf(b"platform", counter as u8, label));
        }
        secret
    }

    /// Derives the key that depends on exactly this.
    pub(super) fn derive(&self, on: &Dependencies) -> [u8; 16] {
        let mut block = Vec::with_capacity(512);
        block.extend(on.keyname.to_le_bytes());
        block.extend(on.isvfamilyid);
        block.extend(on.isvextprodid);
        block.extend(on.isvprodid.to_le_bytes());
        block.extend(on.isvsvn.to_le_bytes());
        block.extend(if on.owner_epoch { self.fuse.owner_epoch } else { [0; 16] });
        block.extend_from_slice(on.attributes.as_ref());
        block.extend(on.attributemask.iter().flat_map(|mask| mask.to_le_bytes()));
        block.extend(on.mrenclave);
        block.extend(on.mrsigner);
        block.extend(on.keyid);
        block.push(u8::from(on.seal_fuses));
        block.extend(on.cpusvn);
        block.extend(on.miscselect.to_le_bytes());
        block.extend(on.miscmask.to_le_bytes());
        block.extend(on.keypolicy.to_le_bytes());
        block.extend(on.configid);
        block.extend(on.configsvn.to_le_bytes());
        block.extend([on.cet_attributes, on.cet_attributes_mask]);
        self.prf(b"enclave", 0, &block)
    }

    /// AES-CMAC in counter mode (NIST SP 800-108) from the fuse's two halves: the first keys the second.
    fn prf(&self, label: &[u8], counter: u8, context: &[u8]) -> [u8; 16] {
        let (first, second) = self.fuse.seal.split_at(16);
        let mut root = [0; 16];
        root.copy_from_slice(first);
        let mut mac = cmac(&root);
        mac.update(second);
        mac.update(label);
        let mut mac = cmac(&mac.finalize().into_bytes().into());
        mac.update(&[counter]);
        mac.update(&(context.len() as u32).to_le_bytes());
        mac.update(context);
        mac.finalize().into_bytes().into()
    }
}

fn cmac(key: &[u8; 16]) -> Cmac<Aes128> {
    Cmac::new(key.into())
}
