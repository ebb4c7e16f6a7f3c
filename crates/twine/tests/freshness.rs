//! Old copies of a volume, forks, and anchors that are deleted, swapped or forged: each refused with its exit code.

mod common;
#[path = "common/liar.rs"]
mod liar;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use common::{Ended, User, program};
use twine::Outcome;
use twine_abi::calls::Call;
use twine_host::run::End;

/// Refused by an anchor.
const ROLLED_BACK: i32 = 76;

struct Owner {
    user: User,
    freshness: String,
    address: Option<String>,
    args: &'static [&'static str],
}

impl Owner {
    fn new(freshness: &str) -> Self {
        Self { user: User::new(), freshness: freshness.to_owned(), address: None, args: &[] }
    }

    /// The program that appends to a file and prints how often it has, on the volume `name` in the file `store`.
    fn run(&self, name: &str, store: &str) -> Ended {
        let anchors =
            self.address.as_ref().map_or(String::new(), |a| format!("[host.anchors]\n\"/\" = \"{a}\"\n"));
        let manifest = format!(
            "version = 1\n[workload]\n[[workload.mount]]\nguest = \"/\"\nkind = \"volume\"\nname = \"{name}\"\n{}\n\
             [host]\nmodule = {:?}\n[host.paths]\n\"/\" = \"{store}\"\n{anchors}",
            self.freshness,
            program("append.wat"),
        );
        let manifest = self.user.file("twine.toml", manifest);
        self.user.run(&[self.args, &["--manifest", manifest.to_str().unwrap()]].concat())
    }

    #[track_caller]
    fn counts(&self, expected: &str) {
        let ended = self.run("data", "data.volume");
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), expected), "{}", ended.stderr);
    }

    #[track_caller]
    fn fails(&self, code: i32, texts: &[&str]) {
        self.run("data", "data.volume").fails(code, texts);
    }

    /// The same under an owner's key, by which the owner's tool opens it as well.
    fn keyed(mut self) -> Self {
        self.user.ok(&["key", "create", "--kind", "volume", "volume.key"]);
        self.user.file("note", "by the owner");
        self.freshness += "\nkey = \"owner\"";
        self.args = &["--debug", "--insecure-volume-key", "data=volume.key"];
        self
    }

    /// `twine volume VERB --key volume.key ARGS`
    fn tool(&self, verb: &str, args: &[&str]) -> Ended {
        Ended::of(self.user.twine().args(["volume", verb, "--key", "volume.key"]).args(args))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.user.home.path().join(name)
    }

    /// The store and what is beside it, but for the anchor.
    fn copy(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fs::read_dir(self.user.home.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                let name = path.file_name().unwrap().to_str().unwrap();
                name.starts_with("data.volume") && !name.ends_with(".anchor")
            })
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect()
    }
}

fn restore(copy: &[(PathBuf, Vec<u8>)]) {
    copy.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
}

#[test]
fn without_an_anchor_an_old_copy_opens() {
    let owner = Owner::new("");
    owner.counts("1\n");
    let old = owner.copy();
    owner.counts("2\n");
    restore(&old);
    owner.counts("2\n");
}

#[test]
fn a_file_anchor_refuses_an_old_copy() {
    let owner = Owner::new("freshness = \"insecure-file\"");
    owner.counts("1\n");
    let old = owner.copy();
    owner.counts("2\n");
    let new = owner.copy();
    restore(&old);
    owner.fails(ROLLED_BACK, &["rolled back", "volume data"]);
    restore(&new);
    owner.counts("3\n");
    // It is called insecure for a reason, and says so.
    let ended = owner.run("data", "data.volume");
    assert!(ended.stderr.contains("insecure freshness"), "{}", ended.stderr);
}

#[test]
fn a_deleted_anchor_is_missed() {
    let owner = Owner::new("freshness = \"insecure-file\"");
    owner.counts("1\n");
    let anchor = owner.path("data.volume.anchor");
    let record = fs::read(&anchor).unwrap();
    fs::remove_file(&anchor).unwrap();
    owner.fails(ROLLED_BACK, &["knows nothing of this volume"]);
    fs::write(&anchor, &record).unwrap();
    owner.counts("2\n");
}

