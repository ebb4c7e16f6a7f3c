//! Builds the image that runs tests, in the target folder of the one that runs programs: what they share is compiled once.

use std::path::PathBuf;
use std::process::ExitCode;

use twine_image::build::{Options, Toolchain, build_enclave};
use twine_image::sigstruct::{Date, Identity};

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the test image could not be built: {error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Box<dyn std::error::Error>> {
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let target = out.ancestors().nth(4).ok_or("OUT_DIR is not below a target folder")?.join("enclave");
    let options = Options {
        enclave_dir: here.join("../../enclave"),
        package: "twine-enclave-test-image".to_owned(),
        features: Vec::new(),
        profile: "release".to_owned(),
        target_dir: target.clone(),
        out_dir: target.join("test-image"),
        key: target.join("development-key.pem"),
        identity: Identity::default(),
        date: Date::new(2026, 11, 23).ok_or("no such day")?,
    };
    let built = build_enclave(&options, &Toolchain::find()?)?;
    built.print_cargo_instructions();
    for (variable, file) in [
        ("TWINE_TEST_IMAGE", &built.image),
        ("TWINE_TEST_SIGSTRUCT", &built.production),
        ("TWINE_TEST_DEBUG_SIGSTRUCT", &built.debug),
    ] {
        println!("cargo:rustc-env={variable}={}", file.display());
    }
    Ok(())
}
