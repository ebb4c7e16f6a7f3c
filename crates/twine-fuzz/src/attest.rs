//! Evidence and what it is judged by, from peers and from whoever delivers collateral.

use std::sync::LazyLock;

use aes::Aes128;
use cmac::{Cmac, KeyInit, Mac};
use twine_attest::claims::{AnyClaims, Claims, ProgramClaims, report_data};
use twine_attest::ratls::{Evidence, Hello, PeerVerifier, SessionKey};
use twine_attest::{Collateral, Policy, Quote, Verifier, sim};
use twine_sgx::{Attributes, AttributesFlags, REPORT_SIZE, mac_data, report_from_bytes, report_to_bytes};
use twine_workload::Digest;

/// 2026-06-01T00:00:00Z.
const NOW: u64 = 1_780_272_000;
const KEY: [u8; 16] = [9; 16];

/// A quote of a simulated platform over `data`.
fn make_quote(data: [u8; 64]) -> Vec<u8> {
    let enclave = sim::QuotingEnclave::new(sim::BASE_CPUSVN, &[9; 32]);
    let mut report = report_from_bytes(&[0; REPORT_SIZE]);
    report.cpusvn = sim::BASE_CPUSVN;
    report.mrenclave = [0xE1; 32];
    report.mrsigner = [0x51; 32];
    report.configid = [0xC0; 64];
    report.reportdata = data;
    let flags = AttributesFlags::INIT | AttributesFlags::MODE64BIT | AttributesFlags::KSS;
    report.attributes = Attributes { flags, xfrm: 7 };
    let mut mac = Cmac::<Aes128>::new(&KEY.into());
    mac.update(&mac_data(&report));
    report.mac = mac.finalize().into_bytes().into();
    enclave.quote(&report_to_bytes(&report), |_, _| KEY).expect("the MAC is right")
}

static QUOTE: LazyLock<Vec<u8>> = LazyLock::new(|| make_quote([0xDA; 64]));
static COLLATERAL: LazyLock<Collateral> =
    LazyLock::new(|| sim::collateral(NOW, sim::BASE_CPUSVN).expect("collateral"));

fn policy_text() -> String {
    format!(
        "version = 1\n[[enclave.image]]\nmrenclave = \"{}\"\nmrsigner = \"{}\"\n[workload]\ndigest = [\"{}\"]\n\
         [evidence]\ninsecure_simulation = true\nmax_age = \"7days\"\n",
        hex::encode([0xE1; 32]),
        hex::encode([0x51; 32]),
        hex::encode([0xC0; 64])
    )
}

/// Verifies as what was quoted, or not at all.
pub fn quote(bytes: &[u8]) {
    let Ok(quote) = Quote::parse(bytes) else { return };
    let _ = (quote.claimed_report(), quote.pck_chain());
    let verifier = Verifier::new().insecure_allow_simulation(true);
    if let Ok(verified) = verifier.verify(&quote, &COLLATERAL, NOW) {
        assert_eq!(verified.report().reportdata, [0xDA; 64], "another report was verified");
        assert_eq!(verified.report().mrenclave, [0xE1; 32]);
    }
}

pub fn quote_seeds() -> Vec<Vec<u8>> {
    vec![QUOTE.clone()]
}

/// Another collateral than the signed one does not vouch for the quote, whatever it says.
pub fn collateral(bytes: &[u8]) {
    let Ok(collateral) = Collateral::from_json(bytes) else { return };
    let _ = (collateral.to_json(), collateral.valid_until());
    let quote = Quote::parse(&QUOTE).expect("a quote");
    let verifier = Verifier::new().insecure_allow_simulation(true);
    if let Ok(verified) = verifier.verify(&quote, &collateral, NOW) {
        assert!(verified.advisories().is_empty(), "advisories that nobody signed");
    }
}

pub fn collateral_seeds() -> Vec<Vec<u8>> {
    vec![COLLATERAL.to_json().into_bytes(), b"{}".to_vec()]
}

pub fn policy(bytes: &[u8]) {
    if let Ok(text) = core::str::from_utf8(bytes) {
        let _ = Policy::from_toml(text, "policy.toml");
    }
}

pub fn policy_seeds() -> Vec<Vec<u8>> {
    vec![policy_text().into_bytes(), b"version = 1\n[platform]\ntcb_status = [\"UpToDate\"]\n".to_vec()]
}

pub fn claims(bytes: &[u8]) {
    if let Ok(claims) = Claims::from_bytes(bytes) {
        // Entries that this version does not know are skipped; what binds them is the hash of the bytes.
        assert_eq!(Claims::from_bytes(&claims.to_bytes()).ok(), Some(claims));
    }
    if let Ok(AnyClaims::Program(claims)) = AnyClaims::from_bytes(bytes) {
        assert!(Claims::from_bytes(bytes).is_err(), "a program's claims pass for a channel's");
        assert_eq!(AnyClaims::from_bytes(&claims.to_bytes()).ok(), Some(AnyClaims::Program(claims)));
    }
    if let Ok(evidence) = Evidence::from_bytes(bytes) {
        assert_eq!(evidence.to_bytes(), bytes, "evidence has another encoding");
    }
    let _ = Hello::read(&mut &*bytes);
}

pub fn claims_seeds() -> Vec<Vec<u8>> {
    let Ok(hello) = Hello::new() else { return Vec::new() };
    let mut sent = Vec::new();
    let _ = hello.write(&mut sent);
    let key = SessionKey::generate().expect("a key");
    let all =
        [key.claims(&hello, None), key.claims(&hello, Some(Digest([1; 64])))].map(|claims| claims.to_bytes());
    let program = [None, Some(b"nonce".to_vec())].map(|nonce| {
        ProgramClaims { data: b"result: 42".to_vec(), nonce, workload: Digest([1; 64]) }.to_bytes()
    });
    let evidence = Evidence { quote: vec![5; 40], claims: all[0].clone() }.to_bytes();
    all.into_iter().chain(program).chain([evidence, sent]).collect()
}

static HELLO: LazyLock<Hello> = LazyLock::new(|| Hello::new().expect("random numbers"));
static PEER: LazyLock<PeerVerifier> = LazyLock::new(|| {
    let policy = Policy::from_toml(&policy_text(), "policy.toml").expect("a policy");
    PeerVerifier::new(policy, COLLATERAL.to_json().into_bytes(), &HELLO, None).insecure_allow_simulation(true)
});

pub fn certificate(bytes: &[u8]) {
    let _ = Evidence::from_certificate(bytes);
    let _ = PEER.judge(bytes, NOW);
}

pub fn certificate_seeds() -> Vec<Vec<u8>> {
    let key = SessionKey::generate().expect("a key");
    let claims = key.claims(&HELLO, Some(Digest([1; 64])));
    let quote = make_quote(report_data(&claims.to_bytes()));
    let attested = key.certify(&claims, &quote, NOW).expect("a certificate");
    vec![attested.certificate().to_vec()]
}
