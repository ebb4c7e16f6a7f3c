//! Runs the sides of a row in turn, round after round.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{self, Run};
use crate::results::{Bound, Clock, Ratio, RowResults, SideResults};
use crate::row::{Bounded, Hold, Invocation, Row, Side, TWINE, Value};
use crate::statistics::spread;
use crate::sync;

/// How much to measure.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Rounds of a row, after the one that warms up.
    pub rounds: u32,
    /// A row that has used this up ends, but not before its third round.
    pub budget: Duration,
    /// What times whole processes.
    pub clock: Clock,
}

/// A row ends before its budget is used up only after this many rounds, or as many as were asked for.
const LEAST_ROUNDS: u32 = 3;

/// Measures a row; `step` is called after each round with what it is.
pub fn row(row: &Row, effort: Effort, folder: &Path, mut step: impl FnMut(&str)) -> Result<RowResults> {
    warm_up(row)?;
    step("warmed up");
    let started = Instant::now();
    let mut values = vec![Vec::new(); row.sides.len()];
    let (mut done, mut void) = (0, 0);
    while done < effort.rounds {
        match round(row, effort.clock, folder)? {
            Some(round) => {
                done += 1;
                for (values, value) in values.iter_mut().zip(round) {
                    values.push(value);
                }
                step("measured");
            }
            None => {
                void += 1;
                step("void: fdatasync moved by half");
                if void > 2 * effort.rounds {
                    bail!("fdatasync moved by half in {void} rounds; measure on a quieter disk");
                }
            }
        }
        if started.elapsed() > effort.budget && done >= LEAST_ROUNDS.min(effort.rounds) {
            break;
        }
    }
    let mut sides = Vec::new();
    for (side, values) in row.sides.iter().zip(values) {
        let spread = spread(&values).context("no rounds")?;
        let counts = if side.name == TWINE { counts(side)? } else { BTreeMap::new() };
        let name = side.name.to_owned();
        sides.push(SideResults {
            name,
            values,
            median: spread.median,
            low: spread.low,
            high: spread.high,
            counts,
        });
    }
    let bounds = bounds(&row.holds, &sides);
    Ok(RowResults {
        id: row.id.clone(),
        title: row.title.clone(),
        point: row.point.clone(),
        unit: row.unit,
        caches: row.caches,
        ratios: ratios(&row.holds, &sides),
        bounds,
        sides,
        void_rounds: void,
    })
}

/// Runs each side once: modules get compiled and cached, files read; and all must agree.
fn warm_up(row: &Row) -> Result<()> {
    let mut first: Option<(&str, Run)> = None;
    for side in row.sides.iter().filter(|side| !matches!(side.value, Value::Known(_))) {
        let run = execute(side)?;
        let Some((name, before)) = &first else {
            first = Some((side.name, run));
            continue;
        };
        if row.agree && (before.stdout != run.stdout || before.status != run.status) {
            let [one, other] = [before, &run].map(|run| String::from_utf8_lossy(&run.stdout).into_owned());
            bail!("{}: {name} printed {one:?}, {} printed {other:?}", row.id, side.name);
        }
    }
    Ok(())
}

/// One value of each side, or none where the disk moved.
fn round(row: &Row, clock: Clock, folder: &Path) -> Result<Option<Vec<f64>>> {
    let before = if row.syncs { Some(sync::probe(folder)?) } else { None };
    // Waiting takes no processor time.
    let clock = if row.syncs { Clock::Wall } else { clock };
    let mut values = Vec::new();
    for side in &row.sides {
        values.push(match side.value {
            Value::Known(value) => value,
            _ => value_of(side, &execute(side)?, clock)?,
        });
    }
    match before {
        Some(before) if sync::moved(before, sync::probe(folder)?) => Ok(None),
        _ => Ok(Some(values)),
    }
}

fn execute(side: &Side) -> Result<Run> {
    if let Some(before) = &side.before {
        before()?;
    }
    let rest = matches!(side.value, Value::MemoryAtRest);
    process::run(&side.command, rest)?.succeeded(&side.command)
}

