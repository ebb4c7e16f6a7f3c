//! Delivery: the bundle's format with its vectors, what is malformed, and the channel with everybody who may come.

mod common;

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use common::{Platform, hex, policy};
use ring::{rand::SystemRandom, signature::Ed25519KeyPair};
use serde_json::{Value, json};
use twine_attest::{
    claims::report_data,
    delivery::{
        Bundle, Channel, ChannelError, DeliveryKey, Ended, File, MAX_REPLY, Message, Secrets, Variable,
        VolumeKey, attested_client, attested_server, delivering_client, delivering_server, secrets_schema,
    },
    ratls::{Attested, Door, Hello, PeerVerifier, SessionKey},
    sim,
};
use twine_workload::{Deliverer, Workload, sha256};

fn deliverer() -> Deliverer {
    Deliverer {
        name: "owner".into(),
        key: [7; 32],
        output: false,
        env: vec!["PIN".into(), "TOKEN".into()],
        files: vec!["/secrets/a/b".into(), "/secrets/c".into()],
        volumes: vec!["vault".into()],
    }
}

fn bundle() -> Bundle {
    let variable = |name: &str, value: &str| Variable { name: name.into(), value: value.into() };
    let file =
        |path: &str, contents: &[u8]| File { path: format!("/secrets/{path}"), contents: contents.to_vec() };
    Bundle {
        module: Some(b"\0asm\x01\0\0\0".to_vec()),
        env: vec![variable("PIN", "1234"), variable("TOKEN", "")],
        files: vec![file("a/b", b"x,y\n"), file("c", b"")],
        keys: vec![VolumeKey { name: "vault".into(), key: [9; 32] }],
    }
}

#[test]
fn the_vectors_are_what_is_made_and_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/delivery-1.json");
    let message = |message: Message| {
        let mut bytes = Vec::new();
        message.write(&mut bytes).unwrap();
        hex(&bytes)
    };
    let built = json!({
        "format": "twine delivery 1",
        "bundles": { "empty": hex(&Bundle::default().to_bytes()), "everything": hex(&bundle().to_bytes()) },
        "messages": {
            "workload": message(Message::Workload(Workload::new(sha256(b"")).to_bytes().unwrap())),
            "bundle": message(Message::Bundle(Bundle::default().to_bytes())),
            "accepted": message(Message::Accepted),
            "refused": message(Message::Refused("no".into())),
            "stdout": message(Message::Stdout(b"out".to_vec())),
            "stderr": message(Message::Stderr(b"err".to_vec())),
            "ended": message(Message::Ended(Ended { outcome: 1, code: 7, message: String::new() })),
        },
    });
    if std::env::var_os("TWINE_UPDATE").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&built).unwrap() + "\n").unwrap();
    }
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert!(committed == built, "the format changed: that is a new version (TWINE_UPDATE=1 writes the file)");
    for bundle in [Bundle::default(), bundle()] {
        assert!(Bundle::from_bytes(&bundle.to_bytes()).unwrap() == bundle);
    }
}

#[test]
fn a_bundle_has_one_spelling() {
    let bytes = bundle().to_bytes();
    let refused = |bytes: &[u8]| Bundle::from_bytes(bytes).err().expect("it was taken").to_string();
    for end in 0..bytes.len() {
        assert!(refused(&bytes[..end]).contains("bundle"));
    }
    assert!(refused(&[&bytes[..], &[0]].concat()).contains("bytes follow it"));
    // The map's head: four entries become five, with an unknown key.
    let unknown = [&bytes[..2], &[0xa5], &bytes[3..], &[0x17, 0]].concat();
    assert!(refused(&unknown).contains("unknown keys"));
    let keys = |keys: &[u8]| [b"\x82\x01", keys].concat();
    assert!(Bundle::from_bytes(&keys(b"\xa3\x01\x80\x02\x80\x03\x80")).is_ok());
    // In another order, which is as long; one of them twice; without the map's length.
    assert!(refused(&keys(b"\xa3\x03\x80\x02\x80\x01\x80")).contains("its order"));
    assert!(refused(&keys(b"\xa4\x01\x80\x02\x80\x02\x80\x03\x80")).contains("its order"));
    assert!(refused(&keys(b"\xbf\x01\x80\x02\x80\x03\x80\xff")).contains("shortest form"));
    assert!(refused(&[&[0x82, 2], &bytes[2..]].concat()).contains("version 2"));
    assert!(refused(b"\x83\x01\x00\x00").contains("array"));
}

