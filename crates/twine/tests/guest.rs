//! `twine_tee_v1` in the image, on the simulated processor's own keys and quotes (docs/guest-api.md).

mod common;

use std::io::{Read, Write};
use std::process::{Output, Stdio};

use common::{User, program};
use serde_json::Value;

const ACCES: u32 = 2;
const STALE: u32 = 72;

/// What the test program answered.
#[derive(Debug)]
struct Answer {
    errno: u32,
    record: Vec<u8>,
    result: Vec<u8>,
}

impl Answer {
    fn message(&self) -> String {
        String::from_utf8_lossy(&self.result).into_owned()
    }

    #[track_caller]
    fn ok(self) -> Vec<u8> {
        assert_eq!(self.errno, 0, "{}", self.message());
        self.result
    }
}

/// Runs the test program: one letter, a number, inputs.
fn call(user: &User, options: &[&str], letter: u8, number: u64, inputs: &[&[u8]]) -> Answer {
    let module = program("tee.wat");
    let named = options.contains(&"-c");
    let mut command = user.twine();
    command.args(["run", "--tee", "sim"]).args(options);
    if !named {
        command.arg(module);
    }
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut request = vec![letter];
    request.extend(number.to_le_bytes());
    for input in inputs {
        request.extend((input.len() as u32).to_le_bytes());
        request.extend(*input);
    }
    // A program that is refused reads nothing.
    let _ = child.stdin.take().unwrap().write_all(&request);
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    assert_eq!(status.code(), Some(0), "{}", String::from_utf8_lossy(&stderr));
    let (errno, rest) = stdout.split_at(4);
    let (record, result) = rest.split_at(224);
    let errno = u32::from_le_bytes(errno.try_into().unwrap());
    Answer { errno, record: record.to_vec(), result: result.to_vec() }
}

/// What `twine measure` says of the test program.
fn measured(user: &User, options: &[&str]) -> Value {
    let module = program("tee.wat");
    let text = user.ok(&[&["measure", "--json"], options, &[&module]].concat());
    serde_json::from_str::<Value>(&text).unwrap()["data"].clone()
}

fn policy(measured: &Value) -> String {
    format!(
        "version = 1\n[[enclave.image]]\nmrenclave = {}\nmrsigner = {}\n[workload]\ndigest = [{}]\n[evidence]\n\
         insecure_simulation = true\n",
        measured["mrenclave"], measured["mrsigner"], measured["workload"]["configid"]
    )
}

#[test]
fn a_program_attests_itself_to_its_owner() {
    let user = User::new();
    let measured = measured(&user, &[]);
    let evidence = call(&user, &[], b'c', 0, &[b"result: 42", b"n1"]).ok();
    user.file("evidence", &evidence);
    user.file("policy.toml", policy(&measured));
    let verify = ["verify", "evidence", "--policy", "policy.toml"];
    let accepted = user.ok(&[&verify[..], &["--nonce", "6e31", "--allow-simulation"]].concat());
    assert!(accepted.contains("program says             result: 42\n"), "{accepted}");
    let parsed = call(&user, &["--env", "ROLE=peer"], b'p', 0, &[&evidence]);
    assert_eq!(hex::encode(&parsed.record[96..160]), measured["workload"]["configid"]);
    assert_eq!(parsed.record[4], 0, "not verified");
    assert_eq!(parsed.ok(), b"result: 42");
}

