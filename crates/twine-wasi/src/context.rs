//! The state of one program: [`WasiCtx`], and how the embedder makes one.

use std::sync::Arc;

use twine_vfs::{FileSystem, FileType, Ino, ReadOnly};
use wasmtime::{Module, ModuleExport};

use crate::abi::{FdFlags, Rights};
use crate::descriptor::{Descriptor, Directory, Handle, Table};
use crate::end::Failure;
use crate::errno::Errno;
use crate::host::{Clock, Output, Random, Stdin, StreamError, Waiter};
use crate::stdio::{Stdio, Stream};
use crate::strings::CStrings;
use crate::trace::TracedCall;

pub(crate) type StopHook = Box<dyn Fn() -> bool + Send>;
pub(crate) type TraceHook = Box<dyn FnMut(&TracedCall) + Send>;

/// Everything that the 46 functions of one running program work on.
pub struct WasiCtx {
    pub(crate) args: CStrings,
    pub(crate) env: CStrings,
    pub(crate) table: Table,
    pub(crate) stdio: Stdio,
    pub(crate) random: Box<dyn Random>,
    pub(crate) waiter: Box<dyn Waiter>,
    pub(crate) trace: Option<TraceHook>,
    pub(crate) memory_export: Option<ModuleExport>,
    clock: Option<Box<dyn Clock>>,
    stop: Option<StopHook>,
}

impl WasiCtx {
    /// Writes out what standard output still holds. Call it when the program has ended, however it ended.
    pub fn flush(&mut self) -> Result<(), StreamError> {
        self.stdio.flush()
    }

    /// Spares every call the look-up of the module's memory by name. Without it, or for another module, the name is
    /// looked up.
    pub fn use_memory_of(&mut self, module: &Module) {
        self.memory_export = module.get_export_index(crate::linker::MEMORY);
    }

    /// The embedder's clock, unless the program may not have one.
    pub(crate) fn clock(&self) -> Result<&dyn Clock, Errno> {
        self.clock.as_deref().ok_or(Errno::NOTSUP)
    }

    pub(crate) fn check_stop(&self) -> Result<(), Failure> {
        match &self.stop {
            Some(stop) if stop() => Err(Failure::Stopped),
            _ => Ok(()),
        }
    }
}

/// What may be done below a preopened directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything that the file system allows.
    ReadWrite,
    /// Reading; every change is EROFS, and no link or rename leads out of the view into a writable one (EXDEV).
    ReadOnly,
}

/// Collects what a [`WasiCtx`] needs. The five sources are not optional: nothing here has a host to fall back on.
pub struct WasiCtxBuilder {
    args: Vec<String>,
    env: Vec<(String, String)>,
    preopens: Vec<(String, Arc<dyn FileSystem>, Ino, Access)>,
    terminals: [bool; 3],
    stdout_buffer: usize,
    max_descriptors: usize,
    clocks: bool,
    stop: Option<StopHook>,
    trace: Option<TraceHook>,
}

/// The embedder's side of a context.
pub struct Sources {
    /// Both clocks.
    pub clock: Box<dyn Clock>,
    /// `random_get`.
    pub random: Box<dyn Random>,
    /// Descriptor 0.
    pub stdin: Box<dyn Stdin>,
    /// Descriptor 1.
    pub stdout: Box<dyn Output>,
    /// Descriptor 2.
    pub stderr: Box<dyn Output>,
    /// `poll_oneoff`.
    pub waiter: Box<dyn Waiter>,
}

/// Why no context could be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// An argument holds a NUL byte, or the arguments exceed 4 GiB.
    Argument(String),
    /// A name is empty or holds `=` or NUL, a value holds NUL, or the environment exceeds 4 GiB.
    Environment(String),
    /// A preopen's inode could not be opened or is no directory.
    Preopen {
        /// Its path for the program.
        path: String,
        /// What the file system said.
        error: twine_vfs::Error,
    },
    /// More preopens than descriptors.
    TooManyPreopens,
}

impl std::fmt::Display for BuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BuildError::Argument(arg) => write!(f, "the argument {arg:?} holds a NUL byte or is too long"),
            BuildError::Environment(name) => {
                write!(f, "the environment variable {name:?} has no name, holds a NUL byte or is too long")
            }
            BuildError::Preopen { path, error } => {
                write!(f, "the directory for {path:?} does not open: {error}")
            }
            BuildError::TooManyPreopens => {
                f.write_str("more preopened directories than descriptors are allowed")
            }
        }
    }
}

impl std::error::Error for BuildError {}

impl Default for WasiCtxBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl WasiCtxBuilder {
    /// No arguments, no environment, no directory, no terminal; 64 KiB of standard output buffered; 65,536 descriptors.
    pub fn new() -> Self {
        WasiCtxBuilder {
            args: Vec::new(),
            env: Vec::new(),
            preopens: Vec::new(),
            terminals: [false; 3],
            stdout_buffer: 64 << 10,
            max_descriptors: 1 << 16,
            clocks: true,
            stop: None,
            trace: None,
        }
    }