#[test]
fn a_bundle_holds_what_the_workload_asks_for_and_nothing_else() {
    let refused = |change: fn(&mut Bundle)| {
        let mut bundle = bundle();
        change(&mut bundle);
        bundle.check(&deliverer()).unwrap_err().why
    };
    bundle().check(&deliverer()).unwrap();
    assert!(refused(|b| drop(b.env.remove(0))).starts_with("env.PIN: the workload asks this"));
    assert!(refused(|b| b.env[1].name = "USER".into()).starts_with("env.USER: the workload does not ask"));
    assert!(refused(|b| b.env.reverse()).starts_with("env.PIN: entries are sorted"));
    assert!(refused(|b| b.env.insert(0, b.env[0].clone())).contains("each stands once"));
    assert!(refused(|b| b.env[0].value.push('\0')).starts_with("env.PIN: a value holds no NUL"));
    assert!(refused(|b| b.files[1].path = "/etc/passwd".into()).contains("files./etc/passwd"));
    assert!(refused(|b| b.keys.clear()).starts_with("keys.vault: the workload asks this"));
}

#[test]
fn secrets_come_from_files_and_errors_name_the_field() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("pin", "1234");
    write("token", "");
    write("b", "x,y\n");
    write("key", &format!("{}\n", "09".repeat(32)));
    let text = "version = 1\n[env]\nPIN = \"pin\"\nTOKEN = \"token\"\n[files]\n\"/secrets/a/b\" = \"b\"\n\
                \"/secrets/c\" = \"token\"\n[keys]\nvault = \"key\"\n";
    let read = |text: &str| -> Result<Bundle, String> {
        Secrets::from_toml(text, "secrets.toml")
            .and_then(|secrets| secrets.bundle(&deliverer(), folder.path()))
            .map_err(|e| e.to_string())
    };
    let made = read(text).unwrap();
    assert!(made == Bundle { module: None, ..bundle() });
    let refused = |from: &str, to: &str| read(&text.replace(from, to)).err().expect("it was taken");
    assert!(refused("version = 1", "version = 2").contains("version"));
    assert!(refused("[keys]", "[key]").contains("unknown key `key`; did you mean `keys`?"));
    assert!(refused("vault = \"key\"", "vault = \"pin\"").starts_with("keys.vault"));
    assert!(refused("PIN = \"pin\"", "PIN = \"none\"").contains("env.PIN"));
    assert!(refused("PIN = \"pin\"\n", "").contains("env.PIN"));
    assert!(refused("\"/secrets/c\"", "\"/etc/c\"").contains("files./etc/c"));
}

#[test]
fn messages_are_bounded_and_exact() {
    let read = |bytes: &[u8], limit| match Message::read(&mut &bytes[..], limit) {
        Ok(message) => message.name().to_owned(),
        Err(error) => error.to_string(),
    };
    let head = |kind: u8, length: u64| [&[kind][..], &length.to_le_bytes()].concat();
    assert_eq!(read(&head(2, 0), 10), "accepted");
    assert!(read(&head(1, 11), 10).contains("at most 10"));
    assert!(read(&head(1, u64::MAX), 10).contains("at most 10"));
    // The length is a promise that is not kept, and no memory is taken for it.
    assert!(read(&[&head(1, 1 << 40)[..], b"x"].concat(), 1 << 41).contains("closed"));
    assert!(read(&[&head(2, 1)[..], b"x"].concat(), 10).contains("kind is 2"));
    assert!(read(&head(9, 0), 10).contains("kind is 9"));
    assert!(read(&[&head(3, 1)[..], b"\xff"].concat(), 10).contains("UTF-8"));
    assert!(read(&[&head(6, 1)[..], b"\xff"].concat(), 10).contains("message"));
    assert!(read(&head(2, 0)[..5], 10).contains("closed"));
}

fn key() -> DeliveryKey {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    DeliveryKey::from_pem(&pem::encode(&pem::Pem::new("PRIVATE KEY", document.as_ref()))).unwrap()
}

/// TLS judges certificates by the system's clock.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn attest(platform: &Platform, peer: &Hello) -> Attested {
    let key = SessionKey::generate().unwrap();
    let claims = key.claims(peer, None);
    let platform = Platform { report_data: report_data(&claims.to_bytes()), ..platform.clone() };
    key.certify(&claims, &platform.quote(), now()).unwrap()
}

fn judge(platform: &Platform, own: &Hello) -> PeerVerifier {
    let collateral = sim::collateral(now(), sim::BASE_CPUSVN).unwrap();
    PeerVerifier::new(policy(&platform.policy()), collateral.to_json().into_bytes(), own, None)
}

