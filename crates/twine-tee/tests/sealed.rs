//! Sealed data: who opens it, who does not, and the format to the byte.

mod common;

use common::{Enclave, Program, Random};
use serde_json::Value;
use twine_tee::{
    KeyRequest, SealTo,
    sealed::{HEADER_LEN, OVERHEAD, SealError, seal, unseal},
};

const ACCES: u32 = 2;
const BADMSG: u32 = 9;
const TO_ENCLAVE: u64 = 0;
const TO_SIGNER: u64 = 1;

fn opens(enclave: &Enclave, sealed: &[u8]) -> bool {
    match Program::in_enclave(enclave).unseal(b"purpose", sealed) {
        Ok(data) => data == b"secret",
        Err((errno, message)) => {
            assert_eq!(errno, ACCES, "{message}");
            false
        }
    }
}

fn sealed_by(enclave: &Enclave, to: u64) -> Vec<u8> {
    Program::in_enclave(enclave).seal(to, b"purpose", b"secret").unwrap()
}

#[test]
fn who_opens_sealed_data() {
    let own = Enclave { isvsvn: 5, configsvn: 3, ..Enclave::new() };
    let (to_enclave, to_signer) = (sealed_by(&own, TO_ENCLAVE), sealed_by(&own, TO_SIGNER));
    let both = |enclave: Enclave| (opens(&enclave, &to_enclave), opens(&enclave, &to_signer));
    assert_eq!(both(own.clone()), (true, true), "itself");
    assert_eq!(
        both(Enclave { mrenclave: [2; 32], ..own.clone() }),
        (false, true),
        "another image of the signer"
    );
    let upgrade = Enclave { mrenclave: [2; 32], isvsvn: 6, ..own.clone() };
    assert_eq!(both(upgrade.clone()), (false, true), "an upgrade of the runtime");
    assert_eq!(
        both(Enclave { configsvn: 4, ..own.clone() }),
        (true, true),
        "an upgrade of an owner's workload"
    );
    assert_eq!(both(Enclave { isvsvn: 4, ..own.clone() }), (false, false), "a downgrade of the runtime");
    assert_eq!(both(Enclave { configsvn: 2, ..own.clone() }), (false, false), "a downgrade of the workload");
    assert_eq!(
        both(Enclave { mrsigner: [2; 32], ..own.clone() }),
        (false, false),
        "the image signed by a stranger"
    );
    assert_eq!(both(Enclave { isvprodid: 8, ..own.clone() }), (false, false), "another product");
    assert_eq!(both(Enclave { configid: [2; 64], ..own.clone() }), (false, false), "another workload");
    assert_eq!(both(Enclave { debug: true, ..own.clone() }), (false, false), "a debug enclave");
    assert_eq!(
        both(Enclave { processor: Enclave::new().processor, ..own }),
        (false, false),
        "another processor"
    );
    // What the upgrade seals, the old version does not open.
    let newer = sealed_by(&upgrade, TO_SIGNER);
    let (errno, message) =
        Program::in_enclave(&Enclave { isvsvn: 5, ..upgrade }).unseal(b"purpose", &newer).unwrap_err();
    assert!(errno == ACCES && message.contains("newer version"), "{message}");
}

#[test]
fn associated_data_and_every_byte_count() {
    let enclave = Enclave::new();
    let mut program = Program::in_enclave(&enclave);
    let sealed = program.seal(TO_SIGNER, b"purpose", b"secret").unwrap();
    assert_eq!(program.unseal(b"other", &sealed).unwrap_err().0, ACCES);
    assert_eq!(program.unseal(b"", &sealed).unwrap_err().0, ACCES);
    // A header's last bytes do not pass for the associated data's first.
    let moved = [&sealed[..HEADER_LEN], b"p", &sealed[HEADER_LEN..]].concat();
    assert_eq!(program.unseal(b"urpose", &moved).unwrap_err().0, ACCES);
    let mut random = Random::new();
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= (random.next() % 255 + 1) as u8;
        let (errno, message) = program.unseal(b"purpose", &changed).unwrap_err();
        assert!(errno == ACCES || errno == BADMSG, "byte {at}: {message}");
        program.rewind();
    }
    for len in 0..sealed.len() {
        assert!(program.unseal(b"purpose", &sealed[..len]).is_err(), "{len}");
        program.rewind();
    }
    assert!(program.unseal(b"purpose", &[&sealed[..], &[0]].concat()).is_err());
}

#[test]
fn malformed_sealed_data_is_told_what_is_wrong() {
    let mut program = Program::in_enclave(&Enclave::new());
    let sealed = program.seal(TO_SIGNER, b"", b"secret").unwrap();
    let cases: [(usize, u8, &str); 4] = [
        (0, b'X', "does not start with TWSEAL"),
        (7, 2, "version is not 1"),
        (8, 7, "sealed to something"),
        (10, 1, "reserved bytes"),
    ];
    for (at, value, reason) in cases {
        let mut changed = sealed.clone();
        changed[at] = value;
        let (errno, message) = program.unseal(b"", &changed).unwrap_err();
        assert!(errno == BADMSG && message.contains(reason), "{message}");
    }
    let (errno, message) = program.unseal(b"", &sealed[..63]).unwrap_err();
    assert!(errno == BADMSG && message.contains("shorter than a header"), "{message}");
}

#[test]
fn no_two_seals_are_alike() {
    let mut program = Program::in_enclave(&Enclave::new());
    let (a, b) = (program.seal(0, b"", b"same").unwrap(), program.seal(0, b"", b"same").unwrap());
    assert_ne!(a[32..64], b[32..64], "KEYID");
    assert_ne!(a[64..], b[64..]);
    let empty = program.seal(0, b"", b"").unwrap();
    assert_eq!(empty.len(), OVERHEAD);
    assert_eq!(program.unseal(b"", &empty).unwrap(), b"");
}

/// The vectors were made with another implementation (tests/vectors/sealed.py).
#[test]
fn the_format_is_that_of_the_vectors() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/sealed-1.json")).unwrap();
    let vectors = vectors["vectors"].as_array().unwrap();
    assert!(vectors.len() >= 3);
    for vector in vectors {
        let bytes = |name: &str| hex::decode(vector[name].as_str().unwrap()).unwrap();
        let number = |name: &str| vector[name].as_u64().unwrap() as u16;
        let expected = KeyRequest {
            to: if number("to") == 0 { SealTo::Enclave } else { SealTo::Signer },
            isv_svn: number("isvsvn"),
            config_svn: number("configsvn"),
            cpu_svn: bytes("cpusvn").try_into().unwrap(),
            key_id: bytes("keyid").try_into().unwrap(),
        };
        let secret: [u8; 16] = bytes("egetkey").try_into().unwrap();
        let mut keys = |request: &KeyRequest| (*request == expected).then_some(secret);
        let mut own = Enclave::new().report();
        (own.isvsvn, own.configsvn, own.cpusvn) = (expected.isv_svn, expected.config_svn, expected.cpu_svn);
        let (aad, data, sealed) = (bytes("aad"), bytes("data"), bytes("sealed"));
        let made = seal(expected.to, &own, expected.key_id, &aad, &data, &mut keys).unwrap();
        assert_eq!(hex::encode(made), hex::encode(&sealed));
        assert_eq!(unseal(&aad, &sealed, &mut keys).unwrap(), data);
        assert_eq!(unseal(&aad, &sealed, &mut |_| None), Err(SealError::Newer));
        assert_eq!(unseal(&aad, &sealed, &mut |_| Some([0x77; 16])), Err(SealError::Refused));
    }
}
