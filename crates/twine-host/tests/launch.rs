//! Loading: ECREATE, EADD, EEXTEND and EINIT refuse what the processor refuses.

mod common;

use common::*;
use twine_host::backend::{Backend, Config, LoadError};
use twine_sgx::{AttributesFlags, ErrorCode, SIGSTRUCT_SIZE, SecinfoFlags, Sigstruct, Tcs};

fn load(image: &Image, sig: &[u8; SIGSTRUCT_SIZE]) -> Result<(), LoadError> {
    sim().load(&image.bytes, sig, &Config::default()).map(drop)
}

fn code(result: Result<(), LoadError>) -> ErrorCode {
    match result {
        Err(LoadError::Launch { code, .. }) => code,
        other => panic!("not refused by EINIT: {other:?}"),
    }
}

fn reason(result: Result<(), LoadError>) -> &'static str {
    match result {
        Err(LoadError::Fault { reason, .. }) => reason,
        other => panic!("no leaf function faulted: {other:?}"),
    }
}

fn signed(image: &Image, change: impl FnOnce(&mut Sigstruct)) -> Result<(), LoadError> {
    let mut sig = sigstruct(image.mrenclave());
    change(&mut sig);
    load(image, &sign(sig))
}

#[test]
fn a_signed_image_loads_with_its_measurement() {
    let image = Image::test();
    let sim = sim();
    let sig = sign(sigstruct(image.mrenclave()));
    let enclave = sim.load(&image.bytes, &sig, &Config::default()).unwrap();
    assert_eq!(enclave.mrenclave(), image.mrenclave());
    assert_eq!(enclave.size(), SIZE);
    assert_eq!(enclave.base() % SIZE, 0);
    assert_eq!(enclave.tcs(), [enclave.base() + TCS, enclave.base() + TCS2]);
    use sha2::{Digest, Sha256};
    assert_eq!(enclave.mrsigner()[..], Sha256::digest(&sig[128..512])[..]);
}

#[test]
fn any_flipped_page_byte_is_another_enclave() {
    let image = Image::test();
    let sig = sign(sigstruct(image.mrenclave()));
    for at in [64 + 64 + 64, 64 + 64 + 64 + 255, image.bytes.len() - 1, 64 + 16] {
        let mut flipped = image.clone();
        flipped.bytes[at] ^= if at == 64 + 16 { 2 } else { 1 };
        assert_eq!(code(load(&flipped, &sig)), ErrorCode::InvalidMeasurement, "byte {at}");
    }
}

#[test]
fn pages_in_another_order_are_another_enclave() {
    let mut image = Image::test();
    let sig = sign(sigstruct(image.mrenclave()));
    let page = 64 + 16 * (64 + 256);
    let tail = image.bytes.split_off(image.bytes.len() - page);
    image.bytes.splice(64..64, tail);
    assert_eq!(code(load(&image, &sig)), ErrorCode::InvalidMeasurement);
}

#[test]
fn a_bad_signature_is_refused() {
    let image = Image::test();
    let good = sign(sigstruct(image.mrenclave()));
    // Signature, Q1, Q2, and every signed part: header 2, date, software field, attributes, hash, product, SVN.
    for at in [516, 1040, 1424, 20, 40, 928, 960, 1024, 1026] {
        let mut bad = good;
        bad[at] ^= 2;
        assert_eq!(code(load(&image, &bad)), ErrorCode::InvalidSignature, "byte {at}");
    }
    let mut other_signer = good;
    let other = sign_with(&key("other-signer.pem"), sigstruct(image.mrenclave()));
    other_signer[128..512].copy_from_slice(&other[128..512]);
    assert_eq!(code(load(&image, &other_signer)), ErrorCode::InvalidSignature);
    assert!(load(&image, &other).is_ok(), "launch is flexible: any signer may");
}

#[test]
fn a_malformed_sigstruct_is_refused() {
    let image = Image::test();
    let good = sign(sigstruct(image.mrenclave()));
    // Header, vendor, header 2, reserved fields, exponent.
    for at in [0, 17, 24, 44, 127, 512, 910, 992, 1007, 1028, 1039] {
        let mut bad = good;
        bad[at] ^= 1;
        assert_eq!(code(load(&image, &bad)), ErrorCode::InvalidSigStruct, "byte {at}");
    }
}

#[test]
fn isvfamilyid_and_isvextprodid_need_kss() {
    let image = Image::test();
    let without = |sig: &mut Sigstruct| sig.attributes.flags = AttributesFlags::MODE64BIT;
    assert!(signed(&image, without).is_ok());
    let result = signed(&image, |sig| {
        without(sig);
        sig.isvextprodid = [1; 16];
    });
    assert_eq!(code(result), ErrorCode::InvalidSigStruct);
    assert!(signed(&image, |sig| sig.isvextprodid = [1; 16]).is_ok());
}

