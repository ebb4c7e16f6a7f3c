//! What the documents name exists.

use std::path::Path;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// Words that start like a path of this repository.
fn paths(text: &str) -> Vec<&str> {
    let is_path = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    text.split(|c| !is_path(c))
        .map(|word| word.trim_end_matches(['.', '/']))
        .filter(|word| {
            ["crates/", "enclave/", "docs/", "examples/", "scripts/"].iter().any(|d| word.starts_with(d))
        })
        .collect()
}

#[test]
fn every_path_in_the_documents_exists() {
    for document in ["ARCHITECTURE.md", "README.md", "SECURITY.md"] {
        let text = read(document);
        let paths = paths(&text);
        assert!(paths.len() > 5, "{document}: {paths:?}");
        for path in paths {
            assert!(root().join(path).exists(), "{document} names {path}");
        }
    }
}

#[test]
fn the_map_fits_on_a_few_pages() {
    assert!(read("ARCHITECTURE.md").lines().count() <= 200);
}

#[test]
fn the_readme_lists_every_exit_code() {
    use twine::exit::Code;
    let readme = read("README.md");
    for code in [
        Code::Usage,
        Code::BadInput,
        Code::MissingFile,
        Code::NoTee,
        Code::Internal,
        Code::Io,
        Code::RolledBack,
        Code::Refused,
        Code::Config,
        Code::Budget,
        Code::Trap,
    ] {
        assert!(readme.contains(&format!("\n| {} |", code as u8)), "{code:?}");
    }
}

#[test]
fn every_example_manifest_is_valid() {
    let folder = root().join("examples");
    let mut manifests = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            manifests += 1;
            let config = twine::workload::manifest::Config::read(&path).unwrap();
            twine::Program::from_config(&config).unwrap();
        }
    }
    assert_ne!(manifests, 0);
}
