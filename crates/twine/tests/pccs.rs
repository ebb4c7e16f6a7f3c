//! Collateral from a service on loopback that answers as Intel's does, and from services that do not: `twine verify`, `twine deploy`
//! and `twine keys serve`.

mod common;
#[path = "common/delivery.rs"]
mod parties;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use common::User;
use common::evidence::{AT_SECONDS, VERIFY, folder, twine};
use parties::{Owner, Waiting, result};
use serde_json::{Value, json};
use twine_attest::sim;

const PREFIX: &str = "/sgx/certification/v4/";
const FMSPC: &str = "tcb?fmspc=";

/// An answer: status, headers, body.
#[derive(Clone)]
struct Answer(u16, Vec<(&'static str, String)>, Vec<u8>);

/// What a cache of the simulated platform's collateral answers, by path.
fn answers() -> BTreeMap<String, Answer> {
    answers_at(AT_SECONDS)
}

/// The same, issued at this time.
fn answers_at(at: u64) -> BTreeMap<String, Answer> {
    let collateral = sim::collateral(at, sim::BASE_CPUSVN).unwrap().to_json();
    let collateral: Value = serde_json::from_str(&collateral).unwrap();
    let text = |name: &str| collateral[name].as_str().unwrap().to_owned();
    let bytes = |name: &str| -> Vec<u8> {
        match &collateral[name] {
            Value::String(hex) => hex::decode(hex).unwrap(),
            array => serde_json::from_value(array.clone()).unwrap(),
        }
    };
    let chain = |name: &str| urlencoding::encode(&text(name)).into_owned();
    // The signed object goes in as it is: its signature is over these bytes.
    let signed = |member: &str, object: &str, signature: &str| {
        let (object, signature) = (text(object), hex::encode(bytes(signature)));
        format!("{{\"{member}\":{object},\"signature\":\"{signature}\"}}").into_bytes()
    };
    BTreeMap::from([
        (
            format!("{PREFIX}{FMSPC}"),
            Answer(
                200,
                vec![("TCB-Info-Issuer-Chain", chain("tcb_info_issuer_chain"))],
                signed("tcbInfo", "tcb_info", "tcb_info_signature"),
            ),
        ),
        (
            format!("{PREFIX}qe/identity"),
            Answer(
                200,
                vec![("SGX-Enclave-Identity-Issuer-Chain", chain("qe_identity_issuer_chain"))],
                signed("enclaveIdentity", "qe_identity", "qe_identity_signature"),
            ),
        ),
        (
            format!("{PREFIX}pckcrl?ca=processor&encoding=der"),
            Answer(200, vec![("SGX-PCK-CRL-Issuer-Chain", chain("pck_crl_issuer_chain"))], bytes("pck_crl")),
        ),
        // Caches answer this in hex.
        (format!("{PREFIX}rootcacrl"), Answer(200, vec![], hex::encode(bytes("root_ca_crl")).into_bytes())),
    ])
}

/// A service on loopback: its URL, the paths that were asked for, and what it answers from now on.
struct Service {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<BTreeMap<String, Answer>>>,
}

fn serve(answers: BTreeMap<String, Answer>) -> Service {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let answers = Arc::new(Mutex::new(answers));
    let (record, current) = (asked.clone(), answers.clone());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answers = current.lock().unwrap().clone();
            // A client that goes away is the test's business.
            let _ = answer(stream.unwrap(), &answers, &record);
        }
    });
    Service { url, asked, answers }
}

fn answer(
    stream: TcpStream,
    answers: &BTreeMap<String, Answer>,
    record: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    while reader.read_line(&mut line)? > 2 {}
    record.lock().unwrap().push(path.clone());
    // The FMSPC is the quote's.
    let known = path.split_once(FMSPC).map_or(path.clone(), |(prefix, _)| format!("{prefix}{FMSPC}"));
    let Answer(status, headers, body) =
        answers.get(&known).cloned().unwrap_or(Answer(404, vec![], b"not here".to_vec()));
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n", body.len())?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(&body)?;
    stream.flush()?;
    // Until the client has read it all: a close with unread data resets the connection.
    drop(stream);
    let _ = reader.read(&mut [0]);
    Ok(())
}

