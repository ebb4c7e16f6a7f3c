//! Trusted: the image that runs WASI programs.
//!
//! Reads top-down: what the host asks for ([`request`]), the module's bytes ([`module`]), the program's world
//! ([`world`]), the run, and how it ended. Everything that decides is in the crates below; this one puts them together.

// The C symbols and the rustix backend are needed by the link alone.
extern crate rustix as _;
extern crate twine_enclave_libc as _;

mod anchor;
mod cache;
mod delivery;
mod evidence;
mod folder;
mod module;
mod peer;
mod reader;
mod request;
mod streams;
mod volume;
mod world;

use twine_abi::calls::{Finish, Outcome as Code, Phase, StartPhase};
use twine_abi::wire::MAX_PAYLOAD;
use twine_enclave::{border, heap, identity, memory};
use twine_runtime::Outcome;

use request::Request;
use world::World;

/// How a run ended, for the host: the code, the guest's exit status, a message for a person.
struct End(Code, u32, String);

impl End {
    fn refused(message: impl Into<String>) -> Self {
        Self(Code::Refused, 0, message.into())
    }
}

/// Called by `twine-enclave` on slot 0.
#[unsafe(no_mangle)]
extern "C" fn twine_main() {
    phase(StartPhase::Launch);
    let (end, owners, diagnostics) = match request::read() {
        Err(refused) => (refused, Vec::new(), true),
        Ok(request) => (run(&request), request.owners().to_vec(), request.workload().diagnostics),
    };
    let (code, status, mut message) = (end.0, end.1, end.2.clone());
    // What a program computes with may be secret, and so may be where it trapped.
    if matches!(code, Code::Trapped | Code::OutOfFuel) && !diagnostics && !identity::is_debug() {
        message = "the workload keeps its diagnostics inside".to_owned();
    }
    owners.iter().for_each(|owner| owner.tell(&end, &message));
    let (pages, peak_pages) = memory::committed_pages();
    let finish = Finish { outcome: code as u64, code: status.into(), pages, peak_pages };
    let mut end = message.len().min(MAX_PAYLOAD);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let _ = border::call(&finish, &message.as_bytes()[..end], &mut []);
}

fn run(request: &Request) -> End {
    let engine = match twine_runtime::engine(request.options()) {
        Ok(engine) => engine,
        Err(error) => return End(Code::Failed, 0, format!("the WebAssembly engine does not start: {error}")),
    };
    let module = match module::load(request, &engine) {
        Ok(module) => module,
        Err(end) => return end,
    };
    // What compiling took is of no use to the program.
    heap::trim();
    if request.compile_only() {
        return End(Code::Exited, 0, String::new());
    }
    let World { linker, state, volumes } = match world::build(request, &module) {
        Ok(world) => world,
        Err(end) => return end,
    };
    let mut store = twine_runtime::run::store(&engine, state, request.limits());
    let outcome =
        twine_runtime::run(&module, &linker, &mut store, world::classify, || phase(StartPhase::GuestStart));
    let flushed = store.data_mut().state.flush();
    let committed = volumes.commit();
    // The enclave ends with the run: giving the program's memory back page by page first would only take time.
    core::mem::forget(store);
    if let Err(end) = committed {
        return end;
    }
    match outcome {
        Outcome::Exited(0) if flushed.is_err() => {
            End(Code::Failed, 0, "the last of standard output could not be written".to_owned())
        }
        Outcome::Exited(status) => End(Code::Exited, status, String::new()),
        Outcome::Trapped(report) => End(Code::Trapped, 0, report),
        Outcome::OutOfFuel(report) => End(Code::OutOfFuel, 0, report),
        Outcome::Stopped => End(Code::Stopped, 0, String::new()),
        Outcome::BadModule(why) => End(Code::BadModule, 0, why),
    }
}

/// Tells the host that a phase of the start-up is over.
fn phase(phase: StartPhase) {
    let _ = border::call(&Phase { phase: phase as u64 }, &[], &mut []);
}
