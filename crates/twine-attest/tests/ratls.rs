//! The attested channel: a connection that succeeds, and everything that a host in the middle may try.

mod common;

use std::{
    io::{Cursor, Read, Write},
    sync::Arc,
};

use common::{NOW, Platform, Random, collateral, policy};
use rustls::{
    ClientConnection, ServerConnection,
    pki_types::{ServerName, UnixTime},
    time_provider::TimeProvider,
};
use twine_attest::{
    Malformed, Root, Verdict,
    claims::report_data,
    ratls::{Attested, Evidence, Hello, PeerVerifier, RatlsError, SessionKey, client_config, server_config},
};
use twine_workload::Digest;

/// The enclave's side: a fresh key, quoted for the peer's nonce.
fn attest(platform: &Platform, peer: &Hello) -> Attested {
    attest_at(platform, peer, NOW)
}

fn attest_at(platform: &Platform, peer: &Hello, at: u64) -> Attested {
    let key = SessionKey::generate().unwrap();
    let claims = key.claims(peer, Some(Digest([1; 64])));
    let platform = Platform { report_data: report_data(&claims.to_bytes()), ..platform.clone() };
    key.certify(&claims, &platform.quote(), at).unwrap()
}

fn verifier(own: &Hello) -> PeerVerifier {
    let policy = policy(&Platform::default().policy());
    PeerVerifier::new(policy, collateral().to_json().into_bytes(), own, None)
}

#[derive(Debug)]
struct At(u64);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(self.0)))
    }
}

/// Runs the handshake and sends a secret to the server; what the server reads, or the first error.
fn connect(
    server: Attested,
    server_judges: Option<Arc<PeerVerifier>>,
    client: Option<Attested>,
    client_judges: Arc<PeerVerifier>,
    mut on_the_way: impl FnMut(&mut Vec<u8>),
) -> Result<String, String> {
    let mut server = server_config(server, server_judges.map(|judge| judge as _)).unwrap();
    let mut client = client_config(client_judges, client).unwrap();
    server.time_provider = Arc::new(At(NOW));
    client.time_provider = Arc::new(At(NOW));
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    let name = ServerName::try_from("wherever.invalid").unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    client.writer().write_all(b"secret").unwrap();
    for _ in 0..10 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        on_the_way(&mut wire);
        let mut wire = Cursor::new(wire);
        while server.read_tls(&mut wire).unwrap() > 0 {
            server.process_new_packets().map_err(|e| format!("server: {e}"))?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut wire = Cursor::new(wire);
        while client.read_tls(&mut wire).unwrap() > 0 {
            client.process_new_packets().map_err(|e| format!("client: {e}"))?;
        }
        let mut received = [0; 6];
        if !server.is_handshaking() && server.reader().read_exact(&mut received).is_ok() {
            return Ok(String::from_utf8_lossy(&received).into());
        }
    }
    Err("no end".into())
}

/// The owner connects to a server with this certificate.
fn owner_connects(own: &Hello, server: Attested) -> Result<String, String> {
    connect(server, None, None, Arc::new(verifier(own)), |_| {})
}

#[test]
fn an_owner_reaches_the_enclave_and_knows_whom_it_reached() {
    let hello = Hello::new().unwrap();
    let judge = Arc::new(verifier(&hello));
    let mut seen = Vec::new();
    let received = connect(attest(&Platform::default(), &hello), None, None, judge.clone(), |wire| {
        seen.extend(wire.clone())
    });
    assert_eq!(received.unwrap(), "secret");
    assert!(!seen.windows(6).any(|window| window == b"secret"));
    let matched = judge.matched().unwrap();
    assert_eq!(matched.quote().root(), Root::Simulation);
    assert_eq!(matched.claims().unwrap().nonce.as_deref(), Some(&hello.nonce[..]));
    assert_eq!(matched.claims().unwrap().workload, Some(Digest([1; 64])));
}

#[test]
fn two_enclaves_judge_each_other() {
    let (to_server, to_client) = (Hello::new().unwrap(), Hello::new().unwrap());
    let run = |client: &Platform| {
        let server_judges = Arc::new(verifier(&to_client));
        let client = attest(client, &to_client);
        let server = attest(&Platform::default(), &to_server);
        connect(server, Some(server_judges), Some(client), Arc::new(verifier(&to_server)), |_| {})
    };
    assert_eq!(run(&Platform::default()).unwrap(), "secret");
    let error = run(&Platform { mrenclave: [1; 32], ..Platform::default() }).unwrap_err();
    assert!(error.starts_with("server: ") && error.contains("enclave.identity"), "{error}");
}

#[test]
fn a_client_that_should_attest_itself_must() {
    let hello = Hello::new().unwrap();
    let server_judges = Some(Arc::new(verifier(&hello)));
    let error = connect(
        attest(&Platform::default(), &hello),
        server_judges,
        None,
        Arc::new(verifier(&hello)),
        |_| {},
    );
    assert!(error.unwrap_err().contains("sent no certificates"));
}

#[test]
fn evidence_for_another_connection_is_refused() {
    let (old, new) = (Hello::new().unwrap(), Hello::new().unwrap());
    let error = owner_connects(&new, attest(&Platform::default(), &old)).unwrap_err();
    assert!(error.contains("evidence.nonce"), "{error}");
}