#[test]
fn a_waiting_enclave_learns_who_delivers() {
    let (owner, enclave) = UnixStream::pair().unwrap();
    let platform = Platform::default();
    let (own, key) = (Hello::new().unwrap(), key());
    let attested = attest(&platform, &own);
    let waiting = thread::spawn(move || {
        let mut channel = Channel::accept(attested_server(attested).unwrap(), enclave).unwrap();
        let who = channel.peer_key();
        let mut read = || {
            let name = Message::read(&mut channel, MAX_REPLY).unwrap().name();
            Message::Accepted.write(&mut channel).unwrap();
            name
        };
        (who, [read(), read()])
    });
    let verifier = Arc::new(judge(&platform, &own));
    let mut channel = Channel::connect(delivering_client(verifier.clone(), &key).unwrap(), owner).unwrap();
    assert!(verifier.matched().is_some());
    channel.deliver(b"workload", &bundle().to_bytes()).unwrap();
    assert_eq!(waiting.join().unwrap(), (Some(key.public_key()), ["workload", "bundle"]));
}

#[test]
fn nothing_secret_follows_a_workload_that_is_refused() {
    let (owner, enclave) = UnixStream::pair().unwrap();
    let platform = Platform::default();
    let own = Hello::new().unwrap();
    let attested = attest(&platform, &own);
    let waiting = thread::spawn(move || {
        let mut channel = Channel::accept(attested_server(attested).unwrap(), enclave).unwrap();
        let first = Message::read(&mut channel, MAX_REPLY).unwrap().name();
        Message::Refused("not this one".into()).write(&mut channel).unwrap();
        (first, Message::read(&mut channel, MAX_REPLY).map(|message| message.name()))
    });
    let verifier = Arc::new(judge(&platform, &own));
    let mut channel = Channel::connect(delivering_client(verifier, &key()).unwrap(), owner).unwrap();
    let refused = channel.deliver(b"workload", &bundle().to_bytes());
    assert_eq!(refused, Err(ChannelError::Refused("not this one".into())));
    channel.close();
    assert_eq!(waiting.join().unwrap(), ("workload", Err(ChannelError::Closed)));
}

#[test]
fn an_enclave_that_connects_learns_whose_service_it_is() {
    let (service, enclave) = UnixStream::pair().unwrap();
    let platform = Platform::default();
    let (own, key) = (Hello::new().unwrap(), key());
    let attested = attest(&platform, &own);
    let connecting = thread::spawn(move || {
        let channel = Channel::connect(attested_client(attested).unwrap(), enclave).unwrap();
        channel.peer_key()
    });
    let judged = platform.clone();
    let door = Arc::new(Door::new(move |report: &twine_attest::Report| {
        assert_eq!(report.configid, judged.configid);
        Ok(judge(&judged, &own))
    }));
    let channel = Channel::accept(delivering_server(door.clone(), &key).unwrap(), service).unwrap();
    assert!(door.verifier().unwrap().matched().is_some());
    drop(channel);
    assert_eq!(connecting.join().unwrap(), Some(key.public_key()));
}

#[test]
fn a_service_refuses_who_has_no_evidence_or_the_wrong_one() {
    let refusal = |platform: Platform, find: fn(&Hello) -> Result<PeerVerifier, String>| {
        let (service, enclave) = UnixStream::pair().unwrap();
        let own = Hello::new().unwrap();
        let attested = attest(&platform, &own);
        let connecting = thread::spawn(move || {
            // The client's handshake is over before the server has judged it.
            let channel = Channel::connect(attested_client(attested).unwrap(), enclave);
            channel
                .and_then(|mut channel| Message::read(&mut channel, MAX_REPLY).map(|message| message.name()))
        });
        let door = Arc::new(Door::new(move |_: &twine_attest::Report| find(&own)));
        let error = Channel::accept(delivering_server(door, &key()).unwrap(), service).err().unwrap();
        assert!(matches!(connecting.join().unwrap(), Err(ChannelError::Tls(_) | ChannelError::Closed)));
        error.to_string()
    };
    assert_eq!(refusal(Platform::default(), |_| Err("nobody knows you".into())), "nobody knows you");
    let debug = Platform { debug: true, ..Platform::default() };
    assert!(refusal(debug, |own| Ok(judge(&Platform::default(), own))).contains("enclave.debug"));
    let stale = refusal(Platform::default(), |_| Ok(judge(&Platform::default(), &Hello::new().unwrap())));
    assert!(stale.contains("evidence.nonce"), "{stale}");
}

#[test]
fn somebody_without_an_ed25519_key_is_no_deliverer() {
    let (mut stranger, enclave) = UnixStream::pair().unwrap();
    let attested = attest(&Platform::default(), &Hello::new().unwrap());
    let waiting = thread::spawn(move || Channel::accept(attested_server(attested).unwrap(), enclave).err());
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    let _ = stranger.read_to_end(&mut rest);
    assert!(matches!(waiting.join().unwrap(), Some(ChannelError::Tls(_))));
}

#[test]
fn the_published_schema_is_the_one_that_is_read_by() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/secrets.schema.json");
    let schema = secrets_schema();
    if std::env::var_os("TWINE_UPDATE").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(
        value(&std::fs::read_to_string(&path).unwrap()),
        value(&schema),
        "TWINE_UPDATE=1 writes the file"
    );
}
