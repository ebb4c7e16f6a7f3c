//! The test image is another image, of the same crates.

use std::collections::BTreeSet;
use std::process::Command;

use twine::Image;
use twine::image_format::sigstruct::Variant;
use twine_enclave_tests::{DEBUG, IMAGE, PRODUCTION};

#[test]
fn it_has_an_mrenclave_of_its_own() {
    let image = Image::embedded(Variant::Production).unwrap();
    assert_ne!(IMAGE, image.sgxs());
    let mrenclave = |sigstruct: &[u8; 1808]| sigstruct[960..992].to_vec();
    assert_ne!(mrenclave(PRODUCTION), mrenclave(&image.sigstruct().to_bytes()));
    assert_eq!(mrenclave(PRODUCTION), mrenclave(DEBUG));
}

/// Packages, versions and features of an image's dependencies.
fn dependencies(package: &str) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .args([
            "tree",
            "--locked",
            "--offline",
            "--edges",
            "no-dev",
            "--prefix",
            "none",
            "--format",
            "{p} {f}",
        ])
        .args(["--package", package, "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../enclave/Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    // What was shown before is shown again with a mark.
    let lines = text.lines().map(|line| line.trim_end_matches(" (*)").trim_end());
    lines.filter(|line| !line.is_empty() && !line.contains("image")).map(str::to_owned).collect()
}

/// What is tested is what runs: nothing of the image that runs programs is in the one that runs tests with other features,
/// and no package of others is missing.
#[test]
fn it_has_the_same_dependencies() {
    let (real, test) = (dependencies("twine-enclave-image"), dependencies("twine-enclave-test-image"));
    assert!(real.len() > 100, "{real:?}");
    // Crates of ours that only a program needs may be missing; what both have, both have with the same features.
    let package = |line: &str| line.split(' ').next().map(str::to_owned);
    let known: BTreeSet<_> = test.iter().map(|line| package(line)).collect();
    let absent = |line: &str| line.starts_with("twine-") && !known.contains(&package(line));
    let missing: Vec<&String> = real.difference(&test).filter(|line| !absent(line)).collect();
    assert!(missing.is_empty(), "add to enclave/test-image/Cargo.toml: {missing:?}");
    let more: Vec<&String> = test.difference(&real).filter(|line| !line.contains("twine-spectest")).collect();
    assert!(more.is_empty(), "only in the test image: {more:?}");
}
