//! The WebAssembly runtime: Wasmtime, the sealed compilation cache, limits and trap reports.
