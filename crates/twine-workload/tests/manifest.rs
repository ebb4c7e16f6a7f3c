//! `twine.toml`: what is read, what is refused and in which words, and where values come from.

mod common;

use std::{fs, path::Path};

use common::{MODULE, owner_key};
use twine_workload::{
    Candidate, Error, Freshness, Identity, KeyPolicy, MountSource,
    manifest::{Config, FileErrorKind, KeyError, Manifest, Origin, OwnerKey, json_schema},
    sha256,
};

const EXAMPLE: &str = include_str!("data/twine.toml");

/// A directory with what the example names.
fn files() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("app.wasm"), MODULE).unwrap();
    fs::create_dir_all(dir.path().join("lib/a")).unwrap();
    fs::write(dir.path().join("lib/a/b.txt"), "b").unwrap();
    fs::write(dir.path().join("lib/a.txt"), "a").unwrap();
    dir
}

fn manifest(text: &str) -> Manifest {
    Config::parse(text, "twine.toml", "").unwrap().manifest().unwrap()
}

fn refusal(text: &str) -> String {
    Config::parse(text, "twine.toml", "").unwrap_err().to_string()
}

fn resolve_refusal(text: &str) -> String {
    manifest(text).resolve(files().path()).unwrap_err().to_string()
}

#[test]
fn the_example_becomes_a_workload() {
    let dir = files();
    let resolved = manifest(EXAMPLE).resolve(dir.path()).unwrap();
    let workload = &resolved.workload;
    assert_eq!(
        workload.identity,
        Identity::Owner { key: owner_key(), name: "credit-scoring".into(), version: 3 }
    );
    assert_eq!(workload.module, sha256(MODULE));
    assert_eq!(
        workload.mounts.iter().map(|m| m.guest.as_str()).collect::<Vec<_>>(),
        ["/data", "/lib", "/tmp"]
    );
    let MountSource::Volume { name, key, freshness, export_to } = &workload.mounts[0].source else {
        panic!()
    };
    assert_eq!((name.as_str(), *key, *freshness), ("accounts", KeyPolicy::Enclave, Freshness::Run));
    assert_eq!(*export_to, None);
    let MountSource::Measured { files } = &workload.mounts[1].source else { panic!() };
    assert_eq!(files.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["a/b.txt", "a.txt"]);
    files[0].check(b"b").unwrap();
    assert_eq!(workload.limits.memory, 1 << 30);
    assert_eq!(resolved.timeout.unwrap().as_secs(), 30);
    assert_eq!(resolved.paths["/data"], dir.path().join("store"));
}

#[test]
fn the_published_schema_is_the_programs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/twine.schema.json");
    if std::env::var_os("TWINE_UPDATE").is_some() {
        fs::write(&path, json_schema()).unwrap();
    }
    let published = fs::read_to_string(path).unwrap_or_default();
    // As values: the order of keys depends on a feature of serde_json that other crates of a build may switch on.
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    assert!(
        value(&published) == value(&json_schema()),
        "run TWINE_UPDATE=1 cargo test -p twine-workload --features toml"
    );
}

#[test]
fn host_settings_are_not_measured() {
    let dir = files();
    let with = manifest(EXAMPLE).resolve(dir.path()).unwrap();
    let without = manifest(&EXAMPLE.replace("timeout = \"30s\"", "").replace("\"store\"", "\"elsewhere\""));
    assert_eq!(with.workload, without.resolve(dir.path()).unwrap().workload);
}

#[test]
fn a_change_of_a_measured_file_is_a_change_of_the_workload() {
    let dir = files();
    let old = manifest(EXAMPLE).resolve(dir.path()).unwrap().workload;
    fs::write(dir.path().join("lib/a.txt"), "changed").unwrap();
    let new = manifest(EXAMPLE).resolve(dir.path()).unwrap().workload;
    let changes = old.diff(&new);
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].name, "mount.\"/lib\".files.\"a.txt\"");
}

