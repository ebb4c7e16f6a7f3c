//! Bytes from elsewhere: whatever they are, the answer is an error and never a panic.

mod common;

use common::{Copy, key_pem};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::LazyLock;
use tempfile::TempDir;
use twine_image::elf::Program;
use twine_image::inspect;
use twine_image::key::{KeyError, PublicKey, SigningKey};
use twine_image::layout::Image;
use twine_image::sgxs::{self, Reader, SgxsError};
use twine_image::sigstruct::{Date, Identity, SIZE, Signed, SigstructError, Unsigned, Variant};

/// ELF file and image of the fixture.
static BUILT: LazyLock<(Vec<u8>, Vec<u8>, [u8; 32])> = LazyLock::new(|| {
    let copy = Copy::new("repo");
    let built = copy.build(&[]).unwrap();
    (fs::read(built.elf).unwrap(), fs::read(built.image).unwrap(), built.mrenclave)
});

/// xorshift64*: enough for positions and bytes.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 | 1;
        println!("seed {seed}");
        Self(seed)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

#[test]
fn malformed_elf_files() {
    let (elf, ..) = &*BUILT;
    Program::parse(elf).unwrap();
    for length in (0..elf.len()).step_by(97) {
        assert!(Image::from_elf(&elf[..length]).is_err(), "cut to {length} bytes");
    }
    let mut random = Random::new();
    for round in 0..3000 {
        let mut bad = elf.clone();
        // Headers and dynamic section decide most; the rest gets its share.
        let range = if round % 3 == 0 { bad.len() } else { 1024 };
        for _ in 0..=random.below(4) {
            let at = random.below(range);
            bad[at] = [0, 0xff, 0x7f, 0x80, bad[at] ^ 1, bad[at].wrapping_add(1)][random.below(6)];
        }
        let _ = Image::from_elf(&bad);
    }
}

#[test]
fn malformed_images() {
    let (_, image, mrenclave) = &*BUILT;
    for length in (0..image.len()).step_by(991) {
        // Cut behind a complete page it is a complete, other image.
        assert_ne!(sgxs::measure(&image[..length]).ok(), Some(*mrenclave), "cut to {length} bytes");
    }
    let mut random = Random::new();
    for _ in 0..300 {
        let mut bad = image.clone();
        let at = random.below(bad.len());
        bad[at] ^= 1 << random.below(8);
        assert_ne!(sgxs::measure(&bad[..]).ok(), Some(*mrenclave), "byte {at}");
        let _ = inspect::image(&bad[..]);
    }
    let garbage: Vec<u8> = (0..5000).map(|_| random.below(256) as u8).collect();
    assert!(inspect::image(&garbage[..]).is_err() && inspect::image(&[][..]).is_err());
}

/// Each rule of the format, by the message that a violation gives and where.
#[test]
fn every_rule_of_the_image_format() {
    let (_, image, _) = &*BUILT;
    // The first page starts at 64, its first chunk at 128, its second at 128 + 320; the second page at 5248.
    let second_page = 64 + 64 + 16 * 320;
    for (at, value, message) in [
        (0, 0, "not an SGXS file"),
        (8, 0, "an SSA frame has no pages"),
        (12, 1, "no power of two"),
        (30, 1, "reserved bytes"),
        (64, 0, "expected EADD"),
        (64 + 9, 1, "misaligned, out of order or outside"),
        (64 + 15, 1, "misaligned, out of order or outside"),
        (64 + 16, 0, "impossible SECINFO.FLAGS"),
        (64 + 16, 2, "impossible SECINFO.FLAGS"),
        (64 + 16, 9, "impossible SECINFO.FLAGS"),
        (64 + 17, 0, "impossible SECINFO.FLAGS"),
        (64 + 17, 1, "impossible SECINFO.FLAGS"),
        (64 + 17, 5, "impossible SECINFO.FLAGS"),
        (64 + 24, 1, "reserved bytes"),
        (128 + 8, 1, "does not follow"),
        (128 + 16, 1, "reserved bytes"),
        (128 + 320 + 9, 0, "does not follow"),
        (128 + 320 + 9, 16, "does not follow"),
        (second_page + 9, 0, "misaligned, out of order"),
    ] {
        let mut bad = image.clone();
        assert_ne!(bad[at], value, "the case at {at} changes nothing");
        bad[at] = value;
        let error = sgxs::measure(&bad[..]).unwrap_err();
        assert!(error.to_string().contains(message), "{at}: {error}");
        let SgxsError::Malformed { offset, .. } = error else { panic!("{at}") };
        assert!((offset..offset + 64).contains(&(at as u64)), "{at}: reported at {offset}");
    }
}

