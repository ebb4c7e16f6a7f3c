//! The production path: an image signed here, and one signed elsewhere.

mod common;

use common::{User, program};
use twine::image_format::key::SigningKey;
use twine::image_format::sigstruct::Unsigned;

#[test]
fn an_image_runs_under_another_signer() {
    let user = User::new();
    let created = user.ok(&["key", "create", "key.pem"]);
    assert_eq!(user.ok(&["key", "show", "key.pem"]), created);
    let signer = created.lines().find_map(|line| line.strip_prefix("MRSIGNER    ")).unwrap();
    let sign = ["image", "sign", "--key", "key.pem", "--date", "2026-11-23", "--security-version", "3"];
    let signed = user.ok(&[&sign[..], &["--out", "twine.sig"]].concat());
    assert!(signed.contains(signer), "{signed}");
    let measured = user.ok(&["measure", "--sigstruct", "twine.sig"]);
    assert!(measured.contains(signer) && measured.contains("ISVSVN      3"), "{measured}");
    user.run(&["--sigstruct", "twine.sig", &program("hello.wat")]).fails(0, &[]);
}

#[test]
fn a_signature_made_elsewhere_gives_the_same_sigstruct() {
    let user = User::new();
    let pem = user.ok(&["key", "create", "key.pem"]);
    let public = &pem[pem.find("-----BEGIN").unwrap()..];
    user.file("public.pem", public);
    let product = ["--date", "2026-11-23"];
    user.ok(&[&["image", "sign", "--key", "key.pem", "--out", "here.sig"], &product[..]].concat());
    user.ok(&[&["image", "digest", "--out", "unsigned"], &product[..]].concat());

    // The signer elsewhere.
    let read = |name: &str| std::fs::read(user.home.path().join(name)).unwrap();
    let (key, _) = SigningKey::load(&user.home.path().join("key.pem")).unwrap();
    let mut signature =
        Unsigned::from_bytes(&read("unsigned")).unwrap().sign(&key).unwrap().fields().signature;
    signature.reverse();
    user.file("signature", signature);

    let import =
        ["image", "import", "--unsigned", "unsigned", "--public-key", "public.pem", "--out", "there.sig"];
    user.ok(&[&import[..], &["--signature", "signature"]].concat());
    assert_eq!(read("here.sig"), read("there.sig"));

    signature[7] ^= 1;
    user.file("forged", signature);
    let mut command = user.twine();
    command.args([&import[..], &["--signature", "forged"]].concat());
    common::Ended::of(&mut command).fails(77, &["does not verify"]);
}

#[test]
fn keys_are_never_overwritten() {
    let user = User::new();
    for kind in ["owner", "image"] {
        user.ok(&["key", "create", "--kind", kind, kind]);
        let mut again = user.twine();
        again.args(["key", "create", "--kind", kind, kind]);
        common::Ended::of(&mut again).fails(74, &["exists"]);
    }
}

#[test]
fn an_owner_signs_a_manifest() {
    let user = User::new();
    let shown = user.ok(&["key", "create", "--kind", "owner", "owner.pem"]);
    let owner = shown.lines().find_map(|line| line.strip_prefix("owner       ")).unwrap();
    let manifest = |version: u32| {
        format!(
            "version = 1\n[workload.identity]\nowner = \"{owner}\"\nname = \"hello\"\nversion = {version}\n\
             [host]\nmodule = {:?}\nsignature = \"hello.signature\"\n",
            program("hello.wat")
        )
    };
    user.file("twine.toml", manifest(1));
    user.ok(&["key", "sign", "--key", "owner.pem", "--out", "hello.signature", "twine.toml"]);
    let first = user.ok(&["config", "check"]);
    user.run(&["-c", "twine.toml"]).fails(0, &[]);
    // Another version needs another signature, and keeps CONFIGID.
    user.file("twine.toml", manifest(2));
    user.run(&["-c", "twine.toml"]).fails(77, &["the signature is not the owner's"]);
    user.ok(&["key", "sign", "--key", "owner.pem", "--out", "hello.signature", "twine.toml"]);
    assert_eq!(user.ok(&["config", "check"]), first.replace("CONFIGSVN   1", "CONFIGSVN   2"));
}
