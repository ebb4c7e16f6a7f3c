//! The story of a delivery, and everything that a host may try in it.

mod common;
#[path = "common/delivery.rs"]
mod parties;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use common::{User, program};
use parties::{INPUT, Owner, TOKEN, Waiting, result};
use twine_attest::delivery::{Channel, DeliveryKey, attested_server, delivering_client};
use twine_attest::ratls::{Evidence, Hello, PeerVerifier, SessionKey};
use twine_attest::{Policy, sim};

#[test]
fn the_owner_delivers_a_program_that_the_host_never_sees() {
    let (owner, host) = (Owner::new(), User::new());
    // The host knows a number.
    let waiting = Waiting::start(&host, &["--configid", &owner.configid]);
    let wire = Wire::to(&waiting.address, |_, _| {});
    let deployed = owner.deploy(&wire.address);
    assert_eq!((deployed.code, deployed.stdout), (Some(7), result()), "{}", deployed.stderr);
    let ended = waiting.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(7), ""), "{}", ended.stderr);
    let seen = wire.end();
    assert!(seen.len() > 5000, "the wire was not tapped");
    let module = wat::parse_file(program("score.wat")).unwrap();
    for secret in [TOKEN.as_bytes(), INPUT.as_bytes(), &module] {
        let is_in = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
        assert!(!is_in(&seen) && !is_in(ended.stderr.as_bytes()));
        for file in std::fs::read_dir(host.cache()).unwrap() {
            assert!(!is_in(&std::fs::read(file.unwrap().path()).unwrap()));
        }
    }
}

#[test]
fn a_host_that_has_the_manifest_has_no_more() {
    let (owner, host) = (Owner::new(), User::new());
    let manifest = owner.user.home.path().join("host.toml");
    let waiting = Waiting::start(&host, &["--manifest", manifest.to_str().unwrap()]);
    let deployed = owner.deploy(&waiting.address);
    assert_eq!((deployed.code, deployed.stdout), (Some(7), result()), "{}", deployed.stderr);
    assert_eq!(waiting.end().stdout, "");
}

#[test]
fn a_workload_that_is_delivered_does_not_start_without_its_owner() {
    let owner = Owner::new();
    let mut command = owner.user.twine();
    command.args(["run", "--tee", "sim", "--manifest", "twine.toml"]);
    common::Ended::of(&mut command).fails(77, &["delivered by its owner", "--await-owner"]);
}

#[test]
fn the_owner_refuses_other_enclaves() {
    let (owner, host) = (Owner::new(), User::new());
    let refused = |args: &[&str], reason: &str| {
        let waiting = Waiting::start(&host, args);
        owner.deploy(&waiting.address).fails(77, &["nothing was delivered", reason]);
        waiting.interrupt();
    };
    let other = Owner::with("args = [\"score\", \"--for-the-host\"]", "");
    refused(&["--configid", &other.configid], "FAIL workload.identity");
    refused(&["--configid", &owner.configid, "--configsvn", "1"], "FAIL workload.identity");
    refused(&["--configid", &owner.configid, "--debug"], "FAIL enclave.debug");
    // Another signer: what is sealed to it is a stranger's.
    host.ok(&["key", "create", "stranger.pem"]);
    let sign = ["image", "sign", "--key", "stranger.pem", "--date", "2026-11-23", "--out", "stranger.sig"];
    host.ok(&sign);
    refused(&["--configid", &owner.configid, "--sigstruct", "stranger.sig"], "FAIL enclave.identity");
}

#[test]
fn an_owner_who_does_not_allow_simulation_delivers_nothing_to_it() {
    let (owner, host) = (Owner::new(), User::new());
    let waiting = Waiting::start(&host, &["--configid", &owner.configid]);
    let collateral = sim::collateral(now(), sim::BASE_CPUSVN).unwrap().to_json();
    owner.user.file("collateral.json", collateral);
    let mut command = owner.user.twine();
    let files = ["--policy", "policy.toml", "--key", "owner.pem", "--secrets", "secrets.toml"];
    command.args(["deploy", "--manifest", "twine.toml", "--collateral", "collateral.json"]).args(files);
    common::Ended::of(command.arg(&waiting.address)).fails(77, &["FAIL quote.root"]);
    let mut command = owner.user.twine();
    command.args(["deploy", "--manifest", "twine.toml"]).args(files);
    common::Ended::of(command.arg(&waiting.address)).fails(78, &["collateral.present"]);
    waiting.interrupt();
}