#[test]
fn a_damaged_anchor_is_a_failure() {
    let owner = Owner::new("freshness = \"insecure-file\"");
    owner.counts("1\n");
    fs::write(owner.path("data.volume.anchor"), "nonsense").unwrap();
    owner.fails(70, &["its record is damaged"]);
}

#[test]
fn two_volumes_anchors_cannot_be_swapped() {
    let owner = Owner::new("freshness = \"insecure-file\"");
    owner.counts("1\n");
    owner.run("other", "other.volume").fails(0, &[]);
    let (one, two) = (owner.path("data.volume.anchor"), owner.path("other.volume.anchor"));
    let (first, second) = (fs::read(&one).unwrap(), fs::read(&two).unwrap());
    fs::write(&one, &second).unwrap();
    fs::write(&two, &first).unwrap();
    owner.fails(ROLLED_BACK, &["another volume"]);
    owner.run("other", "other.volume").fails(ROLLED_BACK, &["another volume"]);
}

#[test]
fn a_deleted_volume_is_missed_by_its_anchor() {
    let owner = Owner::new("freshness = \"insecure-file\"");
    owner.counts("1\n");
    owner.copy().iter().for_each(|(path, _)| fs::remove_file(path).unwrap());
    owner.fails(ROLLED_BACK, &["created anew"]);
}

#[test]
fn an_anchor_that_moves_at_open_and_close_refuses_what_is_older_than_a_run() {
    let owner = Owner::new("freshness = \"insecure-file\"\nanchor = \"open-and-close\"");
    owner.counts("1\n");
    let old = owner.copy();
    owner.counts("2\n");
    restore(&old);
    owner.fails(ROLLED_BACK, &["rolled back"]);
}

#[test]
fn a_policy_without_an_anchor_is_a_mistake() {
    Owner::new("anchor = \"30s\"").fails(78, &["anchor", "freshness"]);
    Owner::new("freshness = \"insecure-file\"\nanchor = \"sometimes\"").fails(78, &["anchor", "30s"]);
}

/// `twine anchor serve` in a process of its own.
struct Service(Child);

