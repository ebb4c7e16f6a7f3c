//! Runs a WASI program outside any enclave, on an in-memory file system: to compare with another runtime.
//!
//! `cargo run --release -p twine-wasi --example run -- [--env K=V] [--dir HOST::GUEST] [--trace] program.wasm [args]`
//!
//! `--dir` copies a host folder into memory first; nothing is copied back.

use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use twine_vfs::{FileSystem, Ino, MemFs, MemLimits};
use twine_wasi::{
    Access, Clock, Exit, Output, Random, Sources, Stdin, StreamError, Waiter, WasiCtx, WasiCtxBuilder, Woken,
    add_to_linker,
};
use wasmtime::{Engine, Linker, Module, Store};

type Fallible<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Fallible {
    let mut builder = WasiCtxBuilder::new().terminals(
        std::io::stdin().is_terminal(),
        std::io::stdout().is_terminal(),
        std::io::stderr().is_terminal(),
    );
    let mut args = std::env::args().skip(1);
    let program = loop {
        let arg = args.next().ok_or("no program named")?;
        match arg.as_str() {
            "--env" => {
                let pair = args.next().ok_or("--env K=V")?;
                let (name, value) = pair.split_once('=').ok_or("--env K=V")?;
                builder = builder.env(name, value);
            }
            "--dir" => {
                let pair = args.next().ok_or("--dir HOST::GUEST")?;
                let (host, guest) = pair.split_once("::").ok_or("--dir HOST::GUEST")?;
                let fs = Arc::new(MemFs::new(MemLimits::default(), now));
                copy_in(Path::new(host), &fs, fs.root())?;
                builder = builder.preopen(guest, fs.clone(), fs.root(), Access::ReadWrite);
            }
            "--trace" => builder = builder.trace(|call| eprintln!("{call}")),
            _ => break arg,
        }
    };
    builder = builder.arg(&program);
    for arg in args {
        builder = builder.arg(arg);
    }
    let start = Host(Instant::now());
    let ctx = builder.build(Sources {
        clock: Box::new(start.clone()),
        random: Box::new(start.clone()),
        stdin: Box::new(start.clone()),
        stdout: Box::new(Stream(std::io::stdout())),
        stderr: Box::new(Stream(std::io::stderr())),
        waiter: Box::new(start),
    })?;
    std::process::exit(run(&program, ctx)?)
}

fn run(program: &str, ctx: WasiCtx) -> Fallible<i32> {
    let engine = Engine::default();
    let module = Module::new(&engine, std::fs::read(program)?)?;
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx)?;
    let mut store = Store::new(&engine, ctx);
    store.data_mut().use_memory_of(&module);
    let instance = linker.instantiate(&mut store, &module)?;
    let result = instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ());
    store.data_mut().flush()?;
    match result {
        Ok(()) => Ok(0),
        Err(error) => match error.downcast_ref::<Exit>() {
            Some(Exit(status)) => Ok(*status as i32),
            None => {
                eprintln!("{error:?}");
                Ok(134)
            }
        },
    }
}

fn copy_in(host: &Path, fs: &MemFs, dir: Ino) -> Fallible {
    for entry in std::fs::read_dir(host)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| "a name is not UTF-8")?;
        if entry.file_type()?.is_dir() {
            copy_in(&entry.path(), fs, fs.mkdir(dir, &name)?)?;
        } else if entry.file_type()?.is_symlink() {
            let target = std::fs::read_link(entry.path())?;
            fs.symlink(dir, &name, target.to_str().ok_or("a link is not UTF-8")?)?;
        } else {
            let file = fs.create(dir, &name)?;
            fs.write(file, 0, &std::fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
}

/// The operating system, trusted here because nothing is at stake.
#[derive(Clone)]
struct Host(Instant);

struct Stream<W>(W);

impl<W: Write + Send> Output for Stream<W> {
    fn write(&mut self, buf: &[u8]) -> Result<(), StreamError> {
        let written = self.0.write_all(buf).and_then(|()| self.0.flush());
        written.map_err(|error| match error.kind() {
            std::io::ErrorKind::BrokenPipe => StreamError::Closed,
            std::io::ErrorKind::StorageFull => StreamError::Full,
            _ => StreamError::Failed,
        })
    }
}

impl Clock for Host {
    fn monotonic(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
    fn realtime(&self) -> u64 {
        now()
    }
}

impl Random for Host {
    fn fill(&mut self, buf: &mut [u8]) {
        std::fs::File::open("/dev/urandom")
            .and_then(|mut file| file.read_exact(buf))
            .expect("no random numbers");
    }
}

impl Stdin for Host {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, StreamError> {
        std::io::stdin().read(buf).map_err(|_| StreamError::Failed)
    }
}

impl Waiter for Host {
    /// Without poll(2) in std, standard input counts as ready at once: a read of it may then block.
    fn wait(&mut self, deadline: Option<u64>, stdin: bool) -> Woken {
        if let (Some(deadline), false) = (deadline, stdin) {
            std::thread::sleep(Duration::from_nanos(deadline.saturating_sub(self.monotonic())));
        }
        Woken { stdin_ready: stdin }
    }
}
