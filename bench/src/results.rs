//! What is kept of a run of the benchmark, as JSON.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::statistics::geometric_mean;

/// Grows when a field changes its meaning or goes.
pub const SCHEMA: &str = "twine.bench/1";

/// Results of one run.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// `twine.bench/1`.
    pub schema: String,
    /// When it began, RFC 3339, UTC.
    pub started: String,
    /// How long it took, in seconds.
    pub took: f64,
    /// The command that makes these results.
    pub command: String,
    pub machine: Machine,
    pub settings: Settings,
    /// Names and versions of what was measured and of what built it.
    pub versions: BTreeMap<String, String>,
    pub workloads: Vec<WorkloadResults>,
}

/// The machine.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    /// Bytes.
    pub memory: u64,
    pub kernel: String,
    pub system: String,
    /// Runnable tasks, averaged over a minute, before the first and after the last run.
    pub load: [f64; 2],
}

/// How it was measured.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// A trial of the benchmark itself, whose figures say nothing.
    pub quick: bool,
    /// Rounds of each row after one to warm up.
    pub rounds: u32,
    pub clock: Clock,
    /// Of PolyBench's data sets.
    pub size: Size,
    /// Whether any side had large pages.
    pub large_pages: bool,
    /// The core that all measured processes run on.
    pub core: usize,
}

/// What times whole processes, always from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// From before the process was made until after it had ended.
    Wall,
    /// Processor time that the kernel counted for it, which other work on the machine moves less; rows that wait for the disk
    /// are timed by the wall clock all the same.
    Processor,
}

/// PolyBench's data sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    Mini,
    Small,
    Medium,
    Large,
}

/// One workload.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadResults {
    pub name: String,
    pub about: String,
    pub rows: Vec<RowResults>,
    pub summaries: Vec<SummaryResult>,
    /// Why it did not run, or which of its rows did not.
    pub left_out: Vec<String>,
}

/// Whether caches are warm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Caches {
    /// Compiled modules are cached on both sides, files are in the host's page cache.
    Warm,
    /// Nothing of either.
    Cold,
    /// The module is compiled during the run, on both sides.
    Compiling,
}

/// Of a row's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Seconds,
    Bytes,
    /// Something that is counted.
    Count,
    /// Bytes per second; more is better.
    BytesPerSecond,
}

/// Where a row stands on a curve.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// The curve's name; all rows with it are drawn together.
    pub curve: String,
    /// What `x` is.
    pub of: String,
    pub x: f64,
}

/// One row.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowResults {
    pub id: String,
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point: Option<Point>,
    pub unit: Unit,
    pub caches: Caches,
    pub sides: Vec<SideResults>,
    pub ratios: Vec<Ratio>,
    /// Bounds on a side's own value.
    pub bounds: Vec<Bound>,
    /// Rounds that do not count because `fdatasync` moved by half while they ran.
    pub void_rounds: u32,
}

/// One side of a row.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SideResults {
    pub name: String,
    /// In the order of the rounds.
    pub values: Vec<f64>,
    pub median: f64,
    /// Quartiles.
    pub low: f64,
    pub high: f64,
    /// What Twine counts: exits by kind, bytes across the border, pages; the same in every run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u64>,
}

/// Two sides of the same round, divided.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ratio {
    pub of: String,
    pub to: String,
    pub median: f64,
    pub low: f64,
    pub high: f64,
    /// What was promised.
    pub at_most: Option<f64>,
    /// Whether the median holds it.
    pub held: Option<bool>,
}

/// A promise about a side's own value.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    pub side: String,
    /// The side whose value is taken off first, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<String>,
    pub at_most: f64,
    pub held: bool,
}

/// The geometric mean of a workload's ratios.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SummaryResult {
    pub title: String,
    pub of: String,
    pub to: String,
    pub value: f64,
    /// The largest of the rows' ratios, and whose.
    pub worst: f64,
    pub worst_row: String,
    pub at_most: Option<f64>,
    pub held: Option<bool>,
}

impl Results {
    /// The results of several runs on one machine as one, in their order; of a workload that occurs again, the rows are added,
    /// and take the place of rows of their names. Where versions differ, all are named.
    pub fn join(all: Vec<Results>) -> Option<Results> {
        all.into_iter().reduce(|mut all, next| {
            all.took += next.took;
            all.machine.load[1] = next.machine.load[1];
            all.settings.rounds = all.settings.rounds.min(next.settings.rounds);
            if !all.command.contains(&next.command) {
                all.command = format!("{}; {}", all.command, next.command);
            }
            for (name, version) in next.versions {
                let known = all.versions.entry(name).or_default();
                if !known.split(", ").any(|known| known == version) {
                    *known = if known.is_empty() { version } else { format!("{known}, {version}") };
                }
            }
            for workload in next.workloads {
                match all.workloads.iter_mut().find(|known| known.name == workload.name) {
                    Some(known) => known.add(workload),
                    None => all.workloads.push(workload),
                }
            }
            all
        })
    }

    /// Reads a file that an earlier run wrote.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let results: Self = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        if results.schema != SCHEMA {
            bail!("{}: schema {:?}, this program reads {SCHEMA}", path.display(), results.schema);
        }
        Ok(results)
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = &RowResults> {
        self.workloads.iter().flat_map(|workload| &workload.rows)
    }
}

