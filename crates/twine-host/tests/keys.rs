//! EREPORT and EGETKEY.
#![allow(unsafe_code, reason = "the test enclave is assembly")]

mod common;

use common::*;
use twine_host::backend::{Backend, Config, Exception, Exit, Perms};
use twine_host::sim::{Fuse, Processor, Sim};
use twine_sgx::ssa::{pfec, vector};
use twine_sgx::{
    AttributesFlags, ErrorCode, Keyname, Keypolicy, Keyrequest, PAGE_SIZE, Report, SecinfoFlags, Sigstruct,
    Targetinfo, leaf, report_from_bytes, report_to_bytes,
};

const REQUEST: u64 = DATA + 0x200;
const KEY_OUT: u64 = DATA + 0x400;
const TARGET: u64 = DATA + 0x600;
const REPORTDATA: u64 = DATA + 0x800;
const REPORT_OUT: u64 = DATA + 0xA00;

fn config(id: u8, svn: u16) -> Config {
    Config { id: [id; 64], svn }
}

fn egetkey(f: &Fixture, request: &Keyrequest) -> Result<[u8; 16], ErrorCode> {
    f.poke(REQUEST, &request.to_bytes());
    let done = f.enclu(leaf::EGETKEY.into(), f.address(REQUEST), f.address(KEY_OUT), 0).unwrap();
    assert_eq!(done.zf, done.rax != 0, "ZF says what RAX says");
    match done.rax {
        0 => Ok(f.peek(KEY_OUT)),
        code => Err(ErrorCode::try_from(code as u32).unwrap()),
    }
}

fn ereport(f: &Fixture, target: &Targetinfo, data: [u8; 64]) -> Report {
    f.poke(TARGET, &target.to_bytes());
    f.poke(REPORTDATA, &data);
    let done = f.enclu(leaf::EREPORT.into(), f.address(TARGET), f.address(REPORTDATA), f.address(REPORT_OUT));
    assert_eq!(done.unwrap().rax, 0);
    report_from_bytes(&f.peek(REPORT_OUT))
}

fn seal(policy: Keypolicy) -> Keyrequest {
    Keyrequest {
        keyname: Keyname::Seal as u16,
        keypolicy: policy,
        attributemask: !0,
        xfrmmask: !0,
        miscmask: !0,
        ..Default::default()
    }
}

#[test]
fn a_report_says_who_the_enclave_is_and_verifies_at_its_target_only() {
    let sim = sim();
    let f = Fixture::on(
        &sim,
        |sig| {
            sig.isvfamilyid = [0xF1; 16];
            sig.isvextprodid = [0xE1; 16];
        },
        &config(0xC1, 9),
    );
    let target =
        Targetinfo { measurement: [0x77; 32], configid: [0x66; 64], configsvn: 3, ..Default::default() };
    let report = ereport(&f, &target, [0xDA; 64]);
    assert_eq!(report.mrenclave, f.enclave.mrenclave());
    assert_eq!(report.mrsigner, f.enclave.mrsigner());
    assert_eq!(report.attributes.flags, attributes().flags | AttributesFlags::INIT);
    assert_eq!(report.attributes.xfrm, 7);
    assert_eq!(report.miscselect.bits(), 1);
    assert_eq!((report.isvprodid, report.isvsvn, report.configsvn), (7, 5, 9));
    assert_eq!(report.configid, [0xC1; 64]);
    assert_eq!((report.isvfamilyid, report.isvextnprodid), ([0xF1; 16], [0xE1; 16]));
    assert_eq!(report.reportdata, [0xDA; 64]);
    assert_eq!(report.cpusvn, sim.processor().cpusvn());

    assert!(sim.processor().verify_report(&report, &target));
    let others = [
        Targetinfo { measurement: [0x78; 32], ..target.clone() },
        Targetinfo { configid: [0x67; 64], ..target.clone() },
        Targetinfo { configsvn: 4, ..target.clone() },
        Targetinfo { miscselect: 1, ..target.clone() },
        Targetinfo { attributes: report.attributes, ..target.clone() },
    ];
    for other in others {
        assert!(!sim.processor().verify_report(&report, &other), "{other:?}");
    }
    let bytes = report_to_bytes(&report);
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!sim.processor().verify_report(&report_from_bytes(&changed), &target), "bit {bit}");
    }
    assert!(!processor().verify_report(&report, &target), "another machine");
}