fn verify(folder: &Path, url: &str, more: &str) -> (i32, String, String) {
    let command = VERIFY.replace("--collateral collateral.json", &format!("--pccs {url}"));
    twine(folder, &format!("{command} --allow-simulation {more}"))
}

#[test]
fn fetched_collateral_is_judged_and_kept_for_offline_use() {
    let folder = folder(false);
    let service = serve(answers());
    let (code, stdout, stderr) = verify(folder.path(), &service.url, "--save-collateral kept.json");
    assert_eq!(code, 0, "{stdout}{stderr}");
    let asked = service.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert!(asked[0].starts_with("/sgx/certification/v4/tcb?fmspc=") && asked[0].len() == PREFIX.len() + 22);
    // A URL may have the API's path already.
    assert_eq!(verify(folder.path(), &format!("{}/sgx/certification/v4/", service.url), "").0, 0);
    let offline = VERIFY.replace("collateral.json", "kept.json");
    assert_eq!(twine(folder.path(), &format!("{offline} --allow-simulation")).0, 0);
}

#[test]
fn revocation_lists_come_in_three_spellings() {
    let folder = folder(false);
    let path = format!("{PREFIX}rootcacrl");
    let hex = answers()[&path].2.clone();
    let der = hex::decode(&hex).unwrap();
    let pem = pem::encode(&pem::Pem::new("X509 CRL", der.clone())).into_bytes();
    for spelling in [hex, der, pem] {
        let mut answers = answers();
        answers.insert(path.clone(), Answer(200, vec![], spelling));
        let (code, stdout, stderr) = verify(folder.path(), &serve(answers).url, "");
        assert_eq!(code, 0, "{stdout}{stderr}");
    }
}

/// Nothing is believed because a service said it: forged answers are refused as forged files are.
#[test]
fn what_a_service_forges_is_refused() {
    let folder = folder(false);
    let path = format!("{PREFIX}{FMSPC}");
    let mut forged = answers();
    let Answer(_, _, body) = forged.get_mut(&path).unwrap();
    *body = String::from_utf8(body.clone()).unwrap().replace("OutOfDate", "UpToDate").into_bytes();
    let (code, stdout, _) = verify(folder.path(), &serve(forged).url, "");
    assert!(code == 1 && stdout.contains("FAIL quote.authentic"), "{code} {stdout}");
}