#[test]
fn old_security_versions_are_refused_by_policies_that_ask_for_new_ones() {
    let (owner, host) = (Owner::new(), User::new());
    host.ok(&["key", "create", "signer.pem"]);
    for version in ["1", "2"] {
        let out = format!("{version}.sig");
        let sign = ["image", "sign", "--key", "signer.pem", "--date", "2026-11-23", "--out", &out];
        host.ok(&[&sign[..], &["--security-version", version]].concat());
    }
    let measured = host.ok(&["measure", "--sigstruct", "2.sig"]);
    let signer = measured.lines().find_map(|line| line.strip_prefix("MRSIGNER    ")).unwrap();
    owner.user.file(
        "policy.toml",
        format!(
            "version = 1\n[[enclave.signer]]\nmrsigner = \"{signer}\"\nproduct = 1\nmin_isvsvn = 2\n\
             [workload]\ndigest = [\"{}\"]\n",
            owner.configid
        ),
    );
    let waiting = Waiting::start(&host, &["--configid", &owner.configid, "--sigstruct", "1.sig"]);
    owner.deploy(&waiting.address).fails(77, &["FAIL enclave.identity", "ISVSVN 1"]);
    waiting.interrupt();
    let waiting = Waiting::start(&host, &["--configid", &owner.configid, "--sigstruct", "2.sig"]);
    assert_eq!(owner.deploy(&waiting.address).code, Some(7));
    waiting.end();
}

#[test]
fn a_platform_below_a_tcb_recovery_gets_nothing_until_it_is_raised() {
    let (owner, host) = (Owner::new(), User::new());
    let mut recovered = sim::BASE_CPUSVN;
    recovered[0] += 1;
    owner.user.file("recovery.json", sim::collateral(now(), recovered).unwrap().to_json());
    let deploy = || {
        let waiting = Waiting::start(&host, &["--configid", &owner.configid]);
        (owner.deploy_with(&waiting.address, &["--collateral", "recovery.json"]), waiting)
    };
    let (old, waiting) = deploy();
    old.fails(77, &["FAIL platform.tcb-status", "OutOfDate", "TWINE-SA-00001"]);
    waiting.interrupt();
    twine_host::sim::Fuse::raise_cpusvn(&host.state(), recovered).unwrap();
    let (raised, waiting) = deploy();
    assert_eq!((raised.code, raised.stdout), (Some(7), result()), "{}", raised.stderr);
    waiting.end();
}

