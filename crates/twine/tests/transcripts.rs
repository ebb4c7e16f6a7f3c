//! The program `twine` as people meet it: every file in `transcripts/` is a session with its output and exit codes.
//!
//! `TRYCMD=overwrite cargo test -p twine --test transcripts` writes what the program says today; read the difference.

#[test]
fn transcripts() {
    // State and cache of these sessions; those that need special ones are in `hostile.rs`.
    let home = tempfile::tempdir().unwrap();
    let twine = std::path::Path::new(env!("CARGO_BIN_EXE_twine")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    trycmd::TestCases::new()
        .register_bin("sh", std::path::Path::new("/bin/sh"))
        .env("PATH", format!("{}:{path}", twine.display()))
        .env("XDG_STATE_HOME", home.path().join("state").to_str().unwrap())
        .env("XDG_CACHE_HOME", home.path().join("cache").to_str().unwrap())
        .env("COLUMNS", "100")
        .env("TWINE_TEE", "auto")
        .env("GREETING", "from the host")
        .case("tests/transcripts/*.trycmd");
}