#[test]
fn unmeasured_chunks_are_read_and_not_measured() {
    let (_, image, mrenclave) = &*BUILT;
    let mut other = image.clone();
    other[128..136].copy_from_slice(b"UNMEASRD");
    let mut reader = Reader::new(&other[..]).unwrap();
    let page = reader.next_page().unwrap().unwrap();
    assert_eq!((page.present, page.measured), (0xffff, 0xfffe));
    assert_ne!(reader.finish().unwrap(), *mrenclave);
    assert!(!inspect::image(&other[..]).unwrap().fully_measured);
    // What is in it does not matter either.
    let before = sgxs::measure(&other[..]).unwrap();
    other[200] ^= 1;
    assert_eq!(sgxs::measure(&other[..]).unwrap(), before);
}

#[test]
fn malformed_sigstructs() {
    let mut random = Random::new();
    assert!(matches!(Signed::from_bytes(&[0; SIZE - 1]), Err(SigstructError::Size(_))));
    assert!(matches!(Unsigned::from_bytes(&[0; 256]), Err(SigstructError::Field("HEADER"))));
    assert!(matches!(Unsigned::from_bytes(&[0; 255]), Err(SigstructError::Size(255))));
    for fill in [0, 1, 0xff] {
        assert!(Signed::from_bytes(&[fill; SIZE]).unwrap().verify().is_err());
    }
    let key = SigningKey::from_pem(&key_pem()).unwrap();
    let unsigned =
        Unsigned::new([1; 32], &Identity::default(), Variant::Debug, Date::new(2026, 1, 1).unwrap());
    let good = unsigned.sign(&key).unwrap().to_bytes();
    for _ in 0..50 {
        // Numbers of every shape where modulus and signature are: zero, even, short, all ones.
        let mut bad = good;
        let (start, end) = [(128, 512), (516, 900), (1040, 1808)][random.below(3)];
        let from = start + random.below(end - start);
        bad[from..end].fill([0, 0xff, 2][random.below(3)]);
        assert!(bad == good || Signed::from_bytes(&bad).unwrap().verify().is_err());
        let _ = inspect::sigstruct(&bad).unwrap();
    }
}

#[test]
fn keys_are_checked() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("key.pem");
    let key = SigningKey::from_pem(&key_pem()).unwrap();
    key.save_new(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(key.save_new(&path), Err(KeyError::Exists(_))));
    let (loaded, exposed) = SigningKey::load(&path).unwrap();
    assert_eq!((loaded.public(), exposed), (key.public(), false));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(SigningKey::load(&path).unwrap().1);
    assert!(matches!(SigningKey::load(&folder.path().join("none")), Err(KeyError::Io { .. })));
    assert_eq!(PublicKey::from_pem(&key.public().to_pem().unwrap()).unwrap(), *key.public());
    // What a debugger prints does not hold the key.
    assert!(format!("{key:?}").len() < 100);

    let mut random = Random::new();
    let pem = fs::read_to_string(&path).unwrap();
    for text in [
        "",
        "-----BEGIN PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ] {
        assert!(matches!(SigningKey::from_pem(text), Err(KeyError::Format(_))));
        assert!(matches!(PublicKey::from_pem(text), Err(KeyError::Format(_))));
    }
    for _ in 0..40 {
        let mut bad = pem.clone().into_bytes();
        let at = random.below(bad.len());
        bad[at] = b'A' + random.below(26) as u8;
        let _ = SigningKey::from_pem(&String::from_utf8(bad).unwrap());
    }
}

/// 2048 bits, or the usual exponent, are keys of another kind.
#[test]
fn foreign_kinds_of_keys() {
    for (bits, exponent) in [("2048", "3"), ("3072", "65537")] {
        let output = std::process::Command::new("openssl")
            .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", &format!("rsa_keygen_bits:{bits}")])
            .args(["-pkeyopt", &format!("rsa_keygen_pubexp:{exponent}")])
            .output()
            .expect("openssl is installed");
        let error = SigningKey::from_pem(&String::from_utf8(output.stdout).unwrap()).unwrap_err();
        assert!(matches!(error, KeyError::Kind { .. }), "{error}");
    }
}

#[test]
fn generated_keys_sign() {
    let (one, two) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    assert_ne!(one.public(), two.public());
    let unsigned =
        Unsigned::new([1; 32], &Identity::default(), Variant::Debug, Date::new(2026, 1, 1).unwrap());
    assert_eq!(unsigned.sign(&one).unwrap().verify().unwrap(), *one.public());
}

#[test]
fn dates_are_days() {
    for good in ["2026-02-28", "2028-02-29", "1970-01-01", "9999-12-31"] {
        good.parse::<Date>().unwrap();
    }
    for bad in [
        "",
        "2026",
        "2026-02-29",
        "2026-13-01",
        "2026-00-01",
        "2026-01-00",
        "2026-1-300",
        "2026-01-01-01",
        "99999-01-01",
        "x",
    ] {
        assert!(bad.parse::<Date>().is_err(), "{bad}");
    }
}