#[test]
fn the_target_gets_the_report_key_from_egetkey() {
    let sim = sim();
    let (alice, bob) =
        (Fixture::on(&sim, |_| {}, &config(1, 0)), Fixture::on(&sim, |sig| sig.isvsvn = 1, &config(2, 4)));
    // Bob reports on himself to learn his own TARGETINFO.
    let own = Targetinfo::from(&ereport(&bob, &Targetinfo::default(), [0; 64]));
    let report = ereport(&alice, &own, [5; 64]);
    let request = Keyrequest { keyname: Keyname::Report as u16, keyid: report.keyid, ..Default::default() };
    let key = egetkey(&bob, &request).unwrap();
    assert_eq!(key, sim.processor().report_key(&own, &report.keyid));
    assert_ne!(key, egetkey(&alice, &request).unwrap());
    use aes::Aes128;
    use cmac::{Cmac, KeyInit, Mac};
    let mut mac = Cmac::<Aes128>::new((&key).into());
    mac.update(&report_to_bytes(&report)[..384]);
    assert!(mac.verify_slice(&report.mac).is_ok());
}

#[test]
fn a_software_enclave_makes_reports_that_an_enclave_verifies() {
    let sim = sim();
    let f = Fixture::on(&sim, |_| {}, &Config::default());
    let own = Targetinfo::from(&ereport(&f, &Targetinfo::default(), [0; 64]));
    let mut report = Report { mrenclave: [0x51; 32], reportdata: [9; 64], ..Default::default() };
    sim.processor().sign_report(&mut report, &own);
    let request = Keyrequest { keyname: Keyname::Report as u16, keyid: report.keyid, ..Default::default() };
    assert_eq!(egetkey(&f, &request).unwrap(), sim.processor().report_key(&own, &report.keyid));
    assert!(sim.processor().verify_report(&report, &own));
}

#[test]
fn sealing_keys_follow_the_policy() {
    let sim = sim();
    let on = |change: fn(&mut Sigstruct), config: &Config| Fixture::on(&sim, change, config);
    let base = on(|_| {}, &config(1, 5));
    let same = on(|_| {}, &config(1, 5));
    let other_config = on(|_| {}, &config(2, 5));
    let higher_config = on(|_| {}, &config(1, 6));
    let upgraded = on(|sig| sig.isvsvn = 6, &config(1, 5));
    let other_product = on(|sig| sig.isvprodid = 8, &config(1, 5));
    let family = on(|sig| sig.isvfamilyid = [1; 16], &config(1, 5));
    let extended = on(|sig| sig.isvextprodid = [1; 16], &config(1, 5));
    let debug = on(|sig| sig.attributes.flags |= AttributesFlags::DEBUG, &config(1, 5));

    let key = |f: &Fixture, request: &Keyrequest| egetkey(f, request).unwrap();
    let policies: Vec<_> = (0..64).map(|bits| Keypolicy::from_bits(bits).unwrap()).collect();
    let mut seen = std::collections::HashSet::new();
    for policy in policies {
        let request = Keyrequest { isvsvn: 5, configsvn: 5, ..seal(policy) };
        let ours = key(&base, &request);
        assert!(seen.insert(ours), "{policy:?} gives the key of another policy");
        assert_eq!(ours, key(&same, &request), "{policy:?}");
        assert_eq!(ours, key(&upgraded, &request), "{policy:?}: an upgrade derives the older ISVSVN's key");
        assert_eq!(ours, key(&higher_config, &request), "{policy:?}: and the older CONFIGSVN's");
        let depends = |other: &Fixture, yes: bool, on: &str| {
            assert_eq!(ours != key(other, &request), yes, "{policy:?} and {on}");
        };
        depends(&other_config, policy.contains(Keypolicy::CONFIGID), "CONFIGID");
        depends(&other_product, !policy.contains(Keypolicy::NOISVPRODID), "ISVPRODID");
        depends(&family, policy.contains(Keypolicy::ISVFAMILYID), "ISVFAMILYID");
        depends(&extended, policy.contains(Keypolicy::ISVEXTPRODID), "ISVEXTPRODID");
        depends(&debug, true, "DEBUG");
        let diversified = [
            Keyrequest { keyid: [1; 32], ..request.clone() },
            Keyrequest { isvsvn: 4, ..request.clone() },
            Keyrequest { cpusvn: sim.processor().cpusvn(), ..request.clone() },
            Keyrequest { attributemask: 0, ..request.clone() },
            Keyrequest { xfrmmask: 0, ..request.clone() },
            Keyrequest { miscmask: 0, ..request.clone() },
        ];
        for other in diversified {
            assert_ne!(ours, key(&base, &other), "{policy:?}");
        }
        let other_svn = key(&base, &Keyrequest { configsvn: 4, ..request.clone() });
        assert_eq!(ours != other_svn, policy.contains(Keypolicy::CONFIGID));
    }
    // DEBUG is in even when masked out.
    let unmasked = Keyrequest { attributemask: 0, ..seal(Keypolicy::MRSIGNER) };
    assert_ne!(key(&base, &unmasked), key(&debug, &unmasked));
}

