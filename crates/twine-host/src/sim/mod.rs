//! The simulated processor: enclaves run in this process with the semantics of SGX and without its protection.
//!
//! What is faithful, what only in checked mode and what is absent stands in `docs/simulation.md`.

mod build;
mod elrange;
mod enclave;
mod enclu;
mod epcm;
mod forbidden;
mod frame;
mod fuse;
mod hostile;
mod kernel;
mod keys;
mod launch;
mod load;
mod secs;
mod signals;
mod stream;
mod stub;
mod tcs;
mod thread;
mod transition;
mod xstate;

use std::ops::Range;
use std::sync::Arc;

use sgxs::sgxs::SgxsRead;
use twine_sgx::{Attributes, PageType, SIGSTRUCT_SIZE, Secs, sigstruct_from_bytes};

pub(crate) use forbidden::{can_dispatch_system_calls, can_fault_cpuid};
pub use fuse::{Cpusvn, Fuse, StateError};
pub use hostile::{Hostility, Registers};
pub use keys::Processor;
pub use load::{SimMapping, SimTcs};

use crate::backend::{
    Backend, Config, Enclave, EntryFault, Exception, Exit, Leaf, LoadError, PageError, Perms, Regs,
};
use build::Build;
use enclave::SimEnclave;
use stream::{Bytes, Ecosystem, Record, Records};
use thread::Outcome;

/// The simulated processor as a backend.
#[derive(Clone, Debug)]
pub struct Sim {
    processor: Arc<Processor>,
    checked: bool,
    hostility: Hostility,
}

impl Sim {
    /// A backend on this processor.
    ///
    /// # Errors
    /// [`LoadError::Unsupported`] if this machine cannot simulate.
    pub fn new(processor: Arc<Processor>) -> Result<Self, LoadError> {
        if !fsgsbase() {
            return Err(LoadError::Unsupported {
                what: "user mode may not set the FS base (FSGSBASE)",
                remedy: "use Linux 5.9 or later on a processor of 2013 or later, without the nofsgsbase option",
            });
        }
        Ok(Self { processor, checked: false, hostility: Hostility::default() })
    }

    /// The same backend in checked mode: enclave memory is inaccessible to this process while no thread is inside. For
    /// tests; each first entry and last exit costs one mprotect per run of pages.
    pub fn checked(self) -> Self {
        Self { checked: true, ..self }
    }

    /// The same backend with a host that is hostile to the registers and the timing of enclaves. For tests.
    pub fn hostile(self, hostility: Hostility) -> Self {
        Self { hostility, ..self }
    }

    /// The processor.
    pub fn processor(&self) -> &Arc<Processor> {
        &self.processor
    }

    fn load_records(
        &self,
        records: &mut dyn Records,
        sigstruct: &[u8; SIGSTRUCT_SIZE],
        attributes: Attributes,
        miscselect: u32,
        config: &Config,
    ) -> Result<SimEnclave, LoadError> {
        signals::install();
        let Some(Record::Create { ssaframesize, size }) = records.next()? else {
            return Err(LoadError::Stream { what: "it does not begin with ECREATE", record: 0 });
        };
        let mut build = Build::create(Secs {
            size,
            ssaframesize,
            miscselect,
            attributes,
            configid: config.id,
            configsvn: config.svn,
            ..Secs::default()
        })?;
        while let Some(record) = records.next()? {
            match record {
                Record::Create { .. } => {
                    return Err(LoadError::Fault { leaf: "ECREATE", reason: "the enclave exists already" });
                }
                Record::Add { offset, flags } => build.add(offset, flags)?,
                Record::Chunk { offset, record, measured } => build.chunk(offset, record, measured)?,
            }
        }
        build.finish()?;
        let identity = launch::einit(&mut build.secs, sigstruct)?;
        SimEnclave::new(build, identity, self.processor.clone(), self.checked, self.hostility.clone())
    }

    /// Loads from the ecosystem's reader; the sgxs crate's loader trait ends here.
    fn load_ecosystem<R: SgxsRead>(
        &self,
        reader: &mut R,
        sigstruct: &[u8; SIGSTRUCT_SIZE],
        attributes: Attributes,
        miscselect: u32,
    ) -> Result<SimEnclave, LoadError> {
        let config = Config::default();
        self.load_records(&mut Ecosystem::new(reader), sigstruct, attributes, miscselect, &config)
    }
}

impl Backend for Sim {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn load(
        &self,
        image: &[u8],
        sigstruct: &[u8; SIGSTRUCT_SIZE],
        config: &Config,
    ) -> Result<Arc<dyn Enclave>, LoadError> {
        let sig = sigstruct_from_bytes(sigstruct);
        let enclave = self.load_records(
            &mut Bytes::new(image),
            sigstruct,
            sig.attributes,
            sig.miscselect.bits(),
            config,
        )?;
        Ok(Arc::new(enclave))
    }
}

impl Enclave for SimEnclave {
    fn base(&self) -> u64 {
        self.secs.baseaddr
    }

    fn size(&self) -> u64 {
        self.secs.size
    }

    fn tcs(&self) -> Vec<u64> {
        self.image_tcs.clone()
    }

    fn mrenclave(&self) -> [u8; 32] {
        self.secs.mrenclave
    }

    fn mrsigner(&self) -> [u8; 32] {
        self.secs.mrsigner
    }

    fn enter(&self, leaf: Leaf, tcs: u64, regs: &mut Regs) -> Result<Exit, EntryFault> {
        let fault = |vector, address, reason| EntryFault {
            leaf,
            fault: Exception { vector, error_code: 0, address },
            reason,
        };
        match thread::enter(self, leaf, tcs, regs) {
            Ok(Outcome::Exit(exit)) => Ok(exit),
            Ok(Outcome::Fault { vector, address, reason }) => Err(fault(vector, address, reason)),
            Err(_) => Err(fault(twine_sgx::ssa::vector::GP, 0, "the thread's signal stack cannot be made")),
        }
    }

    fn interrupt(&self, tcs: u64) -> bool {
        let state = self.tcs_at(&self.lock(), tcs);
        state.is_some_and(|state| thread::interrupt(&state))
    }

    fn protect(&self, range: Range<u64>, perms: Perms) -> Result<(), PageError> {
        self.map(range, perms)
    }

    fn restrict(&self, range: Range<u64>, perms: Perms) -> Result<(), PageError> {
        self.emodpr(range, perms)
    }

    fn trim(&self, range: Range<u64>) -> Result<(), PageError> {
        self.emodt(range, PageType::Trim)
    }

    fn make_tcs(&self, range: Range<u64>) -> Result<(), PageError> {
        self.emodt(range, PageType::Tcs)
    }

    fn remove(&self, range: Range<u64>) -> Result<(), PageError> {
        self.eremove(range)
    }
}

/// Whether an ELRANGE of this size finds a place.
pub(crate) fn can_reserve(size: u64) -> Result<(), LoadError> {
    elrange::Elrange::reserve(size).map(drop)
}

/// Whether user mode may read and write the FS and GS bases (AT_HWCAP2 bit 1).
#[allow(unsafe_code)]
pub(crate) fn fsgsbase() -> bool {
    // SAFETY: reads the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_HWCAP2) & 2 != 0 }
}