#[test]
fn ecreate_checks_the_secs() {
    let refused = |image: &Image, change: fn(&mut Sigstruct)| reason(signed(image, change));
    let test = Image::test();
    for (change, expected) in [
        (
            (|sig| sig.attributes.flags |= AttributesFlags::INIT) as fn(&mut Sigstruct),
            "SECS.ATTRIBUTES has a bit that this processor does not support",
        ),
        (
            |sig| sig.attributes.flags = AttributesFlags::KSS,
            "SECS.ATTRIBUTES.MODE64BIT is 0; 32-bit enclaves are not simulated",
        ),
        (|sig| sig.attributes.xfrm = 1, "SECS.ATTRIBUTES.XFRM lacks x87 or SSE"),
        (|sig| sig.attributes.xfrm = 0x27, "SECS.ATTRIBUTES.XFRM has a part of AVX-512 without the rest"),
        (
            |sig| sig.attributes.xfrm = 1 << 62 | 7,
            "SECS.ATTRIBUTES.XFRM has a feature that this processor or system does not support",
        ),
    ] {
        assert_eq!(refused(&test, change), expected);
    }
    let no_change: fn(&mut Sigstruct) = |_| {};
    assert_eq!(refused(&Image::new(0, SIZE), no_change), "SECS.SSAFRAMESIZE is too small for XFRM");
    for size in [0, 4096, 3 << 20, 1 << 63] {
        assert!(refused(&Image::new(1, size), no_change).starts_with("SECS.SIZE"), "{size:#x}");
    }
    let mut twice = Image::test();
    twice.bytes.extend_from_within(..64);
    assert_eq!(refused(&twice, no_change), "the enclave exists already");
}

#[test]
fn configid_needs_kss() {
    let image = Image::test();
    let mut sig = sigstruct(image.mrenclave());
    sig.attributes.flags = AttributesFlags::MODE64BIT;
    for config in [Config { id: [1; 64], svn: 0 }, Config { id: [0; 64], svn: 1 }] {
        let result = sim().load(&image.bytes, &sign(sig.clone()), &config).map(drop);
        assert_eq!(reason(result), "CONFIGID or CONFIGSVN is set without ATTRIBUTES.KSS");
    }
}

#[test]
fn eadd_checks_the_page() {
    let sig = sign(sigstruct([0; 32]));
    let refused = |offset: u64, flags, data: &[u8]| {
        let mut image = Image::new(1, SIZE);
        image.page(0, RX, &[]).page(offset, flags, data);
        reason(load(&image, &sig))
    };
    assert_eq!(refused(0, RX, &[]), "a page is added twice");
    assert_eq!(refused(SIZE, RW, &[]), "a page lies outside ELRANGE or is not page-aligned");
    assert_eq!(refused(0x1800, RW, &[]), "a page lies outside ELRANGE or is not page-aligned");
    let write_only = SecinfoFlags::W | SecinfoFlags::PT_B1;
    assert_eq!(refused(0x1000, write_only, &[]), "SECINFO asks for a page that is writable and not readable");
    assert_eq!(refused(0x1000, RW | SecinfoFlags::PENDING, &[]), "SECINFO has a reserved bit set");
    for page_type in [0, 3, 4, 5] {
        let flags = SecinfoFlags::from_bits(page_type << 8 | 3).unwrap();
        assert_eq!(refused(0x1000, flags, &[]), "SECINFO has a page type other than PT_REG and PT_TCS");
    }
    let tcs = |tcs: Tcs| refused(0x1000, PT_TCS, &tcs.to_bytes());
    assert_eq!(
        tcs(Tcs { flags: 4, ..Default::default() }),
        "TCS.FLAGS has a bit that this processor does not support"
    );
    for unaligned in [
        Tcs { ossa: 8, ..Default::default() },
        Tcs { ofsbasgx: 8, ..Default::default() },
        Tcs { ogsbasgx: 8, ..Default::default() },
    ] {
        assert_eq!(tcs(unaligned), "TCS.OSSA, OFSBASGX or OGSBASGX is not page-aligned");
    }
    assert_eq!(refused(0x1000, PT_TCS, &[1]), "a TCS has a reserved field set");
}

#[test]
fn a_malformed_stream_is_refused() {
    let image = Image::test();
    let sig = sign(sigstruct(image.mrenclave()));
    let malformed = |bytes: &[u8]| match load(&Image { bytes: bytes.to_vec() }, &sig) {
        Err(LoadError::Stream { what, .. }) => what,
        other => panic!("accepted or refused otherwise: {other:?}"),
    };
    assert_eq!(malformed(&[]), "it does not begin with ECREATE");
    assert_eq!(malformed(&image.bytes[64..]), "it does not begin with ECREATE");
    for cut in [1, 63, 64 + 1, 64 + 64 + 63, 64 + 64 + 64 + 255] {
        assert_eq!(malformed(&image.bytes[..cut]), "it ends inside a record", "{cut}");
    }
    let changed = |at: usize| {
        let mut bytes = image.bytes.clone();
        bytes[at] ^= 0x80;
        bytes
    };
    assert_eq!(malformed(&changed(0)), "a record has an unknown tag");
    for at in [20, 63, 64 + 24, 64 + 63, 128 + 16, 128 + 63] {
        assert_eq!(malformed(&changed(at)), "a record has a reserved byte set", "{at}");
    }
    let mut elsewhere = image.clone();
    elsewhere.bytes[128 + 9] ^= 0x10;
    assert_eq!(
        reason(load(&elsewhere, &sig)),
        "a chunk is not in the page before it, or not 256-byte aligned"
    );
}