#[test]
fn a_host_in_the_middle_gets_nothing() {
    let (owner, host) = (Owner::new(), User::new());
    let waiting = Waiting::start(&host, &["--configid", &owner.configid]);
    // A stale nonce: the enclave is asked for evidence for another one than the owner's.
    let wire = Wire::to(&waiting.address, |up, bytes| {
        if up && bytes.starts_with(b"TWINERA") {
            bytes[20] ^= 1;
        }
    });
    owner.deploy(&wire.address).fails(77, &["FAIL evidence.nonce"]);
    wire.end();
    // An older version of the protocol.
    let wire = Wire::to(&waiting.address, |_, bytes| {
        if bytes.starts_with(b"TWINERA") {
            bytes[7] = 0;
        }
    });
    owner.deploy(&wire.address).fails(74, &["does not speak this protocol"]);
    wire.end();
    // TLS 1.2 instead of 1.3: the version that ServerHello selects.
    let wire = Wire::to(&waiting.address, |up, bytes| {
        let selected = [0x00, 0x2b, 0x00, 0x02, 0x03, 0x04];
        let at = bytes.windows(6).position(|window| window == selected);
        if let (false, Some(at)) = (up, at) {
            bytes[at + 5] = 3;
        }
    });
    owner.deploy(&wire.address).fails(74, &[]);
    wire.end();
    // What an enclave once said, said again.
    let said = Arc::new(Mutex::new(Vec::new()));
    let keep = said.clone();
    let wire = Wire::to(&waiting.address, move |up, bytes| {
        if !up {
            keep.lock().unwrap().extend_from_slice(bytes);
        }
    });
    // To an owner who delivers another workload, so that the enclave goes on waiting.
    let other = Owner::with("args = [\"another\"]", "");
    other.deploy(&wire.address).fails(77, &["workload.identity"]);
    wire.end();
    let replay = said.lock().unwrap().clone();
    let (address, replaying) = serve_once(move |mut stream| {
        let _ = stream.write_all(&replay);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    owner.deploy(&address).fails(74, &[]);
    replaying.join().unwrap();
    // After all that the enclave still waits for its owner.
    let deployed = owner.deploy(&waiting.address);
    assert_eq!((deployed.code, deployed.stdout), (Some(7), result()), "{}", deployed.stderr);
    waiting.end();
}

#[test]
fn a_host_with_the_enclaves_evidence_and_its_own_key_gets_nothing() {
    let (owner, host) = (Owner::new(), User::new());
    let waiting = Waiting::start(&host, &["--configid", &owner.configid]);
    // The host takes part as an owner would: evidence is no secret.
    let stolen = steal(&waiting.address, &owner);
    for own_claims in [false, true] {
        let stolen = stolen.clone();
        let (address, serving) = serve_once(move |mut stream| {
            let hello = Hello::read(&mut stream).unwrap();
            Hello::new().unwrap().write(&mut stream).unwrap();
            let key = SessionKey::generate().unwrap();
            let claims = match own_claims {
                true => key.claims(&hello, None),
                false => twine_attest::claims::Claims::from_bytes(&stolen.claims).unwrap(),
            };
            let attested = key.certify(&claims, &stolen.quote, now()).unwrap();
            let channel = Channel::accept(attested_server(attested).unwrap(), stream);
            assert!(channel.is_err(), "the owner took it");
        });
        let deployed = owner.deploy(&address);
        match own_claims {
            true => deployed.fails(77, &["FAIL evidence.claims"]),
            false => deployed.fails(74, &["its evidence is of another key"]),
        }
        serving.join().unwrap();
    }
    waiting.interrupt();
}

#[test]
fn a_host_that_delivers_itself_is_refused() {
    let (owner, host) = (Owner::new(), User::new());
    let waiting = Waiting::start(&host, &["--configid", &owner.configid]);
    // It has all but the owner's key: a manifest of its own, under which it delivers the same program.
    let imposter = Owner::new();
    imposter
        .user
        .file("policy.toml", std::fs::read_to_string(owner.user.home.path().join("policy.toml")).unwrap());
    imposter.deploy(&waiting.address).fails(77, &["workload.expected"]);
    // Nor can it put other secrets or another module under the owner's manifest.
    let refused = |change: fn(&mut twine_attest::delivery::Bundle), key: &User, reason: &str| {
        let said = deliver(&waiting.address, &owner, key, change);
        assert!(said.contains(reason), "{said}");
    };
    refused(|_| (), &imposter.user, "names another deliverer");
    refused(|bundle| bundle.module = Some(b"\0asm\x01\0\0\0".to_vec()), &owner.user, "bundle.module");
    refused(|bundle| bundle.env.clear(), &owner.user, "env.API_TOKEN");
    refused(|bundle| drop(bundle.files.pop()), &owner.user, "files./in/input.csv");
    let deployed = owner.deploy(&waiting.address);
    assert_eq!(deployed.code, Some(7), "{}", deployed.stderr);
    let ended = waiting.end();
    assert!(ended.stderr.contains("names another deliverer"), "{}", ended.stderr);
}

#[test]
fn a_stranger_cannot_make_the_enclave_read_more_than_a_workload() {
    use twine_attest::delivery::{MAX_BUNDLE, MAX_REPLY, MAX_WORKLOAD, Message};
    let (owner, host, stranger) = (Owner::new(), User::new(), Owner::new());
    // An enclave that knows a number only, by which nobody is a deliverer yet.
    let waiting = Waiting::start(&host, &["--configid", &owner.configid]);
    let says = |key: &User, kind: u8, length: u64, payload: &[u8]| {
        let (mut channel, _) = connect(&waiting.address, &owner, key);
        channel.write_all(&[&[kind][..], &length.to_le_bytes(), payload].concat()).unwrap();
        channel.flush().unwrap();
        // The answer comes although what was announced never does.
        match Message::read(&mut channel, MAX_REPLY).unwrap() {
            Message::Refused(why) => why,
            other => other.name().to_owned(),
        }
    };
    let presented = |owner: &Owner| {
        let manifest = owner.user.home.path().join("twine.toml");
        let config = twine::workload::manifest::Config::read(&manifest).unwrap();
        twine::Program::from_config(&config).unwrap().presented().to_vec()
    };
    let (right, wrong) = (presented(&owner), presented(&stranger));
    for (kind, length, reason) in [
        (1, MAX_BUNDLE, "at most 16777216 are taken"),
        (7, MAX_WORKLOAD + 1, "at most 16777216 are taken"),
        (7, u64::MAX, "at most 16777216 are taken"),
        (1, 0, "a message of kind bundle came instead of the workload"),
        (7, 0, "workload: "),
    ] {
        let said = says(&stranger.user, kind, length, &[]);
        assert!(said.contains(reason), "{kind} {length}: {said}");
    }
    let said = says(&stranger.user, 7, wrong.len() as u64, &wrong);
    assert!(said.contains("workload: ") && said.contains("CONFIGID"), "{said}");
    // Who knows the workload, and is not named by it, sends no bundle.
    let said = says(&stranger.user, 7, right.len() as u64, &right);
    assert!(said.contains("names another deliverer"), "{said}");
    assert_eq!(says(&owner.user, 7, right.len() as u64, &right), "accepted");
    let deployed = owner.deploy(&waiting.address);
    assert_eq!((deployed.code, deployed.stdout), (Some(7), result()), "{}", deployed.stderr);
    waiting.end();
}

#[test]
fn a_volume_opens_with_the_owners_key_alone() {
    // Behind the directory that the program reads from, which has to stay its first.
    let volume = "[[workload.mount]]\nguest = \"/volume\"\nkind = \"volume\"\nname = \"data\"\nkey = \"owner\"\n\
                  [host.paths]\n\"/volume\" = \"data.volume\"\n";
    let (owner, host) = (Owner::with("", volume), User::new());
    let secrets = std::fs::read_to_string(owner.user.home.path().join("secrets.toml")).unwrap();
    owner.user.file("secrets.toml", format!("{secrets}[keys]\ndata = \"data.key\"\n"));
    let run = |key: &str| {
        owner.user.file("data.key", key.repeat(32));
        let waiting = Waiting::start(&host, &["--configid", &owner.configid, "--store", "data=kept.volume"]);
        let deployed = owner.deploy(&waiting.address);
        (deployed, waiting.end())
    };
    for _ in 0..2 {
        let (deployed, _) = run("5a");
        assert_eq!((deployed.code, deployed.stdout), (Some(7), result()), "{}", deployed.stderr);
        assert!(host.home.path().join("kept.volume").exists());
    }
    let (deployed, ended) = run("5b");
    deployed.fails(77, &["volume data"]);
    ended.fails(77, &["volume data"]);
    assert_eq!(run("5a").0.code, Some(7));
    // The same volume on the owner's machine.
    let key = "Wlpa".repeat(10) + "Wlo=";
    owner.user.file(
        "pem.key",
        format!("-----BEGIN TWINE VOLUME KEY-----\n{key}\n-----END TWINE VOLUME KEY-----\n"),
    );
    let kept = host.home.path().join("kept.volume");
    assert_eq!(owner.user.ok(&["volume", "check", "--key", "pem.key", kept.to_str().unwrap()]), "whole\n");
}

/// Two owners of one workload: the first delivers the variable and gets the output, the second the file.
fn banks() -> (Owner, Owner) {
    let (mut a, mut b) = (Owner::new(), Owner::new());
    let other = format!("[[workload.delivery]]\nname = \"bank-b\"\nkey = \"{}\"\n", b.key);
    let key = a.key.clone();
    for bank in [&mut a, &mut b] {
        bank.share(&key, &other);
    }
    assert_eq!(a.configid, b.configid);
    a.user.file("secrets.toml", "version = 1\n[env]\nAPI_TOKEN = \"token\"\n");
    b.user.file("secrets.toml", "version = 1\n[files]\n\"/in/input.csv\" = \"input\"\n");
    (a, b)
}

#[test]
fn two_owners_deliver_their_parts_and_one_gets_the_output() {
    let ((a, b), host) = (banks(), User::new());
    let waiting = Waiting::start(&host, &["--configid", &a.configid]);
    let address = waiting.address.clone();
    let second = thread::spawn(move || {
        let deployed = b.deploy(&address);
        (b, deployed)
    });
    // The second may come first: the run starts when both have been there.
    let first = a.deploy(&waiting.address);
    assert_eq!((first.code, first.stdout), (Some(7), result()), "{}", first.stderr);
    let (b, second) = second.join().unwrap();
    assert_eq!((second.code, second.stdout.as_str()), (Some(7), ""), "{}", second.stderr);
    let ended = waiting.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(7), ""));
    // Nobody delivers the other's part.
    let waiting = Waiting::start(&host, &["--configid", &a.configid]);
    b.user.file(
        "both.toml",
        "version = 1\n[env]\nAPI_TOKEN = \"token\"\n[files]\n\"/in/input.csv\" = \"input\"\n",
    );
    let mut bad = b.user.twine();
    let files = ["--policy", "policy.toml", "--key", "owner.pem", "--secrets", "both.toml"];
    bad.args(["deploy", "--allow-simulation", "--manifest", "twine.toml"]).args(files).arg(&waiting.address);
    common::Ended::of(&mut bad).fails(78, &["env.API_TOKEN", "does not ask this deliverer"]);
    let said = deliver_as(&waiting.address, &b, 1, |bundle| {
        bundle.env.push(twine_attest::delivery::Variable { name: "API_TOKEN".into(), value: "mine".into() });
    });
    assert!(said.contains("does not ask this deliverer"), "{said}");
    waiting.interrupt();
}