#[test]
fn services_that_fail_leave_no_collateral() {
    let folder = folder(false);
    let fails = |answers: BTreeMap<String, Answer>, reason: &str| {
        let (code, stdout, stderr) = verify(folder.path(), &serve(answers).url, "");
        assert!(code == 3 && stdout.contains("FAIL collateral.present"), "{code} {stdout}{stderr}");
        assert!(stdout.contains(reason), "{stdout}{stderr}");
    };
    let with = |path: &str, answer: Answer| {
        let mut answers = answers();
        answers.insert(format!("{PREFIX}{path}"), answer);
        answers
    };
    fails(BTreeMap::new(), "the service does not know this platform");
    fails(with("qe/identity", Answer(500, vec![], vec![])), "qe/identity: 500");
    let tcb = answers()[&format!("{PREFIX}{FMSPC}")].clone();
    fails(with(FMSPC, Answer(200, vec![], tcb.2.clone())), "no header TCB-Info-Issuer-Chain");
    fails(with(FMSPC, Answer(200, tcb.1.clone(), b"<html>".to_vec())), "collateral's TCB info is malformed");
    let unsigned = json!({ "tcbInfo": {} }).to_string().into_bytes();
    fails(with(FMSPC, Answer(200, tcb.1.clone(), unsigned)), "missing field `signature`");
    fails(with("rootcacrl", Answer(200, vec![], b"zz".to_vec())), "root CA CRL is malformed");
    // An answer without an end is not read to it.
    let endless = Answer(200, tcb.1, vec![b' '; (1 << 20) + 1]);
    fails(with(FMSPC, endless), "limit");
    // Nobody listens.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, stdout, _) = verify(folder.path(), &format!("http://{free}"), "");
    assert!(code == 3 && stdout.contains(&free.to_string()), "{stdout}");
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn an_owner_delivers_with_what_the_service_says() {
    let (owner, host) = (Owner::new(), User::new());
    let service = serve(BTreeMap::new());
    let waiting = Waiting::start(&host, &["--configid", &owner.configid]);
    let deploy = || owner.deploy_with(&waiting.address, &["--pccs", &service.url]);
    deploy().fails(78, &["FAIL collateral.present", "the service does not know this platform"]);
    *service.answers.lock().unwrap() = answers_at(now() - 90 * 24 * 60 * 60);
    deploy().fails(78, &["FAIL collateral.valid", "fetch fresh collateral"]);
    *service.answers.lock().unwrap() = answers_at(now());
    let deployed = deploy();
    assert_eq!((deployed.code, deployed.stdout), (Some(7), result()), "{}", deployed.stderr);
    waiting.end();
}

#[test]
fn a_key_service_asks_once_and_again_when_it_has_expired() {
    let (mut owner, host) = (Owner::new(), User::new());
    owner.give_to_host();
    let policy = fs::read_to_string(owner.user.home.path().join("policy.toml")).unwrap();
    owner.user.file("policy.toml", format!("{policy}[evidence]\ninsecure_simulation = true\n"));
    let service = serve(BTreeMap::new());
    owner.user.file(
        "keys.toml",
        format!(
            "version = 1\nlisten = \"127.0.0.1:0\"\nkey = \"owner.pem\"\naudit = \"audit.jsonl\"\npccs = \"{}\"\n\
             [[workload]]\nname = \"scoring\"\nmanifest = \"twine.toml\"\npolicy = \"policy.toml\"\n\
             secrets = \"secrets.toml\"\n",
            service.url
        ),
    );
    let serving = Waiting::spawn(&owner.user, &["keys", "serve", "--config", "keys.toml"], "releasing keys");
    let run = || host.run(&["--key-service", &serving.address, "--configid", &owner.configid]);
    let delivered = |asked: usize| {
        let ran = run();
        assert_eq!((ran.code, ran.stdout), (Some(7), result()), "{}", ran.stderr);
        assert_eq!(service.asked.lock().unwrap().len(), asked);
    };
    let answers = |answers| *service.answers.lock().unwrap() = answers;
    run().fails(77, &["nothing was delivered"]);
    answers(answers_at(now() - 90 * 24 * 60 * 60));
    run().fails(77, &["nothing was delivered"]);
    service.asked.lock().unwrap().clear();
    answers(answers_at(now()));
    delivered(4);
    delivered(4);
    // What it has is good for a day; nobody needs the service until then.
    answers(BTreeMap::new());
    delivered(4);
    serving.interrupt();
    let log = fs::read_to_string(owner.user.home.path().join("audit.jsonl")).unwrap();
    let refused: Vec<&str> = log.lines().filter(|line| line.contains("\"refused\"")).collect();
    assert!(refused[0].contains("the service does not know this platform"), "{}", refused[0]);
    assert!(refused[1].contains("collateral.valid"), "{}", refused[1]);
}

#[test]
fn usage_is_checked() {
    let folder = folder(false);
    assert_eq!(verify(folder.path(), "pccs.example.org", "").0, 64);
    assert_eq!(verify(folder.path(), "http://127.0.0.1:1", "--collateral collateral.json").0, 64);
    assert_eq!(twine(folder.path(), &format!("{VERIFY} --save-collateral kept.json")).0, 64);
    assert_eq!(verify(folder.path(), "https://127.0.0.1:1", "--pccs-ca none.pem").0, 64);
    fs::write(folder.path().join("none.pem"), "no certificate").unwrap();
    assert_eq!(verify(folder.path(), "https://127.0.0.1:1", "--pccs-ca none.pem").0, 64);
}
