//! SQLite: Speedtest1, and the micro-benchmarks of the paper.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::volume::printed;
use crate::kit::Kit;
use crate::process::Run;
use crate::results::Point;
use crate::row::{Invocation, NATIVE, Row, Side, TWINE, Value, WASMTIME};
use crate::workload::Workload;

/// SQLite.
pub struct Sqlite;

/// Of the amalgamation, the same on both sides.
const OPTIONS: [&str; 4] =
    ["-w", "-DSQLITE_THREADSAFE=0", "-DSQLITE_DEFAULT_MEMSTATUS=0", "-DSQLITE_OMIT_LOAD_EXTENSION"];

/// What wasi-libc has only on request.
const EMULATED: [&str; 9] = [
    "-D_WASI_EMULATED_MMAN",
    "-D_WASI_EMULATED_SIGNAL",
    "-D_WASI_EMULATED_GETPID",
    "-D_WASI_EMULATED_PROCESS_CLOCKS",
    "-lwasi-emulated-mman",
    "-lwasi-emulated-signal",
    "-lwasi-emulated-getpid",
    "-lwasi-emulated-process-clocks",
    "-Wl,-z,stack-size=1048576",
];

impl Workload for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn about(&self) -> &'static str {
        "SQLite 3.54 (crate libsqlite3-sys) with Speedtest1 of Debian's source package, and the paper's micro-benchmarks: \
         records of 1,000 bytes inserted in one transaction, read in order, read at random, 8 MiB of SQLite's own cache. In \
         memory, or in a file: of the host for native code, in an encrypted volume for Twine. Both sides use the file locking \
         `unix-none`, but for the stock build's rows, whose default on WASI makes and removes a folder for each lock. WAL \
         rows lock exclusively on both sides, and count only if the file's header says that it is in WAL mode. Speedtest1 \
         rows are whole processes, those of the micro-benchmarks are by the program's clock."
    }

    fn rows(&self, kit: &Kit) -> Result<Vec<Row>> {
        let speedtest = Program::build(kit, "speedtest1", kit.fetched("sqlite", "speedtest1.c")?)?;
        let points = Program::build(kit, "points", kit.sources("sqlite/points.c"))?;
        let sizes: &[&str] = if kit.quick() { &["1"] } else { &["25", "100"] };
        let mut rows = Vec::new();
        for size in sizes {
            rows.extend(speedtest.rows(size));
        }
        let counts: &[u32] =
            if kit.quick() { &[1_000] } else { &[1_000, 5_000, 25_000, 50_000, 100_000, 175_000] };
        for records in counts {
            rows.extend(points.curve(*records));
        }
        Ok(rows)
    }
}

/// One program, built for both sides.
struct Program<'a> {
    kit: &'a Kit,
    native: PathBuf,
    module: PathBuf,
    folder: PathBuf,
}

impl<'a> Program<'a> {
    fn build(kit: &'a Kit, name: &str, source: PathBuf) -> Result<Self> {
        let amalgamation = kit.fetched("sqlite", "sources/sqlite3.c")?;
        let mut flags: Vec<String> = OPTIONS.iter().map(|&flag| flag.to_owned()).collect();
        flags.push(format!("-I{}", amalgamation.parent().unwrap_or(Path::new(".")).display()));
        if kit.quick() {
            flags.push("-O0".to_owned());
        }
        let sources = [source, kit.sources("sqlite/header.c"), amalgamation];
        let native = kit.native("sqlite", name, &sources, &flags)?;
        flags.extend(EMULATED.iter().map(|&flag| flag.to_owned()));
        let module = kit.wasm("sqlite", name, &sources, &flags)?;
        Ok(Self { kit, native, module, folder: kit.folder("sqlite")? })
    }

