//! Wasmtime's configuration: one place, the same inside and outside the enclave.

use wasmtime::{Collector, Config, Engine, OptLevel, Result};

/// What of the configuration a run may choose; each choice is another compilation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Count fuel: slower code that can be stopped after an exact amount of work.
    pub fuel: bool,
    /// Bytes of wasm stack; 0: 1 MiB.
    pub stack: usize,
}

/// The engine of every run.
///
/// # Errors
/// Wasmtime's own, for a processor without what the configuration asks for.
pub fn engine(options: Options) -> Result<Engine> {
    Engine::new(&config(options))
}

/// The configuration behind [`engine`], for peers in benchmarks.
pub fn config(options: Options) -> Config {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .consume_fuel(options.fuel)
        .max_wasm_stack(if options.stack == 0 { 1 << 20 } else { options.stack })
        // Bounds checks are guard pages and faults become traps, in the enclave as outside.
        .signals_based_traps(true)
        // Copy-on-write images want a file; an enclave has none.
        .memory_init_cow(false)
        // Nobody unwinds through compiled code but Wasmtime's own frame walk.
        .native_unwind_info(false)
        .collector(Collector::DeferredReferenceCounting)
        .wasm_threads(true)
        .shared_memory(true)
        .wasm_simd(true)
        .wasm_relaxed_simd(true)
        .wasm_bulk_memory(true)
        .wasm_reference_types(true)
        .wasm_multi_value(true)
        .wasm_multi_memory(true)
        .wasm_memory64(true)
        .wasm_tail_call(true)
        .wasm_extended_const(true)
        .wasm_function_references(true)
        .wasm_gc(true)
        .wasm_exceptions(true);
    config
}
