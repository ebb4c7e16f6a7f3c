//! One thing to measure: a command for each side, what to read off it, and what must hold.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::process::Run;
use crate::results::{Caches, Point, RowResults, SummaryResult, Unit};

/// Native code, by Debian's clang.
pub const NATIVE: &str = "native";
/// The same Wasmtime outside an enclave.
pub const WASMTIME: &str = "wasmtime";
/// Twine.
pub const TWINE: &str = "twine";

/// A row of the results.
pub struct Row {
    /// `workload/what`.
    pub id: String,
    /// For the report.
    pub title: String,
    /// Its place on a curve of the report, where it is a point of one.
    pub point: Option<Point>,
    /// Of its values.
    pub unit: Unit,
    /// Compiled modules and, where files play a part, the host's and the enclave's page caches.
    pub caches: Caches,
    /// Run in this order, again and again.
    pub sides: Vec<Side>,
    /// What must hold.
    pub holds: Vec<Hold>,
    /// Whether it waits for the disk: bare `fdatasync` is timed around each round then, and a round void where that moved
    /// by half.
    pub syncs: bool,
    /// Whether all sides must print the same and end with the same status; what they print about time must not be there.
    pub agree: bool,
}

/// One side of a row.
pub struct Side {
    /// [`NATIVE`], [`WASMTIME`], [`TWINE`] or another name.
    pub name: &'static str,
    /// What is run.
    pub command: Invocation,
    /// Called before each run, outside the time that is measured: to delete what the last one left, or to drop caches.
    pub before: Option<Box<dyn Fn() -> Result<()>>>,
    /// What is read off a run.
    pub value: Value,
}

/// Reads a value off what a run printed.
pub type Reading = Box<dyn Fn(&Run) -> Result<f64>>;

/// What is read off a run.
pub enum Value {
    /// Seconds from before the process was made until after it had ended; or of processor time, by the clock of the settings.
    Time,
    /// Bytes: the most memory the process had.
    PeakMemory,
    /// Bytes of memory, when the program has printed a line and waits for input.
    MemoryAtRest,
    /// Something of what it printed.
    Printed(Reading),
    /// Not run: the size of a file, or the like.
    Known(f64),
}

/// What must hold for a side.
pub struct Hold {
    /// The side.
    pub side: &'static str,
    /// What is bounded.
    pub what: Bounded,
    /// The bound.
    pub at_most: f64,
}

/// What of a side a bound is on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Bounded {
    /// Its value divided by another's of the same round.
    Ratio(&'static str),
    /// Its value less another's.
    Excess(&'static str),
    /// Its value.
    Itself,
}

/// The geometric mean of ratios over the rows of a workload.
pub struct Summary {
    /// For the report.
    pub title: &'static str,
    /// Dividend.
    pub of: &'static str,
    /// Divisor.
    pub to: &'static str,
    /// The bound.
    pub at_most: Option<f64>,
}

/// A command.
#[derive(Clone)]
pub struct Invocation {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub env: Vec<(OsString, OsString)>,
    /// A file for standard input; none: empty.
    pub stdin: Option<PathBuf>,
}

impl Invocation {
    pub fn new(program: impl AsRef<Path>) -> Self {
        let program = program.as_ref().to_owned();
        Self { program, args: Vec::new(), env: Vec::new(), stdin: None }
    }

    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    pub fn stdin(mut self, file: impl AsRef<Path>) -> Self {
        self.stdin = Some(file.as_ref().to_owned());
        self
    }
}

impl Side {
    /// A side whose whole process is timed.
    pub fn timed(name: &'static str, command: Invocation) -> Self {
        Self { name, command, before: None, value: Value::Time }
    }

    /// The same with another value.
    pub fn value(self, value: Value) -> Self {
        Self { value, ..self }
    }

    /// The same with something to do before each run.
    pub fn before(self, before: impl Fn() -> Result<()> + 'static) -> Self {
        Self { before: Some(Box::new(before)), ..self }
    }
}

impl Row {
    /// Without a side, and without what must hold beside it.
    pub fn leave_out(&mut self, name: &str) {
        self.sides.retain(|side| side.name != name);
        self.holds.retain(|hold| match hold.what {
            Bounded::Ratio(other) | Bounded::Excess(other) => hold.side != name && other != name,
            Bounded::Itself => hold.side != name,
        });
    }

    /// A row of whole processes with warm caches, whose sides must agree.
    pub fn timed(id: impl Into<String>, title: impl Into<String>, sides: Vec<Side>) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            point: None,
            unit: Unit::Seconds,
            caches: Caches::Warm,
            sides,
            holds: Vec::new(),
            syncs: false,
            agree: true,
        }
    }

    /// The same with values in another unit.
    pub fn unit(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }

    /// The same whose sides print what cannot agree.
    pub fn not_agreeing(self) -> Self {
        Self { agree: false, ..self }
    }

    /// The same with a bound on a ratio of two sides.
    pub fn hold(mut self, side: &'static str, to: &'static str, at_most: f64) -> Self {
        self.holds.push(Hold { side, what: Bounded::Ratio(to), at_most });
        self
    }

    /// The same with a bound on how much more one side's value is than another's.
    pub fn hold_excess(mut self, side: &'static str, over: &'static str, at_most: f64) -> Self {
        self.holds.push(Hold { side, what: Bounded::Excess(over), at_most });
        self
    }

    /// The same with a bound on a side's own value.
    pub fn hold_value(mut self, side: &'static str, at_most: f64) -> Self {
        self.holds.push(Hold { side, what: Bounded::Itself, at_most });
        self
    }
}

impl Summary {
    /// Its figure over measured rows, if any has that ratio.
    pub fn over(&self, rows: &[RowResults]) -> Option<SummaryResult> {
        SummaryResult::over(rows, self.title, [self.of, self.to], self.at_most)
    }
}
