//! Runs a command module (`_start`) and says how it ended.

use wasmtime::{Engine, Linker, Module, Store, Trap, WasmBacktrace};

use crate::limits::{Limiter, Limits};
use crate::module::sentence;

/// A program's state: what the host functions work on, and the limits.
pub struct Guest<T> {
    /// The embedder's part.
    pub state: T,
    limiter: Limiter,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `_start` returned, or the embedder's `classify` says that the guest ended itself with this status.
    Exited(u32),
    /// A trap: what happened, and the wasm backtrace.
    Trapped(String),
    /// The fuel is used up; the backtrace says where.
    OutOfFuel(String),
    /// The embedder's `classify` says that the run was asked to stop.
    Stopped,
    /// The module asks for what is not there.
    BadModule(String),
}

/// What an error that a host function returned means, if it is one of the embedder's own.
pub type Classify = fn(&wasmtime::Error) -> Option<Outcome>;

/// A store for one run of a program with `state`.
pub fn store<T: 'static>(engine: &Engine, state: T, limits: Limits) -> Store<Guest<T>> {
    let mut store = Store::new(engine, Guest { state, limiter: Limiter::new(limits) });
    store.limiter(|guest| &mut guest.limiter);
    store
}

/// Instantiates `module` with `linker`'s functions and runs it. `started` is called right before the first instruction.
/// Afterwards the state is in the store, whatever happened, to be flushed and counted.
pub fn run<T: 'static>(
    module: &Module,
    linker: &Linker<Guest<T>>,
    store: &mut Store<Guest<T>>,
    classify: Classify,
    started: impl FnOnce(),
) -> Outcome {
    let fuel = store.data().limiter.fuel();
    if let Some(missing) = missing_imports(module, linker, store) {
        return Outcome::BadModule(missing);
    }
    if let Some(fuel) = fuel
        && let Err(error) = store.set_fuel(fuel)
    {
        return Outcome::BadModule(sentence(&error));
    }
    let instance = match linker.instantiate(&mut *store, module) {
        Ok(instance) => instance,
        Err(error) => return explain(&error, classify, true),
    };
    let Ok(start) = instance.get_typed_func::<(), ()>(&mut *store, "_start") else {
        return Outcome::BadModule(
            "the module exports no function `_start`: it is a library (reactor), not a command; \
             build it as a program with a main function"
                .to_owned(),
        );
    };
    store.data_mut().limiter.start();
    started();
    match start.call(&mut *store, ()) {
        Ok(()) => Outcome::Exited(0),
        Err(error) => explain(&error, classify, false),
    }
}

fn explain(error: &wasmtime::Error, classify: Classify, instantiating: bool) -> Outcome {
    if let Some(outcome) = classify(error) {
        return outcome;
    }
    let mut report = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None if instantiating => return Outcome::BadModule(sentence(error)),
        None => error.root_cause().to_string(),
    };
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        report.push('\n');
        report.push_str(&backtrace.to_string());
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Outcome::OutOfFuel(report),
        _ => Outcome::Trapped(report),
    }
}

/// Names every import that nobody provides, and the interface it belongs to.
fn missing_imports<T: 'static>(
    module: &Module,
    linker: &Linker<Guest<T>>,
    store: &mut Store<Guest<T>>,
) -> Option<String> {
    let missing: Vec<String> = module
        .imports()
        .filter(|import| linker.get_by_import(&mut *store, import).is_none())
        .map(|import| format!("  {}::{} ({})", import.module(), import.name(), origin(import.module())))
        .collect();
    if missing.is_empty() {
        return None;
    }
    let shown = missing.len().min(10);
    let more =
        if missing.len() > shown { format!("\n  and {} more", missing.len() - shown) } else { String::new() };
    Some(format!(
        "the module imports what Twine does not provide:\n{}{more}\nif it can do without, --unknown-imports-trap runs it",
        missing[..shown].join("\n")
    ))
}

fn origin(module: &str) -> &'static str {
    match module {
        "wasi_snapshot_preview1" => "not a function of WASI preview 1, or with another signature",
        "wasi_unstable" => "WASI preview 0 of 2019; build with a current toolchain",
        "wasi" => "wasi-threads; build without threads",
        "env" => "not WASI: left undefined at link time, or made for a browser",
        name if name.starts_with("wasi:") => "WASI 0.2 or later; build for wasm32-wasip1",
        name if name.starts_with("wasi_ephemeral") => "a WASI proposal that never became part of preview 1",
        _ => "not part of WASI",
    }
}
