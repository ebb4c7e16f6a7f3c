//! What a program is here, and how it is compared: each step outside by Wasmtime's command line and inside by `twine run`,
//! then status, output and what is left in the files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::packages::Package;
use crate::process::{Failure, failed, finish};
use crate::recipes::Recipe;
use crate::sides::{Inside, Outside, Volume};

/// A program with one way to run it.
pub struct Program {
    /// `family/what`.
    pub name: String,
    /// What is in its root directory before it runs, by path below it. Without any it gets no directory.
    pub files: Vec<(&'static str, Contents)>,
    /// Its runs, on the same files.
    pub steps: Vec<Step>,
    /// What may differ in its output.
    pub masks: &'static [Mask],
}

/// What a file or folder holds.
pub enum Contents {
    Text(&'static str),
    /// A file or folder of a package.
    Of(&'static Package, &'static str),
    /// What an archive in a package holds.
    Unpacked(&'static Package, &'static str),
    /// An empty folder.
    Folder,
}

/// One run.
pub struct Step {
    pub module: Module,
    /// Its first argument, if not the module's file name.
    pub argv0: Option<&'static str>,
    pub args: Vec<String>,
    pub stdin: Input,
    /// Whether the module imports more than WASI, which traps if it is called.
    pub unknown_imports_trap: bool,
}

/// Where a module comes from.
#[derive(Clone, Copy)]
pub enum Module {
    /// A file of a package.
    Of(&'static Package, &'static str),
    /// Compiled here from a package's sources.
    Built(Recipe),
    /// Made by an earlier step.
    Made(&'static str),
}

/// Standard input.
#[derive(Clone, Copy)]
pub enum Input {
    Text(&'static str),
    /// A file of a package.
    Of(&'static Package, &'static str),
}

/// What varies from run to run in a line of output, and is not compared.
#[derive(serde::Serialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Mask {
    /// The number after this text, and the spaces before it.
    NumberAfter(&'static str),
    /// Everything after this text.
    RestAfter(&'static str),
    /// A line that is a number and nothing else.
    NumberAlone,
    /// A line with this text, which may be missing.
    Line(&'static str),
}

/// How one run ended.
pub struct Ended {
    pub status: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub took: Duration,
}

/// What the table and the machine-readable result say of a program.
#[derive(Default, serde::Serialize)]
pub struct Row {
    pub name: String,
    /// Of the steps.
    pub status: Vec<Option<i32>>,
    /// Of standard output and error, all steps together.
    pub output_bytes: usize,
    /// Bytes in files compared.
    pub file_bytes: u64,
    pub seconds_outside: f64,
    pub seconds_inside: f64,
    /// `same`, `different` or `not run`.
    pub verdict: &'static str,
    pub reason: Option<String>,
    /// The masks that applied.
    pub masked: Vec<Mask>,
}

impl Program {
    /// A program that gets no files.
    pub fn new(name: impl Into<String>, module: Module, args: &[&'static str]) -> Self {
        Self { name: name.into(), files: Vec::new(), steps: Vec::new(), masks: &[] }.then(module, args)
    }

    /// Another run, on the same files.
    pub fn then(mut self, module: Module, args: &[&'static str]) -> Self {
        self.steps.push(Step {
            module,
            argv0: None,
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            stdin: Input::Text(""),
            unknown_imports_trap: false,
        });
        self
    }

    /// Of the last run.
    pub fn argv0(mut self, argv0: &'static str) -> Self {
        self.last().argv0 = Some(argv0);
        self
    }

    /// Of the last run.
    pub fn stdin(mut self, stdin: Input) -> Self {
        self.last().stdin = stdin;
        self
    }

    /// Of the last run.
    pub fn unknown_imports_trap(mut self) -> Self {
        self.last().unknown_imports_trap = true;
        self
    }

    pub fn files(mut self, files: impl IntoIterator<Item = (&'static str, Contents)>) -> Self {
        self.files.extend(files);
        self
    }

    pub fn masks(mut self, masks: &'static [Mask]) -> Self {
        self.masks = masks;
        self
    }

    fn last(&mut self) -> &mut Step {
        self.steps.last_mut().expect("a program has a step")
    }

    /// Runs it on both sides and fills the row.
    ///
    /// # Errors
    /// What differs, or why it could not be run.
    pub fn compare(&self, cache: &Path, row: &mut Row) -> Result<(), Failure> {
        row.verdict = "not run";
        let work = tempfile::tempdir_in(cache)?;
        let outside = Outside::new(cache)?;
        let tree = (!self.files.is_empty()).then(|| work.path().join("tree"));
        let mut volume = None;
        if let Some(tree) = &tree {
            lay(&self.files, tree, cache)?;
            let mut filled = Volume::new(Inside::new(cache)?, work.path())?;
            filled.import(tree, cache)?;
            volume = Some(filled);
        }
        let mut differences = Vec::new();
        for step in &self.steps {
            let module = step.module.file(cache, tree.as_deref())?;
            let stdin = || step.stdin.open(cache);
            let out = outside.run(&module, step, stdin()?, tree.as_deref())?;
            let inner = match &mut volume {
                Some(volume) => volume.run(&module, step, stdin()?)?,
                None => Inside::new(cache)?.run(&module, step, stdin()?)?,
            };
            row.status.push(inner.status);
            row.output_bytes += inner.stdout.len() + inner.stderr.len();
            row.seconds_outside += out.took.as_secs_f64();
            row.seconds_inside += inner.took.as_secs_f64();
            self.compare_ends(&out, &inner, row, &mut differences);
        }
        if let (Some(tree), Some(volume)) = (&tree, &mut volume) {
            let exported = work.path().join("exported");
            volume.export(&exported, cache)?;
            row.file_bytes = compare_trees(tree, &exported, &mut differences)?;
        }
        if !differences.is_empty() {
            row.verdict = "different";
            row.reason = Some(differences.join("; "));
            return failed(differences.join("\n"));
        }
        row.verdict = "same";
        Ok(())
    }

    fn compare_ends(&self, out: &Ended, inner: &Ended, row: &mut Row, differences: &mut Vec<String>) {
        if out.status != inner.status {
            differences.push(format!("status {:?} outside, {:?} inside", out.status, inner.status));
        }
        let streams = [("stdout", &out.stdout, &inner.stdout), ("stderr", &out.stderr, &inner.stderr)];
        for (name, outside, inside) in streams {
            // A trap is reported by the runtime, each in its own words.
            if (name, out.status) == ("stderr", Some(134)) {
                continue;
            }
            let (outside, inside) = (self.masked(outside, row), self.masked(inside, row));
            if outside != inside {
                differences.push(format!("{name}: {}", first_difference(&outside, &inside)));
            }
        }
    }

    fn masked(&self, output: &[u8], row: &mut Row) -> Vec<u8> {
        let mut kept = Vec::with_capacity(output.len());
        for line in output.split_inclusive(|byte| *byte == b'\n') {
            let mut line = line.to_vec();
            for mask in self.masks {
                let Some(masked) = mask.apply(&line) else { continue };
                line = masked;
                if !row.masked.contains(mask) {
                    row.masked.push(*mask);
                }
            }
            kept.extend(line);
        }
        kept
    }
}

impl Mask {
    /// The line without what varies, if it has any.
    fn apply(self, line: &[u8]) -> Option<Vec<u8>> {
        let after = |text: &str| {
            let at = line.windows(text.len()).position(|window| window == text.as_bytes())?;
            Some(line.split_at(at + text.len()))
        };
        let is_of_number = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
        let (kept, rest) = match self {
            Self::RestAfter(text) => return Some([after(text)?.0, b"\n"].concat()),
            Self::Line(text) => return after(text).map(|_| Vec::new()),
            Self::NumberAfter(text) => after(text)?,
            Self::NumberAlone => (&[][..], line.trim_ascii().iter().all(is_of_number).then_some(line)?),
        };
        let number = rest.iter().position(u8::is_ascii_digit)?;
        let length = rest[number..].iter().take_while(|byte| is_of_number(byte)).count();
        let between: Vec<u8> = rest[..number].iter().copied().filter(|byte| *byte != b' ').collect();
        Some([kept, &between, b"#", &rest[number + length..]].concat())
    }
}

/// Lays files out below `tree`.
pub fn lay(files: &[(&'static str, Contents)], tree: &Path, cache: &Path) -> Result<(), Failure> {
    fs::create_dir_all(tree)?;
    for (to, contents) in files {
        let to = tree.join(to);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        match contents {
            Contents::Text(text) => fs::write(to, text)?,
            Contents::Folder => fs::create_dir_all(to)?,
            Contents::Of(package, path) => {
                finish(Command::new("cp").arg("-r").args([package.folder(cache)?.join(path), to]))?;
            }
            Contents::Unpacked(package, archive) => {
                fs::create_dir_all(&to)?;
                let archive = package.folder(cache)?.join(archive);
                finish(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(to))?;
            }
        }
    }
    Ok(())
}

impl Module {
    /// Its file on the host.
    pub fn file(self, cache: &Path, tree: Option<&Path>) -> Result<PathBuf, Failure> {
        match (self, tree) {
            (Self::Of(package, path), _) => Ok(package.folder(cache)?.join(path)),
            (Self::Built(recipe), _) => recipe.module(cache),
            // The two sides' files are compared in the end, so it is the same module on both.
            (Self::Made(path), Some(tree)) => Ok(tree.join(path)),
            (Self::Made(path), None) => failed(format!("{path}: the program has no files")),
        }
    }
}

impl Input {
    fn open(self, cache: &Path) -> Result<Stdio, Failure> {
        Ok(match self {
            Self::Text("") => Stdio::null(),
            Self::Text(text) => {
                let mut file = tempfile::tempfile_in(cache)?;
                std::io::Write::write_all(&mut file, text.as_bytes())?;
                std::io::Seek::rewind(&mut file)?;
                file.into()
            }
            Self::Of(package, path) => fs::File::open(package.folder(cache)?.join(path))?.into(),
        })
    }
}

impl Ended {
    /// Runs to the end.
    pub fn of(command: &mut Command) -> Result<Self, Failure> {
        let started = Instant::now();
        let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?.wait_with_output()?;
        Ok(Self {
            status: output.status.code(),
            stdout: output.stdout,
            stderr: output.stderr,
            took: started.elapsed(),
        })
    }
}

fn first_difference(outside: &[u8], inside: &[u8]) -> String {
    let line = |bytes: &[u8], number: usize| {
        let line = bytes.split(|byte| *byte == b'\n').nth(number).unwrap_or(b"(end)");
        String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned()
    };
    let same = |number: &usize| line(outside, *number) == line(inside, *number);
    let number = (0..).take_while(same).take(1 << 16).count();
    format!("line {}: {:?} outside, {:?} inside", number + 1, line(outside, number), line(inside, number))
}

/// What a name in a tree is.
#[derive(PartialEq, Eq)]
enum Node {
    Folder,
    Link(PathBuf),
    File(Vec<u8>),
}

fn compare_trees(outside: &Path, inside: &Path, differences: &mut Vec<String>) -> Result<u64, Failure> {
    let (outside, inside) = (nodes(outside)?, nodes(inside)?);
    for (path, node) in &outside {
        match inside.get(path) {
            None => differences.push(format!("{} is missing in the volume", path.display())),
            Some(found) if found != node => differences.push(format!("{} differs", path.display())),
            Some(_) => {}
        }
    }
    for path in inside.keys().filter(|path| !outside.contains_key(*path)) {
        differences.push(format!("{} is in the volume only", path.display()));
    }
    let bytes = inside.values().map(|node| match node {
        Node::File(bytes) => bytes.len() as u64,
        _ => 0,
    });
    Ok(bytes.sum())
}

fn nodes(root: &Path) -> Result<BTreeMap<PathBuf, Node>, Failure> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            let kind = entry.file_type()?;
            let node = if kind.is_dir() {
                folders.push(path.clone());
                Node::Folder
            } else if kind.is_symlink() {
                Node::Link(fs::read_link(entry.path())?)
            } else {
                Node::File(fs::read(entry.path())?)
            };
            found.insert(path, node);
        }
    }
    Ok(found)
}
