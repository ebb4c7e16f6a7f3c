//! Runs nested cargo on the enclave's workspace so that nothing of the outer build or of this machine gets in.

use super::{BuildError, Options, Toolchain, io_error};
use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Variables with which users steer builds and that do reach the enclave: another toolchain or C compiler makes another
/// image.
pub const WATCHED: [&str; 4] = ["RUSTUP_TOOLCHAIN", "CARGO_HOME", "CC", "AR"];

/// Variables of the outer build: what a user or cargo sets there is for the host's programs.
/// Its jobserver too: scripts that wait for this target folder hold its tokens, and one job would be left for the build.
const REMOVED: [&str; 24] = [
    "CARGO_MAKEFLAGS",
    "MAKEFLAGS",
    "MFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_LINKER",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_CRATE_NAME",
    "CARGO_BIN_NAME",
    "OUT_DIR",
    "TARGET",
    "HOST",
    "OPT_LEVEL",
    "PROFILE",
    "DEBUG",
    "CFLAGS",
    "CXXFLAGS",
    "CPPFLAGS",
];
const REMOVED_PREFIXES: [&str; 14] = [
    "CARGO_TARGET_",
    "CARGO_BUILD_",
    "CARGO_PROFILE_",
    "CARGO_CFG_",
    "CARGO_FEATURE_",
    "CARGO_PKG_",
    "CARGO_BIN_EXE_",
    "CARGO_UNSTABLE_",
    "CFLAGS_",
    "HOST_CFLAGS",
    "TARGET_CFLAGS",
    "CC_",
    "AR_",
    "DEP_",
];

/// C helpers of dependencies: no stack protector (it wants a canary under FS), no libc to check for them.
const CFLAGS: &str = "-fno-stack-protector -U_FORTIFY_SOURCE";

/// What nested cargo made.
pub struct Compiled {
    /// The static library.
    pub archive: PathBuf,
    /// Source files and manifests behind it, as far as they are not in the registry.
    pub inputs: Vec<PathBuf>,
}

/// Runs nested cargo.
pub fn build(options: &Options, toolchain: &Toolchain) -> Result<Compiled, BuildError> {
    let remaps = remaps(options, toolchain);
    let mut command = Command::new(&toolchain.cargo);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if REMOVED.contains(&&*text) || REMOVED_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    let rustflags =
        remaps.iter().map(|(from, to)| argument("--remap-path-prefix=", from, to)).collect::<Vec<_>>();
    let mut cflags = OsString::from(CFLAGS);
    for (from, to) in &remaps {
        cflags.push(" ");
        cflags.push(quote(&argument("-ffile-prefix-map=", from, to)));
    }
    command
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags.join("\x1f".as_ref()))
        .env("CFLAGS", cflags)
        // The crate `cc` takes folders with spaces only if told that they are quoted.
        .env("CC_SHELL_ESCAPED_FLAGS", "1")
        // Empty means none, and wins over a wrapper in the user's configuration.
        .env("RUSTC_WRAPPER", "")
        .env("RUSTC", &toolchain.rustc)
        .env("CARGO_HOME", &toolchain.cargo_home)
        .env("HOME", &toolchain.home)
        .current_dir(&options.enclave_dir)
        // No --target: with one, cargo keeps these flags from build scripts, and generators among the dependencies
        // write the names of their own sources into the code that they generate.
        .args(["build", "--locked", "--package", &options.package])
        .args(["--profile", &options.profile, "--features", &options.features.join(",")])
        .arg("--target-dir")
        .arg(&options.target_dir);
    let status = command.status().map_err(io_error(format!("starting {}", toolchain.cargo.display())))?;
    if !status.success() {
        return Err(BuildError::Tool(format!(
            "building the enclave in {} failed ({status}); cargo's messages are above",
            options.enclave_dir.display()
        )));
    }
    let folder = if options.profile == "dev" { "debug" } else { &options.profile };
    let artefacts = options.target_dir.join(folder);
    let name = format!("lib{}", options.package.replace('-', "_"));
    let inputs = inputs(options, &artefacts.join(&name).with_extension("d"))?;
    Ok(Compiled { archive: artefacts.join(name).with_extension("a"), inputs })
}

/// Folders of this machine and the names that they get in the image. rustc takes the last match, so the inner ones
/// come last.
fn remaps(options: &Options, toolchain: &Toolchain) -> Vec<(PathBuf, &'static str)> {
    let repo = options.enclave_dir.parent().unwrap_or(&options.enclave_dir);
    vec![
        (toolchain.sysroot.clone(), "/rust"),
        (toolchain.cargo_home.clone(), "/cargo"),
        (repo.into(), "/twine"),
        (options.enclave_dir.clone(), "/twine/enclave"),
        (options.target_dir.clone(), "/target"),
    ]
    .into_iter()
    .filter(|(from, _)| from.parent().is_some())
    .collect()
}

/// Folders whose names must not appear in the image.
pub fn folders(options: &Options, toolchain: &Toolchain) -> Vec<PathBuf> {
    let remapped = remaps(options, toolchain).into_iter().map(|(from, _)| from);
    remapped.chain([toolchain.home.clone()]).collect()
}

fn argument(flag: &str, from: &Path, to: &str) -> OsString {
    let mut argument = OsString::from(flag);
    argument.push(from);
    argument.push("=");
    argument.push(to);
    argument
}

/// Quotes for a POSIX shell.
fn quote(text: &OsStr) -> OsString {
    let mut quoted = OsString::from("'");
    quoted.push(OsStr::from_bytes(
        &text.as_bytes().split(|&b| b == b'\'').collect::<Vec<_>>().join(&b"'\\''"[..]),
    ));
    quoted.push("'");
    quoted
}

/// Reads cargo's dependency file: every source file below the workspace and its path dependencies. Adds the manifests
/// and lock files on the way up from each.
fn inputs(options: &Options, dep_info: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let text = fs::read_to_string(dep_info).map_err(io_error(format!("reading {}", dep_info.display())))?;
    // One rule, `target: source source`, spaces in names escaped with a backslash.
    let sources = text.split_once(": ").map_or("", |(_, sources)| sources).replace("\\ ", "\0");
    let mut inputs: BTreeSet<PathBuf> =
        sources.split_whitespace().map(|source| source.replace('\0', " ").into()).collect();
    // What build scripts generated is newer than this run and would make the next one needless.
    inputs.retain(|source| !source.starts_with(&options.target_dir));
    // A package's manifest, and those above it that it inherits from.
    let above = inputs.iter().flat_map(|source| source.ancestors().skip(1));
    let folders: BTreeSet<&Path> = above.chain([options.enclave_dir.as_path()]).collect();
    let files = folders.iter().flat_map(|folder| ["Cargo.toml", "Cargo.lock"].map(|name| folder.join(name)));
    let manifests: Vec<PathBuf> = files.filter(|file| file.exists()).collect();
    inputs.extend(manifests);
    Ok(inputs.into_iter().collect())
}
