//! Quotes of simulated processors: the same verifier, another trust anchor, and everything that a host may try.

mod common;

use common::{MRSIGNER, NOW, Platform, Random, collateral, hex, policy};
use twine_attest::{
    Collateral, Expected, Inputs, Judgement, Quote, Root, Verdict, Verifier, VerifyError,
    claims::{Claims, report_data},
    judge, sim,
};
use twine_sgx::report_from_bytes;
use twine_workload::{
    Candidate, Freshness, Identity, KeyPolicy, Mount, MountSource, Moves, Workload, manifest::OwnerKey,
    sha256,
};

fn judged(platform: &Platform, policy_text: &str, expected: &Expected, collateral: &Collateral) -> Judgement {
    let collateral = collateral.to_json();
    judge(Inputs {
        quote: &platform.quote(),
        collateral: Ok(collateral.as_bytes()),
        policy: &policy(policy_text),
        expected,
        at: NOW,
        insecure_allow_simulation: false,
    })
}

fn failed(judgement: &Judgement) -> Vec<&str> {
    judgement.checks.iter().filter(|check| !check.pass).map(|check| check.id).collect()
}

/// The ids of the checks that fail for `platform` under the policy that the default platform meets.
fn refused(platform: Platform) -> Vec<String> {
    let judgement = judged(&platform, &Platform::default().policy(), &Expected::default(), &collateral());
    assert_eq!(judgement.verdict, Verdict::Refused);
    assert!(judgement.matched.is_none());
    failed(&judgement).into_iter().map(str::to_owned).collect()
}

#[test]
fn a_simulated_quote_is_verified_like_a_real_one() {
    let platform = Platform::default();
    let judgement = judged(&platform, &platform.policy(), &Expected::default(), &collateral());
    assert_eq!(
        (judgement.verdict, failed(&judgement)),
        (Verdict::Accepted, vec![]),
        "{:?}",
        judgement.checks
    );
    let evidence = judgement.evidence.unwrap();
    assert!(evidence.simulated);
    assert_eq!(evidence.tcb_status, "UpToDate");
    assert_eq!(evidence.configid, hex(&platform.configid));
    let matched = judgement.matched.unwrap();
    assert_eq!(matched.quote().root(), Root::Simulation);
    assert_eq!(matched.quote().report().reportdata, platform.report_data);
}

#[test]
fn nobody_takes_a_simulated_quote_by_accident() {
    let quote = Quote::parse(&Platform::default().quote()).unwrap();
    assert_eq!(Verifier::new().verify(&quote, &collateral(), NOW).unwrap_err(), VerifyError::Simulated);
    let policy = Platform::default().policy().replace("insecure_simulation = true", "");
    let judgement = judged(&Platform::default(), &policy, &Expected::default(), &collateral());
    assert_eq!((judgement.verdict, failed(&judgement)), (Verdict::Refused, vec!["quote.root"]));
}

/// The simulated chain with Intel's root at its end, with Intel's collateral and without: under Intel's root the
/// signatures fail.
#[test]
fn a_simulated_quote_never_verifies_under_intels_root() {
    let (real, real_collateral) = common::sample();
    let real_root = Quote::parse(&real).unwrap().pck_chain()[2].clone();
    let simulated = Platform::default().quote();
    let chain_at = simulated.windows(5).position(|window| window == b"-----").unwrap();
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    let mut blocks = pem::parse_many(&simulated[chain_at..]).unwrap();
    blocks[2] = pem::Pem::new("CERTIFICATE", real_root);
    let chain: String = blocks.iter().map(|block| pem::encode_config(block, config)).collect();
    let mut forged = simulated[..chain_at].to_vec();
    forged.extend(chain.as_bytes());
    let size = (chain.len() as u32).to_le_bytes();
    forged[chain_at - 4..chain_at].copy_from_slice(&size);
    let data = (forged.len() as u32 - 436).to_le_bytes();
    forged[432..436].copy_from_slice(&data);

    let quote = Quote::parse(&forged).unwrap();
    let verifier = Verifier::new().insecure_allow_simulation(true);
    let intels = Collateral::from_json(&real_collateral).unwrap();
    let foreign = verifier.verify(&quote, &intels, common::SAMPLE_TIME).unwrap_err();
    assert!(matches!(foreign, VerifyError::Foreign(_)), "{foreign}");
    let root = verifier.verify(&quote, &collateral(), NOW).unwrap_err();
    assert!(matches!(root, VerifyError::Root(_)), "{root}");
}

