//! `scripts/twine-gdb.py`: breakpoints inside a debug enclave, and a backtrace from where it was interrupted.

mod common;

use std::process::Command;

use common::{Ended, User, program};

#[test]
#[ignore = "needs gdb and nm"]
fn gdb_sees_into_a_debug_enclave() {
    let user = User::new();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/twine-gdb.py");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../enclave/twine-enclave/src/exception.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let handler = source.lines().position(|line| line.contains("fn handle(")).unwrap() + 2;
    let at_exceptions = format!("break exception.rs:{handler}");
    let mut command = Command::new("gdb");
    command.args(["-batch", "-x", script]);
    for line in
        ["break twine_main", "run", "backtrace", "delete", &at_exceptions, "continue", "twine-ssa 0", "kill"]
    {
        command.args(["-ex", line]);
    }
    command.args([
        "--args",
        env!("CARGO_BIN_EXE_twine"),
        "run",
        "--tee",
        "sim",
        "--debug",
        &program("bounds.wat"),
    ]);
    command.env("XDG_STATE_HOME", user.state()).env("XDG_CACHE_HOME", user.cache());
    let Ended { stdout, stderr, .. } = Ended::of(&mut command);
    for text in ["twine_enclave::start::main", "slot 0, frame 0: left by vector 14", "image/src/lib.rs"] {
        assert!(stdout.contains(text), "{text:?} is not in {stdout}\n{stderr}");
    }
}
