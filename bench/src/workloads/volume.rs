//! The volume: operations of 4 KiB on one file, against the host's file system.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::kit::Kit;
use crate::process::{self, Run};
use crate::row::{Invocation, NATIVE, Row, Side, TWINE, Value};
use crate::workload::Workload;

/// One file, written and read.
pub struct Volume;

impl Workload for Volume {
    fn name(&self) -> &'static str {
        "volume"
    }

    fn about(&self) -> &'static str {
        "Operations of 4 KiB on one file, out of one C program: the host's file system for native code, an encrypted volume \
         for Twine, on one disk. Seconds for all operations of a row, or for the median one where it says so, by the \
         program's clock in a process of its own, so that start-up is not in them. Writes end with one durable sync. Cold \
         reads find nothing in the enclave (8 MiB of cache) and all of the store in the host's page cache. Entries, host \
         calls and bytes are those of the whole process; about 60 entries are its start and its end. Without the vector \
         path of its cipher Twine takes 20 us for a block and misses all of it, so that is asked first."
    }

    fn rows(&self, kit: &Kit) -> Result<Vec<Row>> {
        let files = Files::new(kit, "volume")?;
        files.must_have_vectors()?;
        let (written, read, cached, syncs) = if kit.quick() { (1, 2, 1, 3) } else { (64, 512, 16, 300) };
        let mib = |name: &'static str, cache, file: &'static str, present, size| Case {
            cache,
            file,
            present,
            operation: format!("{name}:{size}"),
            word: NANOSECONDS,
        };
        let row = |id: &str, title: &str, case: Case, throughput: f64| {
            Row::timed(format!("volume/{id}"), title, files.sides(&case)).not_agreeing().hold(
                TWINE,
                NATIVE,
                1.0 / throughput,
            )
        };
        let overwrite = |name: &'static str| mib(name, 32, "w", written, written);
        let sync = Case { word: MEDIAN, ..mib("sync", 32, "w", written, syncs) };
        Ok(vec![
            row("create", "write of a new file of 64 MiB", mib("write", 32, "new", 0, written), 0.6),
            row("write", "sequential overwrite of 64 MiB", overwrite("write"), 0.6),
            row("write-random", "random overwrite of 64 MiB", overwrite("write-random"), 0.5),
            row("read", "cold sequential read of 512 MiB", mib("read", 8, "r", read, read), 0.4),
            row("read-random", "cold random read of 512 MiB", mib("read-random", 8, "r", read, read), 0.2),
            row("cached", "cached random read of 16 MiB", mib("cached", 32, "w", written, cached), 0.7),
            Row {
                syncs: true,
                ..row("sync", "overwrite and durable sync, the median of 300", sync, 1.0 / 1.3)
            },
        ])
    }
}

/// Words of the line that the program prints for an operation, in nanoseconds: for all, and for the median one.
pub const NANOSECONDS: usize = 2;
const MEDIAN: usize = 3;

/// An operation on a file.
pub struct Case {
    /// MiB of the volume's cache.
    pub cache: u32,
    /// The file's name.
    pub file: &'static str,
    /// MiB that it has before; 0: it is not there.
    pub present: u32,
    /// As the program takes it; of several, the last one is measured.
    pub operation: String,
    /// Which word of the line is the value.
    pub word: usize,
}

/// The program, and where its files and volumes are.
pub struct Files<'a> {
    kit: &'a Kit,
    native: PathBuf,
    module: PathBuf,
    folder: PathBuf,
}

impl<'a> Files<'a> {
    /// Builds the program.
    pub fn new(kit: &'a Kit, workload: &str) -> Result<Self> {
        let source = [kit.sources("volume/volume.c")];
        let native = kit.native(workload, "volume", &source, &[])?;
        let module = kit.wasm(workload, "volume", &source, &[])?;
        Ok(Self { kit, native, module, folder: kit.folder(workload)? })
    }

    /// Fails unless the enclave's processor has the instructions of the cipher's vector path: by the `cpuid` inside that the
    /// cipher asks as well.
    fn must_have_vectors(&self) -> Result<()> {
        let store = self.folder.join("cipher.volume");
        let _ = fs::remove_file(&store);
        let dir = format!("{}::/v", store.display());
        let options = ["--json", "--stats", "--dir", &dir, "--env", "OPERATIONS"];
        let command = self.kit.twine(&options, &self.module, &["/v/file"]).env("OPERATIONS", "write:1");
        let run = process::run(&command, false)?.succeeded(&command)?;
        let told: serde_json::Value = serde_json::from_str(run.text())?;
        match told["data"]["stats"]["volumes"][0]["cipher"].as_str() {
            Some("vaes") => Ok(()),
            cipher => bail!(
                "AES-256-GCM in the enclave runs by {cipher:?} and not by VAES: no row would say anything"
            ),
        }
    }

    /// Both sides of a case.
    pub fn sides(&self, case: &Case) -> Vec<Side> {
        let plain = self.folder.join(format!("{}.plain", case.file));
        let command =
            |operation: &str| Invocation::new(&self.native).arg(&plain).env("OPERATIONS", operation);
        vec![side(NATIVE, command, case, vec![plain.clone()]), self.twine(TWINE, &[], case)]
    }

    /// Twine's side alone, with options of the host's.
    pub fn twine(&self, name: &'static str, options: &[&str], case: &Case) -> Side {
        let store = self.folder.join(format!("{}-{}.volume", case.file, case.cache));
        let label = self.folder.join(format!("{}-{}.volume.label", case.file, case.cache));
        let (dir, cache) = (format!("{}::/v", store.display()), format!("{}MiB", case.cache));
        let command = |operation: &str| {
            let mut all = vec!["--dir", &dir, "--volume-cache", &cache, "--env", "OPERATIONS"];
            all.extend(options);
            self.kit.twine(&all, &self.module, &["/v/file"]).env("OPERATIONS", operation)
        };
        side(name, command, case, vec![store, label])
    }
}

/// A side whose file is as it has to be before each run: there, or not there.
fn side(name: &'static str, command: impl Fn(&str) -> Invocation, case: &Case, files: Vec<PathBuf>) -> Side {
    let (present, word, prepared) = (case.present, case.word, Cell::new(false));
    let prepare = command(&format!("write:{present}"));
    let before = move || {
        if present == 0 || !prepared.replace(true) {
            for file in &files {
                // What an earlier benchmark left may be another program's volume.
                let _ = fs::remove_file(file);
            }
            if present > 0 {
                process::run(&prepare, false)?.succeeded(&prepare)?;
            }
        }
        Ok(())
    };
    let line = case.operation.split(' ').count() - 1;
    let read = move |run: &Run| printed(run, line, word);
    Side::timed(name, command(&case.operation)).before(before).value(Value::Printed(Box::new(read)))
}

/// Seconds in a line that a program printed, as its `word`th word in nanoseconds.
pub fn printed(run: &Run, line: usize, word: usize) -> Result<f64> {
    let line = run.text().lines().nth(line).context("too few lines")?;
    let nanoseconds: f64 =
        line.split(' ').nth(word).context("too few words")?.parse().context("nanoseconds")?;
    Ok(nanoseconds / 1e9)
}
