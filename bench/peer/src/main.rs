//! Wasmtime outside an enclave: the same version, the same engine settings, compiled modules out of a folder.
#![deny(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use sha2::{Digest, Sha256};
use twine_runtime::Options;
use twine_runtime::engine::engine;
use wasmtime::{Engine, Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

/// Runs a WASI program, or compiles it.
#[derive(Parser)]
struct Cli {
    /// Folder of compiled modules; without it the module is compiled on each run
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Compile, print how many seconds that took and how many bytes came out, and stop
    #[arg(long)]
    compile: bool,
    /// A folder for the program
    #[arg(long = "dir", value_name = "HOST::GUEST")]
    dirs: Vec<String>,
    /// A variable for the program
    #[arg(long = "env", value_name = "NAME=VALUE")]
    env: Vec<String>,
    module: PathBuf,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

fn main() -> ExitCode {
    match Cli::parse().execute() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("twine-bench-peer: {error:?}");
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    fn execute(self) -> Result<ExitCode> {
        let engine = engine(Options::default()).map_err(wide)?;
        if self.compile {
            let bytes = read(&self.module)?;
            let started = Instant::now();
            let module = Module::from_binary(&engine, &bytes).map_err(wide)?;
            let took = started.elapsed();
            println!("{} {}", took.as_secs_f64(), module.serialize().map_err(wide)?.len());
            return Ok(ExitCode::SUCCESS);
        }
        let module = self.load(&engine)?;
        let mut linker: Linker<WasiP1Ctx> = Linker::new(&engine);
        p1::add_to_linker_sync(&mut linker, |state| state).map_err(wide)?;
        let mut store = Store::new(&engine, self.world()?);
        let instance = linker.instantiate(&mut store, &module).map_err(wide)?;
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start").map_err(wide)?;
        let outcome = start.call(&mut store, ());
        // As in the enclave: the process ends, nobody takes the program's memory apart first.
        std::mem::forget(store);
        match outcome {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(exit) => Ok(ExitCode::from(exit.0 as u8)),
                None => Err(wide(error)),
            },
        }
    }

    /// The module, compiled now or by an earlier run of this very program.
    fn load(&self, engine: &Engine) -> Result<Module> {
        let bytes = read(&self.module)?;
        let Some(folder) = &self.cache else { return Module::from_binary(engine, &bytes).map_err(wide) };
        let name: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let path = folder.join(format!("{name}.cwasm"));
        if !path.exists() {
            fs::create_dir_all(folder)?;
            fs::write(&path, engine.precompile_module(&bytes).map_err(wide)?)?;
        }
        drop(bytes);
        deserialize(engine, &path)
    }

    fn world(&self) -> Result<WasiP1Ctx> {
        let mut world = WasiCtxBuilder::new();
        let name = self.module.file_name().unwrap_or_default().to_string_lossy();
        world.inherit_stdio().arg(name).args(&self.args);
        for variable in &self.env {
            let (name, value) = variable.split_once('=').context("--env wants NAME=VALUE")?;
            world.env(name, value);
        }
        for dir in &self.dirs {
            let (host, guest) = dir.split_once("::").context("--dir wants HOST::GUEST")?;
            world.preopened_dir(host, guest, FsPerms::ReadWrite).map_err(wide)?;
        }
        Ok(world.build_p1())
    }
}

#[expect(unsafe_code, reason = "deserialising native code is unsafe by nature")]
fn deserialize(engine: &Engine, path: &Path) -> Result<Module> {
    // SAFETY: a file that `load` wrote, in a folder of the benchmark's own.
    unsafe { Module::deserialize_file(engine, path) }.map_err(wide)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{}", path.display()))
}

/// Wasmtime's error as anyhow's.
fn wide(error: wasmtime::Error) -> anyhow::Error {
    anyhow!("{error:?}")
}
