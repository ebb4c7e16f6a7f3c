//! Executes a document: commands after `NAME$ ` in its console blocks, in the shell of the machine NAME.
//!
//! A command that ends in `&` goes on in the background once it says where it listens; `wait` shows the rest of what it says,
//! `kill %1` ends it and shows that. What varies has a name: `[MRENCLAVE]` is the first value that was shown as one, `[MRENCLAVE-2]`
//! the next one, `[ADDRESS]` where somebody listened last; other digits are `[HEX]`, ports `[PORT]`, times `[TIME]`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

/// What `twine` calls the values that vary.
const VALUES: [&str; 5] = ["MRENCLAVE ", "MRSIGNER ", "CONFIGID ", "owner ", "module = sha256:"];

/// Machines, and what has been said on them.
pub struct Story {
    home: tempfile::TempDir,
    /// Placeholder and value, in the order in which they were shown.
    known: Vec<(String, String)>,
    background: BTreeMap<String, Running>,
}

struct Running {
    child: Option<Child>,
    said: Box<dyn BufRead>,
}

impl Story {
    /// Machines with a home each, and programs (by their paths from this crate) in it.
    pub fn new(machines: &[(&str, &[&str])]) -> Self {
        let home = tempfile::tempdir().unwrap();
        for (name, programs) in machines {
            fs::create_dir(home.path().join(name)).unwrap();
            for file in programs.iter().map(Path::new) {
                let to = home.path().join(name).join(file.file_name().unwrap());
                fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(file), to).unwrap();
            }
        }
        Self { home, known: Vec::new(), background: BTreeMap::new() }
    }

    /// Executes the document, and compares it with what was said.
    pub fn plays(mut self, document: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(document);
        let text = fs::read_to_string(&path).unwrap();
        let mut actual = String::new();
        let mut lines = text.lines().peekable();
        let mut console = false;
        while let Some(line) = lines.next() {
            let command = line.split_once("$ ").filter(|(name, _)| self.home.path().join(name).is_dir());
            match command.filter(|_| console) {
                Some((machine, command)) => {
                    let mut command = command.to_owned();
                    let _ = writeln!(actual, "{line}");
                    while let Some(more) = lines.next_if(|line| line.starts_with("> ") || *line == ">") {
                        let _ = writeln!(actual, "{more}");
                        let _ = write!(command, "\n{}", more[1..].strip_prefix(' ').unwrap_or_default());
                    }
                    // What it said when this was written ends where the next command or the block does.
                    while lines.next_if(|line| !line.is_empty() && !line.starts_with("```")).is_some() {}
                    actual.push_str(&self.execute(machine, &command));
                }
                None => {
                    console = if line.starts_with("```") { line == "```console" } else { console };
                    let _ = writeln!(actual, "{line}");
                }
            }
        }
        assert!(self.background.is_empty(), "somebody still waits: {:?}", self.background.keys());
        snapbox::Assert::new()
            .action_env("TRYCMD")
            .normalize_paths(false)
            .eq(actual, snapbox::Data::read_from(&path, None));
    }

    fn execute(&mut self, machine: &str, command: &str) -> String {
        let command =
            self.known.iter().fold(command.to_owned(), |text, (name, value)| text.replace(name, value));
        let said = match command.split_whitespace().collect::<Vec<_>>()[..] {
            ["wait"] => self.end(machine),
            ["kill", "%1"] => {
                let child = self.background[machine].child.as_ref().unwrap();
                let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
                assert!(kill.unwrap().success());
                // How much of its last words it still says is a matter of luck.
                self.end(machine).lines().take(1).flat_map(|line| [line, "\n"]).collect()
            }
            ["tap", file, address, "&"] => {
                self.wire(machine, tap(self.path(machine, file), address.to_owned()))
            }
            ["replay", file, "&"] => self.wire(machine, replay(self.path(machine, file))),
            [.., "&"] => {
                let child = self.shell(machine, command.trim_end_matches(['&', ' '])).spawn().unwrap();
                self.start(machine, child)
            }
            _ => {
                let output = self.shell(machine, &command).output().unwrap();
                ended(output.status.code(), &String::from_utf8(output.stdout).unwrap())
            }
        };
        self.mask(&said)
    }

    fn path(&self, machine: &str, file: &str) -> PathBuf {
        self.home.path().join(machine).join(file)
    }

    /// Standard output and standard error in one.
    fn shell(&self, machine: &str, command: &str) -> Command {
        let home = self.home.path().join(machine);
        let twine = Path::new(env!("CARGO_BIN_EXE_twine")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("sh");
        // What goes on in the background is the program, not a shell that waits for it.
        let exec =
            if command.starts_with("twine ") && !command.contains(['|', ';', '\n']) { "exec " } else { "" };
        shell.args(["-c", &format!("exec 2>&1\n{exec}{command}")]);
        shell
            .current_dir(&home)
            .env("PATH", format!("{}:{path}", twine.display()))
            .env("HOME", &home)
            .env("XDG_STATE_HOME", home.join(".state"))
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env_remove("TWINE_TEE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        shell
    }

    /// Until it says where it listens.
    fn start(&mut self, machine: &str, mut child: Child) -> String {
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        while !text.lines().last().is_some_and(|line| line.contains(" on 127.0.0.1:")) {
            assert_ne!(said.read_line(&mut text).unwrap(), 0, "it ended before it listened: {text}");
        }
        self.listens(text.trim_end().rsplit(' ').next().unwrap());
        self.background.insert(machine.to_owned(), Running { child: Some(child), said: Box::new(said) });
        text
    }

    fn end(&mut self, machine: &str) -> String {
        let Running { child, mut said } =
            self.background.remove(machine).expect("nothing is in the background");
        let mut text = String::new();
        said.read_to_string(&mut text).unwrap();
        ended(child.map_or(Some(0), |mut child| child.wait().unwrap().code()), &text)
    }

    /// A wire of the host's: where it listens, and what it says at its end.
    fn wire(&mut self, machine: &str, (address, said): (String, Said)) -> String {
        self.listens(&address);
        self.background
            .insert(machine.to_owned(), Running { child: None, said: Box::new(BufReader::new(said)) });
        format!("listening on {address}\n")
    }

    fn listens(&mut self, address: &str) {
        self.known.retain(|(name, _)| name != "[ADDRESS]");
        self.known.push(("[ADDRESS]".into(), address.into()));
    }

    fn mask(&mut self, text: &str) -> String {
        for line in text.lines() {
            for name in VALUES {
                let digits = line.trim_start().strip_prefix(name).map(str::trim_start).unwrap_or_default();
                let new = is_hex(digits) && !self.known.iter().any(|(_, value)| value == digits);
                if new {
                    let name = name.split(' ').next().unwrap().to_uppercase();
                    let count =
                        self.known.iter().filter(|(known, _)| known.starts_with(&format!("[{name}"))).count();
                    let number = if count == 0 { String::new() } else { format!("-{}", count + 1) };
                    self.known.push((format!("[{name}{number}]"), digits.to_owned()));
                }
            }
        }
        let mut text = text.replace('\0', "\\0");
        if let Some((before, path)) = text.split_once("symbols in ") {
            text = format!("{before}symbols in [FILE]{}", path.find('\n').map_or("", |end| &path[end..]));
        }
        let named = self.known.iter().fold(text, |text, (name, value)| text.replace(value, name));
        let home = self.home.path().to_str().unwrap().to_owned() + "/";
        named
            .replace(&home, "")
            .split_inclusive(|c: char| !c.is_ascii_alphanumeric() && !"-:".contains(c))
            .map(word)
            .collect()
    }
}

/// A word with the character that ends it.
fn word(text: &str) -> String {
    let end = text.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let rest = &text[end.len()..];
    let bare = end.rsplit(':').next().unwrap_or(end);
    let shortened = bare.len() == 12 && rest.starts_with('…') && bare.bytes().all(|c| c.is_ascii_hexdigit());
    if is_hex(bare) || shortened {
        return format!("{}[HEX]{rest}", &end[..end.len() - bare.len()]);
    }
    // Where somebody connected from.
    if let Some(port) = end.strip_prefix("1:").filter(|port| port.len() > 3 && port.parse::<u16>().is_ok()) {
        return text.replace(port, "[PORT]");
    }
    let is_time = end.len() == 20 && end.ends_with('Z') && end.as_bytes().get(10) == Some(&b'T');
    if is_time { format!("[TIME]{rest}") } else { text.to_owned() }
}

fn is_hex(text: &str) -> bool {
    text.len() >= 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// Without empty lines, which end what a command says.
fn ended(code: Option<i32>, text: &str) -> String {
    let lines = text.lines().filter(|line| !line.is_empty());
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    match code {
        Some(0) => text,
        Some(code) => format!("? {code}\n{text}"),
        None => format!("? interrupted\n{text}"),
    }
}

type Said = std::io::PipeReader;

/// Carries one connection to `address`, and keeps in `file` what comes back.
fn tap(file: PathBuf, address: String) -> (String, Said) {
    let (listener, said, mut say) = listen();
    let at = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let (owner, enclave) = (listener.accept().unwrap().0, TcpStream::connect(address).unwrap());
        let (mut from, mut to) = (owner.try_clone().unwrap(), enclave.try_clone().unwrap());
        let up = thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
        let (mut enclave, mut owner, mut kept, mut buffer) = (enclave, owner, Vec::new(), [0; 65536]);
        while let Ok(count @ 1..) = enclave.read(&mut buffer) {
            kept.extend_from_slice(&buffer[..count]);
            if owner.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = owner.shutdown(std::net::Shutdown::Both);
        up.join().unwrap();
        fs::write(file, kept).unwrap();
        writeln!(say, "kept what the enclave said").unwrap();
    });
    (at, said)
}

/// Says to one connection what `file` holds.
fn replay(file: PathBuf) -> (String, Said) {
    let (listener, said, mut say) = listen();
    let at = listener.local_addr().unwrap().to_string();
    let old = fs::read(file).unwrap();
    thread::spawn(move || {
        let mut owner = listener.accept().unwrap().0;
        let _ = owner.write_all(&old);
        let _ = owner.read_to_end(&mut Vec::new());
        writeln!(say, "said it again").unwrap();
    });
    (at, said)
}

fn listen() -> (TcpListener, Said, std::io::PipeWriter) {
    let (said, say) = std::io::pipe().unwrap();
    (TcpListener::bind("127.0.0.1:0").unwrap(), said, say)
}