impl Service {
    /// Its process, key and address.
    fn start(user: &User, key: &str) -> (Self, String, String) {
        let key_file = user.home.path().join(key);
        if !key_file.exists() {
            user.ok(&["key", "create", "--kind", "owner", key]);
        }
        let mut command = user.twine();
        command.args(["anchor", "serve", "--key", key, "--ledger", "ledger", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut word = || lines.next().unwrap().unwrap().split_whitespace().last().unwrap().to_owned();
        let (key, address) = (word(), word());
        (Self(child), key, address)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn served() -> (Owner, Service) {
    let mut owner = Owner::new("");
    let (service, key, address) = Service::start(&owner.user, "service.pem");
    owner.freshness = format!("freshness = \"service\"\nservice = \"{key}\"");
    owner.address = Some(address);
    (owner, service)
}

#[test]
fn a_service_refuses_an_old_copy_even_if_everything_on_this_machine_is_old() {
    let (owner, service) = served();
    owner.counts("1\n");
    let old = owner.copy();
    owner.counts("2\n");
    let new = owner.copy();
    restore(&old);
    owner.fails(ROLLED_BACK, &["rolled back"]);
    // Nor a new volume in the place of one that the service knows.
    new.iter().for_each(|(path, _)| fs::remove_file(path).unwrap());
    owner.fails(ROLLED_BACK, &["created anew"]);
    restore(&new);
    owner.counts("3\n");
    drop(service);
    owner.fails(70, &["does not answer"]);
}

#[test]
fn the_services_memory_outlives_it() {
    let (mut owner, service) = served();
    owner.counts("1\n");
    drop(service);
    let (_service, _, address) = Service::start(&owner.user, "service.pem");
    owner.address = Some(address);
    owner.counts("2\n");
}

#[test]
fn a_service_with_another_key_is_not_believed() {
    let (mut owner, service) = served();
    owner.counts("1\n");
    drop(service);
    let (_impostor, _, address) = Service::start(&owner.user, "impostor.pem");
    owner.address = Some(address);
    owner.fails(77, &["forged or an old one"]);
}

#[test]
fn a_service_without_an_address_is_named() {
    let (mut owner, _service) = served();
    owner.address = None;
    owner.fails(70, &["host.anchors"]);
}

/// Stands between enclave and service and gives the first answer to every question.
#[test]
fn an_old_answer_of_the_service_is_not_believed() {
    let (mut owner, _service) = served();
    owner.counts("1\n");
    let real = owner.address.clone().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    owner.address = Some(listener.local_addr().unwrap().to_string());
    let first: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let question = message(&mut stream);
            let mut service = TcpStream::connect(&real).unwrap();
            send(&mut service, &question);
            let answer = message(&mut service);
            let kept = first.lock().unwrap().get_or_insert(answer).clone();
            send(&mut stream, &kept);
        }
    });
    owner.fails(77, &["forged or an old one"]);
    owner.fails(77, &["forged or an old one"]);
}

fn message(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn send(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(&(bytes.len() as u32).to_le_bytes()).unwrap();
    stream.write_all(bytes).unwrap();
}

#[test]
fn a_second_opener_is_told() {
    let owner = Owner::new("");
    owner.counts("1\n");
    let path = owner.path("data.volume");
    let _lock = twine_volume::store::FileStore::open(&path, true).unwrap();
    owner.fails(77, &["another process has it open"]);
}

/// An old copy, and a host that lies about what the service answers.
#[test]
fn no_lie_about_the_service_makes_an_old_copy_fresh() {
    let (owner, _service) = served();
    owner.counts("1\n");
    let old = owner.copy();
    owner.counts("2\n");
    let new = owner.copy();
    let manifest = owner.path("twine.toml");
    let exited = |end: &End| matches!(end, End::Finished { outcome: Outcome::Exited, code: 0, .. });
    let mut ended = 0;
    for seed in 0..40 {
        println!("seed {seed}");
        restore(&old);
        let mut twister = liar::Twister::new(seed, 1 + seed % 3, |call| call == Call::Anchor);
        let lie = move |call, buffer: &mut [u8], length| twister.lie(call, buffer, length);
        let lied = liar::run(&owner.user, &manifest, || (), lie);
        ended += u32::from(liar::judge(seed, &lied.end) == "ended itself");
        assert!(!exited(&lied.end), "seed {seed}: an old copy was taken: {}", lied.stdout.text());
    }
    assert!(ended > 3, "{ended}");
    // The newest one is as good as before, and the service still knows it.
    restore(&new);
    owner.counts("3\n");
}

/// The newest copy, and a host that lies about its anchor's record: a run that ends well left a state that the anchor knows.
#[test]
fn lies_about_a_record_corrupt_nothing() {
    let owner = Owner::new("freshness = \"insecure-file\"");
    owner.counts("1\n");
    let anchor = owner.path("data.volume.anchor");
    let (store, record) = (owner.copy(), fs::read(&anchor).unwrap());
    let manifest = owner.path("twine.toml");
    let (mut well, mut refused) = (0, 0);
    for seed in 0..40 {
        println!("seed {seed}");
        restore(&store);
        fs::write(&anchor, &record).unwrap();
        let mut twister = liar::Twister::new(seed, 1 + seed % 8, |call| call == Call::Anchor);
        let lie = move |call, buffer: &mut [u8], length| twister.lie(call, buffer, length);
        let lied = liar::run(&owner.user, &manifest, || (), lie);
        liar::judge(seed, &lied.end);
        if matches!(lied.end, End::Finished { outcome: Outcome::Exited, code: 0, .. }) {
            assert_eq!(lied.stdout.text(), "2\n", "seed {seed}");
            well += 1;
        } else {
            refused += 1;
        }
    }
    assert!(well > 3 && refused > 3, "{well} {refused}");
    restore(&store);
    fs::write(&anchor, &record).unwrap();
    owner.counts("2\n");
}

#[test]
fn the_owners_tool_keeps_to_a_file_anchor_and_moves_it() {
    let owner = Owner::new("freshness = \"insecure-file\"").keyed();
    owner.counts("1\n");
    let info = owner.tool("info", &["data.volume"]);
    for text in ["anchor      insecure-file\n", "anchor insecure-file (every-sync)"] {
        assert!(info.stdout.contains(text), "{} {}", info.stdout, info.stderr);
    }
    let old = owner.copy();
    owner.tool("cp", &["note", "data.volume::/"]).fails(0, &[]);
    owner.tool("compact", &["data.volume"]).fails(0, &[]);
    // What the tool wrote is no fork to the enclave, nor the other way round.
    owner.counts("2\n");
    assert_eq!(owner.tool("cat", &["data.volume::/note"]).stdout, "by the owner");
    let new = owner.copy();
    restore(&old);
    for (verb, args) in [("ls", &["data.volume"][..]), ("cp", &["note", "data.volume::/"])] {
        owner.tool(verb, args).fails(ROLLED_BACK, &["rolled back", "--salvage"]);
    }
    owner.tool("check", &["--salvage", "saved", "data.volume"]).fails(1, &[]);
    assert_eq!(fs::read(owner.path("saved/log")).unwrap(), b"secret-in-a-file");
    restore(&new);
    let record = fs::read(owner.path("data.volume.anchor")).unwrap();
    fs::remove_file(owner.path("data.volume.anchor")).unwrap();
    owner.tool("ls", &["data.volume"]).fails(ROLLED_BACK, &["knows nothing of this volume"]);
    fs::write(owner.path("data.volume.anchor"), record).unwrap();
    owner.tool("ls", &["--anchor", "127.0.0.1:1", "data.volume"]).fails(64, &["leave out --anchor"]);
    // A copy is no newer and no older than the volume, and has no record of its own.
    owner.tool("snapshot", &["data.volume", "copy.volume"]).fails(0, &[]);
    owner.tool("ls", &["copy.volume"]).fails(ROLLED_BACK, &["knows nothing of this volume"]);
    // A new key leaves the anchor as it is; a new volume would have none.
    owner.user.ok(&["key", "create", "--kind", "volume", "second.key"]);
    owner
        .tool("rekey", &["--new-key", "second.key", "--full", "data.volume"])
        .fails(77, &["its anchor knows"]);
    owner.tool("rekey", &["--new-key", "second.key", "data.volume"]).fails(0, &[]);
    let info = owner.user.ok(&["volume", "info", "--key", "second.key", "data.volume"]);
    assert!(info.contains("anchor      insecure-file\n"), "{info}");
}

#[test]
fn the_owners_tool_asks_a_service_and_does_not_write_without() {
    let (owner, service) = served();
    let owner = owner.keyed();
    let address = owner.address.clone().unwrap();
    owner.counts("1\n");
    let old = owner.copy();
    owner
        .tool("cp", &["note", "data.volume::/"])
        .fails(77, &["a service keeps it fresh", "--anchor HOST:PORT"]);
    owner.tool("ls", &["data.volume"]).fails(0, &["was not asked"]);
    owner.tool("cp", &["--anchor", &address, "note", "data.volume::/"]).fails(0, &[]);
    owner.counts("2\n");
    let new = owner.copy();
    restore(&old);
    owner.tool("ls", &["--anchor", &address, "data.volume"]).fails(ROLLED_BACK, &["rolled back"]);
    owner.tool("cp", &["--anchor", &address, "note", "data.volume::/"]).fails(ROLLED_BACK, &["rolled back"]);
    restore(&new);
    let (_impostor, _, other) = Service::start(&owner.user, "impostor.pem");
    owner.tool("ls", &["--anchor", &other, "data.volume"]).fails(77, &["forged or an old one"]);
    owner.tool("ls", &["--anchor", &address, "data.volume"]).fails(0, &[]);
    drop(service);
    owner
        .tool("ls", &["--anchor", &address, "data.volume"])
        .fails(74, &["the freshness anchor failed", &address]);
}
