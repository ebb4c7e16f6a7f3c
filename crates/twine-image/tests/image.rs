//! From source to image, on the fixture workspace.

mod common;

use common::Copy;
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use twine_abi::layout::{ELRANGE, THREADS};
use twine_image::build::{BuildError, Options, Toolchain, build_enclave};
use twine_image::key::SigningKey;
use twine_image::{inspect, sgxs};

#[test]
fn builds_measures_and_signs() {
    let copy = Copy::new("repo");
    let built = copy.build(&[]).unwrap();
    assert!(built.fresh && built.warnings.is_empty(), "{:?}", built.warnings);
    let stream = fs::read(&built.image).unwrap();
    assert_eq!(sgxs::measure(&stream[..]).unwrap(), built.mrenclave);
    // As the documentation promises.
    assert_eq!(Sha256::digest(&stream)[..], built.mrenclave);

    let image = inspect::image(&stream[..]).unwrap();
    let layout = image.layout.as_ref().unwrap();
    assert_eq!((image.threads, image.elrange, image.fully_measured), (THREADS as u64, ELRANGE, true));
    assert_eq!((layout.tls_bytes, layout.cpuid_sites), (5008, 1));
    // Per slot: TLS of two pages, TCB, two SSA frames.
    assert!(image.pages_by_kind["reg rw-"] >= THREADS as u64 * 5, "{image:?}");
    println!("{}", serde_json::to_string_pretty(&image).unwrap());

    for (path, debug) in [(&built.production, false), (&built.debug, true)] {
        let info = inspect::sigstruct(&fs::read(path).unwrap()).unwrap();
        assert!(info.valid && info.deviations.is_empty(), "{info:?}");
        assert_eq!((info.mrenclave, info.mrsigner), (built.mrenclave, built.mrsigner));
        assert_eq!(info.attributes, [if debug { 0x86 } else { 0x84 }, u64::MAX]);
        let json = serde_json::to_value(&info).unwrap();
        assert_eq!(
            (&json["xfrm"][0], &json["xfrm"][1]),
            (&"0000000000000007".into(), &"ffffffffffffffff".into())
        );
        assert_eq!(json["mrenclave"], hex::encode(built.mrenclave));
        assert_eq!((info.isvprodid, info.isvsvn, info.date.as_str()), (7, 3, "2026-02-28"));
    }

    // Nothing changed: nothing is written again.
    let before = fs::metadata(&built.record).unwrap().modified().unwrap();
    let again = copy.build(&[]).unwrap();
    assert!(!again.fresh);
    assert_eq!(
        (again.mrenclave, fs::metadata(&again.record).unwrap().modified().unwrap()),
        (built.mrenclave, before)
    );
    assert!(built.inputs.iter().any(|p| p.ends_with("words/src/lib.rs")), "{:?}", built.inputs);
    for input in ["enclave/Cargo.lock", "enclave/Cargo.toml", "enclave/image/Cargo.toml", "words/Cargo.toml"]
    {
        assert!(built.inputs.iter().any(|p| p.ends_with(input)), "{input}: {:?}", built.inputs);
    }
    assert!(!built.inputs.iter().any(|p| p.ends_with("generated.rs")), "{:?}", built.inputs);

    // A changed source changes the measurement.
    let source = copy.root.join("crates/words/src/lib.rs");
    fs::write(
        &source,
        fs::read_to_string(&source).unwrap().replace("struct Marker", "pub struct Other;\nstruct Marker"),
    )
    .unwrap();
    let source = copy.root.join("enclave/image/src/lib.rs");
    fs::write(&source, fs::read_to_string(&source).unwrap().replace("10_000", "20_000")).unwrap();
    let changed = copy.build(&[]).unwrap();
    assert!(changed.fresh && changed.mrenclave != built.mrenclave);
}

#[test]
fn refuses_what_must_not_be_in_an_image() {
    let copy = Copy::new("repo");
    for (feature, messages) in [
        ("syscall", &["libc_write: syscall"][..]),
        ("undefined", &["undefined symbol: toy_undefined"]),
        ("weak", &["undefined symbols", "toy_weak"]),
        ("rwx", &["writable and executable"]),
        ("constructors", &["constructors or destructors"]),
        ("leak", &["paths of this machine", "/target/"]),
        ("no-layout", &["no section .twine.layout"]),
    ] {
        let error = copy.build(&[feature]).expect_err(feature).to_string();
        for message in messages {
            assert!(error.contains(message), "{feature}: {error}");
        }
        // Nothing is left that looks like a result.
        let left: Vec<_> =
            fs::read_dir(copy.root.join("out")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name == "twine.refused.elf"), "{feature}: {left:?}");
    }
}

#[test]
fn same_image_from_other_folders() {
    let (one, two) = (Copy::new("a"), Copy::new("some where/else/entirely"));
    let toolchain = Toolchain::find().unwrap();
    let moved =
        Toolchain { cargo_home: two.root.join("cargo"), home: two.root.join("home"), ..toolchain.clone() };
    let first = build_enclave(&one.options(&[]), &toolchain).unwrap();
    let second = build_enclave(&two.options(&[]), &moved).unwrap();
    assert_eq!(hex::encode(first.mrenclave), hex::encode(second.mrenclave));
    assert!(fs::read(first.image).unwrap() == fs::read(second.image).unwrap());
    // PKCS#1 v1.5 is deterministic: with one key the signatures agree as well.
    assert!(fs::read(first.production).unwrap() == fs::read(second.production).unwrap());
}

#[test]
#[ignore = "builds the enclave twice in clones of what is committed: a quarter of an hour"]
fn the_real_image_is_the_same_in_two_clones() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/reproduce.sh");
    let compared = Command::new("sh").arg(script).output().unwrap();
    let said = String::from_utf8_lossy(&compared.stdout);
    println!("{said}");
    assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stderr));
    assert!(said.contains("the images agree; MRENCLAVE is "));
}

#[test]
fn a_development_key_is_made_once() {
    let copy = Copy::new("repo");
    let key = copy.root.join("new/key.pem");
    let options = Options { key: key.clone(), ..copy.options(&[]) };
    let toolchain = Toolchain::find().unwrap();
    let built = build_enclave(&options, &toolchain).unwrap();
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(SigningKey::load(&key).unwrap().0.public().mrsigner(), built.mrsigner);
    assert!(!build_enclave(&options, &toolchain).unwrap().fresh);
    // Another signer signs the same image.
    fs::write(&key, common::key_pem()).unwrap();
    let resigned = build_enclave(&options, &toolchain).unwrap();
    assert!(resigned.fresh && resigned.mrsigner != built.mrsigner && resigned.mrenclave == built.mrenclave);
}

#[test]
fn a_broken_source_is_an_error() {
    let copy = Copy::new("repo");
    fs::write(copy.root.join("enclave/image/src/lib.rs"), "nonsense").unwrap();
    assert!(matches!(copy.build(&[]), Err(BuildError::Tool(_))));
}
