//! The one list of the module's functions.

use twine_wasi::{Fault, GuestMemory, Stopped};
use wasmtime::{Caller, Extern, Linker, Memory};

use crate::{
    Platform,
    calls::{self, Failure, Outcome},
};

/// The module that programs import from.
pub const MODULE: &str = "twine_tee_v1";

/// What the functions work on: one for each run of a program.
pub struct TeeCtx {
    pub(crate) platform: Box<dyn Platform + Send>,
    pub(crate) message: String,
}

impl TeeCtx {
    /// Of the enclave that `platform` is.
    pub fn new(platform: Box<dyn Platform + Send>) -> Self {
        Self { platform, message: String::new() }
    }

    /// The number that the program gets; a failure's message is kept for it.
    fn answer(&mut self, outcome: Outcome) -> wasmtime::Result<u32> {
        match outcome {
            Ok(()) => Ok(0),
            Err(Failure::Status(status, message)) => {
                self.message = message;
                Ok(status as u32)
            }
            Err(Failure::Fault(fault)) => Err(wasmtime::Error::new(fault)),
        }
    }
}

macro_rules! functions {
    ($($name:ident($($param:ident: $type:ty),*);)*) => {
        /// Links all functions of [`MODULE`]; `get` finds the context in the store's data.
        ///
        /// A call that cannot return to the program fails with [`Stopped`] or [`Fault`], as WASI's do.
        pub fn add_to_linker<T: 'static>(
            linker: &mut Linker<T>,
            get: impl Fn(&mut T) -> &mut TeeCtx + Copy + Send + Sync + 'static,
        ) -> wasmtime::Result<()> {
            $(
                linker.func_wrap(
                    MODULE,
                    stringify!($name),
                    move |mut caller: Caller<'_, T>, $($param: $type),*| -> wasmtime::Result<u32> {
                        let memory = find_memory(&mut caller)?;
                        let (bytes, data) = memory.data_and_store_mut(&mut caller);
                        let ctx = get(data);
                        if ctx.platform.stop_requested() {
                            return Err(wasmtime::Error::new(Stopped));
                        }
                        let outcome = calls::$name(ctx, &mut GuestMemory::new(bytes), $($param),*);
                        ctx.answer(outcome)
                    },
                )?;
            )*
            Ok(())
        }
    };
}

functions! {
    identity(record: u32);
    evidence_collect(data: u32, data_len: u32, nonce: u32, nonce_len: u32, buf: u32, buf_len: u32, used: u32);
    evidence_verify(
        evidence: u32, evidence_len: u32, nonce: u32, nonce_len: u32, policy: u32, policy_len: u32,
        collateral: u32, collateral_len: u32, at: u64, record: u32, buf: u32, buf_len: u32, used: u32
    );
    evidence_parse(evidence: u32, evidence_len: u32, record: u32, buf: u32, buf_len: u32, used: u32);
    seal(to: u32, aad: u32, aad_len: u32, data: u32, data_len: u32, buf: u32, buf_len: u32, used: u32);
    unseal(aad: u32, aad_len: u32, sealed: u32, sealed_len: u32, buf: u32, buf_len: u32, used: u32);
    message(buf: u32, buf_len: u32, used: u32);
}

fn find_memory<T: 'static>(caller: &mut Caller<'_, T>) -> wasmtime::Result<Memory> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        Some(Extern::SharedMemory(_)) => Err(wasmtime::Error::new(Fault::SharedMemory)),
        _ => Err(wasmtime::Error::new(Fault::NoMemory)),
    }
}
