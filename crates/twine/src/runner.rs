//! Loads enclaves and runs programs in them.

use std::fs::{self, File};
use std::io::{self, IsTerminal, stderr, stdin, stdout};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use twine_abi::run::{self, Operation, RunRequest};
use twine_host::backend::{Backend, Config, Enclave};
use twine_host::quote::QuoteProvider;
use twine_host::run::folders::Place;
use twine_host::run::{Job, Module, Observer, Report, Streams, Ways};
use twine_image::sigstruct::Variant;
use twine_workload::Digest;

use crate::error::{Error, Result};
use crate::folders::{self, Folders};
use crate::image::Image;
use crate::program::Program;
use crate::tee::Tee;

/// Runs programs on one processor, each in an enclave of its own.
pub struct Runner {
    backend: Box<dyn Backend>,
    quotes: Arc<dyn QuoteProvider>,
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
        let runner = Self::without_cache(tee, image, folders)?;
        folders::create(&folders.cache, folders::CACHE)?;
        Ok(Self { cache: Some(folders.cache.clone()), ..runner })
    }

    /// The same without the sealed compilation cache.
    ///
    /// # Errors
    /// As [`Runner::new`].
    pub fn without_cache(tee: Tee, image: Image, folders: &Folders) -> Result<Self> {
        let (backend, quotes) = tee.open(&folders.state)?;
        Ok(Self { backend, quotes, image, cache: None })
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
        self.load_as(program.candidate().config_id(), program.candidate().config_svn())
    }

    /// The same for an identity whose program this host does not know: its owner delivers it.
    ///
    /// # Errors
    /// As [`Runner::load`].
    pub fn load_as(&self, config_id: Digest, config_svn: u16) -> Result<Loaded> {
        let started = Instant::now();
        let config = Config { id: config_id.0, svn: config_svn };
        let enclave = self.backend.load(self.image.sgxs(), &self.image.sigstruct().to_bytes(), &config)?;
        self.image.forget_pages();
        let (cache, quotes) = (self.cache.clone(), self.quotes.clone());
        Ok(Loaded { enclave, cache, quotes, took: started.elapsed() })
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
    quotes: Arc<dyn QuoteProvider>,
    took: Duration,
}

/// What the host may choose about one run.
#[derive(Default)]
pub struct Options {
    /// A line per WASI call to [`Streams::log`]; refused by production enclaves.
    pub trace: bool,
    /// What to do, if not run the program.
    pub operation: Operation,
    /// The volume that the operation is about.
    pub volume: String,
    /// Stores beside those of the workload's volumes, by name.
    pub stores: Vec<(String, PathBuf)>,
    /// Owner's keys of volumes by name, which the host thereby knows; refused by production enclaves.
    pub insecure_volume_keys: Vec<(String, [u8; 32])>,
    /// How code and secrets come that this host does not have; none: the workload needs nobody to deliver them.
    pub delivery: Option<Ways>,
    /// Do not show the enclave the stores of volumes in memory: it reads them by calls. Slower, but a disk that fails is
    /// an error of the program's then and not the end of the run.
    pub no_map: bool,
}

/// What a host knows of a program that its owner delivers.
#[derive(Clone, Debug, Default)]
pub struct Hidden {
    /// Name of each volume and the file that the host keeps it in.
    pub volumes: Vec<(String, PathBuf)>,
    /// Name of each volume that a service keeps fresh, and where it is.
    pub anchors: Vec<(String, String)>,
    /// The folders behind measured and insecure mounts.
    pub folders: Vec<Place>,
    /// When the host stops the run.
    pub timeout: Option<Duration>,
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
    /// [`Error::Unsupported`] if the program has no module, [`Error::Io`] if a volume's file cannot be there. How the run
    /// itself ended is in the report, whatever it was.
    pub fn run(self, program: &Program, io: Io, options: Options) -> Result<Report> {
        if program.module().is_none() && options.delivery.is_none() {
            return Err(Error::Unsupported {
                what: "running a module that only its digest names".to_owned(),
                remedy: "name its file in host.module or on the command line, or have it delivered",
            });
        }
        for (_, path) in program.volumes() {
            can_be_there(path).map_err(|source| Error::Io {
                path: path.clone(),
                source,
                remedy: "a volume's file is readable for this user, or it is new and its folder exists",
            })?;
        }
        let hidden = Hidden {
            volumes: program.volumes().to_vec(),
            anchors: program.anchors().to_vec(),
            folders: program.folders().to_vec(),
            timeout: program.timeout(),
        };
        let known = Known {
            workload: program.presented(),
            environment: program.environment(),
            module: program.module().cloned().unwrap_or_default(),
        };
        Ok(self.start(known, hidden, io, options))
    }

    /// Runs the program that its owner delivers (`options.delivery`), and unloads the enclave.
    pub fn run_hidden(self, hidden: Hidden, io: Io, options: Options) -> Report {
        self.start(Known::default(), hidden, io, options)
    }

    fn start(self, known: Known<'_>, hidden: Hidden, io: Io, options: Options) -> Report {
        let [stdin, stdout, stderr] = io.terminals;
        let flags = [
            (stdin, run::STDIN_TERMINAL),
            (stdout, run::STDOUT_TERMINAL),
            (stderr, run::STDERR_TERMINAL),
            (self.cache.is_some(), run::CACHE),
            (options.trace, run::TRACE),
            (options.delivery.is_some(), run::DELIVERED),
        ];
        let job = Job {
            request: request(
                &known,
                flags.into_iter().filter(|(on, _)| *on).map(|(_, flag)| flag).sum(),
                &options,
            ),
            module: known.module,
            cache: self.cache,
            volumes: hidden.volumes.into_iter().chain(options.stores).collect(),
            anchors: hidden.anchors,
            folders: hidden.folders,
            map_stores: !options.no_map,
            quotes: Some(self.quotes),
            delivery: options.delivery.unwrap_or_default(),
            timeout: hidden.timeout,
            streams: io.streams,
            observer: io.observer,
            liar: None,
        };
        // A thread takes no signals while it is inside: this one stays outside, so that Ctrl-C ends the process.
        let enclave = &self.enclave;
        let run = std::thread::scope(|scope| scope.spawn(move || twine_host::run::run(enclave, job)).join());
        run.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Whether a volume can be in this file. The enclave would learn no more than that its host has no store for it.
fn can_be_there(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            fs::metadata(folder.unwrap_or(Path::new("."))).map(drop)
        }
        opened => opened.map(drop),
    }
}

/// What the host hands over itself.
#[derive(Default)]
struct Known<'a> {
    workload: &'a [u8],
    environment: &'a [u8],
    module: Module,
}

fn request(known: &Known<'_>, flags: u64, options: &Options) -> Vec<u8> {
    let keys = options.insecure_volume_keys.iter();
    let keys: String = keys.map(|(name, key)| format!("{name}={}\0", hex::encode(key))).collect();
    let request = RunRequest {
        flags,
        operation: options.operation,
        workload: known.workload,
        environment: known.environment,
        volume: options.volume.as_bytes(),
        insecure_keys: keys.as_bytes(),
    };
    let mut bytes = request.header().to_vec();
    for part in request.parts() {
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