#[test]
fn a_peer_is_judged_inside() {
    let user = User::new();
    let measured = measured(&user, &[]);
    let evidence = call(&user, &[], b'c', 0, &[b"result: 42", b"n1"]).ok();
    // Another workload under the same runtime judges it, inside: with the host's collateral, by the host's clock.
    let peer = &["--env", "ROLE=peer"];
    let policy = policy(&measured);
    let verified = call(&user, peer, b'v', 0, &[&evidence, b"n1", policy.as_bytes(), b""]);
    assert_eq!(verified.errno, 0, "{}", verified.message());
    assert_eq!(verified.record[4], 6, "verified, simulated");
    assert_eq!(hex::encode(&verified.record[32..64]), measured["mrenclave"]);
    assert_eq!(hex::encode(&verified.record[96..160]), measured["workload"]["configid"]);
    assert_eq!(verified.ok(), b"result: 42");
    let stale = call(&user, peer, b'v', 0, &[&evidence, b"n2", policy.as_bytes(), b""]);
    assert!(stale.errno == ACCES && stale.message().contains("evidence.nonce"), "{}", stale.message());
    let late = call(&user, peer, b'v', 4_000_000_000, &[&evidence, b"n1", policy.as_bytes(), b""]);
    assert_eq!(late.errno, STALE, "{}", late.message());
    let strict = policy.replace("insecure_simulation = true", "");
    let refused = call(&user, peer, b'v', 0, &[&evidence, b"n1", strict.as_bytes(), b""]);
    assert!(refused.errno == ACCES && refused.message().contains("simulated"), "{}", refused.message());
    // The peer is not the one that the policy accepts.
    let other = call(&user, peer, b'c', 0, &[b"result: 42", b"n1"]).ok();
    let refused = call(&user, &[], b'v', 0, &[&other, b"n1", policy.as_bytes(), b""]);
    assert!(
        refused.errno == ACCES && refused.message().contains("workload.identity"),
        "{}",
        refused.message()
    );
}

#[test]
fn a_program_knows_who_it_is() {
    let user = User::new();
    let measured = measured(&user, &[]);
    let identity = call(&user, &[], b'i', 0, &[]);
    assert_eq!(hex::encode(&identity.record[32..64]), measured["mrenclave"]);
    assert_eq!(hex::encode(&identity.record[64..96]), measured["mrsigner"]);
    assert_eq!(hex::encode(&identity.record[160..224]), measured["workload"]["digest"]);
    assert_eq!(identity.record[4], 0);
    assert_eq!(call(&user, &["--debug"], b'i', 0, &[]).record[4], 1);
}

/// Seals to the enclave and to the signer.
fn seal(user: &User, options: &[&str]) -> [Vec<u8>; 2] {
    [0, 1].map(|to| call(user, options, b's', to, &[b"purpose", b"secret"]).ok())
}

/// Which of the two open.
fn opens(user: &User, options: &[&str], sealed: &[Vec<u8>; 2]) -> [bool; 2] {
    [0, 1].map(|to| {
        let answer = call(user, options, b'u', 0, &[b"purpose", &sealed[to]]);
        assert!(
            answer.errno == 0 && answer.result == b"secret" || answer.errno == ACCES,
            "{}",
            answer.message()
        );
        answer.errno == 0
    })
}

#[test]
fn sealed_data_is_this_workloads_alone() {
    let user = User::new();
    let sealed = seal(&user, &[]);
    assert_eq!(opens(&user, &[], &sealed), [true, true]);
    assert_eq!(opens(&user, &["--env", "A=B"], &sealed), [false, false], "another workload");
    assert_eq!(opens(&user, &["--debug"], &sealed), [false, false], "a debug enclave");
    let aad = call(&user, &[], b'u', 0, &[b"other", &sealed[0]]);
    assert_eq!(aad.errno, ACCES);
    // Another machine.
    assert_eq!(opens(&User::new(), &[], &sealed), [false, false]);
    // And the debug enclave's, in production.
    let sealed = seal(&user, &["--debug"]);
    assert_eq!(opens(&user, &["--debug"], &sealed), [true, true]);
    assert_eq!(opens(&user, &[], &sealed), [false, false]);
}

