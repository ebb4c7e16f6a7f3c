//! Builds the enclave image by itself: `build-image ENCLAVE_WORKSPACE PACKAGE FOLDER`.
//!
//! Prints MRENCLAVE and what it depends on besides the sources. `scripts/reproduce.sh` compares two of these.

use std::path::PathBuf;
use twine_image::build::{Options, Toolchain, build_enclave};
use twine_image::sigstruct::{Date, Identity};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [enclave_dir, package, folder] = &arguments[..] else {
        return Err("usage: build-image ENCLAVE_WORKSPACE PACKAGE FOLDER".into());
    };
    let folder = PathBuf::from(folder);
    let built = build_enclave(
        &Options {
            enclave_dir: enclave_dir.into(),
            package: package.clone(),
            features: Vec::new(),
            profile: "release".into(),
            target_dir: folder.join("target"),
            out_dir: folder.clone(),
            key: folder.join("key.pem"),
            identity: Identity::default(),
            date: Date::new(2026, 1, 1).ok_or("a day")?,
        },
        &Toolchain::find()?,
    )?;
    for warning in &built.warnings {
        eprintln!("warning: {warning}");
    }
    println!("{}", std::fs::read_to_string(&built.record)?);
    Ok(())
}
