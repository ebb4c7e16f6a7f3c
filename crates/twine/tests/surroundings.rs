//! What people and scripts start `twine` with: streams that are closed, full or nobody reads, signals, arguments and
//! variables in numbers.

mod common;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use common::{Ended, User, program};

/// A line for a shell, in which `$TWINE` is the program.
fn shell(user: &User, line: &str) -> Ended {
    let mut command = Command::new("sh");
    command.args(["-c", line]).env("TWINE", env!("CARGO_BIN_EXE_twine")).stdin(Stdio::null());
    for (name, value) in user.twine().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Ended::of(&mut command)
}

#[test]
fn standard_output_that_nobody_reads_is_an_output_error() {
    let user = User::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = user.twine();
    command.args(["run", "--tee", "sim", &program("hello.wat")]).stdout(writer);
    let child = command.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    let stderr = String::from_utf8(child.stderr).unwrap();
    assert_eq!(child.status.code(), Some(74), "{stderr}");
    assert!(stderr.contains("standard output could not be written: nobody reads it"), "{stderr}");
}

#[test]
fn a_full_disk_behind_standard_output_is_an_output_error() {
    let user = User::new();
    let mut command = user.twine();
    command.args(["run", "--tee", "sim", &program("hello.wat")]);
    command.stdout(File::options().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped());
    let child = command.spawn().unwrap().wait_with_output().unwrap();
    let stderr = String::from_utf8(child.stderr).unwrap();
    assert_eq!(child.status.code(), Some(74), "{stderr}");
    assert!(stderr.contains("there is no room for it"), "{stderr}");
}

#[test]
fn closed_standard_streams_read_as_empty_and_take_anything() {
    let user = User::new();
    let ended = shell(&user, &format!("\"$TWINE\" run --tee sim '{}' <&- >&- 2>&-", program("hello.wat")));
    assert_eq!(ended.code, Some(0));
}

/// Starts a program that runs for ever and waits until the enclave is launched.
fn forever(user: &User) -> std::process::Child {
    // Whoever started the tests may ignore signals, as a shell does for what runs in its background.
    let twine = user.twine();
    let mut command = Command::new("env");
    command.arg("--default-signal").arg(twine.get_program()).args(twine.get_args());
    command.envs(twine.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
        .args(["run", "--tee", "sim", &program("forever.wat")])
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut banner = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut banner).unwrap();
    assert!(banner.contains("simulated processor"), "{banner}");
    child
}

#[test]
fn a_signal_ends_it_at_once() {
    let user = User::new();
    for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        let mut child = forever(&user);
        let sent =
            Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(child.wait().unwrap().signal(), Some(number), "{signal}");
    }
}

#[test]
fn a_volume_that_cannot_be_there_is_named() {
    let user = User::new();
    let place = user.state().join("no/such.volume");
    let mount = format!("{}::/data", place.display());
    user.run(&["--dir", &mount, &program("hello.wat")])
        .fails(66, &[place.to_str().unwrap(), "its folder exists"]);
}

#[test]
fn a_program_that_waits_for_input_is_stopped_too() {
    let user = User::new();
    let mut command = user.twine();
    // It exits with 1 when its input fails.
    let module = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/count.wat");
    command.args(["run", "--tee", "sim", "--timeout", "200ms", module]);
    // This end stays open and says nothing.
    let (input, _silent) = std::io::pipe().unwrap();
    Ended::of(command.stdin(input)).fails(124, &["was stopped after 200ms"]);
}

#[test]
fn a_long_argument_and_a_thousand_variables_arrive() {
    let user = User::new();
    // The most that Linux lets one argument have is 128 KiB.
    let long = "x".repeat(120_000);
    let variables: Vec<String> = (0..1000).map(|number| format!("NAME_{number:04}={number}")).collect();
    let mut args = Vec::new();
    for variable in &variables {
        args.extend(["--env", variable]);
    }
    let module = program("strings.wat");
    args.extend([&*module, &*long, ""]);
    let ended = user.run(&args);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[..3], ["strings.wat", &*long, ""]);
    assert_eq!(lines[3..], variables);
}

#[test]
fn what_is_not_utf_8_is_refused() {
    let user = User::new();
    let strange = OsStr::from_bytes(b"\xff");
    let mut command = user.twine();
    command.args(["run", "--tee", "sim", &program("strings.wat")]).arg(strange);
    Ended::of(&mut command).fails(64, &["UTF-8"]);
    let mut command = user.twine();
    command
        .args(["run", "--tee", "sim", "--env", "STRANGE", &program("strings.wat")])
        .env("STRANGE", strange);
    Ended::of(&mut command).fails(78, &["workload.env.STRANGE", "not UTF-8"]);
}

#[test]
fn a_cache_folder_that_cannot_be_used_is_named() {
    let user = User::new();
    let file = user.file("file", "");
    let mut command = user.twine();
    command.args(["run", "--tee", "sim", &program("hello.wat")]).env("XDG_CACHE_HOME", &file);
    Ended::of(&mut command).fails(74, &["file/twine", "XDG_CACHE_HOME", "--no-cache"]);
    // Without it, it is not looked at.
    let mut command = user.twine();
    command.args(["run", "--tee", "sim", "--no-cache", &program("hello.wat")]).env("XDG_CACHE_HOME", &file);
    let ended = Ended::of(&mut command);
    assert_eq!((ended.code, &*ended.stdout), (Some(0), "hello from the enclave\n"), "{}", ended.stderr);
}

#[test]
fn a_module_that_cannot_be_kept_runs_and_says_so() {
    let user = User::new();
    // A folder that is there and takes no files, whoever asks.
    std::fs::create_dir_all(user.home.path().join("cache")).unwrap();
    std::os::unix::fs::symlink("/proc/self", user.cache()).unwrap();
    let ended = user.run(&[&program("hello.wat")]);
    ended.fails(0, &["the compiled module was not kept", "XDG_CACHE_HOME"]);
    assert_eq!(ended.stdout, "hello from the enclave\n");
    let mut command = user.twine();
    command.args(["compile", "--tee", "sim", &program("hello.wat")]);
    Ended::of(&mut command).fails(74, &["the compiled module was not kept"]);
}

#[test]
fn the_end_is_written_to_the_status_descriptor() {
    let user = User::new();
    for (name, event) in [
        ("exit.wat", r#"{"event":"exit","source":"guest","code":7}"#),
        ("trap.wat", r#"{"event":"exit","source":"runtime","code":134}"#),
        ("invalid.wat", r#"{"event":"exit","source":"runtime","code":65}"#),
        ("none.wat", r#"{"event":"exit","source":"runtime","code":66}"#),
    ] {
        let status = user.file("status", "");
        let module = program(name);
        shell(&user, &format!("\"$TWINE\" run --tee sim --status-fd 9 '{module}' 9>'{}'", status.display()));
        let mut written = String::new();
        File::open(&status).unwrap().read_to_string(&mut written).unwrap();
        assert_eq!(written.trim_end(), event, "{name}");
    }
    user.run(&["--status-fd", "77", &program("exit.wat")]).fails(64, &["--status-fd 77", "77>status.json"]);
}
