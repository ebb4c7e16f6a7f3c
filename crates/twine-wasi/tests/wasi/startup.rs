//! Arguments, environment, preopens, and the list of functions itself.

use twine_wasi::{Access, BuildError, WasiCtxBuilder};

use crate::guest::*;

#[test]
fn there_are_46_functions_and_each_has_its_row() {
    let names = Guest::new().names();
    assert_eq!(names.len(), 46);
    let document =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/wasi.md")).unwrap();
    let rows: Vec<&str> = document
        .lines()
        .skip_while(|line| !line.starts_with("| function "))
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| line.split('|').nth(1))
        .collect();
    for name in names {
        let count = rows.iter().filter(|row| row.contains(&format!("`{name}`"))).count();
        assert_eq!(count, 1, "rows of {name} in docs/wasi.md");
    }
}

#[test]
fn arguments_and_environment_are_c_strings() {
    let mut guest =
        Guest::with(|builder, _| builder.arg("prog").arg("").arg("äö").env("A", "1=2").env("B", ""));
    guest.call("args_sizes_get", &[64, 68]).unwrap();
    assert_eq!((guest.u32(64), guest.u32(68)), (3, 11));
    guest.call("args_get", &[128, 200]).unwrap();
    assert_eq!([guest.u32(128), guest.u32(132), guest.u32(136)], [200, 205, 206]);
    assert_eq!(guest.bytes(200, 11), "prog\0\0äö\0".as_bytes());
    guest.call("environ_sizes_get", &[64, 68]).unwrap();
    assert_eq!((guest.u32(64), guest.u32(68)), (2, 9));
    guest.call("environ_get", &[128, 200]).unwrap();
    assert_eq!([guest.u32(128), guest.u32(132)], [200, 206]);
    assert_eq!(guest.bytes(200, 9), b"A=1=2\0B=\0");
}

#[test]
fn nothing_is_written_for_no_arguments() {
    let mut guest = Guest::new();
    guest.call("args_sizes_get", &[64, 68]).unwrap();
    assert_eq!((guest.u32(64), guest.u32(68)), (0, 0));
    // Pointers that cannot be used must not be: C libraries pass what malloc(0) gave them.
    guest.call("args_get", &[3, u32::MAX.into()]).unwrap();
}

#[test]
fn preopens_are_found_by_counting_up() {
    let mut guest = Guest::with(|builder, fs| {
        let sub = fs.mkdir(fs.root(), "sub").unwrap();
        builder.preopen("/", fs.clone(), fs.root(), Access::ReadWrite).preopen(
            "data",
            fs,
            sub,
            Access::ReadOnly,
        )
    });
    guest.call("fd_prestat_get", &[3, 64]).unwrap();
    assert_eq!((guest.u32(64), guest.u32(68)), (0, 1));
    guest.call("fd_prestat_get", &[4, 64]).unwrap();
    assert_eq!((guest.u32(64), guest.u32(68)), (0, 4));
    guest.call("fd_prestat_dir_name", &[4, 128, 10]).unwrap();
    assert_eq!(guest.bytes(128, 5), b"data\0");
    assert_eq!(guest.call("fd_prestat_dir_name", &[4, 128, 3]), Err(NAMETOOLONG));
    assert_eq!(guest.call("fd_prestat_get", &[5, 64]), Err(BADF));
    assert_eq!(guest.call("fd_prestat_get", &[0, 64]), Err(BADF));
    assert_eq!(guest.call("fd_prestat_dir_name", &[0, 128, 10]), Err(NOTDIR));
    assert_eq!(guest.call("fd_prestat_dir_name", &[9, 128, 10]), Err(BADF));
}

#[test]
fn the_builder_refuses_what_c_strings_cannot_hold() {
    let build = |builder: WasiCtxBuilder| builder.build(Shared::default().sources()).err();
    let fs = crate::backing::new(&Shared::default());
    assert_eq!(build(WasiCtxBuilder::new().arg("a\0b")), Some(BuildError::Argument("a\0b".into())));
    for (name, value) in [("", "x"), ("a=b", "x"), ("a", "\0"), ("a\0", "")] {
        assert_eq!(build(WasiCtxBuilder::new().env(name, value)), Some(BuildError::Environment(name.into())));
    }
    let file = fs.create(fs.root(), "f").unwrap();
    let error = build(WasiCtxBuilder::new().preopen("x", fs.clone(), file, Access::ReadWrite));
    assert_eq!(error, Some(BuildError::Preopen { path: "x".into(), error: twine_vfs::Error::NotDirectory }));
    let many =
        WasiCtxBuilder::new().max_descriptors(3).preopen("x", fs.clone(), fs.root(), Access::ReadWrite);
    assert_eq!(build(many), Some(BuildError::TooManyPreopens));
}