#[test]
fn an_upgrade_of_the_runtime_opens_it_and_a_downgrade_does_not() {
    let user = User::new();
    for key in ["key.pem", "stranger.pem"] {
        user.ok(&["key", "create", key]);
    }
    let sign = |key: &str, version: &str, out: &str| {
        let fixed = ["image", "sign", "--date", "2026-11-23", "--key", key, "--out", out];
        user.ok(&[&fixed[..], &["--security-version", version]].concat());
    };
    sign("key.pem", "3", "three.sig");
    sign("key.pem", "4", "four.sig");
    sign("stranger.pem", "4", "stranger.sig");
    let under = |sigstruct: &'static str| ["--sigstruct", sigstruct];
    let three = seal(&user, &under("three.sig"));
    assert_eq!(opens(&user, &under("three.sig"), &three), [true, true]);
    assert_eq!(opens(&user, &under("four.sig"), &three), [true, true], "an upgrade");
    assert_eq!(
        opens(&user, &under("stranger.sig"), &three),
        [false, false],
        "the same image, a stranger's signature"
    );
    let four = seal(&user, &under("four.sig"));
    assert_eq!(opens(&user, &under("three.sig"), &four), [false, false], "a downgrade");
    let refused = call(&user, &under("three.sig"), b'u', 0, &[b"purpose", &four[1]]);
    assert!(refused.message().contains("newer version"), "{}", refused.message());
}

#[test]
fn an_owners_upgrade_of_the_workload_opens_it_and_a_downgrade_does_not() {
    let user = User::new();
    let shown = user.ok(&["key", "create", "--kind", "owner", "owner.pem"]);
    let owner = shown.lines().find_map(|line| line.strip_prefix("owner       ")).unwrap();
    let manifest = |file: &str, name: &str, version: u32| {
        let text = format!(
            "version = 1\n[workload]\nargs = [\"v{version}\"]\n[workload.identity]\nowner = \"{owner}\"\nname = \"{name}\"\n\
             version = {version}\n[host]\nmodule = {:?}\nsignature = \"{file}.signature\"\n",
            program("tee.wat")
        );
        user.file(file, text);
        user.ok(&["key", "sign", "--key", "owner.pem", "--out", &format!("{file}.signature"), file]);
    };
    manifest("one.toml", "app", 1);
    manifest("two.toml", "app", 2);
    manifest("other.toml", "other", 2);
    let one = seal(&user, &["-c", "one.toml"]);
    assert_eq!(opens(&user, &["-c", "two.toml"], &one), [true, true], "an upgrade");
    assert_eq!(opens(&user, &["-c", "other.toml"], &one), [false, false], "another of the owner's workloads");
    let two = seal(&user, &["-c", "two.toml"]);
    assert_eq!(opens(&user, &["-c", "one.toml"], &two), [false, false], "a downgrade");
}

/// Two workloads of one owner, each of which measures the policy that names the other.
struct Pair {
    user: User,
}

impl Pair {
    fn new() -> Self {
        let user = User::new();
        let shown = user.ok(&["key", "create", "--kind", "owner", "owner.pem"]);
        let owner = shown.lines().find_map(|line| line.strip_prefix("owner       ")).unwrap();
        let measured = measured(&user, &[]);
        for (name, peer) in [("one", "two"), ("two", "one"), ("three", "one")] {
            let policy = format!(
                "version = 1\n[[enclave.image]]\nmrenclave = {}\nmrsigner = {}\n[[workload.owner]]\nkey = \"{owner}\"\n\
                 name = \"{peer}\"\nmin_version = 1\n[evidence]\ninsecure_simulation = true\n",
                measured["mrenclave"], measured["mrsigner"]
            );
            let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/mutual.wat");
            let file = format!("{name}.toml");
            user.file(
                &file,
                format!(
                    "version = 1\n[workload]\nargs = [\"mutual\", {policy:?}]\n[workload.identity]\nowner = \"{owner}\"\n\
                     name = \"{name}\"\nversion = 1\n[host]\nmodule = {example:?}\nsignature = \"{file}.signature\"\n",
                ),
            );
            user.ok(&["key", "sign", "--key", "owner.pem", "--out", &format!("{file}.signature"), &file]);
        }
        Self { user }
    }

