//! Evidence over a program's own data: made, judged by a peer program, and refused for each thing that is not so.

mod common;

use common::{Enclave, NOW, Program, RECORD};
use twine_attest::{
    Expected, Inputs, Policy, Verdict,
    claims::{Claims, report_data},
    judge,
    ratls::Evidence,
    sim,
};

const ACCES: u32 = 2;
const BADMSG: u32 = 9;
const INVAL: u32 = 28;
const IO: u32 = 29;
const NOTSUP: u32 = 58;
const STALE: u32 = 72;

fn refused<T: std::fmt::Debug>(result: Result<T, (u32, String)>, errno: u32, reason: &str) {
    let (found, message) = result.unwrap_err();
    assert!(found == errno && message.contains(reason), "{found}: {message}");
}

#[test]
fn a_peer_learns_who_says_what() {
    let enclave = Enclave { configsvn: 3, isvsvn: 0x0102, ..Enclave::new() };
    let evidence = Program::in_enclave(&enclave).collect(b"my key", b"nonce").unwrap();
    let mut peer = Program::in_enclave(&Enclave::new());
    // The policy names a digest, which has CONFIGSVN 0.
    refused(peer.verify(&evidence, b"nonce", &enclave.policy()), ACCES, "workload.identity");
    let enclave = Enclave { configsvn: 0, ..enclave };
    let evidence = Program::in_enclave(&enclave).collect(b"my key", b"nonce").unwrap();
    assert_eq!(peer.verify(&evidence, b"nonce", &enclave.policy()).unwrap(), b"my key");
    let record = peer.record();
    assert_eq!(record[..8], [1, 0, 0, 0, 6, 0, 0, 0], "version 1; verified, simulated");
    assert_eq!(record[8..16], [7, 0, 2, 1, 0, 0, 0, 0]);
    assert_eq!(record[16..32], enclave.processor.cpusvn());
    assert_eq!(record[32..64], enclave.mrenclave);
    assert_eq!(record[64..96], enclave.mrsigner);
    assert_eq!(record[96..160], enclave.configid);
    assert_eq!(record[160..224], enclave.workload.0);
    // Unverified, it is the same without the flags.
    assert_eq!(peer.parse(&evidence).unwrap(), b"my key");
    assert_eq!(peer.record()[4..8], [0; 4]);
    assert_eq!(peer.record()[8..], record[8..]);
}

#[test]
fn a_program_knows_its_own_identity() {
    let enclave = Enclave { debug: true, ..Enclave::new() };
    let mut program = Program::in_enclave(&enclave);
    assert_eq!(program.call("identity", &[RECORD.into()]).unwrap(), 0);
    assert_eq!(program.record()[4..8], [1, 0, 0, 0]);
    assert_eq!(program.record()[32..64], enclave.mrenclave);
}

#[test]
fn the_owner_verifies_a_programs_evidence_too() {
    let enclave = Enclave::new();
    let evidence = Program::in_enclave(&enclave).collect(b"result: 42", b"n").unwrap();
    let evidence = Evidence::from_bytes(&evidence).unwrap();
    let collateral = sim::collateral(NOW, sim::BASE_CPUSVN).unwrap().to_json();
    let judgement = judge(Inputs {
        quote: &evidence.quote,
        collateral: Ok(collateral.as_bytes()),
        policy: &Policy::from_toml(&enclave.policy(), "policy.toml").unwrap(),
        expected: &Expected {
            claims: Some(evidence.claims),
            nonce: Some(b"n".to_vec()),
            ..Expected::default()
        },
        at: NOW,
        insecure_allow_simulation: false,
    });
    assert_eq!(judgement.verdict, Verdict::Accepted, "{:?}", judgement.checks);
    let matched = judgement.matched.unwrap();
    assert_eq!(matched.program_claims().unwrap().data, b"result: 42");
    assert_eq!(matched.program_claims().unwrap().workload, enclave.workload);
    assert!(matched.claims().is_none());
}

/// Whatever a program puts into its data, no verifier of a channel takes it for a session's claims; and a channel's
/// evidence is no statement of a program.
#[test]
fn a_program_cannot_pass_for_the_runtimes_channel() {
    let enclave = Enclave::new();
    let session = Claims { key_hash: [4; 32], nonce: Some(b"n".to_vec()), workload: Some(enclave.workload) };
    let mut program = Program::in_enclave(&enclave);
    for data in [session.to_bytes(), b"pubkey-hash".to_vec(), Vec::new()] {
        let evidence = Evidence::from_bytes(&program.collect(&data, b"n").unwrap()).unwrap();
        assert!(Claims::from_bytes(&evidence.claims).is_err());
    }
    let claims = session.to_bytes();
    let quote = enclave.quote(&report_data(&claims));
    let evidence = Evidence { quote, claims }.to_bytes();
    refused(program.verify(&evidence, b"n", &enclave.policy()), BADMSG, "of a channel");
    refused(program.parse(&evidence), BADMSG, "of a channel");
}

