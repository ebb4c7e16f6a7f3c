//! Runs an enclave: enters its threads, serves their host calls, passes exceptions on, and keeps count.
//!
//! This is the untrusted side of `twine_abi`. Nothing here protects the program; what the host does wrong, the enclave
//! notices or does not depend on.

pub mod anchors;
mod buffer;
mod cache;
pub mod folders;
mod map;
mod module;
mod park;
mod peers;
mod serve;
mod stats;
mod stop;
mod stores;
mod thread;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use twine_abi::calls::{Call, Outcome, Stage, StartPhase};

use crate::backend::Enclave;
use crate::quote::QuoteProvider;
pub use module::Module;
pub use peers::Ways;
pub use stats::{Finding, Stats, Volume};
use thread::Shared;

/// What one run needs from the host.
pub struct Job {
    /// The run request, as `twine_abi::run` has it.
    pub request: Vec<u8>,
    /// The module's bytes.
    pub module: Module,
    /// Folder for sealed artefacts; none: no cache.
    pub cache: Option<PathBuf>,
    /// Where the stores are that the enclave may ask for: name and file. A file that is not there is created.
    pub volumes: Vec<(String, PathBuf)>,
    /// Where the services are that keep volumes fresh: name of the volume, address as `HOST:PORT`.
    pub anchors: Vec<(String, String)>,
    /// Where the folders of measured and insecure mounts are.
    pub folders: Vec<folders::Place>,
    /// Whether the enclave may read them in memory.
    pub map_stores: bool,
    /// Who quotes the enclave's reports; nobody: it cannot attest itself.
    pub quotes: Option<Arc<dyn QuoteProvider>>,
    /// How code and secrets come that the host does not have.
    pub delivery: Ways,
    /// Wall-clock limit from the start of the run.
    pub timeout: Option<Duration>,
    /// Where standard input comes from and output goes.
    pub streams: Streams,
    /// Told about phases and progress.
    pub observer: Box<dyn Observer>,
    /// A host that lies, for tests of the enclave.
    pub liar: Option<Box<dyn Liar>>,
}

/// Sees every host call and changes answers: the host that the enclave has to reckon with.
pub trait Liar: Send {
    /// A call's message, as `twine_abi::wire` has it.
    fn asked(&mut self, call: Call, message: &[u8]);
    /// The answer, in the first `length` bytes of the buffer; the length that it gets.
    fn answers(&mut self, call: Call, buffer: &mut [u8], length: usize) -> usize;
}

/// The guest's streams on the host.
pub struct Streams {
    /// Descriptor to read standard input from.
    pub stdin: std::os::fd::OwnedFd,
    /// Takes standard output.
    pub stdout: Box<dyn std::io::Write + Send>,
    /// Takes standard error.
    pub stderr: Box<dyn std::io::Write + Send>,
    /// Takes the enclave's own diagnostics and traces, a line at a time.
    pub log: Box<dyn std::io::Write + Send>,
}

/// Hears what goes on.
pub trait Observer: Send {
    /// A phase of the start-up is over.
    fn phase(&mut self, phase: StartPhase, since_start: Duration);
    /// Long work goes on; `total` 0: unknown.
    fn progress(&mut self, stage: Stage, done: u64, total: u64);
}

/// How a run ended and what it took.
#[derive(Clone, Debug)]
pub struct Report {
    /// The end.
    pub end: End,
    /// Counts and times.
    pub stats: Stats,
    /// Why the compiled module was not kept in the cache, where it was to be.
    pub not_cached: Option<String>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The enclave said so itself.
    Finished {
        /// Its word for it.
        outcome: Outcome,
        /// Exit status of the guest, where there is one.
        code: u32,
        /// For a person; may be empty.
        message: String,
    },
    /// The enclave ended itself without finishing: a panic, a broken protocol, a fault. Its message.
    Died(String),
    /// It did not honour the request to stop and was dropped.
    TimedOut,
    /// The processor refused an entry, or the enclave left without a word.
    Broken(String),
}

/// Runs `enclave` until its first thread is done. Threads that are still inside then are dropped with the enclave.
pub fn run(enclave: &Arc<dyn Enclave>, job: Job) -> Report {
    let started = Instant::now();
    let shared = Arc::new(Shared::new(enclave.clone(), job, started));
    let watchdog = stop::watch(&shared);
    let left = thread::run(&shared, 0);
    shared.stop.finish();
    if let Some(watchdog) = watchdog {
        let _ = watchdog.join();
    }
    let end = match shared.take_end() {
        Some(end) => end,
        None => left
            .unwrap_or_else(|| End::Broken("the enclave left without saying how the run ended".to_owned())),
    };
    let not_cached = shared.cache.lock().unwrap_or_else(PoisonError::into_inner).take_failure();
    Report {
        end,
        stats: shared.stats(started.elapsed()),
        not_cached: not_cached.map(|error| error.to_string()),
    }
}