#[test]
fn one_owner_waits_for_the_result_and_another_has_a_service() {
    let ((a, b), host) = (banks(), User::new());
    let policy = std::fs::read_to_string(b.user.home.path().join("policy.toml")).unwrap();
    b.user.file("policy.toml", format!("{policy}[evidence]\ninsecure_simulation = true\n"));
    b.user.file(
        "keys.toml",
        "version = 1\nlisten = \"127.0.0.1:0\"\nkey = \"owner.pem\"\naudit = \"audit.jsonl\"\n[[workload]]\n\
         name = \"scoring\"\nmanifest = \"twine.toml\"\npolicy = \"policy.toml\"\nsecrets = \"secrets.toml\"\n",
    );
    let serving = Waiting::spawn(&b.user, &["keys", "serve", "--config", "keys.toml"], "releasing keys");
    let service = format!("bank-b={}", serving.address);
    let manifest = a.user.home.path().join("host.toml");
    let waiting =
        Waiting::start(&host, &["--key-service", &service, "--manifest", manifest.to_str().unwrap()]);
    let deployed = a.deploy(&waiting.address);
    assert_eq!((deployed.code, deployed.stdout), (Some(7), result()), "{}", deployed.stderr);
    assert_eq!(waiting.end().code, Some(7));
    assert!(serving.interrupt().stdout.contains("1 deliveries"));
    // A service cannot be given the output that is an owner's who must wait for it.
    let serving = Waiting::spawn(&b.user, &["keys", "serve", "--config", "keys.toml"], "releasing keys");
    let both = ["--key-service", &serving.address, "--configid", &a.configid];
    host.run(&both).fails(77, &["nothing was delivered by bank-a", "has delivered already"]);
    serving.interrupt();
}