#[test]
fn errors_name_the_line_the_field_and_the_remedy() {
    let limits = "version = 1\n[workload.limits]\n";
    let mount = "version = 1\n[[workload.mount]]\nguest = \"/d\"\n";
    let cases = [
        (
            format!("{limits}memroy = 5"),
            "twine.toml:3:1: workload.limits: unknown key `memroy`; did you mean `memory`?",
        ),
        (
            "version = 1\n[workload]\nenv = { A = { valeu = \"\" } }".into(),
            "twine.toml:3:15: workload.env.A: unknown key `valeu`; did you mean `value`?",
        ),
        (
            format!("{mount}kind = \"volume\"\nfresh = 1"),
            "twine.toml:5:1: workload.mount.0: unknown key `fresh`; did you mean `freshness`?",
        ),
        (
            "version = 1\n[zebra]".into(),
            "twine.toml:2:2: unknown key `zebra`; known here: host, version, workload",
        ),
        (
            format!("{limits}descriptors = -1"),
            "twine.toml:3:15: workload.limits.descriptors: invalid value: integer `-1`, expected u32; compare with the \
             published schema",
        ),
        (
            format!("{mount}kind = \"volum\""),
            "twine.toml:4:8: workload.mount.0.kind: unknown variant `volum`, expected one of `volume`, `scratch`, \
             `measured`, `insecure-host`, `delivered`; compare with the published schema",
        ),
        (
            "version = 1\n[workload.env]\nA = 5".into(),
            "twine.toml:3:5: workload.env.A: invalid type: integer `5`, expected a string, { value = \"…\" }, \
             { passthrough = true } or { delivered = true }; compare with the published schema",
        ),
        (
            "version = 1\n[workload.env]\nA = { value = \"\", passthrough = true }".into(),
            "twine.toml:3:5: workload.env.A.value: expected one of value = \"…\", passthrough = true and \
             delivered = true; compare with the published schema",
        ),
        (
            "version = 2".into(),
            "twine.toml: version: found 2; this program knows version 1; write version = 1, or use a newer twine",
        ),
        ("[host]".into(), "twine.toml:1:1: host: missing field `version`; compare with the published schema"),
        (
            "version = ".into(),
            "twine.toml:1:11: string values must be quoted, expected literal string; write it as TOML 1.0",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(&text), expected, "{text}");
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let head = "version = 1\n[host]\nmodule = \"app.wasm\"\n";
    let mount = |rest: &str| {
        format!("{head}[host.paths]\n\"/d\" = \"lib\"\n[[workload.mount]]\nguest = \"/d\"\n{rest}")
    };
    let cases = [
        ("version = 1".into(), "workload.module: the module is not named"),
        (format!("{head}[workload]\nmodule = \"abc\""), "workload.module: found \"\""),
        (
            format!("{head}[workload]\nmodule = \"sha256:{}\"", "00".repeat(32)),
            "workload.module: the manifest says 00",
        ),
        (format!("{head}timeout = \"soon\""), "host.timeout: found \"soon\""),
        (mount("kind = \"scratch\""), "workload.mount.0.size: not given"),
        (mount("kind = \"volume\""), "workload.mount.0.name: not given"),
        (
            mount("kind = \"measured\"\nname = \"x\""),
            "workload.mount.0.name: the mount's kind has no such field",
        ),
        (mount("kind = \"measured\"\nread_only = false"), "workload.mounts[0].read_only: found false"),
        (mount("kind = \"volume\"\nname = \"a/b\""), "workload.mounts[0].source.name: found \"a/b\""),
        (
            mount("kind = \"volume\"\nname = \"v\"\nfreshness = \"service\""),
            "workload.mount.0.service: not given",
        ),
        (
            mount("kind = \"volume\"\nname = \"v\"\nservice = \"00\""),
            "workload.mount.0.service: the freshness has no",
        ),
        (
            format!("{head}[[workload.mount]]\nguest = \"/d\"\nkind = \"insecure-host\""),
            "host.paths: no host path for",
        ),
        (format!("{head}[host.paths]\n\"/x\" = \"lib\""), "host.paths: \"/x\" is no mount's guest path"),
        (
            format!("{head}[workload.network]\nconnect = [\"example.org\"]"),
            "workload.network.connect: found \"example.org\"",
        ),
        (format!("{head}[workload.network]\nconnect = [\"-:1\"]"), "workload.network[0].host: found \"-\""),
    ];
    for (text, expected) in cases {
        let found = resolve_refusal(&text);
        assert!(found.starts_with(expected), "{text}\n{found}");
    }
}

#[test]
fn links_are_not_measured() {
    let dir = files();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("lib/link")).unwrap();
    let error = manifest(EXAMPLE).resolve(dir.path()).unwrap_err();
    assert!(error.message.contains("neither a file nor a directory"), "{error}");
    fs::remove_dir_all(dir.path().join("lib")).unwrap();
    assert_eq!(manifest(EXAMPLE).resolve(dir.path()).unwrap_err().kind, FileErrorKind::Missing);
}

