//! Links the enclave's static library into a static PIE, with the toolchain's own linker and nothing else.

use super::toolchain::output;
use super::{BuildError, TARGET, Toolchain, io_error};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Symbol at which every entry starts (TCS.OENTRY).
const ENTRY: &str = "twine_entry";

const ARGUMENTS: [&str; 23] = [
    "-m",
    "elf_x86_64",
    "-static",
    "-pie",
    "--no-dynamic-linker",
    "--build-id=none",
    "--gc-sections",
    "--no-undefined",
    "--fatal-warnings",
    "-z",
    "text",
    "-z",
    "pack-relative-relocs",
    "-z",
    "noexecstack",
    "-z",
    "relro",
    "-z",
    "now",
    "-z",
    "separate-code",
    "-z",
    "max-page-size=4096",
];

/// Weak symbols that a dependency asks for only to learn whether they exist. Undefined ones are refused, so their absence
/// is stated: Wasmtime's C helper looks for LLVM's libunwind, which would want frames registered one by one.
const ABSENT: [&str; 1] = ["__unw_add_dynamic_fde"];

/// A linker for enclaves.
#[derive(Debug)]
pub struct Linker {
    program: PathBuf,
    arguments: Vec<&'static str>,
    /// First line of `--version`.
    pub version: String,
}

impl Linker {
    /// The toolchain's `rust-lld`; without one the system's `ld`, and a warning.
    pub fn find(toolchain: &Toolchain) -> Result<(Self, Option<String>), BuildError> {
        let lld = toolchain.sysroot.join("lib/rustlib").join(TARGET).join("bin/rust-lld");
        let found = lld.exists();
        let (program, mut arguments) =
            if found { (lld, vec!["-flavor", "gnu"]) } else { ("ld".into(), vec![]) };
        let text = output(&program, &[&arguments[..], &["--version"]].concat())?;
        let version: String = text.lines().next().unwrap_or_default().into();
        arguments.extend(ARGUMENTS);
        let warning = (!found).then(|| {
            format!(
                "this Rust toolchain has no rust-lld, so the enclave is linked with {version}: it works, but its \
                 MRENCLAVE differs from the one that rustup's toolchain gives"
            )
        });
        Ok((Self { program, arguments, version }, warning))
    }

    /// Links `archive` into `elf`.
    pub fn link(&self, archive: &Path, elf: &Path) -> Result<(), BuildError> {
        let result = Command::new(&self.program)
            .args(&self.arguments)
            .args(ABSENT.map(|symbol| format!("--defsym={symbol}=0")))
            .args(["-e", ENTRY, "-u", ENTRY, "-o"])
            .arg(elf)
            .arg(archive)
            .output()
            .map_err(io_error(format!("starting {}", self.program.display())))?;
        if result.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&result.stderr);
        Err(BuildError::Tool(format!("linking the enclave failed ({}):\n{said}", result.status)))
    }
}
