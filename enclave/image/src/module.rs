//! The module: out of the sealed cache under the hash that the workload names; or read, hashed and compiled.

use std::borrow::Cow;

use twine_abi::calls::{Outcome as Code, Progress, ReadModule, Stage, StartPhase};
use twine_abi::run;
use twine_enclave::{border, identity, random};
use twine_runtime::cache::Sealer;
use twine_runtime::module::{Cache, cached, compile};
use wasmtime::{Engine, Module};

use crate::cache::HostStore;
use crate::request::Request;
use crate::{End, phase, reader};

/// Most bytes of a module.
const LIMIT: u64 = 1 << 30;

/// From here on a person may want to see that something happens.
const LARGE: usize = 1 << 20;

/// The module of the request.
pub fn load(request: &Request, engine: &Engine) -> Result<Module, End> {
    phase(StartPhase::Runtime);
    let store = HostStore;
    let cache = match identity::artefact_key() {
        Ok(key) if request.has(run::CACHE) => Some(Cache {
            store: &store,
            sealer: Sealer::new(&key, &request.workload().module.0, engine),
            nonce: || {
                let mut nonce = [0; 12];
                random::fill(&mut nonce);
                nonce
            },
        }),
        _ => None,
    };
    // An artefact under this module's hash came from a module that had it: its bytes are not needed again.
    if let Some(module) = cache.as_ref().and_then(|cache| cached(engine, cache)) {
        phase(StartPhase::Cached);
        return Ok(module);
    }
    let bytes = match request.module() {
        Some(delivered) => Cow::Borrowed(delivered),
        None => Cow::Owned(read()?),
    };
    // Hash and compiler see the same copy.
    let checked = request.accepted().check_module(&bytes).map_err(|error| End::refused(error.to_string()))?;
    let total = checked.bytes().len() as u64;
    let progress = |done| {
        if total >= LARGE as u64 {
            let _ = border::call(&Progress { stage: Stage::Compile as u64, done, total }, &[], &mut []);
        }
    };
    progress(0);
    let module = compile(engine, checked.bytes(), cache.as_ref())
        .map_err(|error| End(Code::BadModule, 0, error.to_string()))?;
    progress(total);
    phase(StartPhase::Compiled);
    Ok(module)
}

/// The module's bytes from the host, believed in nothing.
fn read() -> Result<Vec<u8>, End> {
    let bytes = reader::read(LIMIT, |offset, into| {
        let max = into.len() as u64;
        border::call(&ReadModule { offset, max }, &[], into).map(|(reply, got)| (reply.total, got))
    });
    match bytes {
        Ok(Some(bytes)) => Ok(bytes),
        _ => Err(End(Code::Failed, 0, "the host did not hand over the module's bytes".to_owned())),
    }
}