    /// Connects two runs by the host's wires; `meddle` sees each message (the sender's number, nonce or evidence) before it
    /// arrives. Exit codes and what each says.
    fn meet(
        &self,
        names: [&str; 2],
        meddle: impl Fn(usize, &mut Vec<u8>) + Send + Sync,
    ) -> [(Option<i32>, String); 2] {
        let mut children = names.map(|name| {
            let mut command = self.user.twine();
            command.args(["run", "--tee", "sim", "--manifest", &format!("{name}.toml")]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        });
        let mut outputs = children.each_mut().map(|child| child.stdout.take().unwrap());
        let mut inputs = children.each_mut().map(|child| child.stdin.take().unwrap());
        inputs.reverse();
        std::thread::scope(|scope| {
            for (sender, (from, to)) in outputs.iter_mut().zip(inputs).enumerate() {
                let meddle = &meddle;
                scope.spawn(move || relay(from, to, |message| meddle(sender, message)));
            }
        });
        children.map(|child| {
            let Output { status, stderr, .. } = child.wait_with_output().unwrap();
            (status.code(), String::from_utf8_lossy(&stderr).into_owned())
        })
    }
}

/// A nonce, and evidence with its length before it. Whoever hangs up early has its reason.
fn relay(
    from: &mut std::process::ChildStdout,
    mut to: std::process::ChildStdin,
    meddle: impl Fn(&mut Vec<u8>),
) {
    let mut nonce = vec![0; 32];
    let mut length = [0; 4];
    if from.read_exact(&mut nonce).is_err() {
        return;
    }
    meddle(&mut nonce);
    if to.write_all(&nonce).is_err() || from.read_exact(&mut length).is_err() {
        return;
    }
    let mut evidence = vec![0; u32::from_le_bytes(length) as usize];
    if from.read_exact(&mut evidence).is_ok() {
        meddle(&mut evidence);
        let _ = to.write_all(&[&(evidence.len() as u32).to_le_bytes()[..], &evidence].concat());
    }
}

#[test]
fn two_enclaves_judge_each_other() {
    let pair = Pair::new();
    let said = std::sync::Mutex::new(Vec::new());
    let keep = |sender: usize, message: &mut Vec<u8>| {
        if sender == 0 && message.len() > 32 {
            said.lock().unwrap().clone_from(message);
        }
    };
    for (code, says) in pair.meet(["one", "two"], keep) {
        assert!(code == Some(0) && says.contains("I hold the other half"), "{code:?} {says}");
    }
    // What one has said before, said again to another run of its peer: that run asks with another nonce.
    let old = said.lock().unwrap().clone();
    let replay = |sender: usize, message: &mut Vec<u8>| {
        if sender == 0 && message.len() > 32 {
            message.clone_from(&old);
        }
    };
    let [(one, _), (two, says)] = pair.meet(["one", "two"], replay);
    assert_eq!(one, Some(0));
    assert!(two == Some(ACCES as i32) && says.contains("evidence.nonce"), "{two:?} {says}");
    // A third workload of the same owner's is not the one that the policy names; it finds its own peer.
    let [(one, says), (three, _)] = pair.meet(["one", "three"], |_, _| {});
    assert!(one == Some(ACCES as i32) && says.contains("workload.identity"), "{one:?} {says}");
    assert_eq!(three, Some(0));
}

/// The example, as its comment says to use it.
#[test]
fn the_example_seals_and_opens() {
    let user = User::new();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/seal.wat");
    let run = |input: &[u8]| {
        let mut child = user
            .twine()
            .args(["run", "--tee", "sim", example])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    };
    let mut sealed = run(b"secret\n").stdout;
    assert_eq!(sealed.len(), 7 + 80);
    assert_eq!(run(&sealed).stdout, b"secret\n");
    sealed[80] ^= 1;
    let refused = run(&sealed);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && stderr.contains("does not open"), "{stderr}");
}
