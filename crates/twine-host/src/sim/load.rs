//! The ecosystem's loader trait, `sgxs::loader::Load`: no CONFIGID, so it is zero.

use std::ffi::c_void;
use std::fmt;
use std::sync::Arc;

use sgxs::loader::{Load, Mapping, MappingInfo, Tcs};
use sgxs::sgxs::SgxsRead;
use twine_sgx::{Attributes, Miscselect, Sigstruct, sigstruct_to_bytes};

use super::Sim;
use super::enclave::SimEnclave;
use crate::backend::Enclave;

/// A loaded enclave; unloaded with its last TCS.
pub struct SimMapping(Arc<SimEnclave>);

impl SimMapping {
    /// The enclave, to enter it.
    pub fn enclave(&self) -> Arc<dyn Enclave> {
        self.0.clone()
    }
}

impl fmt::Debug for SimMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimMapping({:#x})", self.0.base())
    }
}

impl MappingInfo for SimMapping {
    fn address(&self) -> *mut c_void {
        self.0.base() as *mut c_void
    }

    fn size(&self) -> usize {
        self.0.size() as usize
    }
}

/// A TCS of a loaded enclave.
pub struct SimTcs {
    address: u64,
    _enclave: Arc<SimEnclave>,
}

impl fmt::Debug for SimTcs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimTcs({:#x})", self.address)
    }
}

impl Tcs for SimTcs {
    fn address(&self) -> *mut c_void {
        self.address as *mut c_void
    }
}

impl Load for Sim {
    type MappingInfo = SimMapping;
    type Tcs = SimTcs;

    fn load<R: SgxsRead>(
        &mut self,
        reader: &mut R,
        sigstruct: &Sigstruct,
        attributes: Attributes,
        miscselect: Miscselect,
    ) -> Result<Mapping<Self>, anyhow::Error> {
        let enclave =
            self.load_ecosystem(reader, &sigstruct_to_bytes(sigstruct), attributes, miscselect.bits())?;
        let enclave = Arc::new(enclave);
        let tcss = enclave
            .image_tcs
            .iter()
            .map(|address| SimTcs { address: *address, _enclave: enclave.clone() })
            .collect();
        Ok(Mapping { info: SimMapping(enclave), tcss })
    }
}