#[test]
fn evidence_of_another_key_is_refused() {
    let hello = Hello::new().unwrap();
    let honest = attest(&Platform::default(), &hello);
    let stolen = Evidence::from_certificate(honest.certificate()).unwrap();
    // The host's own key, with the enclave's quote and claims beside it, then with claims that fit the key.
    let key = SessionKey::generate().unwrap();
    let own_claims = key.claims(&hello, Some(Digest([1; 64])));
    let claims = twine_attest::claims::Claims::from_bytes(&stolen.claims).unwrap();
    let error = owner_connects(&hello, key.certify(&claims, &stolen.quote, NOW).unwrap()).unwrap_err();
    assert!(error.contains("evidence is of another key"), "{error}");
    let key = SessionKey::generate().unwrap();
    let claims = twine_attest::claims::Claims { key_hash: key.claims(&hello, None).key_hash, ..own_claims };
    let error = owner_connects(&hello, key.certify(&claims, &stolen.quote, NOW).unwrap()).unwrap_err();
    assert!(error.contains("evidence.claims"), "{error}");
}

#[test]
fn other_enclaves_and_old_certificates_are_refused() {
    let hello = Hello::new().unwrap();
    let refusal = |platform: Platform| owner_connects(&hello, attest(&platform, &hello)).unwrap_err();
    assert!(refusal(Platform { configid: [1; 64], ..Platform::default() }).contains("workload.identity"));
    assert!(refusal(Platform { debug: true, ..Platform::default() }).contains("enclave.debug"));
    let expired = attest_at(&Platform::default(), &hello, NOW - 2 * 3600);
    assert!(owner_connects(&hello, expired).unwrap_err().contains("Expired"));
    let early = attest_at(&Platform::default(), &hello, NOW + 3600);
    assert!(owner_connects(&hello, early).unwrap_err().contains("NotValidYet"));
}

#[test]
fn simulation_counts_only_where_it_is_allowed() {
    let hello = Hello::new().unwrap();
    let strict = policy(&Platform::default().policy().replace("insecure_simulation = true", ""));
    let verifier = |allow| {
        let verifier = PeerVerifier::new(strict.clone(), collateral().to_json().into_bytes(), &hello, None);
        Arc::new(verifier.insecure_allow_simulation(allow))
    };
    let run = |allow| connect(attest(&Platform::default(), &hello), None, None, verifier(allow), |_| {});
    assert!(run(false).unwrap_err().contains("quote.root"));
    assert_eq!(run(true).unwrap(), "secret");
}

#[test]
fn a_changed_byte_on_the_way_breaks_the_connection_and_nothing_else() {
    let mut random = Random::new();
    for _ in 0..20 {
        let hello = Hello::new().unwrap();
        let server = attest(&Platform::default(), &hello);
        let result = connect(server, None, None, Arc::new(verifier(&hello)), |wire| {
            if !wire.is_empty() {
                let at = random.next() as usize % wire.len();
                wire[at] ^= random.flip();
            }
        });
        assert_ne!(result.ok().as_deref(), Some("secret"));
    }
}

#[test]
fn a_verifier_is_for_one_connection() {
    let hello = Hello::new().unwrap();
    let judge = Arc::new(verifier(&hello));
    let run = || connect(attest(&Platform::default(), &hello), None, None, judge.clone(), |_| {});
    run().unwrap();
    assert!(run().unwrap_err().contains("has judged a peer before"));
}

#[test]
fn every_changed_byte_of_a_certificate_is_refused() {
    let hello = Hello::new().unwrap();
    let attested = attest(&Platform::default(), &hello);
    let evidence = Evidence::from_certificate(attested.certificate()).unwrap();
    assert_eq!(verifier(&hello).judge(attested.certificate(), NOW).unwrap().verdict, Verdict::Accepted);
    let bytes = evidence.to_bytes();
    let mut random = Random::new();
    // Outside the quote, whose bytes have a test of their own.
    let quote_at = bytes.windows(evidence.quote.len()).position(|window| window == evidence.quote).unwrap();
    let outside = (0..quote_at).chain(quote_at + evidence.quote.len()..bytes.len());
    for at in outside {
        let mut changed = bytes.clone();
        changed[at] ^= random.flip();
        let different =
            Evidence::from_bytes(&changed).ok().is_none_or(|changed| changed.claims != evidence.claims);
        assert!(different, "byte {at}");
    }
    for at in 0..attested.certificate().len() {
        let mut changed = attested.certificate().to_vec();
        changed[at] ^= random.flip();
        let _ = Evidence::from_certificate(&changed);
    }
}

#[test]
fn what_is_no_evidence_is_malformed() {
    let plain = rcgen::generate_simple_self_signed(vec!["plain.invalid".into()]).unwrap();
    let error = Evidence::from_certificate(plain.cert.der()).unwrap_err();
    assert!(error.why.contains("carries no evidence"), "{error}");
    assert!(matches!(Evidence::from_certificate(b"\x30\x00"), Err(Malformed { what: "certificate", .. })));
    assert!(Evidence::from_bytes(b"").is_err());
    // The tag of SGX reports, and an array of one.
    assert!(Evidence::from_bytes(&[0xd9, 0xea, 0x61, 0x82, 0x40, 0x40]).is_err());
    assert!(Evidence::from_bytes(&[0xd9, 0xea, 0x60, 0x81, 0x40]).is_err());
    assert!(Evidence::from_bytes(&[0xd9, 0xea, 0x60, 0x82, 0x40, 0x40]).is_ok());
}

#[test]
fn hellos_are_exact() {
    let hello = Hello::new().unwrap();
    assert_ne!(hello, Hello::new().unwrap());
    let mut bytes = Vec::new();
    hello.write(&mut bytes).unwrap();
    assert_eq!(Hello::read(&mut bytes.as_slice()).unwrap(), hello);
    assert!(matches!(Hello::read(&mut &bytes[..39]), Err(RatlsError::Connection(_))));
    bytes[7] = 2;
    assert_eq!(Hello::read(&mut bytes.as_slice()), Err(RatlsError::Hello));
}