#[test]
fn sealing_keys_depend_on_code_and_signer_as_asked() {
    let sim = sim();
    let mut other = Image::test();
    other.page(HEAP, RW, &[1]);
    let load = |image: &Image, key: &rsa::RsaPrivateKey| Fixture {
        enclave: sim
            .load(&image.bytes, &sign_with(key, sigstruct(image.mrenclave())), &Config::default())
            .unwrap(),
    };
    let base = load(&Image::test(), &KEY);
    let other_code = load(&other, &KEY);
    let other_signer = load(&Image::test(), &key("other-signer.pem"));
    for (policy, code, signer) in [
        (Keypolicy::MRENCLAVE, true, false),
        (Keypolicy::MRSIGNER, false, true),
        (Keypolicy::MRENCLAVE | Keypolicy::MRSIGNER, true, true),
        (Keypolicy::empty(), false, false),
    ] {
        let ours = egetkey(&base, &seal(policy)).unwrap();
        assert_eq!(ours != egetkey(&other_code, &seal(policy)).unwrap(), code, "{policy:?}");
        assert_eq!(ours != egetkey(&other_signer, &seal(policy)).unwrap(), signer, "{policy:?}");
    }
}

#[test]
fn egetkey_refuses_what_the_enclave_has_no_claim_to() {
    let f = Fixture::on(&sim(), |_| {}, &config(1, 5));
    let mut cpusvn = [0; 16];
    cpusvn[3] = 1;
    let provision = |name: Keyname| Keyrequest { keyname: name as u16, ..seal(Keypolicy::empty()) };
    for (request, code) in [
        (Keyrequest { isvsvn: 6, ..seal(Keypolicy::MRSIGNER) }, ErrorCode::InvalidIsvsvn),
        (Keyrequest { configsvn: 6, ..seal(Keypolicy::CONFIGID) }, ErrorCode::InvalidIsvsvn),
        (Keyrequest { cpusvn, ..seal(Keypolicy::MRSIGNER) }, ErrorCode::InvalidCpusvn),
        (Keyrequest { keyname: 5, ..seal(Keypolicy::MRSIGNER) }, ErrorCode::InvalidKeyname),
        (provision(Keyname::Provision), ErrorCode::InvalidAttribute),
        (provision(Keyname::ProvisionSeal), ErrorCode::InvalidAttribute),
        (provision(Keyname::Einittoken), ErrorCode::InvalidAttribute),
    ] {
        f.poke(KEY_OUT, &[0xEE; 16]);
        assert_eq!(egetkey(&f, &request), Err(code));
        assert_eq!(f.peek::<16>(KEY_OUT), [0xEE; 16], "nothing is written");
    }
    let allowed = Fixture::on(
        &sim(),
        |sig| sig.attributes.flags |= AttributesFlags::PROVISIONKEY | AttributesFlags::EINITTOKENKEY,
        &Config::default(),
    );
    for name in [Keyname::Provision, Keyname::ProvisionSeal, Keyname::Einittoken] {
        assert!(egetkey(&allowed, &provision(name)).is_ok());
        let beyond = Keyrequest { isvsvn: 6, ..provision(name) };
        assert_eq!(egetkey(&allowed, &beyond), Err(ErrorCode::InvalidIsvsvn));
    }
}

fn gp() -> Exit {
    Exit::Exception(Exception { vector: vector::GP, error_code: 0, address: 0 })
}

#[test]
fn a_malformed_keyrequest_faults() {
    let f = Fixture::on(&sim(), |_| {}, &config(1, 5));
    let faults = |f: &Fixture, bytes: &[u8; 512]| {
        f.poke(REQUEST, bytes);
        f.enclu(leaf::EGETKEY.into(), f.address(REQUEST), f.address(KEY_OUT), 0) == Err(gp())
    };
    let mut bytes = seal(Keypolicy::MRSIGNER).to_bytes();
    assert!(!faults(&f, &bytes));
    bytes[100] = 1;
    assert!(faults(&f, &bytes), "a reserved byte");
    for bit in 6..16 {
        let policy = Keypolicy::from_bits_retain(1 << bit);
        assert!(faults(&f, &seal(policy).to_bytes()), "policy bit {bit} is reserved");
    }
    let legacy =
        Fixture::on(&sim(), |sig| sig.attributes.flags = AttributesFlags::MODE64BIT, &Config::default());
    for request in [seal(Keypolicy::CONFIGID), Keyrequest { configsvn: 1, ..seal(Keypolicy::MRSIGNER) }] {
        assert!(faults(&legacy, &request.to_bytes()), "KSS fields without KSS");
    }
}

