//! The program's world: arguments, environment, streams, clocks, mounts; what the workload says and nothing else.

use std::sync::Arc;

use twine_abi::calls::{Outcome as Code, Stream, Write};
use twine_abi::run;
use twine_abi::wire::MAX_PAYLOAD;
use twine_attest::delivery::File;
use twine_enclave::{border, clock, stop_requested};
use twine_runtime::Outcome;
use twine_runtime::run::Guest;
use twine_vfs::{FileSystem, MemFs, MemLimits, ReadOnly};
use twine_volume::Volume;
use twine_wasi::{Access, Exit, Output, Sources, Stdin, Stopped, WasiCtx, WasiCtxBuilder};
use twine_workload::{Clock as ClockPolicy, Mount, MountSource};
use wasmtime::{Linker, Module};

use crate::request::Request;
use crate::streams::{EnclaveClock, EnclaveRandom, HostOutput, HostStdin, HostWaiter, Nothing};
use crate::{End, folder, volume};

/// Inodes of one scratch mount, at most.
const SCRATCH_INODES: u64 = 1 << 20;

/// What a program runs in.
pub struct World {
    /// The functions that it may import.
    pub linker: Linker<Guest<WasiCtx>>,
    /// The state that they work on.
    pub state: WasiCtx,
    /// What has to be committed in the end.
    pub volumes: Volumes,
}

/// Builds the world of a request.
pub fn build(request: &Request, module: &Module) -> Result<World, End> {
    let engine = module.engine();
    let failed = |why: String| End(Code::Failed, 0, why);
    let mut linker = Linker::new(engine);
    twine_wasi::add_to_linker(&mut linker, |guest: &mut Guest<WasiCtx>| &mut guest.state)
        .map_err(|error| failed(format!("WASI cannot be linked: {error}")))?;
    let workload = request.workload();
    if !workload.network.is_empty() {
        return Err(End::refused("this runtime has no network yet; remove the manifest's network rules"));
    }
    let mut builder = WasiCtxBuilder::new()
        .terminals(
            request.has(run::STDIN_TERMINAL),
            request.has(run::STDOUT_TERMINAL),
            request.has(run::STDERR_TERMINAL),
        )
        .max_descriptors(workload.limits.descriptors as usize)
        .stop(stop_requested);
    if workload.clock == ClockPolicy::Denied {
        builder = builder.deny_clocks();
    }
    for arg in &workload.args {
        builder = builder.arg(arg);
    }
    for (name, value) in request.environment() {
        builder = builder.env(name, value);
    }
    let mut volumes = Volumes::default();
    for mount in &workload.mounts {
        let (files, access) = match &mount.source {
            MountSource::Delivered { .. } => (delivered(mount, request.files())?, Access::ReadOnly),
            _ => volumes.mount(mount)?,
        };
        let root = files.root();
        builder = builder.preopen(&mount.guest, files, root, access);
    }
    if request.has(run::TRACE) {
        builder = builder.trace(|call| {
            let line = call.to_string();
            let line = &line.as_bytes()[..line.len().min(MAX_PAYLOAD)];
            let _ = border::call(&Write { stream: Stream::Trace as u64 }, line, &mut []);
        });
    }
    let stdio = workload.stdio;
    let owner = request.owners().iter().find(|owner| owner.gets_output());
    let output = |stream, connected: bool| -> Box<dyn Output> {
        match owner {
            _ if !connected => Box::new(Nothing),
            Some(owner) => Box::new(owner.output(stream == Stream::Stdout)),
            None => Box::new(HostOutput(stream)),
        }
    };
    let stdin: Box<dyn Stdin> = if stdio.stdin { Box::new(HostStdin) } else { Box::new(Nothing) };
    let sources = Sources {
        clock: Box::new(EnclaveClock),
        random: Box::new(EnclaveRandom),
        stdin,
        stdout: output(Stream::Stdout, stdio.stdout),
        stderr: output(Stream::Stderr, stdio.stderr),
        waiter: Box::new(HostWaiter { stdin: stdio.stdin }),
    };
    let mut state = builder.build(sources).map_err(|error| failed(error.to_string()))?;
    state.use_memory_of(module);
    Ok(World { linker, state, volumes })
}

/// A directory in enclave memory with the files that were delivered for it.
fn delivered(mount: &Mount, files: &[File]) -> Result<Arc<dyn FileSystem>, End> {
    let failed = |path: &str, error: twine_vfs::Error| {
        End(Code::Failed, 0, format!("the delivered file {path} finds no place: {error:?}"))
    };
    let tree = MemFs::new(MemLimits { bytes: u64::MAX, inodes: SCRATCH_INODES }, clock::realtime);
    let below = format!("{}/", mount.guest.trim_end_matches('/'));
    for file in files {
        let Some(path) = file.path.strip_prefix(&below) else { continue };
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut folder = tree.root();
        for part in folders.split_terminator('/') {
            folder = match tree.lookup(folder, part) {
                Ok((found, _)) => found,
                Err(_) => tree.mkdir(folder, part).map_err(|error| failed(path, error))?,
            };
        }
        tree.create(folder, name)
            .and_then(|ino| tree.write(ino, 0, &file.contents))
            .map_err(|error| failed(path, error))?;
    }
    Ok(Arc::new(ReadOnly::new(Arc::new(tree))))
}

/// The volumes of a run, each opened once.
#[derive(Default)]
pub struct Volumes(Vec<(String, Arc<Volume>)>);

impl Volumes {
    fn mount(&mut self, mount: &Mount) -> Result<(Arc<dyn FileSystem>, Access), End> {
        let access = if mount.read_only { Access::ReadOnly } else { Access::ReadWrite };
        let files: Arc<dyn FileSystem> = match &mount.source {
            MountSource::Scratch { bytes } => {
                Arc::new(MemFs::new(MemLimits { bytes: *bytes, inodes: SCRATCH_INODES }, clock::realtime))
            }
            MountSource::Volume { name, key, freshness } => {
                if self.0.iter().any(|(open, _)| open == name) {
                    return Err(End::refused(format!("the volume {name} is mounted twice")));
                }
                let volume = volume::open(name, *key, freshness, mount.read_only)?;
                self.0.push((name.clone(), volume.clone()));
                volume
            }
            MountSource::Measured { files } => folder::measured(&mount.guest, files)?,
            MountSource::InsecureHost => folder::insecure(&mount.guest, mount.read_only)?,
            MountSource::Delivered { .. } => {
                return Err(End::refused(format!("nobody delivers the files of {}", mount.guest)));
            }
        };
        Ok((files, access))
    }

    /// Commits what the program left behind. A volume that cannot be committed is the run's failure, whatever the
    /// program's own status.
    pub fn commit(&self) -> Result<(), End> {
        for (name, volume) in &self.0 {
            if let Err(error) = volume.unmount() {
                let code = if error.is_stale() { Code::RolledBack } else { Code::Failed };
                return Err(End(
                    code,
                    0,
                    format!("volume {name}: the last changes were not committed: {error}"),
                ));
            }
        }
        Ok(())
    }
}

/// What an error that a WASI function returned means.
pub fn classify(error: &wasmtime::Error) -> Option<Outcome> {
    if let Some(Exit(status)) = error.downcast_ref() {
        return Some(Outcome::Exited(*status));
    }
    error.downcast_ref::<Stopped>().map(|_| Outcome::Stopped)
}
