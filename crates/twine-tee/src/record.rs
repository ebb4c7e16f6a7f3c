//! The identity of an enclave as a record in the program's memory.

use twine_attest::Root;
use twine_sgx::{AttributesFlags, Report};
use twine_workload::Digest;

/// Bytes of a record.
pub const RECORD_LEN: usize = 224;

const VERSION: u32 = 1;
const DEBUG: u32 = 1 << 0;
const VERIFIED: u32 = 1 << 1;
const SIMULATED: u32 = 1 << 2;

/// Little-endian; offsets and meaning are in docs/guest-api.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record(pub [u8; RECORD_LEN]);

impl Record {
    /// Of an enclave by its report, which somebody may only claim.
    pub(crate) fn new(report: &Report, workload: Digest) -> Self {
        let debug = report.attributes.flags.contains(AttributesFlags::DEBUG);
        let mut record = Self([0; RECORD_LEN]);
        record.put(0, &VERSION.to_le_bytes());
        record.put(4, &(if debug { DEBUG } else { 0 }).to_le_bytes());
        record.put(8, &report.isvprodid.to_le_bytes());
        record.put(10, &report.isvsvn.to_le_bytes());
        record.put(12, &report.configsvn.to_le_bytes());
        record.put(16, &report.cpusvn);
        record.put(32, &report.mrenclave);
        record.put(64, &report.mrsigner);
        record.put(96, &report.configid);
        record.put(160, &workload.0);
        record
    }

    /// The same after verification under `root`.
    pub(crate) fn verified(mut self, root: Root) -> Self {
        let simulated = if root == Root::Simulation { SIMULATED } else { 0 };
        if let Some(flags) = self.0.get_mut(4) {
            // All flags are in the lowest byte.
            *flags |= (VERIFIED | simulated) as u8;
        }
        self
    }

    fn put(&mut self, offset: usize, value: &[u8]) {
        if let Some(field) = self.0.get_mut(offset..offset + value.len()) {
            field.copy_from_slice(value);
        }
    }
}
