//! A user of `twine` with folders of their own.

#![allow(dead_code, reason = "each test uses its part")]

pub mod evidence;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub struct User {
    pub home: tempfile::TempDir,
}

impl User {
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    pub fn state(&self) -> PathBuf {
        self.home.path().join("state/twine")
    }

    pub fn cache(&self) -> PathBuf {
        self.home.path().join("cache/twine")
    }

    /// A file of this user.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path
    }

    pub fn twine(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twine"));
        command
            .current_dir(self.home.path())
            .env_remove("TWINE_TEE")
            .env("XDG_STATE_HOME", self.home.path().join("state"))
            .env("XDG_CACHE_HOME", self.home.path().join("cache"))
            .stdin(Stdio::null());
        command
    }

    /// `twine run --tee sim` with more arguments.
    pub fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.twine().args(["run", "--tee", "sim"]).args(args))
    }

    /// `twine` with arguments that must succeed; its standard output.
    pub fn ok(&self, args: &[&str]) -> String {
        let ended = Ended::of(self.twine().args(args));
        assert_eq!(ended.code, Some(0), "twine {args:?}: {}", ended.stderr);
        ended.stdout
    }
}

pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Asserts the code and that standard error holds each text.
    #[track_caller]
    pub fn fails(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is not in {:?}", self.stderr);
        }
    }
}

/// One of our programs.
pub fn program(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(name);
    path.to_str().unwrap().to_owned()
}