#[test]
fn the_simulations_root_is_the_same_everywhere() {
    let digest = sha256(&sim::root_certificate()).to_string();
    // The constant that verifiers know it by.
    assert_eq!(
        digest, "3f39c7059aceb3237a0a28a7faf4eb905636dfb0536a88fc8f555432f1d4395c",
        "a new root makes all simulated evidence foreign to older verifiers"
    );
}

#[test]
fn a_report_of_another_processor_is_not_quoted() {
    let (here, there) = (Platform::default(), Platform { secret: [8; 32], ..Platform::default() });
    let enclave = here.quoting_enclave();
    let quote = |report: &[u8; 432]| enclave.quote(report, |target, keyid| here.report_key(target, keyid));
    let report = here.report(&enclave.target());
    assert!(quote(&report).is_ok());
    assert_eq!(quote(&there.report(&enclave.target())), Err(sim::QuotingError::Mac));
    // A report for another target, and one with any bit changed, KEYID and MAC included.
    let mut other = enclave.target();
    other.measurement = [1; 32];
    assert_eq!(quote(&here.report(&other)), Err(sim::QuotingError::Mac));
    for at in 0..432 {
        let mut changed = report;
        changed[at] ^= 1;
        assert_eq!(quote(&changed), Err(sim::QuotingError::Mac), "byte {at}");
    }
}

#[test]
fn the_quote_carries_the_report_with_its_kss_fields() {
    let platform = Platform { configsvn: 0x1234, ..Platform::default() };
    let quote = Quote::parse(&platform.quote()).unwrap();
    let report = report_from_bytes(&platform.report(&platform.quoting_enclave().target()));
    assert_eq!(quote.claimed_report().configid, report.configid);
    assert_eq!(quote.claimed_report().configsvn, 0x1234);
    assert_eq!(twine_sgx::mac_data(quote.claimed_report()), twine_sgx::mac_data(&report));
}

#[test]
fn each_thing_that_a_host_may_start_instead_is_refused_for_its_reason() {
    let honest = Platform::default;
    assert_eq!(refused(Platform { mrenclave: [1; 32], ..honest() }), ["enclave.identity"]);
    assert_eq!(refused(Platform { mrsigner: [1; 32], ..honest() }), ["enclave.identity"]);
    assert_eq!(refused(Platform { debug: true, ..honest() }), ["enclave.debug"]);
    assert_eq!(refused(Platform { configid: [1; 64], ..honest() }), ["workload.identity"]);
    assert_eq!(refused(Platform { configsvn: 1, ..honest() }), ["workload.identity"]);
    assert_eq!(
        refused(Platform { cpusvn: [0; 16], ..honest() }),
        ["platform.tcb-status", "platform.advisories"]
    );
}

#[test]
fn a_signer_rule_needs_signer_product_and_svn() {
    let with = |mrsigner: &[u8], product: u16, svn: u16| {
        let policy = Platform::default().policy();
        let image = &policy[policy.find("[[enclave.image]]").unwrap()..policy.find("[workload]").unwrap()];
        let rule = format!(
            "[[enclave.signer]]\nmrsigner = \"{}\"\nproduct = {product}\nmin_isvsvn = {svn}\n",
            hex(mrsigner)
        );
        let text = policy.replace(image, &rule);
        judged(&Platform::default(), &text, &Expected::default(), &collateral()).verdict
    };
    assert_eq!(with(&MRSIGNER, 7, 5), Verdict::Accepted);
    assert_eq!(with(&MRSIGNER, 7, 4), Verdict::Accepted);
    assert_eq!(with(&MRSIGNER, 7, 6), Verdict::Refused);
    assert_eq!(with(&MRSIGNER, 8, 5), Verdict::Refused);
    assert_eq!(with(&[1; 32], 7, 5), Verdict::Refused);
}