    /// Appends an argument; the first is the program's name.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Appends an environment variable.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Gives the program `directory` of `fs` under `path`. Descriptors start at 3, in this order.
    pub fn preopen(
        mut self,
        path: impl Into<String>,
        fs: Arc<dyn FileSystem>,
        directory: Ino,
        access: Access,
    ) -> Self {
        self.preopens.push((path.into(), fs, directory, access));
        self
    }

    /// Says which of standard input, output and error are terminals. A terminal's output goes out with every line.
    pub fn terminals(mut self, stdin: bool, stdout: bool, stderr: bool) -> Self {
        self.terminals = [stdin, stdout, stderr];
        self
    }

    /// Bytes of standard output that may wait inside; 0 writes every call through.
    pub fn stdout_buffer(mut self, bytes: usize) -> Self {
        self.stdout_buffer = bytes;
        self
    }

    /// Descriptors that may be open at once, the streams and preopens included (else EMFILE).
    pub fn max_descriptors(mut self, count: usize) -> Self {
        self.max_descriptors = count;
        self
    }

    /// Gives the program no clock: reading one fails with ENOTSUP, and so does waiting for one.
    pub fn deny_clocks(mut self) -> Self {
        self.clocks = false;
        self
    }

    /// Asked at every call and after every wait; yes ends the program with [`crate::Stopped`].
    pub fn stop(mut self, requested: impl Fn() -> bool + Send + 'static) -> Self {
        self.stop = Some(Box::new(requested));
        self
    }

    /// Told about every call after it. It sees the program's file names: only for simulation and debug enclaves.
    pub fn trace(mut self, hook: impl FnMut(&TracedCall) + Send + 'static) -> Self {
        self.trace = Some(Box::new(hook));
        self
    }

    /// Makes the context.
    pub fn build(self, sources: Sources) -> Result<WasiCtx, BuildError> {
        let mut args = CStrings::default();
        for arg in self.args {
            args.push(&[&arg]).ok_or(BuildError::Argument(arg))?;
        }
        let mut env = CStrings::default();
        for (name, value) in self.env {
            let named = !name.is_empty() && !name.contains('=');
            let pushed = if named { env.push(&[&name, "=", &value]) } else { None };
            pushed.ok_or(BuildError::Environment(name))?;
        }
        let mut table = Table::new(self.max_descriptors);
        for stream in [Stream::Stdin, Stream::Stdout, Stream::Stderr] {
            table.insert(Descriptor::Stream(stream)).map_err(|_| BuildError::TooManyPreopens)?;
        }
        let mut devices = Devices::default();
        for (path, fs, ino, access) in self.preopens {
            let (fs, device) = devices.view(fs, access);
            let directory = preopened(fs, ino, device, path.clone())
                .map_err(|error| BuildError::Preopen { path, error })?;
            table.insert(Descriptor::Directory(directory)).map_err(|_| BuildError::TooManyPreopens)?;
        }
        let Sources { clock, random, stdin, stdout, stderr, waiter } = sources;
        let stdio = Stdio::new(stdin, stdout, stderr, self.terminals, self.stdout_buffer);
        let clock = self.clocks.then_some(clock);
        let (stop, trace) = (self.stop, self.trace);
        Ok(WasiCtx { args, env, table, stdio, random, waiter, trace, memory_export: None, clock, stop })
    }
}

fn preopened(fs: Arc<dyn FileSystem>, ino: Ino, device: u64, path: String) -> twine_vfs::Result<Directory> {
    if fs.stat(ino)?.file_type != FileType::Directory {
        return Err(twine_vfs::Error::NotDirectory);
    }
    Ok(Directory {
        handle: Handle::open(fs, ino, device)?,
        preopen: Some(path),
        flags: FdFlags::NONE,
        rights: Rights::DIRECTORY,
        inheriting: Rights::DIRECTORY.or(Rights::FILE),
    })
}

/// Numbers the views: the same file system with the same access is the same device. A read-only view is another device
/// than the writable one, so that nothing can be linked or renamed from one to the other.
#[derive(Default)]
struct Devices(Vec<Device>);

struct Device {
    fs: Arc<dyn FileSystem>,
    access: Access,
    view: Arc<dyn FileSystem>,
}

impl Devices {
    fn view(&mut self, fs: Arc<dyn FileSystem>, access: Access) -> (Arc<dyn FileSystem>, u64) {
        let known = self.0.iter().position(|seen| Arc::ptr_eq(&seen.fs, &fs) && seen.access == access);
        let index = known.unwrap_or_else(|| {
            let view = match access {
                Access::ReadWrite => fs.clone(),
                Access::ReadOnly => Arc::new(ReadOnly::new(fs.clone())),
            };
            self.0.push(Device { fs, access, view });
            self.0.len() - 1
        });
        (self.0[index].view.clone(), index as u64 + 1)
    }
}