#[test]
fn a_host_that_does_not_run_the_program_cannot_say_that_it_ended_well() {
    let (owner, host) = (Owner::new(), User::new());
    let folders = twine::Folders { state: host.state(), cache: host.cache() };
    let image = twine::Image::embedded(twine::image_format::sigstruct::Variant::Production).unwrap();
    let runner = twine::Runner::with(twine::Tee::Sim, image, &folders).unwrap();
    let configid: [u8; 64] = hex::decode(&owner.configid).unwrap().try_into().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let waiting = thread::spawn(move || {
        let delivery = Some(twine::Ways { listener: Some(listener), services: Vec::new() });
        let operation = twine::Operation::Compile;
        let options = twine::Options { operation, delivery, ..Default::default() };
        let loaded = runner.load_as(twine::workload::Digest(configid), 0).unwrap();
        loaded.run_hidden(twine::Hidden::default(), twine::Io::inherit().unwrap(), options)
    });
    owner.deploy(&address).fails(77, &["waits for the program's result"]);
    waiting.join().unwrap();
}

#[test]
fn mistakes_of_the_owner_name_the_field() {
    let owner = Owner::new();
    let nowhere = |more: &[&str]| owner.deploy_with("127.0.0.1:1", more);
    nowhere(&[]).fails(74, &["127.0.0.1:1", "--await-owner"]);
    owner.user.ok(&["key", "create", "--kind", "owner", "other.pem"]);
    let files = ["--policy", "policy.toml", "--manifest", "twine.toml", "127.0.0.1:1"];
    let deploy = |more: &[&str]| {
        let mut command = owner.user.twine();
        common::Ended::of(command.arg("deploy").args(more).args(files))
    };
    deploy(&["--key", "other.pem", "--secrets", "secrets.toml"]).fails(78, &["workload.delivery.key"]);
    deploy(&["--key", "owner.pem"]).fails(78, &["env.API_TOKEN"]);
    deploy(&["--key", "none.pem"]).fails(66, &["none.pem"]);
    deploy(&["--key", "policy.toml"]).fails(65, &["PRIVATE KEY"]);
    owner.user.file("secrets.toml", "version = 1\n[env]\nAPI_TOKEN = \"token\"\n[file]\n");
    deploy(&["--key", "owner.pem", "--secrets", "secrets.toml"])
        .fails(78, &["secrets.toml:4:2: unknown key `file`; did you mean `files`?"]);
    let usage = |args: &[&str], text: &str| {
        let mut command = owner.user.twine();
        common::Ended::of(command.args(["run", "--tee", "sim"]).args(args)).fails(64, &[text]);
    };
    usage(&["--configid", "12"], "128 hex digits");
    usage(&["--configid", &owner.configid], "--await-owner or --key-service");
    usage(&["--configid", &owner.configid, "--await-owner", "127.0.0.1:0", "score.wat"], "name no module");
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn key_of(user: &User) -> DeliveryKey {
    DeliveryKey::from_pem(&std::fs::read_to_string(user.home.path().join("owner.pem")).unwrap()).unwrap()
}

/// Connects as the holder of `key`, believing what comes as the owner's policy says.
fn connect(address: &str, owner: &Owner, key: &User) -> (Channel<TcpStream>, Arc<PeerVerifier>) {
    let mut stream = TcpStream::connect(address).unwrap();
    let own = Hello::new().unwrap();
    own.write(&mut stream).unwrap();
    Hello::read(&mut stream).unwrap();
    let text = std::fs::read_to_string(owner.user.home.path().join("policy.toml")).unwrap();
    let policy = Policy::from_toml(&text, "policy.toml").unwrap();
    let collateral = sim::collateral(now(), sim::BASE_CPUSVN).unwrap().to_json().into_bytes();
    let verifier =
        Arc::new(PeerVerifier::new(policy, collateral, &own, None).insecure_allow_simulation(true));
    let config = delivering_client(verifier.clone(), &key_of(key)).unwrap();
    (Channel::connect(config, stream).unwrap(), verifier)
}

/// The evidence of the enclave that waits.
fn steal(address: &str, owner: &Owner) -> Evidence {
    let (channel, _) = connect(address, owner, &owner.user);
    let evidence = Evidence::from_certificate(&channel.peer_certificate().unwrap()).unwrap();
    channel.close();
    evidence
}

/// Delivers the owner's bundle after `change`, signed for by `key`; what the enclave says to it.
fn deliver(
    address: &str,
    owner: &Owner,
    key: &User,
    change: fn(&mut twine_attest::delivery::Bundle),
) -> String {
    deliver_part(address, owner, key, 0, change)
}

/// The same as the deliverer with this number, with its own key.
fn deliver_as(
    address: &str,
    owner: &Owner,
    number: usize,
    change: fn(&mut twine_attest::delivery::Bundle),
) -> String {
    deliver_part(address, owner, &owner.user, number, change)
}

fn deliver_part(
    address: &str,
    owner: &Owner,
    key: &User,
    number: usize,
    change: fn(&mut twine_attest::delivery::Bundle),
) -> String {
    use twine_attest::delivery::{Bundle, ChannelError, Secrets};
    let folder = owner.user.home.path();
    let config = twine::workload::manifest::Config::read(&folder.join("twine.toml")).unwrap();
    let program = twine::Program::from_config(&config).unwrap();
    let secrets = Secrets::read(&folder.join("secrets.toml")).unwrap();
    let secrets = secrets.bundle(&program.workload().deliverers()[number], folder).unwrap();
    let mut bundle = Bundle { module: program.module().map(|module| module.to_vec().unwrap()), ..secrets };
    change(&mut bundle);
    let (mut channel, _) = connect(address, owner, key);
    match channel.deliver(program.presented(), &bundle.to_bytes()) {
        Err(ChannelError::Refused(why)) => why,
        other => format!("{other:?}"),
    }
}

/// Serves one connection with `serve`.
fn serve_once(serve: impl FnOnce(TcpStream) + Send + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (address, thread::spawn(move || serve(listener.accept().unwrap().0)))
}

/// The host's wire between owner and enclave, for one connection: sees all, changes what it likes.
struct Wire {
    address: String,
    relaying: JoinHandle<Vec<u8>>,
}

impl Wire {
    /// `change` gets each piece; true: on its way to the enclave.
    fn to(enclave: &str, change: impl FnMut(bool, &mut Vec<u8>) + Send + 'static) -> Self {
        let (enclave, seen) = (enclave.to_owned(), Arc::new(Mutex::new(Vec::new())));
        let change = Arc::new(Mutex::new(change));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let relaying = thread::spawn(move || {
            let (owner, _) = listener.accept().unwrap();
            let inside = TcpStream::connect(enclave).unwrap();
            let pairs = [(true, &owner, &inside), (false, &inside, &owner)];
            thread::scope(|scope| {
                for (up, from, to) in pairs {
                    let (seen, change) = (&seen, &change);
                    scope.spawn(move || {
                        let (mut from, mut to) = (from, to);
                        let mut buffer = [0; 65536];
                        while let Ok(count @ 1..) = from.read(&mut buffer) {
                            let mut piece = buffer[..count].to_vec();
                            seen.lock().unwrap().extend_from_slice(&piece);
                            change.lock().unwrap()(up, &mut piece);
                            if to.write_all(&piece).is_err() {
                                break;
                            }
                        }
                        let _ = to.shutdown(std::net::Shutdown::Write);
                    });
                }
            });
            Arc::try_unwrap(seen).unwrap().into_inner().unwrap()
        });
        Self { address, relaying }
    }

    /// All that went over it.
    fn end(self) -> Vec<u8> {
        self.relaying.join().unwrap()
    }
}
