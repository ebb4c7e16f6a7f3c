//! `twine keys serve`: enclaves that fetch their secrets without a person, and who gets none.

mod common;
#[path = "common/delivery.rs"]
mod parties;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use common::{Ended, User};
use parties::{Owner, TOKEN, Waiting};
use serde_json::Value;

/// An owner whose service is up.
struct Service {
    owner: Owner,
    serving: Option<Waiting>,
}

impl Service {
    /// With more lines in the workload's entry and in the table `limits`.
    fn start(entry: &str, limits: &str) -> Self {
        let mut owner = Owner::new();
        // The service cannot wait for results, so the program's output is the host's.
        owner.give_to_host();
        owner.user.file("keys.toml", config(entry, limits));
        let policy = fs::read_to_string(owner.user.home.path().join("policy.toml")).unwrap();
        owner.user.file("policy.toml", format!("{policy}[evidence]\ninsecure_simulation = true\n"));
        let serving =
            Waiting::spawn(&owner.user, &["keys", "serve", "--config", "keys.toml"], "releasing keys");
        Self { owner, serving: Some(serving) }
    }

    fn address(&self) -> &str {
        &self.serving.as_ref().unwrap().address
    }

    /// A run that fetches its secrets.
    fn run(&self, host: &User, args: &[&str]) -> Ended {
        host.run(&[&["--key-service", self.address()], args].concat())
    }

