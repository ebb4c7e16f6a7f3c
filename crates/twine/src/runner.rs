//! Loads enclaves and runs programs in them.

use std::fs::File;
use std::io::{IsTerminal, stderr, stdin, stdout};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use twine_abi::run::{self, RunRequest};
use twine_host::backend::{Backend, Config, Enclave};
use twine_host::run::{Job, Observer, Report, Streams};
use twine_image::sigstruct::Variant;

use crate::error::{Error, Result};
use crate::folders::{self, Folders};
use crate::image::Image;
use crate::program::Program;
use crate::tee::Tee;

/// Runs programs on one processor, each in an enclave of its own.
pub struct Runner {
    backend: Box<dyn Backend>,
    image: Image,
    cache: Option<PathBuf>,
}

impl Runner {
    /// A runner with the built-in production image and the folders of this user.
    ///
    /// # Errors
    /// [`Error::NoTee`] where `tee` cannot be had; [`Error::State`] and [`Error::NoFolder`] for the simulated
    /// processor's state.
    pub fn new(tee: Tee) -> Result<Self> {
        Self::with(tee, Image::embedded(Variant::Production)?, &Folders::of_user()?)
    }

    /// A runner with this image and these folders.
    ///
    /// # Errors
    /// As [`Runner::new`].
    pub fn with(tee: Tee, image: Image, folders: &Folders) -> Result<Self> {
        let backend = tee.open(&folders.state)?;
        folders::create(&folders.cache)?;
        Ok(Self { backend, image, cache: Some(folders.cache.clone()) })
    }

    /// The same without the sealed compilation cache.
    pub fn without_cache(self) -> Self {
        Self { cache: None, ..self }
    }

    /// `sgx` or `sim`.
    pub fn tee(&self) -> &'static str {
        self.backend.name()
    }

    /// The image.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Loads, measures and initialises an enclave whose CONFIGID is the program's identity. Nothing of the program is
    /// in it yet.
    ///
    /// # Errors
    /// [`Error::Load`]: the image is malformed or the processor refuses it.
    pub fn load(&self, program: &Program) -> Result<Loaded> {
        let started = Instant::now();
        let config = Config { id: program.candidate().config_id().0, svn: program.candidate().config_svn() };
        let enclave =
            self.backend.load(&mut self.image.sgxs(), &self.image.sigstruct().to_bytes(), &config)?;
        Ok(Loaded { enclave, cache: self.cache.clone(), took: started.elapsed() })
    }

    /// [`Runner::load`] and [`Loaded::run`] in one go.
    ///
    /// # Errors
    /// Of either.
    pub fn run(&self, program: &Program, io: Io) -> Result<Report> {
        self.load(program)?.run(program, io, Options::default())
    }
}

/// An enclave that waits for its program.
pub struct Loaded {
    enclave: Arc<dyn Enclave>,
    cache: Option<PathBuf>,
    took: Duration,
}

/// What the host may choose about one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// A line per WASI call to [`Streams::log`]; refused by production enclaves.
    pub trace: bool,
    /// Stop when the module is compiled and in the cache.
    pub compile_only: bool,
}

impl Loaded {
    /// The enclave: its address and its identity.
    pub fn enclave(&self) -> &dyn Enclave {
        &*self.enclave
    }

    /// How long loading took.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// Runs the program and unloads the enclave.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the program has no module. How the run itself ended is in the report, whatever it was.
    pub fn run(self, program: &Program, io: Io, options: Options) -> Result<Report> {
        let Some(module) = program.module() else {
            return Err(Error::Unsupported {
                what: "running a module that only its digest names".to_owned(),
                remedy: "name its file in host.module or on the command line",
            });
        };
        let [stdin, stdout, stderr] = io.terminals;
        let flags = [
            (stdin, run::STDIN_TERMINAL),
            (stdout, run::STDOUT_TERMINAL),
            (stderr, run::STDERR_TERMINAL),
            (self.cache.is_some(), run::CACHE),
            (options.trace, run::TRACE),
            (options.compile_only, run::COMPILE_ONLY),
        ];
        let job = Job {
            request: request(program, flags.into_iter().filter(|(on, _)| *on).map(|(_, flag)| flag).sum()),
            module: module.into(),
            cache: self.cache,
            volumes: program.volumes().to_vec(),
            timeout: program.timeout(),
            streams: io.streams,
            observer: io.observer,
        };
        // A thread takes no signals while it is inside: this one stays outside, so that Ctrl-C ends the process.
        let enclave = &self.enclave;
        let run = std::thread::scope(|scope| scope.spawn(move || twine_host::run::run(enclave, job)).join());
        Ok(run.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}

fn request(program: &Program, flags: u64) -> Vec<u8> {
    let request = RunRequest { flags, workload: program.presented(), environment: program.environment() };
    let mut bytes = request.header().to_vec();
    for part in [request.workload, request.environment] {
        bytes.extend_from_slice(part);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    bytes
}

/// The program's streams, and who hears of its progress.
pub struct Io {
    /// Where input comes from and output goes.
    pub streams: Streams,
    /// Which of standard input, output and error are terminals.
    pub terminals: [bool; 3],
    /// Told about phases and progress.
    pub observer: Box<dyn Observer>,
}

impl Io {
    /// The streams of this process.
    ///
    /// # Errors
    /// [`Error::Io`]: a stream is closed, or the process has no descriptor left.
    pub fn inherit() -> Result<Self> {
        let failed = |source| Error::Io {
            path: "standard streams".into(),
            source,
            remedy: "leave them open; /dev/null serves for one that is not wanted",
        };
        let error = File::from(stderr().as_fd().try_clone_to_owned().map_err(failed)?);
        let log = error.try_clone().map_err(failed)?;
        Ok(Self {
            streams: Streams {
                stdin: stdin().as_fd().try_clone_to_owned().map_err(failed)?,
                stdout: Box::new(File::from(stdout().as_fd().try_clone_to_owned().map_err(failed)?)),
                stderr: Box::new(error),
                log: Box::new(log),
            },
            terminals: [stdin().is_terminal(), stdout().is_terminal(), stderr().is_terminal()],
            observer: Box::new(Silent),
        })
    }
}

/// Hears nothing.
struct Silent;

impl Observer for Silent {
    fn phase(&mut self, _: twine_abi::calls::StartPhase, _: Duration) {}
    fn progress(&mut self, _: twine_abi::calls::Stage, _: u64, _: u64) {}
}
