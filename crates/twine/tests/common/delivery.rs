//! An owner and a host: what each has, and what each types.
#![allow(dead_code, reason = "each test uses its part")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::common::{Ended, User, program};

pub const TOKEN: &str = "hunter2-the-token";
pub const INPUT: &str = "name,income\nAda,1815\n";

/// What the program prints: its environment, and its input.
pub fn result() -> String {
    format!("API_TOKEN={TOKEN}\0{INPUT}")
}

/// The owner's machine: key, program, secrets, policy.
pub struct Owner {
    pub user: User,
    pub key: String,
    pub configid: String,
    output: bool,
    shared: Option<(String, String)>,
}

impl Owner {
    /// With a manifest of `digest` identity.
    pub fn new() -> Self {
        Self::with("", "")
    }

    /// With more lines in the table `workload` of the manifest, and more tables.
    pub fn with(workload: &str, rest: &str) -> Self {
        let user = User::new();
        let shown = user.ok(&["key", "create", "--kind", "owner", "owner.pem"]);
        let key = shown.lines().find_map(|line| line.strip_prefix("owner       ")).unwrap().to_owned();
        std::fs::copy(program("score.wat"), user.home.path().join("score.wat")).unwrap();
        user.file("token", TOKEN);
        user.file("input", INPUT);
        user.file(
            "secrets.toml",
            "version = 1\n[env]\nAPI_TOKEN = \"token\"\n[files]\n\"/in/input.csv\" = \"input\"\n",
        );
        let mut owner = Self { user, key, configid: String::new(), output: true, shared: None };
        owner.write_manifest(workload, rest);
        owner
    }

    /// Lets the host have the program's output.
    pub fn give_to_host(&mut self) {
        self.output = false;
        self.write_manifest("", "");
    }

    /// Makes the manifest one of two owners: the holder of `first`, who gets variable and output, and another, who
    /// delivers the files.
    pub fn share(&mut self, first: &str, other: &str) {
        self.shared = Some((first.to_owned(), other.to_owned()));
        self.write_manifest("", "");
    }

    /// Writes the manifest, what follows from it, and the policy.
    pub fn write_manifest(&mut self, workload: &str, rest: &str) {
        self.user.file("twine.toml", self.manifest(workload, rest, "[host]\nmodule = \"score.wat\"\n"));
        let measured: Value =
            serde_json::from_str(&self.user.ok(&["measure", "--json", "--manifest", "twine.toml"])).unwrap();
        let data = &measured["data"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.configid = text(&data["workload"]["configid"]);
        let module = text(&data["workload"]["module_sha256"]);
        let policy = format!(
            "version = 1\n[[enclave.image]]\nmrenclave = \"{}\"\nmrsigner = \"{}\"\n[workload]\ndigest = [\"{}\"]\n",
            text(&data["mrenclave"]),
            text(&data["mrsigner"]),
            self.configid
        );
        self.user.file("policy.toml", policy);
        // What the host may have: the same, with the module by its hash alone.
        let named = format!("module = \"sha256:{module}\"\n{workload}");
        self.user.file("host.toml", self.manifest(&named, rest, ""));
    }

    fn manifest(&self, workload: &str, rest: &str, host: &str) -> String {
        if let Some((first, other)) = &self.shared {
            return format!(
                "version = 1\n[workload]\n{workload}\n[[workload.delivery]]\nname = \"bank-a\"\nkey = \"{first}\"\n\
                 output = true\n{other}[workload.env]\nAPI_TOKEN = {{ delivered = true, from = \"bank-a\" }}\n\
                 [[workload.mount]]\nguest = \"/in\"\nkind = \"delivered\"\nfiles = [\"input.csv\"]\n\
                 from = \"bank-b\"\n{rest}\n{host}"
            );
        }
        format!(
            "version = 1\n[workload]\n{workload}\n[[workload.delivery]]\nkey = \"{}\"\noutput = {}\n\
             [workload.env]\nAPI_TOKEN = {{ delivered = true }}\n\
             [[workload.mount]]\nguest = \"/in\"\nkind = \"delivered\"\nfiles = [\"input.csv\"]\n{rest}\n{host}",
            self.key, self.output
        )
    }

    /// `twine deploy` to this address.
    pub fn deploy(&self, address: &str) -> Ended {
        self.deploy_with(address, &[])
    }

    pub fn deploy_with(&self, address: &str, more: &[&str]) -> Ended {
        let files = ["--policy", "policy.toml", "--key", "owner.pem", "--secrets", "secrets.toml"];
        let mut command = self.user.twine();
        command.args(["deploy", "--allow-simulation", "--manifest", "twine.toml"]).args(files).args(more);
        Ended::of(command.arg(address))
    }
}

/// `twine run` that waits, on the host.
pub struct Waiting {
    child: Child,
    pub address: String,
    stderr: JoinHandle<String>,
}

impl Waiting {
    /// Starts it and waits until it waits.
    pub fn start(host: &User, args: &[&str]) -> Self {
        Self::spawn(
            host,
            &[&["run", "--tee", "sim", "--await-owner", "127.0.0.1:0"], args].concat(),
            "waiting for",
        )
    }

    /// Starts a `twine` that says where it listens in a line with `word`.
    pub fn spawn(host: &User, args: &[&str], word: &'static str) -> Self {
        let mut command = host.twine();
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut before = String::new();
        let address = loop {
            let mut line = String::new();
            if lines.read_line(&mut line).unwrap() == 0 {
                panic!("it ended before it listened: {before}");
            }
            before.push_str(&line);
            if line.contains(word) {
                break line.trim_end().rsplit(' ').next().unwrap().to_owned();
            }
        };
        let stderr = std::thread::spawn(move || {
            let mut rest = before;
            let _ = lines.read_to_string(&mut rest);
            rest
        });
        Self { child, address, stderr }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        let code = self.child.wait().unwrap().code();
        Ended { code, stdout, stderr: self.stderr.join().unwrap() }
    }

    /// Ends it as a person would.
    pub fn interrupt(self) -> Ended {
        let status = std::process::Command::new("kill").args(["-TERM", &self.id().to_string()]).status();
        assert!(status.unwrap().success());
        self.end()
    }
}
