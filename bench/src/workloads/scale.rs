//! The volume at its sizes: a million files in a directory, a large file, a file that is all hole, an open after a kill.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::volume::printed;
use crate::kit::Kit;
use crate::measure::statistics;
use crate::process::{self, Run};
use crate::results::Unit;
use crate::row::{Invocation, Row, Side, TWINE, Value};
use crate::workload::Workload;

/// Bounds that Twine holds by itself.
pub struct Scale;

/// A side that does next to nothing.
const IDLE: &str = "idle";

impl Workload for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn about(&self) -> &'static str {
        "What must hold whatever the size, in a volume with 64 MiB of cache: a million files in one directory, read to its end \
         while one name in ten goes and looked up by a process that has nothing cached; opening after the process that \
         wrote was killed; a file of 20 GiB that is all hole but a byte; enclave memory while a file of many times the cache is written and read, over that of the \
         same program that writes 1 MiB."
    }

    fn rows(&self, kit: &Kit) -> Result<Vec<Row>> {
        let source = [kit.sources("scale/scale.c")];
        let module = kit.wasm("scale", "scale", &source, &[])?;
        let place = Place { kit, module, folder: kit.folder("scale")? };
        let (files, kept, gib, mib) =
            if kit.quick() { (1_000, 1_000, 2, 8) } else { (1_000_000, 200_000, 20, 10 << 10) };
        let row = |id: &str, title: &str, side: Side, at_most: f64| {
            Row::timed(format!("scale/{id}"), title, vec![side]).hold_value(TWINE, at_most)
        };
        let seconds =
            |side: Side, word| side.value(Value::Printed(Box::new(move |run: &Run| printed(run, 0, word))));
        let create = format!("create:{files}");
        let stats = place.command("killed", 64, &["--json", "--stats"], "stat:1");
        let opened = stats.clone();
        let open = move |run: &Run| {
            let (_, phases) = statistics(run, &opened)?;
            Ok(*phases.get("instantiate").context("no phase \"instantiate\"")? as f64 / 1e6)
        };
        let pages = |name, operation: String| {
            let command = place.command("large", 32, &["--json", "--stats"], &operation);
            let read = command.clone();
            let read = move |run: &Run| {
                let (counts, _) = statistics(run, &read)?;
                Ok(*counts.get("peak_pages").context("no peak_pages")? as f64 * 4096.0)
            };
            Side::timed(name, command).before(place.without("large")).value(Value::Printed(Box::new(read)))
        };
        Ok(vec![
            row(
                "create",
                "creating a million files",
                seconds(place.side("files", 64, &create).before(place.without("files")), 2),
                120.0,
            ),
            row(
                "stat",
                "a cold look-up, 99th percentile",
                seconds(
                    place.side("files", 64, &format!("stat:{files}")).before(place.with("files", &create)),
                    3,
                ),
                50e-6,
            ),
            row(
                "list",
                "listing them while one in ten goes",
                seconds(
                    place.side("files", 64, &format!("list:{files}")).before(place.anew("files", &create)),
                    2,
                ),
                120.0,
            ),
            row(
                "killed",
                "open after a kill",
                Side::timed(TWINE, stats)
                    .before(place.killed("killed", kept))
                    .value(Value::Printed(Box::new(open))),
                0.5,
            ),
            row(
                "sparse",
                "a file of 20 GiB with one byte in it",
                seconds(
                    place.side("sparse", 32, &format!("sparse:{gib}")).before(place.without("sparse")),
                    2,
                ),
                1.0,
            ),
            Row::timed(
                "scale/memory",
                format!("memory while {mib} MiB are written and read with 32 MiB of cache"),
                vec![pages(IDLE, "fill:1".to_owned()), pages(TWINE, format!("fill:{mib}"))],
            )
            .unit(Unit::Bytes)
            .not_agreeing()
            .hold_excess(TWINE, IDLE, f64::from((32 + 8) << 20)),
        ])
    }
}

/// The program, and its volumes.
struct Place<'a> {
    kit: &'a Kit,
    module: PathBuf,
    folder: PathBuf,
}

impl Place<'_> {
    fn command(&self, volume: &str, cache: u32, options: &[&str], operation: &str) -> Invocation {
        let dir = format!("{}::/v", self.folder.join(format!("{volume}.volume")).display());
        let cache = format!("{cache}MiB");
        let mut all = vec!["--dir", &dir, "--volume-cache", &cache, "--env", "OPERATION"];
        all.extend(options);
        self.kit.twine(&all, &self.module, &["/v"]).env("OPERATION", operation)
    }

    fn side(&self, volume: &str, cache: u32, operation: &str) -> Side {
        Side::timed(TWINE, self.command(volume, cache, &[], operation))
    }

    fn paths(&self, volume: &str) -> [PathBuf; 2] {
        ["volume", "volume.label"].map(|end| self.folder.join(format!("{volume}.{end}")))
    }

    /// Removes a volume before each run.
    fn without(&self, volume: &str) -> impl Fn() -> Result<()> + 'static {
        let paths = self.paths(volume);
        move || {
            for path in &paths {
                let _ = fs::remove_file(path);
            }
            Ok(())
        }
    }

    /// Fills a volume unless an earlier row did.
    fn with(&self, volume: &str, operation: &str) -> impl Fn() -> Result<()> + 'static {
        let (paths, anew) = (self.paths(volume), self.anew(volume, operation));
        move || if paths[0].exists() { Ok(()) } else { anew() }
    }

    /// Fills a new volume before each run.
    fn anew(&self, volume: &str, operation: &str) -> impl Fn() -> Result<()> + 'static {
        let (clear, command) = (self.without(volume), self.command(volume, 64, &[], operation));
        move || {
            clear()?;
            process::run(&command, false)?.succeeded(&command).map(drop)
        }
    }

    /// Fills a new volume, and kills the process while it has more files than it has synced.
    fn killed(&self, volume: &str, files: u32) -> impl Fn() -> Result<()> + 'static {
        let (clear, command) =
            (self.without(volume), self.command(volume, 64, &[], &format!("hang:{files}")));
        move || {
            clear()?;
            let mut process = Command::new(&command.program);
            process.args(&command.args).envs(command.env.iter().map(|(name, value)| (name, value)));
            let mut child =
                process.stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(Stdio::null()).spawn()?;
            let mut said = String::new();
            let mut errors = BufReader::new(child.stderr.take().context("standard error")?);
            while !said.ends_with("unsynced\n") {
                if errors.read_line(&mut said)? == 0 {
                    anyhow::bail!("the program ended before it could be killed: {said}");
                }
            }
            child.kill()?;
            child.wait()?;
            Ok(())
        }
    }
}