#[test]
fn each_thing_that_is_not_so_is_refused_for_its_reason() {
    let honest = Enclave::new();
    let mut peer = Program::in_enclave(&Enclave::new());
    let collect = |enclave: &Enclave| Program::in_enclave(enclave).collect(b"data", b"nonce").unwrap();
    let good = collect(&honest);
    let policy = honest.policy();
    assert!(peer.verify(&good, b"nonce", &policy).is_ok());
    assert!(peer.verify(&good, b"", &policy).is_ok(), "no nonce is asked for");
    // Replayed, and evidence that never had a nonce.
    refused(peer.verify(&good, b"fresh", &policy), ACCES, "evidence.nonce");
    let without = Program::in_enclave(&honest).collect(b"data", b"").unwrap();
    refused(peer.verify(&without, b"fresh", &policy), ACCES, "evidence.nonce");
    // Another enclave, signer, workload, debug state.
    let cases = [
        (Enclave { mrenclave: [1; 32], ..honest.clone() }, "enclave.identity"),
        (Enclave { mrsigner: [1; 32], ..honest.clone() }, "enclave.identity"),
        (Enclave { configid: [1; 64], ..honest.clone() }, "workload.identity"),
        (Enclave { debug: true, ..honest.clone() }, "enclave.debug"),
    ];
    for (enclave, reason) in cases {
        refused(peer.verify(&collect(&enclave), b"nonce", &policy), ACCES, reason);
    }
    // The data of one beside the quote of another.
    let (a, b) = (Evidence::from_bytes(&good).unwrap(), Evidence::from_bytes(&without).unwrap());
    let mixed = Evidence { quote: a.quote, claims: b.claims }.to_bytes();
    refused(peer.verify(&mixed, b"", &policy), ACCES, "evidence.claims");
    refused(peer.parse(&mixed), BADMSG, "does not bind");
    // A policy that does not allow simulation, one that is none, and text that is none.
    let strict = policy.replace("insecure_simulation = true", "");
    refused(peer.verify(&good, b"nonce", &strict), ACCES, "quote.root");
    refused(peer.verify(&good, b"nonce", "version = 1\n[enclav]"), INVAL, "did you mean `enclave`");
    refused(peer.verify(b"no CBOR", b"nonce", &policy), BADMSG, "evidence is malformed");
    refused(peer.parse(b""), BADMSG, "evidence is malformed");
}

#[test]
fn time_and_collateral_are_given_or_the_hosts() {
    let honest = Enclave::new();
    let policy = honest.policy();
    let evidence = Program::in_enclave(&honest).collect(b"data", b"").unwrap();
    let collateral = sim::collateral(NOW, sim::BASE_CPUSVN).unwrap().to_json();
    let collateral = collateral.as_bytes();
    let mut timeless = Program::in_enclave(&Enclave { now: None, ..Enclave::new() });
    refused(timeless.verify(&evidence, b"", &policy), NOTSUP, "pass the time");
    assert!(timeless.verify_at(&evidence, b"", &policy, collateral, NOW).is_ok());
    let late = NOW + 90 * 86400;
    refused(timeless.verify_at(&evidence, b"", &policy, collateral, late), STALE, "collateral.valid");
    refused(timeless.verify_at(&evidence, b"", &policy, b"{}", NOW), BADMSG, "collateral.format");
    let mut alone = Program::in_enclave(&Enclave { collateral: Some(Vec::new()), ..Enclave::new() });
    refused(alone.verify(&evidence, b"", &policy), STALE, "collateral.present");
    assert!(alone.verify_at(&evidence, b"", &policy, collateral, 0).is_ok());
    // What the host says of collateral is believed in nothing.
    let lying = Enclave { collateral: Some(b"{\"tcb_info\": 1}".to_vec()), ..Enclave::new() };
    refused(Program::in_enclave(&lying).verify(&evidence, b"", &policy), BADMSG, "collateral.format");
}

#[test]
fn without_a_quoting_side_there_is_no_evidence() {
    let mut program = Program::in_enclave(&Enclave { quotes: false, ..Enclave::new() });
    refused(program.collect(b"data", b""), IO, "nobody quotes here");
}

#[test]
fn every_changed_byte_of_evidence_is_refused() {
    let enclave = Enclave::new();
    let mut evidence = Program::in_enclave(&enclave).collect(b"data", b"nonce").unwrap();
    let policy = enclave.policy();
    let mut peer = Program::in_enclave(&Enclave::new());
    let mut random = common::Random::new();
    for _ in 0..400 {
        let at = random.next() as usize % evidence.len();
        let flip = (random.next() % 255 + 1) as u8;
        evidence[at] ^= flip;
        let verified = peer.verify(&evidence, b"nonce", &policy);
        assert!(matches!(verified, Err((ACCES | BADMSG, _))), "byte {at} xor {flip:#x}: {verified:?}");
        evidence[at] ^= flip;
        peer.rewind();
    }
    assert!(peer.verify(&evidence, b"nonce", &policy).is_ok());
}