impl WorkloadResults {
    fn add(&mut self, later: Self) {
        for row in later.rows {
            self.left_out.retain(|reason| !reason.starts_with(&format!("{}: ", row.id)));
            match self.rows.iter_mut().find(|known| known.id == row.id) {
                Some(known) => *known = row,
                None => self.rows.push(row),
            }
        }
        self.left_out.extend(later.left_out);
        for summary in later.summaries {
            if !self.summaries.iter().any(|known| known.title == summary.title) {
                self.summaries.push(summary);
            }
        }
        for summary in &mut self.summaries {
            let SummaryResult { title, of, to, at_most, .. } = &*summary;
            if let Some(now) = SummaryResult::over(&self.rows, title, [of, to], *at_most) {
                *summary = now;
            }
        }
    }
}

impl SummaryResult {
    /// The geometric mean of the first side's ratios to the second over these rows, if any has one.
    pub fn over(rows: &[RowResults], title: &str, [of, to]: [&str; 2], at_most: Option<f64>) -> Option<Self> {
        let ratios: Vec<(&str, f64)> =
            rows.iter().filter_map(|row| Some((row.id.as_str(), row.ratio(of, to)?.median))).collect();
        let value = geometric_mean(&ratios.iter().map(|(_, ratio)| *ratio).collect::<Vec<_>>())?;
        let (worst_row, worst) = ratios.into_iter().max_by(|one, other| one.1.total_cmp(&other.1))?;
        Some(Self {
            title: title.to_owned(),
            of: of.to_owned(),
            to: to.to_owned(),
            value,
            worst,
            worst_row: worst_row.to_owned(),
            at_most,
            held: at_most.map(|at_most| value <= at_most),
        })
    }
}

impl RowResults {
    pub fn side(&self, name: &str) -> Option<&SideResults> {
        self.sides.iter().find(|side| side.name == name)
    }

    pub fn ratio(&self, of: &str, to: &str) -> Option<&Ratio> {
        self.ratios.iter().find(|ratio| ratio.of == of && ratio.to == to)
    }
}

/// The JSON Schema of [`Results`].
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Results).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, median: f64) -> RowResults {
        let ratio = Ratio {
            of: "a".into(),
            to: "b".into(),
            median,
            low: median,
            high: median,
            at_most: None,
            held: None,
        };
        RowResults {
            id: id.into(),
            title: id.into(),
            unit: Unit::Seconds,
            caches: Caches::Warm,
            sides: Vec::new(),
            ratios: vec![ratio],
            bounds: Vec::new(),
            void_rounds: 0,
            point: None,
        }
    }

    fn results(commit: &str, rows: Vec<RowResults>, left_out: &[&str]) -> Results {
        let workload = WorkloadResults {
            name: "w".into(),
            about: String::new(),
            summaries: SummaryResult::over(&rows, "mean", ["a", "b"], Some(1.5)).into_iter().collect(),
            rows,
            left_out: left_out.iter().map(|reason| (*reason).to_owned()).collect(),
        };
        Results {
            schema: SCHEMA.into(),
            started: String::new(),
            took: 1.0,
            command: "run".into(),
            machine: Machine {
                processor: String::new(),
                cores: 1,
                memory: 0,
                kernel: String::new(),
                system: String::new(),
                load: [0.0; 2],
            },
            settings: Settings {
                quick: false,
                rounds: 3,
                clock: Clock::Wall,
                size: Size::Large,
                large_pages: false,
                core: 0,
            },
            versions: [("commit".into(), commit.into()), ("rustc".into(), "1".into())].into(),
            workloads: vec![workload],
        }
    }

    #[test]
    fn a_row_that_was_measured_again_counts_once() {
        let first =
            results("aa", vec![row("w/x", 8.0), row("w/y", 1.0)], &["w/z: it ended", "w/zz: no disk"]);
        assert_eq!(first.workloads[0].summaries[0].held, Some(false));
        let second = results("bb", vec![row("w/x", 1.0), row("w/z", 1.0)], &[]);
        let all = Results::join(vec![first, second.clone(), second]).unwrap();
        assert_eq!((all.command.as_str(), all.took), ("run", 3.0));
        assert_eq!((all.versions["commit"].as_str(), all.versions["rustc"].as_str()), ("aa, bb", "1"));
        let [workload] = &all.workloads[..] else { panic!("one workload") };
        let ids: Vec<&str> = workload.rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!((ids, &workload.left_out), (vec!["w/x", "w/y", "w/z"], &vec!["w/zz: no disk".to_owned()]));
        let [mean] = &workload.summaries[..] else { panic!("one summary") };
        assert_eq!((mean.value, mean.worst, mean.held), (1.0, 1.0, Some(true)));
    }

    #[test]
    fn the_published_schema_is_this_one() {
        let published: serde_json::Value =
            serde_json::from_str(include_str!("../results.schema.json")).unwrap();
        assert_eq!(published, super::schema(), "run: twine-bench schema > bench/results.schema.json");
    }
}
