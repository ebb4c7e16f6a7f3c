//! The simulated processor's state folder.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use twine_host::sim::{Fuse, Processor, StateError};
use twine_sgx::Targetinfo;

fn key(fuse: Fuse) -> [u8; 16] {
    Processor::new(fuse).unwrap().report_key(&Targetinfo::default(), &[0; 32])
}

fn file(folder: &std::path::Path) -> std::path::PathBuf {
    let mut entries = fs::read_dir(folder).unwrap();
    let file = entries.next().unwrap().unwrap().path();
    assert!(entries.next().is_none(), "no temporary file is left");
    file
}

#[test]
fn a_processor_is_made_once_and_private() {
    let folder = tempfile::tempdir().unwrap();
    let made = Fuse::open(folder.path()).unwrap();
    assert_eq!(fs::metadata(file(folder.path())).unwrap().mode() & 0o777, 0o600);
    assert_eq!(key(Fuse::open(folder.path()).unwrap()), key(made.clone()));
    let elsewhere = tempfile::tempdir().unwrap();
    assert_ne!(key(Fuse::open(elsewhere.path()).unwrap()), key(made));
}

#[test]
fn two_first_users_agree() {
    let folder = tempfile::tempdir().unwrap();
    let keys: Vec<_> = std::thread::scope(|scope| {
        let users: Vec<_> = (0..8).map(|_| scope.spawn(|| key(Fuse::open(folder.path()).unwrap()))).collect();
        users.into_iter().map(|user| user.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]));
    file(folder.path());
}

#[test]
fn the_folder_must_exist() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let error = Fuse::open(&missing).unwrap_err();
    assert!(matches!(&error, StateError::NoFolder(path) if *path == missing), "{error:?}");
    assert!(error.to_string().contains("does not exist; create it"), "{error}");
}

#[test]
fn an_unusable_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    // A folder where the file should be fails for every user, root included.
    fs::create_dir(folder.path().join("processor.fuse")).unwrap();
    let error = Fuse::open(folder.path()).unwrap_err();
    assert!(matches!(error, StateError::Inaccessible { .. }), "{error:?}");
}

#[test]
fn a_read_only_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    if fs::write(folder.path().join("probe"), "").is_ok() {
        println!("this user may write read-only folders: nothing to test");
        return;
    }
    let error = Fuse::open(folder.path()).unwrap_err();
    assert!(matches!(error, StateError::Inaccessible { .. }), "{error:?}");
}

#[test]
fn a_corrupt_file_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    Fuse::open(folder.path()).unwrap();
    let path = file(folder.path());
    let good = fs::read(&path).unwrap();
    let mut cases: Vec<_> = (0..good.len())
        .map(|at| {
            let mut bad = good.clone();
            bad[at] ^= 1;
            bad
        })
        .collect();
    cases.extend([vec![], good[..good.len() - 1].to_vec(), [&good[..], &[0]].concat()]);
    for bad in cases {
        fs::write(&path, &bad).unwrap();
        let error = Fuse::open(folder.path()).unwrap_err();
        assert!(matches!(error, StateError::Corrupt { .. }), "{error:?}");
        assert_eq!(fs::read(&path).unwrap(), bad, "what might be restored is not overwritten");
    }
}

#[test]
fn a_cpusvn_only_rises() {
    let folder = tempfile::tempdir().unwrap();
    let mut svn = Fuse::open(folder.path()).unwrap().cpusvn();
    svn[5] = 9;
    Fuse::raise_cpusvn(folder.path(), svn).unwrap();
    assert_eq!(Fuse::open(folder.path()).unwrap().cpusvn(), svn);
    let mut lower = svn;
    lower[5] = 8;
    lower[6] = 200;
    let error = Fuse::raise_cpusvn(folder.path(), lower).unwrap_err();
    assert!(matches!(error, StateError::Lower { .. }), "{error:?}");
    assert_eq!(Fuse::open(folder.path()).unwrap().cpusvn(), svn);
    assert_eq!(fs::metadata(file(folder.path())).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn platform_secrets_differ_by_label_and_machine_and_not_by_cpusvn() {
    let folder = tempfile::tempdir().unwrap();
    let secret =
        |label: &[u8]| Processor::new(Fuse::open(folder.path()).unwrap()).unwrap().platform_secret(label);
    let first = secret(b"a");
    assert_ne!(first[..16], first[16..]);
    assert_ne!(first, secret(b"b"));
    let mut svn = Fuse::open(folder.path()).unwrap().cpusvn();
    svn[0] += 1;
    Fuse::raise_cpusvn(folder.path(), svn).unwrap();
    assert_eq!(first, secret(b"a"));
    assert_ne!(first, Processor::new(Fuse::random().unwrap()).unwrap().platform_secret(b"a"));
}
