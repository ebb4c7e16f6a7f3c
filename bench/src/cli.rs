//! The command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use crate::compare::compare;
use crate::kit::{Kit, Peer};
use crate::measure::{self, Effort};
use crate::results::{self, Clock, Results, RowResults, Settings, Size, WorkloadResults};
use crate::row::{Row, WASMTIME};
use crate::workload::Workload;
use crate::{machine, process, protected, report, workloads};

/// Twine, the same Wasmtime outside an enclave and native code, in turn, on one machine
#[derive(Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Measure, and write results and report
    Run(Run),
    /// Draw the report of results that are there
    Report {
        /// results.json of an earlier run; of several, one report is drawn of all
        #[arg(required = true)]
        results: Vec<PathBuf>,
        /// Folder for the report; the first results' own by default
        #[arg(long)]
        out: Option<PathBuf>,
        /// Say what changed since these results
        #[arg(long, value_name = "OLD.json")]
        compare: Option<PathBuf>,
    },
    /// Name the workloads
    List,
    /// Print the JSON Schema of results
    Schema,
    /// Print how many seconds SHA-256 of a file takes, once it is in memory
    #[command(hide = true)]
    Hash { file: PathBuf },
    /// Operations on a store of the paper's kind, as programs/volume/volume.c does them on a file
    #[command(hide = true)]
    Protected {
        file: PathBuf,
        #[arg(value_name = "OPERATION:SIZE")]
        operations: Vec<String>,
    },
}

#[derive(Args)]
struct Run {
    /// Check that everything works, in a few minutes; the figures say nothing
    #[arg(long)]
    quick: bool,
    /// Rows whose id begins so; all by default
    #[arg(value_name = "ID")]
    only: Vec<String>,
    /// Rounds of each row, after one to warm up
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// A row that has used this up ends after its third round
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    budget: Duration,
    /// What times whole processes: `processor` for a machine that does other things as well
    #[arg(long, value_enum, default_value = "wall")]
    clock: Clock,
    /// PolyBench's data sets
    #[arg(long, value_enum, default_value = "large")]
    size: Size,
    /// A `twine` to measure; by default it is built
    #[arg(long, value_name = "PROGRAM")]
    twine: Option<PathBuf>,
    /// A `twine-bench-peer` to measure; by default it is built
    #[arg(long, value_name = "PROGRAM")]
    peer: Option<PathBuf>,
    /// Leave out the side of Wasmtime, whose build takes minutes
    #[arg(long, conflicts_with = "peer")]
    no_peer: bool,
    /// Folder for results and report
    #[arg(long, default_value = "bench/target/report")]
    out: PathBuf,
    /// Say what changed since these results
    #[arg(long, value_name = "OLD.json")]
    compare: Option<PathBuf>,
}

/// A workload, its rows, and what is missing of them.
type Prepared = (Box<dyn Workload>, Vec<Row>, Vec<String>);

impl Cli {
    /// Whether everything ran.
    pub fn execute(self) -> Result<bool> {
        match self.verb {
            Verb::Run(run) => run.execute(),
            Verb::Report { results, out, compare } => {
                let own = results.first().and_then(|first| first.parent()).map(Path::to_owned);
                let all = results.iter().map(|path| Results::read(path)).collect::<Result<Vec<_>>>()?;
                let all = Results::join(all).context("no results")?;
                finish(&all, &out.or(own).unwrap_or_default(), compare.as_deref())?;
                Ok(true)
            }
            Verb::List => {
                for workload in workloads::all() {
                    println!("{:<12} {}", workload.name(), workload.about());
                }
                Ok(true)
            }
            Verb::Schema => {
                println!("{}", serde_json::to_string_pretty(&results::schema())?);
                Ok(true)
            }
            Verb::Protected { file, operations } => {
                protected::operate(&file, &operations)?;
                Ok(true)
            }
            Verb::Hash { file } => {
                let bytes = fs::read(&file).with_context(|| file.display().to_string())?;
                let started = Instant::now();
                std::hint::black_box(Sha256::digest(&bytes));
                println!("{}", started.elapsed().as_secs_f64());
                Ok(true)
            }
        }
    }
}

