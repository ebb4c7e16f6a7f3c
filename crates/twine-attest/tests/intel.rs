//! Evidence of real hardware under Intel's root, at the time when its collateral was valid.

mod common;

use common::{Random, SAMPLE_TIME, package_file, policy, sample, sample_policy};
use serde_json::Value;
use twine_attest::{
    Collateral, Expected, Inputs, Judgement, PcsAnswers, Quote, Root, Verdict, Verifier, VerifyError, judge,
};
use twine_sgx::AttributesFlags;

fn judged(quote: &[u8], collateral: Option<&[u8]>, policy_text: &str, at: u64) -> Judgement {
    let (policy, expected) = (policy(policy_text), Expected::default());
    judge(Inputs {
        quote,
        collateral: collateral.ok_or("none was given"),
        policy: &policy,
        expected: &expected,
        at,
        insecure_allow_simulation: false,
    })
}

fn failed(judgement: &Judgement) -> Vec<&str> {
    judgement.checks.iter().filter(|check| !check.pass).map(|check| check.id).collect()
}

#[test]
fn the_sample_is_authentic_with_its_status_and_advisories() {
    let (quote, collateral) = sample();
    let collateral = Collateral::from_json(&collateral).unwrap();
    let verified = Verifier::new().verify(&Quote::parse(&quote).unwrap(), &collateral, SAMPLE_TIME).unwrap();
    assert_eq!(verified.root(), Root::Intel);
    assert_eq!(verified.tcb_status().to_string(), "ConfigurationAndSWHardeningNeeded");
    assert_eq!(verified.advisories(), ["INTEL-SA-00289", "INTEL-SA-00615"]);
    assert!(!verified.report().attributes.flags.contains(AttributesFlags::DEBUG));
}

#[test]
fn statuses_and_advisories_must_both_be_accepted() {
    let (quote, collateral) = sample();
    let judge = |policy: &str| judged(&quote, Some(&collateral), policy, SAMPLE_TIME);
    let accepted = judge(&sample_policy());
    assert_eq!((accepted.verdict, failed(&accepted)), (Verdict::Accepted, vec![]));
    assert!(accepted.matched.is_some());
    let refused = judge(&sample_policy().replace("\"INTEL-SA-00289\", ", ""));
    assert_eq!((refused.verdict, failed(&refused)), (Verdict::Refused, vec!["platform.advisories"]));
    let refused = judge(&sample_policy().replace("ConfigurationAndSWHardeningNeeded", "UpToDate"));
    assert_eq!((refused.verdict, failed(&refused)), (Verdict::Refused, vec!["platform.tcb-status"]));
    let refused = judge(&(sample_policy() + "max_age = \"1h\""));
    assert_eq!((refused.verdict, failed(&refused)), (Verdict::Refused, vec!["evidence.age"]));
    assert!(refused.matched.is_none() && refused.evidence.is_some());
}

#[test]
fn collateral_counts_only_while_it_is_valid() {
    let (quote, collateral) = sample();
    for at in [0, SAMPLE_TIME - 30 * 86400, SAMPLE_TIME + 60 * 86400, u64::MAX] {
        let judgement = judged(&quote, Some(&collateral), &sample_policy(), at);
        assert_eq!(
            (judgement.verdict, failed(&judgement)),
            (Verdict::NoCollateral, vec!["collateral.valid"]),
            "{at}"
        );
    }
    let judgement = judged(&quote, None, &sample_policy(), SAMPLE_TIME);
    assert_eq!((judgement.verdict, failed(&judgement)), (Verdict::NoCollateral, vec!["collateral.present"]));
}

#[test]
fn every_changed_byte_of_the_quote_is_refused() {
    let (quote, collateral) = sample();
    let collateral = Collateral::from_json(&collateral).unwrap();
    let mut random = Random::new();
    for at in 0..quote.len() {
        for flip in [0x20, random.flip()] {
            let mut changed = quote.clone();
            changed[at] ^= flip;
            let verified = Quote::parse(&changed)
                .map_err(VerifyError::from)
                .and_then(|quote| Verifier::new().verify(&quote, &collateral, SAMPLE_TIME));
            assert!(verified.is_err(), "byte {at} xor {flip:#x} is accepted");
        }
    }
}

#[test]
fn every_changed_byte_of_the_collateral_is_refused() {
    let (quote, collateral) = sample();
    let quote = Quote::parse(&quote).unwrap();
    let fields: Value = serde_json::from_slice(&collateral).unwrap();
    let mut random = Random::new();
    for (name, text) in fields.as_object().unwrap() {
        let text = text.as_str().unwrap();
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        for at in 0..text.len() {
            let flip = random.flip();
            let mut changed = text.as_bytes().to_vec();
            changed[at] ^= flip;
            let Ok(changed) = String::from_utf8(changed) else { continue };
            // The other case of a hex digit is the same digit.
            if is_hex && changed.eq_ignore_ascii_case(text) {
                continue;
            }
            let mut fields = fields.clone();
            fields[name] = Value::String(changed);
            let verified = Collateral::from_json(fields.to_string().as_bytes())
                .map_err(VerifyError::from)
                .and_then(|collateral| Verifier::new().verify(&quote, &collateral, SAMPLE_TIME));
            assert!(verified.is_err(), "{name}: byte {at} xor {flip:#x} is accepted");
        }
    }
}