#[test]
fn a_tcb_recovery_makes_platforms_out_of_date_until_they_raise_cpusvn() {
    let mut recovered = sim::BASE_CPUSVN;
    recovered[0] += 1;
    let after = sim::collateral(NOW, recovered).unwrap();
    let old = Platform::default();
    let judgement = judged(&old, &old.policy(), &Expected::default(), &after);
    assert_eq!(failed(&judgement), ["platform.tcb-status", "platform.advisories"]);
    assert_eq!(judgement.evidence.unwrap().tcb_status, "OutOfDate");
    let new = Platform { cpusvn: recovered, ..old };
    let judgement = judged(&new, &new.policy(), &Expected::default(), &after);
    assert_eq!((judgement.verdict, failed(&judgement)), (Verdict::Accepted, vec![]));
    // Collateral from before the recovery still calls the old platform up to date: a policy can ask for more.
    let before = judged(&old, &old.policy(), &Expected::default(), &collateral());
    assert_eq!(before.verdict, Verdict::Accepted);
    let text = old.policy() + "[platform]\nmin_tcb_evaluation_data_number = 2\n";
    assert_eq!(
        failed(&judged(&old, &text, &Expected::default(), &collateral())),
        ["platform.tcb-evaluation"]
    );
}

#[test]
fn claims_bind_key_nonce_and_session() {
    let claims = Claims { key_hash: [4; 32], nonce: Some(b"nonce".to_vec()), workload: None };
    let platform = Platform { report_data: report_data(&claims.to_bytes()), ..Platform::default() };
    let expect = |claims: &Claims, nonce: &[u8]| {
        let expected =
            Expected { claims: Some(claims.to_bytes()), nonce: Some(nonce.to_vec()), ..Expected::default() };
        judged(&platform, &platform.policy(), &expected, &collateral())
    };
    let accepted = expect(&claims, b"nonce");
    assert_eq!((accepted.verdict, failed(&accepted)), (Verdict::Accepted, vec![]));
    assert_eq!(accepted.matched.unwrap().claims(), Some(&claims));
    // Old evidence for a new nonce, and somebody else's key beside it.
    assert_eq!(failed(&expect(&claims, b"other")), ["evidence.nonce"]);
    let foreign = Claims { key_hash: [5; 32], ..claims.clone() };
    assert_eq!(failed(&expect(&foreign, b"nonce")), ["evidence.claims"]);
    let expected = Expected { nonce: Some(b"nonce".to_vec()), ..Expected::default() };
    assert_eq!(failed(&judged(&platform, &platform.policy(), &expected, &collateral())), ["evidence.nonce"]);
    let expected = Expected { claims: Some(b"\xff".to_vec()), ..Expected::default() };
    let judgement = judged(&platform, &platform.policy(), &expected, &collateral());
    assert_eq!(failed(&judgement), ["evidence.claims", "evidence.claims-format"]);
    let expected = Expected { report_data: Some([0; 64]), ..Expected::default() };
    assert_eq!(
        failed(&judged(&platform, &platform.policy(), &expected, &collateral())),
        ["evidence.report-data"]
    );
}

fn volume(freshness: Freshness) -> Workload {
    let source = MountSource::Volume { name: "v".into(), key: KeyPolicy::Signer, freshness, export_to: None };
    let mut workload = Workload::new(sha256(b"module"));
    workload.mounts = vec![Mount { guest: "/data".into(), source, read_only: false }];
    workload
}

#[test]
fn a_policy_may_ask_how_fresh_volumes_are() {
    let judge = |freshness, word: &str, give: bool| {
        let workload = Candidate::parse(&volume(freshness).to_bytes().unwrap()).unwrap();
        let platform = Platform { configid: workload.config_id().0, ..Platform::default() };
        let text = platform.policy().replace("[workload]", &format!("[workload]\nfreshness = \"{word}\""));
        let expected = Expected { workload: give.then_some(workload), ..Expected::default() };
        judged(&platform, &text, &expected, &collateral()).verdict
    };
    let service = Freshness::Service { key: [1; 32], moves: Moves::EverySync };
    assert_eq!(judge(service, "service", true), Verdict::Accepted);
    assert_eq!(judge(Freshness::Run, "run", true), Verdict::Accepted);
    assert_eq!(judge(Freshness::Run, "service", true), Verdict::Refused);
    assert_eq!(judge(Freshness::InsecureFile { moves: Moves::EverySync }, "service", true), Verdict::Refused);
    assert_eq!(judge(service, "service", false), Verdict::Refused);
}

