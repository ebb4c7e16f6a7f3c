//! Files and folders that are missing, corrupt or closed: each a clear error with its exit code.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::{Ended, User, program};
use twine::Image;
use twine::image_format::sigstruct::Variant;

const HELLO: &str = "hello from the enclave\n";

fn hello() -> String {
    program("hello.wat")
}

/// The built-in image and its SIGSTRUCT as files, after a change.
fn image(user: &User, change: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>)) -> [String; 2] {
    let image = Image::embedded(Variant::Production).unwrap();
    let (mut sgxs, mut sigstruct) = (image.sgxs().to_vec(), image.sigstruct().to_bytes().to_vec());
    change(&mut sgxs, &mut sigstruct);
    let path = |path: PathBuf| path.to_str().unwrap().to_owned();
    [path(user.file("twine.sgxs", sgxs)), path(user.file("twine.sig", sigstruct))]
}

fn run_image(user: &User, change: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>)) -> Ended {
    let [sgxs, sigstruct] = image(user, change);
    user.run(&["--image", &sgxs, "--sigstruct", &sigstruct, &hello()])
}

#[test]
fn an_image_from_files_runs() {
    let user = User::new();
    let ended = run_image(&user, |_, _| {});
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), HELLO), "{}", ended.stderr);
}

#[test]
fn a_changed_image_is_not_launched() {
    let user = User::new();
    // Inside the first page's data: record of ECREATE, of EADD, of EEXTEND, then 256 bytes.
    run_image(&user, |sgxs, _| sgxs[3 * 64 + 5] ^= 1).fails(77, &["EINIT refuses the enclave"]);
    run_image(&user, |_, sigstruct| sigstruct[960] ^= 1).fails(77, &["EINIT refuses the enclave"]);
}

#[test]
fn a_malformed_image_is_not_loaded() {
    let user = User::new();
    run_image(&user, |sgxs, _| sgxs.truncate(100_000)).fails(65, &["not a well-formed SGXS stream"]);
    run_image(&user, |sgxs, _| sgxs[0] ^= 1).fails(65, &["not a well-formed SGXS stream"]);
    run_image(&user, |sgxs, _| sgxs.clear()).fails(65, &["not a well-formed SGXS stream"]);
    run_image(&user, |_, sigstruct| sigstruct.truncate(1000)).fails(65, &["1000", "sign the image again"]);
    user.run(&["--sigstruct", "none.sig", &hello()]).fails(66, &["none.sig", "No such file"]);
}

#[test]
fn a_corrupt_cache_is_compiled_again() {
    let user = User::new();
    let compiled = |ended: &Ended| ended.stderr.contains(" us compile\n");
    let run = || {
        let ended = user.run(&["--stats", &hello()]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), HELLO), "{}", ended.stderr);
        ended
    };
    assert!(compiled(&run()));
    assert!(!compiled(&run()), "the second run finds the first one's artefact");
    let artefacts = || {
        let all: Vec<_> = fs::read_dir(user.cache()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(all.len(), 1, "{all:?}");
        all
    };
    let artefact = artefacts().remove(0);
    let sealed = fs::read(&artefact).unwrap();
    let (middle, end) = (sealed.len() / 2, sealed.len() - 1);
    for at in [0, middle, end] {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        fs::write(&artefact, changed).unwrap();
        assert!(compiled(&run()), "byte {at}");
    }
    for length in [0, 1, middle, end] {
        fs::write(&artefact, &sealed[..length]).unwrap();
        assert!(compiled(&run()), "{length} bytes");
    }
    assert!(!compiled(&run()), "what was compiled again is kept");
    artefacts();
}

#[test]
fn no_cache_means_none() {
    let user = User::new();
    user.run(&["--no-cache", &hello()]).fails(0, &[]);
    assert!(!user.cache().exists());
}

#[test]
fn another_processor_does_not_open_this_ones_cache() {
    let user = User::new();
    user.run(&[&hello()]).fails(0, &[]);
    fs::remove_file(user.state().join("processor.fuse")).unwrap();
    user.run(&["--stats", &hello()]).fails(0, &[" us compile\n"]);
}

#[test]
fn a_state_folder_is_made_for_its_user_alone() {
    let user = User::new();
    user.run(&[&hello()]).fails(0, &[]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&user.state()), 0o700);
    assert_eq!(mode(&user.state().join("processor.fuse")), 0o600);
}

#[test]
fn without_a_state_folder_nothing_runs() {
    let user = User::new();
    let mut command = user.twine();
    command.args(["run", "--tee", "sim", &hello()]).env_remove("XDG_STATE_HOME").env_remove("HOME");
    Ended::of(&mut command).fails(78, &["neither XDG_STATE_HOME nor HOME"]);
}

#[test]
fn a_state_folder_that_cannot_be_made_is_named() {
    let user = User::new();
    let file = user.file("file", "");
    let mut command = user.twine();
    command.args(["run", "--tee", "sim", &hello()]).env("XDG_STATE_HOME", &file);
    Ended::of(&mut command).fails(74, &["file/twine", "XDG_STATE_HOME"]);
}

#[test]
fn a_read_only_state_folder_is_named() {
    let user = User::new();
    fs::create_dir_all(user.state()).unwrap();
    fs::set_permissions(user.state(), fs::Permissions::from_mode(0o500)).unwrap();
    let mut command = user.twine();
    command.args(["run", "--tee", "sim", &hello()]);
    if fs::write(user.state().join("probe"), "").is_ok() {
        // Permissions do not bind root; nobody writes here.
        command.env("XDG_STATE_HOME", "/proc");
    }
    Ended::of(&mut command).fails(74, &["writable for this user", "XDG_STATE_HOME"]);
}

#[test]
fn a_corrupt_state_is_refused_and_kept() {
    let user = User::new();
    user.run(&[&hello()]).fails(0, &[]);
    let fuse = user.state().join("processor.fuse");
    let mut bytes = fs::read(&fuse).unwrap();
    bytes[20] ^= 1;
    fs::write(&fuse, &bytes).unwrap();
    user.run(&[&hello()]).fails(74, &["processor.fuse", "corrupt", "restore it"]);
    assert_eq!(fs::read(&fuse).unwrap(), bytes);
}

#[test]
fn a_module_that_is_cut_anywhere_is_refused() {
    let user = User::new();
    let module = wat::parse_file(hello()).unwrap();
    for length in [0, 3, 8, 20, module.len() / 2, module.len() - 1] {
        let file = user.file("cut.wasm", &module[..length]);
        let ended = user.run(&[file.to_str().unwrap()]);
        assert_eq!(ended.code, Some(65), "{length}: {}", ended.stderr);
        assert!(!ended.stdout.contains("hello"), "{length}");
    }
}
