//! Agreement with crate `sgxs` and with OpenSSL, which have the same things from elsewhere.

mod common;

use common::{Copy, key_pem, sgxs_file};
use sgxs::crypto::{Hash, SgxHashOps};
use sgxs::sgxs::{CanonicalSgxsReader, PageReader};
use sgxs::sigstruct::{AttributesFlags, EnclaveHash, Miscselect, Signer};
use sha2::{Digest, Sha256};
use std::fs;
use std::process::Command;
use tempfile::TempDir;
use twine_image::key::{PublicKey, SigningKey};
use twine_image::sigstruct::{Date, Identity, Signed, Unsigned, Variant, quotients};
use twine_image::{inspect, sgxs as ours};

struct Hasher(Sha256);

impl SgxHashOps for Hasher {
    fn new() -> Self {
        Self(Sha256::new())
    }
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
    fn finish(self) -> Hash {
        self.0.finalize().into()
    }
}

fn unsigned(variant: Variant) -> Unsigned {
    let identity = Identity { isvprodid: 7, isvsvn: 3, isvextprodid: [9; 16], ..Identity::default() };
    Unsigned::new([5; 32], &identity, variant, "2026-02-28".parse().unwrap())
}

#[test]
fn mrenclave_and_pages_as_sgxs_reads_them() {
    let copy = Copy::new("repo");
    let built = copy.build(&[]).unwrap();
    let stream = fs::read(&built.image).unwrap();
    let theirs =
        EnclaveHash::from_stream::<_, Hasher>(&mut CanonicalSgxsReader::new(&mut &stream[..])).unwrap();
    assert_eq!(theirs.hash(), built.mrenclave);

    let mut reader = ours::Reader::new(&stream[..]).unwrap();
    let mut rest = &stream[..];
    let (info, mut pages) = PageReader::new(&mut rest).unwrap();
    assert_eq!((info.sized, { info.ecreate.size }), (true, reader.create().size));
    while let Some((add, chunks, data)) = pages.read_page().unwrap() {
        let mine = reader.next_page().unwrap().unwrap();
        assert_eq!((mine.page.offset, mine.page.flags), (add.offset, add.secinfo.flags));
        assert!(*mine.page.data == data && mine.measured == chunks.0);
    }
    assert!(reader.next_page().unwrap().is_none());
}

#[test]
fn digest_as_sgxs_computes_it() {
    for (variant, debug) in
        [(Variant::Production, AttributesFlags::empty()), (Variant::Debug, AttributesFlags::DEBUG)]
    {
        let mut signer = Signer::new(EnclaveHash::new([5; 32]));
        signer
            .date(2026, 2, 28)
            .isvprodid(7)
            .isvsvn(3)
            .isvextprodid([9; 16])
            .miscselect(Miscselect::EXINFO, !0)
            .attributes_flags(AttributesFlags::MODE64BIT | AttributesFlags::KSS | debug, !0)
            .attributes_xfrm(7, !0);
        assert_eq!(signer.unsigned_hash::<Hasher>(), unsigned(variant).digest());
    }
}

/// A signature that the authors of `sgxs` made, with its quotients.
#[test]
fn known_signature() {
    let fixed =
        |name: &str| -> [u8; 384] { sgxs_file(&format!("tests/data/sig1.{name}.bin")).try_into().unwrap() };
    let key = SigningKey::from_pem(&key_pem()).unwrap();
    assert_eq!(key.public().modulus(), fixed("key_n"));
    assert_eq!(*key.public(), PublicKey::from_modulus(&fixed("key_n")).unwrap());
    assert_eq!(quotients(&fixed("sig"), key.public()), (fixed("q1"), fixed("q2")));
    assert_eq!(key.public().mrsigner(), Sha256::digest(fixed("key_n")).as_slice());
}

fn openssl(arguments: &[&str], folder: &TempDir) {
    let output =
        Command::new("openssl").args(arguments).current_dir(folder).output().expect("openssl is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The production path: the key is OpenSSL's and never here; only bytes to sign, signature and public key travel.
#[test]
fn signed_elsewhere() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name);
    let unsigned = unsigned(Variant::Production);
    fs::write(file("tosign"), unsigned.to_bytes()).unwrap();
    openssl(
        &[
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:3072",
            "-pkeyopt",
            "rsa_keygen_pubexp:3",
            "-out",
            "key.pem",
        ],
        &folder,
    );
    openssl(&["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"], &folder);
    openssl(&["dgst", "-sha256", "-sign", "key.pem", "-out", "signature", "tosign"], &folder);

    let public = PublicKey::load(&file("public.pem")).unwrap();
    let again = Unsigned::from_bytes(&fs::read(file("tosign")).unwrap()).unwrap();
    let signature = fs::read(file("signature")).unwrap();
    let signed = again.finish(&public, &signature).unwrap();
    assert_eq!(signed.verify().unwrap(), public);

    // From the digest alone as well.
    fs::write(file("digest"), unsigned.digest()).unwrap();
    openssl(
        &[
            "pkeyutl",
            "-sign",
            "-inkey",
            "key.pem",
            "-pkeyopt",
            "digest:sha256",
            "-in",
            "digest",
            "-out",
            "second",
        ],
        &folder,
    );
    assert_eq!(fs::read(file("second")).unwrap(), signature);

    // The same key at hand gives the same bytes, and our PEM is one that OpenSSL reads.
    let (key, _) = SigningKey::load(&file("key.pem")).unwrap();
    assert_eq!(unsigned.sign(&key).unwrap().to_bytes(), signed.to_bytes());
    key.save_new(&file("ours.pem")).unwrap();
    openssl(&["pkey", "-in", "ours.pem", "-check", "-noout"], &folder);

    // A signature over something else, or of the wrong length, is refused.
    let other = Unsigned::new([6; 32], &Identity::default(), Variant::Debug, Date::new(2026, 1, 1).unwrap());
    assert!(other.finish(&public, &signature).is_err());
    assert!(unsigned.finish(&public, &signature[1..]).is_err());
}

/// Every byte of a SIGSTRUCT matters.
#[test]
fn flipped_bits_in_a_sigstruct_are_found() {
    let key = SigningKey::from_pem(&key_pem()).unwrap();
    let bytes = unsigned(Variant::Production).sign(&key).unwrap().to_bytes();
    assert!(inspect::sigstruct(&bytes).unwrap().valid);
    for at in (0..bytes.len()).step_by(7).chain([0, 1807]) {
        let mut flipped = bytes;
        flipped[at] ^= 1 << (at % 8);
        assert!(Signed::from_bytes(&flipped).unwrap().verify().is_err(), "byte {at}");
    }
}