fn value_of(side: &Side, run: &Run, clock: Clock) -> Result<f64> {
    Ok(match &side.value {
        Value::Time if clock == Clock::Processor => run.processor.as_secs_f64(),
        Value::Time => run.wall.as_secs_f64(),
        Value::PeakMemory => run.peak as f64,
        Value::MemoryAtRest => run.resting.context("the program did not rest")? as f64,
        Value::Printed(read) => read(run)?,
        Value::Known(value) => *value,
    })
}

/// What Twine counts of a run of its own.
fn counts(side: &Side) -> Result<BTreeMap<String, u64>> {
    let mut command = side.command.clone();
    if command.args.first().is_none_or(|verb| verb != "run") {
        return Ok(BTreeMap::new());
    }
    if !command.args.iter().any(|arg| arg == "--json") {
        command.args.splice(1..1, ["--json", "--stats"].map(Into::into));
    }
    if let Some(before) = &side.before {
        before()?;
    }
    let run = process::run(&command, false)?.succeeded(&command)?;
    Ok(statistics(&run, &command)?.0)
}

/// Counts, and microseconds of each phase, of the JSON that `twine run --json --stats` prints.
pub fn statistics(run: &Run, command: &Invocation) -> Result<(BTreeMap<String, u64>, BTreeMap<String, u64>)> {
    let object: serde_json::Value = serde_json::from_str(run.text())
        .with_context(|| format!("{} prints no JSON", command.program.display()))?;
    let stats = object["data"]["stats"].as_object().context("no statistics in the JSON")?;
    let mut counts = BTreeMap::new();
    for name in ["entries", "exceptions", "bytes_out", "bytes_in", "pages", "peak_pages"] {
        counts
            .insert(name.to_owned(), stats.get(name).and_then(serde_json::Value::as_u64).unwrap_or_default());
    }
    for (call, count) in stats.get("host_calls").and_then(serde_json::Value::as_object).into_iter().flatten()
    {
        counts.insert(format!("call {call}"), count.as_u64().unwrap_or_default());
    }
    let phases = stats.get("phases").and_then(serde_json::Value::as_array).into_iter().flatten();
    let phases = phases
        .filter_map(|phase| Some((phase["name"].as_str()?.to_owned(), phase["us"].as_u64()?)))
        .collect();
    Ok((counts, phases))
}

/// Twine against all others, and whatever else something is promised about.
fn ratios(holds: &[Hold], sides: &[SideResults]) -> Vec<Ratio> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for side in sides.iter().filter(|side| side.name != TWINE) {
        if sides.iter().any(|side| side.name == TWINE) {
            pairs.push((TWINE, &side.name));
        }
    }
    for hold in holds {
        if let Bounded::Ratio(to) = hold.what
            && !pairs.contains(&(hold.side, to))
        {
            pairs.push((hold.side, to));
        }
    }
    pairs.into_iter().filter_map(|(of, to)| ratio(holds, sides, of, to)).collect()
}

fn ratio(holds: &[Hold], sides: &[SideResults], of: &str, to: &str) -> Option<Ratio> {
    let values = |name: &str| sides.iter().find(|side| side.name == name).map(|side| &side.values);
    let divided: Vec<f64> = values(of)?.iter().zip(values(to)?).map(|(one, other)| one / other).collect();
    let spread = spread(&divided)?;
    let at_most = holds
        .iter()
        .find(|hold| hold.side == of && matches!(hold.what, Bounded::Ratio(other) if other == to))
        .map(|hold| hold.at_most);
    Some(Ratio {
        of: of.to_owned(),
        to: to.to_owned(),
        median: spread.median,
        low: spread.low,
        high: spread.high,
        at_most,
        held: at_most.map(|at_most| spread.median <= at_most),
    })
}

fn bounds(holds: &[Hold], sides: &[SideResults]) -> Vec<Bound> {
    let median = |name: &str| sides.iter().find(|side| side.name == name).map(|side| side.median);
    let bound = |hold: &Hold| {
        let (over, value) = match hold.what {
            Bounded::Ratio(_) => return None,
            Bounded::Excess(over) => (Some(over.to_owned()), median(hold.side)? - median(over)?),
            Bounded::Itself => (None, median(hold.side)?),
        };
        let held = value <= hold.at_most;
        Some(Bound { side: hold.side.to_owned(), over, at_most: hold.at_most, held })
    };
    holds.iter().filter_map(bound).collect()
}