impl Run {
    fn execute(self) -> Result<bool> {
        process::without_large_pages()?;
        let size = if self.quick { Size::Mini } else { self.size };
        let peer = if self.no_peer { Peer::None } else { Peer::Program(self.peer.as_deref()) };
        let kit = Kit::new(self.twine.as_deref(), peer, self.quick, size, self.only.clone())?;
        let rounds = if self.quick { 1 } else { self.rounds };
        let mut results = Results {
            schema: results::SCHEMA.to_owned(),
            started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            took: 0.0,
            command: self.command(),
            machine: machine::describe(),
            settings: Settings {
                quick: self.quick,
                rounds,
                clock: self.clock,
                size,
                large_pages: false,
                core: process::core()?,
            },
            versions: kit.versions(),
            workloads: Vec::new(),
        };
        let started = Instant::now();
        let prepared = self.prepare(&kit);
        if prepared.is_empty() {
            bail!("no row begins with {:?}; twine-bench list names the workloads", self.only);
        }
        let effort = Effort { rounds, budget: self.budget, clock: self.clock };
        let steps = prepared.iter().map(|(_, rows, _)| rows.len() as u64 * u64::from(rounds + 1)).sum();
        let bar = ProgressBar::new(steps)
            .with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} rounds, {eta} left  {wide_msg}")?);
        let folder = kit.folder("sync")?;
        for (workload, rows, left_out) in prepared {
            results.workloads.push(WorkloadResults {
                name: workload.name().to_owned(),
                about: workload.about().to_owned(),
                rows: Vec::new(),
                summaries: Vec::new(),
                left_out,
            });
            for row in &rows {
                let measured = measure_one(row, effort, &folder, &bar);
                if let Some(last) = results.workloads.last_mut() {
                    match measured {
                        Ok(row) => last.rows.push(row),
                        Err(error) => last.left_out.push(format!("{}: {error:#}", row.id)),
                    }
                    last.summaries =
                        workload.summaries().iter().filter_map(|summary| summary.over(&last.rows)).collect();
                }
                // What was measured so far survives whatever comes.
                results.took = started.elapsed().as_secs_f64();
                write(&results, &self.out)?;
            }
        }
        bar.finish_and_clear();
        results.machine.load[1] = machine::load();
        finish(&results, &self.out, self.compare.as_deref())?;
        let left_out: Vec<&String> =
            results.workloads.iter().flat_map(|workload| &workload.left_out).collect();
        for reason in &left_out {
            eprintln!("twine-bench: left out: {reason}");
        }
        Ok(left_out.is_empty())
    }

    /// Rows of each workload that has some, and why others are missing.
    fn prepare(&self, kit: &Kit) -> Vec<Prepared> {
        let mut prepared = Vec::new();
        for workload in workloads::all() {
            let name = workload.name();
            if !kit.wants(name) && !self.only.iter().any(|only| only.starts_with(&format!("{name}/"))) {
                continue;
            }
            eprintln!("twine-bench: preparing {name}");
            match workload.rows(kit) {
                Ok(mut rows) => {
                    rows.retain(|row| kit.wants(&row.id));
                    if self.no_peer {
                        rows.iter_mut().for_each(|row| row.leave_out(WASMTIME));
                    }
                    prepared.push((workload, rows, Vec::new()));
                }
                Err(error) => prepared.push((workload, Vec::new(), vec![format!("{name}: {error:#}")])),
            }
        }
        prepared
    }

    fn command(&self) -> String {
        let quick = if self.quick { " --quick" } else { "" };
        let only: String = self.only.iter().map(|id| format!(" {id}")).collect();
        let size = match self.size {
            Size::Large => String::new(),
            size => format!(" --size {size:?}").to_lowercase(),
        };
        let clock = if self.clock == Clock::Processor { " --clock processor" } else { "" };
        format!("cargo run --release --manifest-path bench/Cargo.toml -- run{quick}{clock}{size}{only}")
    }
}

fn measure_one(row: &Row, effort: Effort, folder: &Path, bar: &ProgressBar) -> Result<RowResults> {
    bar.set_message(row.id.clone());
    let before = bar.position();
    let done = measure::row(row, effort, folder, |what| {
        bar.inc(1);
        bar.set_message(format!("{} {what}", row.id));
    });
    bar.set_position(before + u64::from(effort.rounds) + 1);
    if let Ok(row) = &done {
        bar.suspend(|| eprintln!("{}", report::line(row)));
    }
    done
}

fn write(results: &Results, out: &Path) -> Result<()> {
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let path = out.join("results.json");
    fs::write(&path, serde_json::to_string_pretty(results)? + "\n")
        .with_context(|| path.display().to_string())
}

/// Results and report in a folder.
fn finish(results: &Results, out: &Path, old: Option<&Path>) -> Result<()> {
    write(results, out)?;
    let changes = old.map(|old| Results::read(old).map(|old| compare(&old, results))).transpose()?;
    report::write(results, changes.as_deref(), out)?;
    eprintln!("twine-bench: report in {}", out.join("report.html").display());
    Ok(())
}