#[test]
fn what_is_cut_or_longer_is_malformed() {
    let (quote, collateral) = sample();
    for len in (0..quote.len()).step_by(7) {
        assert!(Quote::parse(&quote[..len]).is_err(), "{len}");
    }
    assert!(Quote::parse(&[&quote[..], &[0]].concat()).is_err());
    for len in (0..collateral.len()).step_by(97) {
        assert!(Collateral::from_json(&collateral[..len]).is_err(), "{len}");
    }
    let judgement = judged(&quote[..500], Some(&collateral), &sample_policy(), SAMPLE_TIME);
    assert_eq!((judgement.verdict, failed(&judgement)), (Verdict::Malformed, vec!["quote.format"]));
    let judgement = judged(&quote, Some(b"{}"), &sample_policy(), SAMPLE_TIME);
    assert_eq!((judgement.verdict, failed(&judgement)), (Verdict::Malformed, vec!["collateral.format"]));
}

/// The sample's collateral in the form of the service's answers: the signed objects inside their envelopes, revocation lists
/// in each spelling.
#[test]
fn collateral_comes_as_the_service_answers_too() {
    let (quote, collateral) = sample();
    let fields: Value = serde_json::from_slice(&collateral).unwrap();
    let text = |name: &str| fields[name].as_str().unwrap();
    let envelope = |member: &str, object: &str, signature: &str| {
        format!("{{\"{member}\":{},\"signature\":\"{}\"}}", text(object), text(signature))
    };
    let tcb_info = envelope("tcbInfo", "tcb_info", "tcb_info_signature");
    let qe_identity = envelope("enclaveIdentity", "qe_identity", "qe_identity_signature");
    let quote = Quote::parse(&quote).unwrap();
    let pck_crl = text("pck_crl").as_bytes();
    let der: Vec<u8> = pck_crl
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let pem = pem::encode(&pem::Pem::new("X509 CRL", der.clone()));
    for pck_crl in [pck_crl, &der, pem.as_bytes()] {
        let answers = PcsAnswers {
            tcb_info: tcb_info.as_bytes(),
            tcb_info_issuer_chain: text("tcb_info_issuer_chain"),
            qe_identity: qe_identity.as_bytes(),
            qe_identity_issuer_chain: text("qe_identity_issuer_chain"),
            pck_crl,
            pck_crl_issuer_chain: text("pck_crl_issuer_chain"),
            root_ca_crl: text("root_ca_crl").as_bytes(),
        };
        let collateral = Collateral::from_pcs(&answers).unwrap();
        let verified = Verifier::new().verify(&quote, &collateral, SAMPLE_TIME).unwrap();
        assert_eq!(verified.advisories(), ["INTEL-SA-00289", "INTEL-SA-00615"]);
        let cut = PcsAnswers { tcb_info: &answers.tcb_info[..answers.tcb_info.len() - 1], ..answers };
        assert!(Collateral::from_pcs(&cut).unwrap_err().to_string().contains("TCB info"));
    }
    // What to ask for is in the PCK certificate.
    let platform = quote.platform().unwrap();
    assert!(
        text("tcb_info").contains(&format!("\"fmspc\":\"{}\"", common::hex(&platform.fmspc).to_uppercase()))
    );
    assert!(["processor", "platform"].contains(&platform.ca));
}

#[test]
fn noise_never_panics() {
    let (quote, collateral) = sample();
    let mut random = Random::new();
    for _ in 0..2000 {
        let mut noise = quote.clone();
        for _ in 0..random.next() % 64 {
            let at = random.next() as usize % noise.len();
            noise[at] = random.next() as u8;
        }
        noise.truncate(random.next() as usize % noise.len());
        let _ = Quote::parse(&noise);
        let mut noise = collateral.clone();
        let at = random.next() as usize % noise.len();
        noise[at] = random.next() as u8;
        let _ = Collateral::from_json(&noise);
    }
}

#[test]
fn another_platforms_collateral_does_not_fit() {
    let (quote, _) = sample();
    let simulated = common::collateral().to_json();
    let judgement = judged(&quote, Some(simulated.as_bytes()), &sample_policy(), common::NOW);
    assert_eq!((judgement.verdict, failed(&judgement)), (Verdict::Refused, vec!["quote.root"]));
}

#[test]
fn a_tdx_quote_is_no_sgx_quote() {
    let error = Quote::parse(&package_file("dcap-qvl", "sample/tdx_quote")).unwrap_err();
    assert!(error.why.contains("version 4"), "{error}");
}

/// A debug enclave's quote under an earlier certificate of Intel's root, and one whose PCK certificate must be looked up.
#[test]
fn older_quotes_are_read_and_refused_for_their_reason() {
    let (_, collateral) = sample();
    for file in ["tests/quote_pck_cert_chain.bin", "tests/quote_pck_cert_chain_corrupted.bin"] {
        let bytes = package_file("dcap-ql", file);
        let quote = Quote::parse(&bytes).unwrap();
        assert_eq!(quote.pck_chain().len(), 3);
        assert!(quote.claimed_report().attributes.flags.contains(AttributesFlags::DEBUG));
        let judgement = judged(&bytes, Some(&collateral), &sample_policy(), SAMPLE_TIME);
        assert_eq!((judgement.verdict, failed(&judgement)), (Verdict::Refused, vec!["quote.root"]));
    }
    let error = Quote::parse(&package_file("dcap-ql", "tests/quote_raw_tcb.bin")).unwrap_err();
    assert!(error.why.contains("type 3"), "{error}");
}