    /// Stops it; what it says, and its audit log.
    fn stop(mut self) -> (Ended, Vec<Value>) {
        let ended = self.serving.take().unwrap().interrupt();
        let log = fs::read_to_string(self.owner.user.home.path().join("audit.jsonl")).unwrap();
        (ended, log.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }
}

fn config(entry: &str, limits: &str) -> String {
    format!(
        "version = 1\nlisten = \"127.0.0.1:0\"\nkey = \"owner.pem\"\naudit = \"audit.jsonl\"\n[limits]\n{limits}\n\
         [[workload]]\nname = \"scoring\"\nmanifest = \"twine.toml\"\npolicy = \"policy.toml\"\nsecrets = \"secrets.toml\"\n\
         {entry}\n"
    )
}

fn events(log: &[Value]) -> Vec<&str> {
    log.iter().map(|line| line["event"].as_str().unwrap()).collect()
}

#[test]
fn an_enclave_fetches_code_and_secrets_and_the_log_says_so() {
    let (service, host) = (Service::start("", ""), User::new());
    let ran = service.run(&host, &["--configid", &service.owner.configid]);
    assert_eq!((ran.code, ran.stdout), (Some(7), parties::result()), "{}", ran.stderr);
    let (ended, log) = service.stop();
    assert_eq!(ended.stdout, "1 connections, 1 deliveries, 0 refused\n", "{}", ended.stderr);
    assert_eq!(events(&log), ["started", "released", "delivered", "stopped"]);
    assert_eq!(log[1]["workload"], "scoring");
    assert_eq!(log[1]["evidence"]["tcb_status"], "UpToDate");
    assert_eq!(log[1]["evidence"]["simulated"], true);
    assert!(!log.iter().any(|line| line.to_string().contains(TOKEN)));
}

#[test]
fn who_is_not_meant_gets_nothing_and_the_log_has_the_reason() {
    let (service, host) = (Service::start("", ""), User::new());
    let configid = &service.owner.configid;
    let refused = |args: &[&str]| service.run(&host, args).fails(77, &["nothing was delivered"]);
    refused(&["--configid", &"00".repeat(64)]);
    refused(&["--configid", configid, "--debug"]);
    refused(&["--configid", configid, "--configsvn", "3"]);
    let mut stranger = TcpStream::connect(service.address()).unwrap();
    stranger.write_all(&[b'G'; 100]).unwrap();
    let _ = stranger.read_to_end(&mut Vec::new());
    // The service of another owner: the enclave refuses what it sends.
    let other = Service::start("", "");
    let ran = host.run(&["--key-service", other.address(), "--configid", configid]);
    ran.fails(77, &["nothing was delivered"]);
    other.stop();
    let (_, log) = service.stop();
    assert_eq!(events(&log), ["started", "refused", "refused", "refused", "refused", "stopped"]);
    let reason = |line: usize| log[line]["reason"].as_str().unwrap().to_owned();
    assert!(reason(1).contains("no workload here has CONFIGID 0000"), "{}", reason(1));
    assert!(reason(2).contains("enclave.debug"), "{}", reason(2));
    assert!(reason(3).contains("CONFIGSVN 3"), "{}", reason(3));
    assert!(reason(4).contains("not a hello"), "{}", reason(4));
}

#[test]
fn rates_and_slow_peers_have_limits() {
    let (service, host) = (Service::start("per_minute = 1", "timeout = \"2s\""), User::new());
    let run = || service.run(&host, &["--configid", &service.owner.configid]);
    // Says nothing for as long as it may; meanwhile others are served.
    let silent = TcpStream::connect(service.address()).unwrap();
    assert_eq!(run().code, Some(7));
    run().fails(77, &["nothing was delivered"]);
    let _ = (&silent).read_to_end(&mut Vec::new());
    let (_, log) = service.stop();
    assert!(
        log.iter()
            .any(|line| line["event"] == "limited" && line["reason"].to_string().contains("per_minute"))
    );
    assert!(
        log.iter()
            .any(|line| line["event"] == "refused" && line["reason"].to_string().contains("limits.timeout"))
    );

    let service = Service::start("", "per_address = 1");
    let run = || service.run(&host, &["--configid", &service.owner.configid]);
    assert_eq!(run().code, Some(7));
    run().fails(77, &["nothing was delivered"]);
    let (_, log) = service.stop();
    assert_eq!(events(&log), ["started", "released", "delivered", "limited", "stopped"]);
}

#[test]
fn mistakes_in_the_configuration_name_the_field() {
    let mut owner = Owner::new();
    owner.give_to_host();
    let check = |text: String, code: i32, expected: &str| {
        owner.user.file("keys.toml", text);
        let mut command = owner.user.twine();
        Ended::of(command.args(["keys", "serve", "--check", "--config", "keys.toml"]))
            .fails(code, &[expected]);
    };
    // Without simulation, collateral must come from somewhere.
    check(config("", ""), 78, "collateral");
    let config = |entry: &str, limits: &str| {
        config(entry, limits).replace("version = 1\n", "version = 1\npccs = \"https://pccs.example.org\"\n")
    };
    check(config("", ""), 0, "");
    check(config("", "").replace("https://", ""), 78, "write a URL like");
    check(config("", "").replace("pccs =", "pcs ="), 78, "unknown key `pcs`; did you mean `pccs`?");
    check(config("", "").replace("pccs =", "collateral = \"none.json\"\npccs ="), 78, "pccs: ");
    check(config("", "").replace("pccs =", "collateral ="), 66, "https://pccs.example.org");
    check(config("", "").replace("pccs =", "pccs_ca ="), 78, "pccs_ca");
    check(config("", "").replace("pccs =", "pccs_ca = \"owner.pem\"\npccs ="), 78, "owner.pem");
    check(config("", "conections = 3"), 78, "unknown key `conections`; did you mean `connections`?");
    check(config("", "connections = 0"), 78, "limits.connections");
    check(config("", "timeout = \"soon\""), 78, "limits.timeout");
    check(config("per_minute = -1", ""), 78, "per_minute");
    check(config("", "").replace("version = 1", "version = 2"), 78, "version");
    check(config("", "").replace("\"policy.toml\"", "\"none.toml\""), 66, "none.toml");
    check(config("", "").replace("secrets = \"secrets.toml\"\n", ""), 78, "env.API_TOKEN");
    let twice = config("", "") + &config("", "")[config("", "").find("[[workload]]").unwrap()..];
    check(twice, 78, "workload.1.name");
    owner.user.ok(&["key", "create", "--kind", "owner", "other.pem"]);
    check(config("", "").replace("owner.pem", "other.pem"), 78, "workload.delivery.key");
}
