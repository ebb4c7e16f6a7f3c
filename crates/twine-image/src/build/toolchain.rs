//! The Rust toolchain that builds the enclave: the one that runs the build script.

use super::{BuildError, io_error};
use std::env;
use std::path::PathBuf;
use std::process::Command;

/// Programs and folders of a toolchain.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// `cargo`.
    pub cargo: PathBuf,
    /// `rustc`.
    pub rustc: PathBuf,
    /// `rustc --print sysroot`.
    pub sysroot: PathBuf,
    /// `rustc --version --verbose`.
    pub rustc_version: String,
    /// CARGO_HOME: sources of dependencies.
    pub cargo_home: PathBuf,
    /// HOME.
    pub home: PathBuf,
}

impl Toolchain {
    /// The toolchain that cargo names to build scripts, else the first one on PATH.
    pub fn find() -> Result<Self, BuildError> {
        let program = |variable, name: &str| env::var_os(variable).map_or_else(|| name.into(), PathBuf::from);
        let rustc = program("RUSTC", "rustc");
        let home = env::home_dir().unwrap_or_default();
        Ok(Self {
            cargo: program("CARGO", "cargo"),
            sysroot: output(&rustc, &["--print", "sysroot"])?.into(),
            rustc_version: output(&rustc, &["--version", "--verbose"])?,
            cargo_home: env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from),
            rustc,
            home,
        })
    }

    /// First line of what the C compiler says about itself: its version is an input of MRENCLAVE.
    pub(super) fn cc_version(&self) -> Option<String> {
        let cc = env::var_os("CC").map_or_else(|| "cc".into(), PathBuf::from);
        output(&cc, &["--version"]).ok()?.lines().next().map(Into::into)
    }
}

/// What a program prints, without the last line break.
pub(super) fn output(program: &PathBuf, arguments: &[&str]) -> Result<String, BuildError> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(io_error(format!("starting {}", program.display())))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(BuildError::Tool(format!("{} {}: {said}", program.display(), arguments.join(" "))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().into())
}
