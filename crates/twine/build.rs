//! Builds the enclave image with a nested cargo and tells the crate where it is; or takes one that is there already.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use twine_image::build::{Options, Toolchain, build_enclave};
use twine_image::sigstruct::{Date, Identity};

/// Product number, security version and day of both SIGSTRUCTs; none of them is in MRENCLAVE.
const PRODUCT: u16 = 1;
const SECURITY_VERSION: u16 = 1;

/// Names a folder with a finished image, for instance one signed with a production key: nothing is built then.
const PREBUILT: &str = "TWINE_IMAGE_DIR";

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the enclave image could not be built: {error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-env-changed={PREBUILT}");
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    if let Some(folder) = std::env::var_os(PREBUILT) {
        let folder = Path::new(&folder).canonicalize().map_err(|e| format!("{PREBUILT}: {e}"))?;
        println!("cargo:rerun-if-changed={}", folder.display());
        return embed(&folder);
    }
    // One target folder for every profile of this workspace: the image is the same in all of them.
    let target = out.ancestors().nth(4).ok_or("OUT_DIR is not below a target folder")?.join("enclave");
    let options = Options {
        enclave_dir: here.join("../../enclave"),
        package: "twine-enclave-image".to_owned(),
        features: Vec::new(),
        profile: "release".to_owned(),
        target_dir: target.clone(),
        out_dir: target.join("image"),
        key: target.join("development-key.pem"),
        identity: Identity { isvprodid: PRODUCT, isvsvn: SECURITY_VERSION, ..Identity::default() },
        date: Date::new(2026, 11, 23).ok_or("no such day")?,
    };
    build_enclave(&options, &Toolchain::find()?)?.print_cargo_instructions();
    embed(&options.out_dir)
}

fn embed(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        ("TWINE_IMAGE", "twine.sgxs"),
        ("TWINE_SIGSTRUCT", "twine.sig"),
        ("TWINE_DEBUG_SIGSTRUCT", "twine.debug.sig"),
        ("TWINE_ELF", "twine.elf"),
    ];
    for (variable, name) in files {
        let file = folder.join(name);
        if !file.is_file() {
            return Err(format!("{} is not there", file.display()).into());
        }
        println!("cargo:rustc-env={variable}={}", file.display());
    }
    Ok(())
}
