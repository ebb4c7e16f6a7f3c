//! Enclaves for tests, and hosts that are not honest.
//!
//! The tests load either the image that runs programs or one that runs tests (`enclave/test-image`), on the simulated
//! processor, and serve it with the host that serves every run. [`Adversary`] stands between the two.

mod adversary;

use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use adversary::{Adversary, Plan, Reply};
use twine_abi::calls::{Outcome, Stage, StartPhase};
use twine_host::backend::{Backend, Config, Enclave};
use twine_host::run::{End, Job, Module, Observer, Report, Streams, Ways};
use twine_host::sim::{Fuse, Processor, Sim};

/// The image that runs tests.
pub const IMAGE: &[u8] = include_bytes!(env!("TWINE_TEST_IMAGE"));
/// Its SIGSTRUCT without DEBUG.
pub const PRODUCTION: &[u8; 1808] = include_bytes!(env!("TWINE_TEST_SIGSTRUCT"));
/// Its SIGSTRUCT with DEBUG.
pub const DEBUG: &[u8; 1808] = include_bytes!(env!("TWINE_TEST_DEBUG_SIGSTRUCT"));

/// A simulated processor that nobody remembers.
pub fn processor() -> Sim {
    let processor = Processor::new(Fuse::random().expect("random numbers")).expect("random numbers");
    Sim::new(Arc::new(processor)).expect("this machine can simulate")
}

/// The test image, loaded.
pub fn load(sim: &Sim, sigstruct: &[u8; 1808]) -> Arc<dyn Enclave> {
    sim.load(IMAGE, sigstruct, &Config::default()).expect("the test image is launched")
}

/// What a run wrote.
#[derive(Clone, Default)]
pub struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    /// All of it.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a run gives back.
pub struct Ran {
    /// How it ended.
    pub report: Report,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// The enclave's own diagnostics.
    pub log: Vec<u8>,
}

impl Ran {
    /// The message of an enclave that ended itself.
    pub fn last_words(&self) -> Option<&str> {
        match &self.report.end {
            End::Died(message) => Some(message),
            _ => None,
        }
    }

    /// Panics unless the enclave says that all went well.
    #[track_caller]
    pub fn succeeds(&self) {
        let expected = End::Finished { outcome: Outcome::Exited, code: 0, message: String::new() };
        assert_eq!(self.report.end, expected, "{}", String::from_utf8_lossy(&self.log));
    }
}

struct Silent;

impl Observer for Silent {
    fn phase(&mut self, _: StartPhase, _: Duration) {}
    fn progress(&mut self, _: Stage, _: u64, _: u64) {}
}

/// Runs an enclave with the host of every run. `request` and `module` are what the enclave may ask for.
pub fn run(enclave: &Arc<dyn Enclave>, request: Vec<u8>, module: Vec<u8>) -> Ran {
    run_with(enclave, request, module, |_| {})
}

/// [`run`], after a change of what the host does.
pub fn run_with(
    enclave: &Arc<dyn Enclave>,
    request: Vec<u8>,
    module: impl Into<Module>,
    change: impl FnOnce(&mut Job),
) -> Ran {
    let (stdout, log) = (Written::default(), Written::default());
    let nothing = std::fs::File::open("/dev/null").expect("every system has it");
    let mut job = Job {
        request,
        module: module.into(),
        cache: None,
        volumes: Vec::new(),
        anchors: Vec::new(),
        folders: Vec::new(),
        map_stores: true,
        quotes: None,
        delivery: Ways::default(),
        timeout: None,
        streams: Streams {
            stdin: OwnedFd::from(nothing),
            stdout: Box::new(stdout.clone()),
            stderr: Box::new(std::io::sink()),
            log: Box::new(log.clone()),
        },
        observer: Box::new(Silent),
        liar: None,
    };
    change(&mut job);
    // A thread takes no signals while it is inside: this one stays outside, so that the harness can end the process.
    let report = std::thread::scope(|scope| scope.spawn(|| twine_host::run::run(enclave, job)).join());
    let report = report.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    Ran { report, stdout: stdout.bytes(), log: log.bytes() }
}

/// Loads the test image as a debug enclave and runs one of its tests.
pub fn run_test(name: &str) -> Ran {
    run(&load(&processor(), DEBUG), name.into(), Vec::new())
}