#[test]
fn operands_are_checked() {
    let f = Fixture::new();
    let call = |leaf: u32, [rbx, rcx, rdx]: [u64; 3]| f.enclu(leaf.into(), rbx, rcx, rdx);
    let host = [0_u64; 128];
    let outside = (host.as_ptr() as u64).next_multiple_of(512);
    let good = |offset| f.address(offset);
    for operands in [
        [good(REQUEST + 8), good(KEY_OUT), 0],
        [good(REQUEST), good(KEY_OUT + 8), 0],
        [outside, good(KEY_OUT), 0],
        [good(REQUEST), outside, 0],
        [good(SIZE), good(KEY_OUT), 0],
        [0, good(KEY_OUT), 0],
    ] {
        assert_eq!(call(leaf::EGETKEY, operands), Err(gp()), "{operands:x?}");
    }
    for operands in [
        [good(TARGET + 256), good(REPORTDATA), good(REPORT_OUT)],
        [good(TARGET), good(REPORTDATA + 64), good(REPORT_OUT)],
        [good(TARGET), good(REPORTDATA), good(REPORT_OUT + 256)],
        [good(TARGET), good(REPORTDATA), outside],
    ] {
        assert_eq!(call(leaf::EREPORT, operands), Err(gp()), "{operands:x?}");
    }
    // Pages that are there but not for this: code is not writable, a TCS is nobody's, the heap does not exist.
    let page_fault = |offset: u64, error_code: u32| {
        Exit::Exception(Exception {
            vector: vector::PF,
            error_code: error_code | pfec::U,
            address: good(offset),
        })
    };
    let to = |offset| call(leaf::EGETKEY, [good(REQUEST), good(offset), 0]);
    assert_eq!(to(CODE), Err(page_fault(CODE, pfec::W | pfec::P)));
    assert_eq!(to(TCS), Err(page_fault(TCS, pfec::W | pfec::P | pfec::SGX)));
    assert_eq!(to(HEAP), Err(page_fault(HEAP, pfec::W)));
    assert_eq!(
        call(leaf::EREPORT, [good(HEAP), good(REPORTDATA), good(REPORT_OUT)]),
        Err(page_fault(HEAP, 0))
    );
    // In a mapped range the page comes by EAUG, and is PENDING.
    f.enclave.protect(HEAP..HEAP + PAGE_SIZE, Perms::RW).unwrap();
    assert_eq!(to(HEAP), Err(page_fault(HEAP, pfec::W | pfec::P | pfec::SGX)));
}

#[test]
fn leaves_that_are_not_for_here_fault() {
    let f = Fixture::new();
    for leaf in [leaf::EENTER, leaf::ERESUME, leaf::EVERIFYREPORT2, leaf::EDECCSSA, 10, u32::MAX] {
        assert_eq!(
            f.enclu(leaf.into(), f.address(DATA), f.address(DATA), f.address(DATA)),
            Err(gp()),
            "leaf {leaf}"
        );
    }
}

#[test]
fn keys_survive_the_machine_and_older_cpusvns_stay_derivable() {
    let folder = tempfile::tempdir().unwrap();
    let power_up = || {
        let processor = Processor::new(Fuse::open(folder.path()).unwrap()).unwrap();
        Fixture::on(&Sim::new(processor.into()).unwrap(), |_| {}, &Config::default())
    };
    let first = power_up();
    let old = Fuse::open(folder.path()).unwrap().cpusvn();
    let request = Keyrequest { cpusvn: old, ..seal(Keypolicy::MRSIGNER) };
    let key = egetkey(&first, &request).unwrap();
    let mut raised = old;
    raised[1] += 3;
    let newer = Keyrequest { cpusvn: raised, ..request.clone() };
    assert_eq!(egetkey(&first, &newer), Err(ErrorCode::InvalidCpusvn));
    Fuse::raise_cpusvn(folder.path(), raised).unwrap();
    let second = power_up();
    assert_eq!(egetkey(&second, &request), Ok(key));
    assert_ne!(egetkey(&second, &newer), Ok(key));
    assert_eq!(ereport(&second, &Targetinfo::default(), [0; 64]).cpusvn, raised);
}

#[test]
fn secinfo_flags_of_the_fixture_are_what_they_say() {
    assert_eq!(RX, SecinfoFlags::R | SecinfoFlags::X | twine_sgx::PageType::Reg.into());
    assert_eq!(PT_TCS, twine_sgx::PageType::Tcs.into());
}