#[test]
fn an_owners_upgrade_is_accepted_and_a_downgrade_is_not() {
    let (key, _) = OwnerKey::generate().unwrap();
    let signed = |version| {
        let identity = Identity::Owner { key: key.public_key(), name: "app".into(), version };
        let workload = Workload { identity, ..volume(Freshness::Run) };
        let bytes = [workload.to_bytes().unwrap(), key.sign(&workload).unwrap().to_vec()].concat();
        Candidate::parse(&bytes).unwrap()
    };
    let judge = |workload: &Candidate, claimed: &Candidate| {
        let claims = Claims { key_hash: [0; 32], nonce: None, workload: Some(claimed.digest()) };
        let platform = Platform {
            configid: workload.config_id().0,
            configsvn: workload.config_svn(),
            report_data: report_data(&claims.to_bytes()),
            ..Platform::default()
        };
        let digest = format!("digest = [\"{}\"]", hex(&platform.configid));
        let rule = format!(
            "[[workload.owner]]\nkey = \"{}\"\nname = \"app\"\nmin_version = 3",
            hex(&key.public_key())
        );
        let text = platform.policy().replace(&digest, &rule);
        let expected = Expected {
            workload: Some(workload.clone()),
            claims: Some(claims.to_bytes()),
            ..Expected::default()
        };
        failed(&judged(&platform, &text, &expected, &collateral())).join(" ")
    };
    assert_eq!(judge(&signed(3), &signed(3)), "");
    assert_eq!(judge(&signed(4), &signed(4)), "");
    assert_eq!(judge(&signed(2), &signed(2)), "workload.identity");
    assert_eq!(judge(&signed(4), &signed(3)), "workload.digest");
}

#[test]
fn every_changed_byte_is_refused() {
    let platform = Platform::default();
    let (quote, collateral) = (platform.quote(), collateral());
    let verifier = Verifier::new().insecure_allow_simulation(true);
    let mut random = Random::new();
    for at in 0..quote.len() {
        let mut changed = quote.clone();
        let flip = random.flip();
        changed[at] ^= flip;
        let verified = Quote::parse(&changed)
            .map_err(VerifyError::from)
            .and_then(|quote| verifier.verify(&quote, &collateral, NOW));
        assert!(verified.is_err(), "byte {at} xor {flip:#x} is accepted");
    }
}

#[test]
fn policies_that_cannot_be_meant_are_refused() {
    let platform = Platform::default();
    let cases = [
        (
            platform.policy().replace("mrenclave = ", "mrenclav = "),
            "policy.toml:3:1: enclave.image.0: unknown key",
        ),
        (platform.policy().replace("\"e1", "\"x1"), "policy.toml: enclave.image.0.mrenclave: found \"x1"),
        (platform.policy().replace("[\"c0", "[\""), "policy.toml: workload.digest.0: found \"c0"),
        (
            "version = 1\n[enclave]\n[workload]\ninsecure_any = true".into(),
            "policy.toml: enclave: no runtime is accepted",
        ),
        (
            platform.policy().replace("digest = ", "digest = []#"),
            "policy.toml: workload: no workload is accepted",
        ),
        (
            platform.policy().replace("digest =", "insecure_any = true\ndigest ="),
            "policy.toml: workload: workloads are",
        ),
        (platform.policy() + "max_age = \"soon\"", "policy.toml: evidence.max_age: found \"soon\""),
        (
            platform.policy() + "[platform]\ntcb_status = [\"Revoked\"]",
            "policy.toml: platform.tcb_status.0: found \"Rev",
        ),
        (platform.policy().replace("version = 1", "version = 2"), "policy.toml: version: found 2"),
    ];
    for (text, expected) in cases {
        let error = twine_attest::Policy::from_toml(&text, "policy.toml").unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}\n{error}");
    }
}

#[test]
fn the_published_schema_is_the_programs() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/policy.schema.json");
    if std::env::var_os("TWINE_UPDATE").is_some() {
        std::fs::write(&path, twine_attest::json_schema()).unwrap();
    }
    let published = std::fs::read_to_string(path).unwrap_or_default();
    assert!(published == twine_attest::json_schema(), "run TWINE_UPDATE=1 cargo test -p twine-attest");
}