#[test]
fn a_module_without_a_manifest_has_an_identity_too() {
    let dir = files();
    let module = dir.path().join("app.wasm");
    let mut config = Config::implicit(dir.path(), &module, &["--fast".into()]).unwrap();
    config.set(&["workload", "env", "A.B"], "1", Origin::Flag("--env".into()));
    let mount = toml::Table::from_iter([
        ("guest".to_owned(), "/host".into()),
        ("kind".to_owned(), "insecure-host".into()),
    ]);
    config.push(&["workload", "mount"], mount, Origin::Flag("--dir".into()));
    config.set(&["host", "paths", "/host"], ".", Origin::Flag("--dir".into()));
    let workload = config.manifest().unwrap().resolve(config.base()).unwrap().workload;
    assert_eq!(workload.args, ["app.wasm", "--fast"]);
    assert_eq!(workload.env[0].name, "A.B");
    assert_eq!(workload.mounts[0].guest, "/host");
    // Where the module lies does not matter.
    let elsewhere = files();
    let other =
        Config::implicit(elsewhere.path(), &elsewhere.path().join("app.wasm"), &["--fast".into()]).unwrap();
    let other = other.manifest().unwrap().resolve(other.base()).unwrap().workload;
    let changes: Vec<_> = workload.diff(&other).into_iter().map(|change| change.name).collect();
    assert_eq!(changes, ["env.\"A.B\"", "mount.\"/host\"", "mount.\"/host\".read_only"]);
}

#[test]
fn every_value_tells_where_it_came_from() {
    let mut config = Config::parse(EXAMPLE, "twine.toml", "").unwrap();
    config.set(&["workload", "limits", "fuel"], 5, Origin::Flag("--fuel".into()));
    config.set(&["workload", "env", "TERM"], "dumb", Origin::Environment("TWINE_TERM".into()));
    let mount = toml::Table::from_iter([
        ("guest".to_owned(), "/new".into()),
        ("kind".to_owned(), "insecure-host".into()),
    ]);
    config.push(&["workload", "mount"], mount, Origin::Flag("--dir".into()));
    let settings = config.show().unwrap();
    let line = |start: &str| {
        let line = EXAMPLE.lines().position(|line| line.starts_with(start)).unwrap();
        format!("twine.toml:{}", line + 1)
    };
    let find = |key: &str| {
        let setting = settings.iter().find(|setting| setting.key == key).unwrap_or_else(|| panic!("{key}"));
        (setting.value.as_str(), setting.origin.to_string(), setting.measured)
    };
    assert_eq!(find("workload.limits.fuel"), ("5", "command line --fuel".into(), true));
    assert_eq!(find("workload.limits.memory"), ("1073741824", line("memory ="), true));
    assert_eq!(find("workload.limits.stack"), ("1048576", "default".into(), true));
    assert_eq!(find("workload.stdio.stdin"), ("false", line("stdin ="), true));
    assert_eq!(find("workload.stdio.stdout"), ("true", "default".into(), true));
    assert_eq!(find("workload.env.TERM.value"), ("\"dumb\"", "environment TWINE_TERM".into(), true));
    assert_eq!(find("workload.env.LANG.value"), ("\"C.UTF-8\"", line("LANG ="), true));
    assert_eq!(find("workload.mount.1.name").1, line("name = \"accounts\""));
    assert_eq!(find("workload.mount.3.guest"), ("\"/new\"", "command line --dir".into(), true));
    assert_eq!(find("host.paths./data"), ("\"store\"", line("\"/data\" ="), false));
}

#[test]
fn an_unknown_key_from_a_flag_is_refused() {
    let mut config = Config::parse("version = 1", "twine.toml", "").unwrap();
    config.set(&["workload", "limits", "memroy"], 5, Origin::Flag("--set".into()));
    let error = config.manifest().unwrap_err();
    assert_eq!(error.to_string(), "workload.limits: unknown key `memroy`; did you mean `memory`?");
}

#[test]
fn an_owner_signs_what_the_enclave_takes() {
    let dir = files();
    let (key, pem) = OwnerKey::generate().unwrap();
    assert_eq!(OwnerKey::from_pem(&pem).unwrap().public_key(), key.public_key());
    let text = EXAMPLE.replace(&common::hex(&owner_key()), &common::hex(&key.public_key()));
    let mut resolved = manifest(&text).resolve(dir.path()).unwrap();
    assert_eq!(resolved.candidate().unwrap_err(), Error::Unsigned);
    fs::write(dir.path().join("app.sig"), key.sign(&resolved.workload).unwrap()).unwrap();
    resolved =
        manifest(&text.replace("[host]", "[host]\nsignature = \"app.sig\"")).resolve(dir.path()).unwrap();
    assert_eq!(resolved.candidate().unwrap().config_svn(), 3);

    let (other, _) = OwnerKey::generate().unwrap();
    assert!(matches!(other.sign(&resolved.workload), Err(KeyError::NotTheOwner { .. })));
    resolved.workload.args.push("--more".into());
    assert_eq!(Candidate::parse(&resolved.presented().unwrap()).unwrap_err(), Error::BadSignature);
}

#[test]
fn only_an_ed25519_key_is_a_key() {
    assert_eq!(OwnerKey::from_pem("").err(), Some(KeyError::Pem));
    let pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(OwnerKey::from_pem(pem).err(), Some(KeyError::Key));
    assert_eq!(OwnerKey::from_pem(&pem.replace("PRIVATE", "PUBLIC")).err(), Some(KeyError::Pem));
}