    fn rows(&self, size: &str) -> Vec<Row> {
        let memory = ["--size", size, "--memdb"];
        let outside = self.kit.peer(&[], &self.module, &memory);
        let inside = self.kit.twine(&[], &self.module, &memory);
        let sides = vec![
            Side::timed(NATIVE, Invocation::new(&self.native).args(memory)),
            Side::timed(WASMTIME, outside),
            Side::timed(TWINE, inside),
        ];
        let id = |what: &str| format!("sqlite/speedtest1-{size}/{what}");
        let title = |what: &str| format!("Speedtest1 {size}, {what}");
        let full = size == "100";
        let mut in_memory = Row::timed(id("memory"), title("in memory"), sides).not_agreeing();
        if full {
            in_memory = in_memory.hold(TWINE, NATIVE, 1.7).hold(TWINE, WASMTIME, 1.05);
        }
        let mut rows = vec![in_memory];
        let file = |what: &str, described: &str, cache: u32, args: &[&str]| {
            let journal = if args.contains(&"wal") { "wal" } else { "rollback" };
            let sides = self.files(cache, &[&["--size", size], args].concat(), journal);
            let syncs = !args.contains(&"--nosync");
            Row { syncs, ..Row::timed(id(what), title(described), sides) }.not_agreeing()
        };
        let promised = |row: Row| if full { row.hold(TWINE, NATIVE, 1.5) } else { row };
        let none = ["--vfs", "unix-none"];
        let off = ["--vfs", "unix-none", "--nosync"];
        let wal = ["--vfs", "unix-none", "--journal", "wal", "--exclusive"];
        let wal_off = ["--vfs", "unix-none", "--journal", "wal", "--exclusive", "--nosync"];
        rows.extend([
            promised(file("full-8", "rollback journal, synchronous FULL, 8 MiB of cache", 8, &none)),
            promised(file("off-8", "rollback journal, synchronous OFF, 8 MiB of cache", 8, &off)),
            file("full-64", "rollback journal, synchronous FULL, 64 MiB of cache", 64, &none),
            file("off-64", "rollback journal, synchronous OFF, 64 MiB of cache", 64, &off),
            file("wal-full-8", "WAL, synchronous FULL, 8 MiB of cache", 8, &wal),
            file("wal-off-8", "WAL, synchronous OFF, 8 MiB of cache", 8, &wal_off),
            file("stock-8", "the stock build's locking, synchronous OFF, 8 MiB of cache", 8, &["--nosync"]),
        ]);
        rows
    }

    /// Whole processes on a database in a new file or volume.
    fn files(&self, cache: u32, args: &[&str], journal: &str) -> Vec<Side> {
        let plain = self.folder.join("plain.db").display().to_string();
        let native = Invocation::new(&self.native).args(args).arg(&plain).env("DATABASE", &plain);
        let native = native.env("SQLITE_TMPDIR", &self.folder);
        let volume = self.volume(cache, &[args, &["/v/test.db"]].concat()).env("DATABASE", "/v/test.db");
        [(NATIVE, native), (TWINE, volume)]
            .into_iter()
            .map(|(name, command)| Side::timed(name, command.env("JOURNAL", journal)).before(self.clear()))
            .collect()
    }

    fn curve(&self, records: u32) -> Vec<Row> {
        let count = records.to_string();
        let memory = [":memory:", &count, "8192"];
        let plain = self.folder.join("plain.db").display().to_string();
        let in_memory = [
            (NATIVE, Invocation::new(&self.native).args(memory)),
            (TWINE, self.kit.twine(&[], &self.module, &memory)),
        ];
        let in_file = [
            (NATIVE, Invocation::new(&self.native).args([&plain, &count, "8192"])),
            (TWINE, self.volume(32, &["/v/test.db", &count, "8192"])),
        ];
        let mut rows = Vec::new();
        for (place, commands) in [("memory", in_memory), ("volume", in_file)] {
            for (line, phase) in ["insert", "sequential", "random"].into_iter().enumerate() {
                let sides = commands.iter().map(|(name, command)| {
                    let read = move |run: &Run| printed(run, line, 2);
                    Side::timed(name, command.clone())
                        .before(self.clear())
                        .value(Value::Printed(Box::new(read)))
                });
                let row = Row {
                    point: Some(Point {
                        curve: format!("{phase}, {place}"),
                        of: "records".to_owned(),
                        x: records.into(),
                    }),
                    ..Row::timed(
                        format!("sqlite/points/{place}/{phase}/{records}"),
                        format!("{phase} of {records} records, {place}"),
                        sides.collect(),
                    )
                };
                rows.push(row.not_agreeing().hold(TWINE, NATIVE, 2.0));
            }
        }
        rows
    }

    fn volume(&self, cache: u32, args: &[&str]) -> Invocation {
        let dir = format!("{}::/v", self.folder.join("test.volume").display());
        let cache = format!("{cache}MiB");
        // VACUUM sorts in a file.
        let options = [
            "--dir",
            &dir,
            "--volume-cache",
            &cache,
            "--env",
            "DATABASE",
            "--env",
            "JOURNAL",
            "--env",
            "SQLITE_TMPDIR=/v",
        ];
        self.kit.twine(&options, &self.module, args)
    }

    /// Removes what the last run left.
    fn clear(&self) -> impl Fn() -> Result<()> + 'static {
        let folder = self.folder.clone();
        move || {
            for name in ["plain.db", "plain.db-journal", "plain.db-wal", "test.volume", "test.volume.label"] {
                match fs::remove_file(folder.join(name)) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                    _ => {}
                }
            }
            Ok(())
        }
    }
}
