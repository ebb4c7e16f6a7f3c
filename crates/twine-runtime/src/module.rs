//! From bytes to a module: out of the sealed cache, or through the compiler.

use ring::aead::NONCE_LEN;
use wasmtime::{Engine, Module};

use crate::cache::{Sealer, Store};

/// Where a module came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This start compiled it.
    Compiled,
    /// An earlier start of this image did.
    Cached,
}

/// Why bytes are not a module that can run here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a core module at all.
    #[error("this is {0}")]
    NotAModule(&'static str),
    /// Truncated, malformed or invalid.
    #[error("the module is not valid: {0}")]
    Invalid(String),
}

/// The cache of one run: where artefacts are kept, how they are sealed, and a source of nonces.
pub struct Cache<'a> {
    /// Keeps sealed bytes.
    pub store: &'a dyn Store,
    /// Seals and opens.
    pub sealer: Sealer,
    /// Draws a nonce.
    pub nonce: fn() -> [u8; NONCE_LEN],
}

/// Out of the cache, where there is one and it holds the module.
#[expect(unsafe_code, reason = "deserialising native code is unsafe by nature")]
pub fn cached(engine: &Engine, cache: &Cache<'_>) -> Option<Module> {
    let mut sealed = cache.store.get(&cache.sealer.name())?;
    let artefact = cache.sealer.open(&mut sealed)?;
    // SAFETY: the bytes are what `Engine::precompile_module` returned in this very image for this very module and
    // these settings: the seal's key belongs to MRENCLAVE, its associated data to the other two.
    unsafe { Module::deserialize(engine, artefact) }.ok()
}

/// Compiles, and puts the result into the cache.
///
/// # Errors
/// [`Error`]: what is wrong with the bytes, in a sentence.
pub fn compile(engine: &Engine, bytes: &[u8], cache: Option<&Cache<'_>>) -> Result<Module, Error> {
    check_kind(bytes)?;
    let module = Module::from_binary(engine, bytes).map_err(|error| Error::Invalid(sentence(&error)))?;
    if let Some(cache) = cache
        && let Ok(artefact) = module.serialize()
        && let Some(sealed) = cache.sealer.seal(artefact, (cache.nonce)())
    {
        cache.store.put(&cache.sealer.name(), &sealed);
    }
    Ok(module)
}

/// Names what people hand over by mistake before the parser says "bad magic".
fn check_kind(bytes: &[u8]) -> Result<(), Error> {
    Err(Error::NotAModule(match bytes {
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => return Ok(()),
        [b'\0', b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => {
            "a WebAssembly component (WASI 0.2 or later); build the program for wasm32-wasip1"
        }
        [b'\0', b'a', b's', b'm', _, _, _, _, ..] => "a WebAssembly binary of an unknown version",
        [] => "an empty file",
        [0x7f, b'E', b'L', b'F', ..] => {
            "a native program or a precompiled module; Twine compiles WebAssembly inside the enclave"
        }
        [b'(', ..] | [b';', b';', ..] => "WebAssembly text; convert it with wat2wasm or `wasm-tools parse`",
        _ => "no WebAssembly module (it does not start with \\0asm)",
    }))
}

/// An error and its causes in one line.
pub(crate) fn sentence(error: &wasmtime::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
    }
    text
}
