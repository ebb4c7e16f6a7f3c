//! Figures as words.

use crate::results::{Bound, Caches, Clock, Ratio, RowResults, SummaryResult, Unit};

/// A row in a line, for the terminal.
pub fn line(row: &RowResults) -> String {
    let sides: Vec<String> =
        row.sides.iter().map(|side| format!("{} {}", side.name, value(side.median, row.unit))).collect();
    let ratios: String = row.ratios.iter().map(|ratio| format!("  {}", self::ratio(ratio))).collect();
    format!("{:<28} {}{ratios}", row.id, sides.join(", "))
}

/// A value in a unit that fits it.
pub fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds if value < 0.001 => format!("{:.1} µs", value * 1e6),
        Unit::Seconds if value < 1.0 => format!("{:.1} ms", value * 1e3),
        Unit::Seconds => format!("{value:.2} s"),
        Unit::Bytes => bytes(value),
        Unit::BytesPerSecond => format!("{}/s", bytes(value)),
        Unit::Count => format!("{value:.0}"),
    }
}

fn bytes(value: f64) -> String {
    match value {
        _ if value < 1024.0 => format!("{value:.0} B"),
        _ if value < 1024.0 * 1024.0 => format!("{:.1} KiB", value / 1024.0),
        _ => format!("{:.1} MiB", value / (1024.0 * 1024.0)),
    }
}

/// `twine / native 0.94 [0.93 to 0.95], at most 0.97: held`. One that is missed with the bound among its quartiles says so.
pub fn ratio(ratio: &Ratio) -> String {
    let Ratio { of, to, median, low, high, at_most, held } = ratio;
    let reaches = *held == Some(false) && at_most.is_some_and(|at_most| *low <= at_most);
    let within = if reaches { ", within its spread" } else { "" };
    format!("{of} / {to} {median:.2} [{low:.2} to {high:.2}]{}{within}", promise(*at_most, *held))
}

/// A bound in the digits that it was thought of in.
fn limit(at_most: f64) -> String {
    let text = format!("{at_most:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `, at most 0.97: held`, or nothing where nothing was promised.
pub fn promise(at_most: Option<f64>, held: Option<bool>) -> String {
    match (at_most, held) {
        (Some(at_most), Some(held)) => format!(", at most {}: {}", limit(at_most), verdict(held)),
        _ => String::new(),
    }
}

/// `held` or `missed`.
pub fn verdict(held: bool) -> &'static str {
    if held { "held" } else { "missed" }
}

/// A promise about a value of its own.
pub fn bound(bound: &Bound, unit: Unit) -> String {
    let over = bound.over.as_ref().map(|over| format!(" over {over}")).unwrap_or_default();
    format!("{}{over} at most {}: {}", bound.side, value(bound.at_most, unit), verdict(bound.held))
}

/// A mean in a sentence.
pub fn summary(summary: &SummaryResult) -> String {
    let SummaryResult { title, of, to, value, worst, worst_row, .. } = summary;
    let promise = promise(summary.at_most, summary.held);
    format!("{title}: {of} / {to} {value:.3} (geometric mean), worst {worst:.2} ({worst_row}){promise}")
}

/// Caches in a word.
pub fn caches(caches: Caches) -> &'static str {
    match caches {
        Caches::Warm => "warm",
        Caches::Cold => "cold",
        Caches::Compiling => "compiling",
    }
}

/// What was promised and is not held, over all rows and means.
pub fn missed(results: &crate::results::Results) -> Vec<String> {
    let mut missed = Vec::new();
    for workload in &results.workloads {
        for summary in workload.summaries.iter().filter(|summary| summary.held == Some(false)) {
            missed.push(format!("{}: {}", workload.name, self::summary(summary)));
        }
        for row in &workload.rows {
            for ratio in row.ratios.iter().filter(|ratio| ratio.held == Some(false)) {
                missed.push(format!("{}: {}", row.id, self::ratio(ratio)));
            }
            for bound in row.bounds.iter().filter(|bound| !bound.held) {
                let side = row.side(&bound.side).map(|side| value(side.median, row.unit));
                missed.push(format!(
                    "{}: {} ({})",
                    row.id,
                    self::bound(bound, row.unit),
                    side.unwrap_or_default()
                ));
            }
        }
    }
    missed
}

/// The machine in a sentence.
pub fn machine(results: &crate::results::Results) -> String {
    let machine = &results.machine;
    format!(
        "{}, {} cores, {}, {}, Linux {}; load {:.1} before and {:.1} after",
        machine.processor,
        machine.cores,
        bytes(machine.memory as f64),
        machine.system,
        machine.kernel,
        machine.load[0],
        machine.load[1],
    )
}

/// How it was measured, in a sentence.
pub fn method(results: &crate::results::Results) -> String {
    let settings = &results.settings;
    let clock = match settings.clock {
        Clock::Wall => "timed from outside",
        Clock::Processor => {
            "its processor time taken from outside, since the machine did other things as well"
        }
    };
    let pages = if settings.large_pages { "large pages on all sides" } else { "no large pages on any side" };
    format!(
        "{} rounds of each row after one to warm up, the sides in turn, each process alone on core {} and {clock}; {pages}. \
         Ratios are medians over rounds, with quartiles in brackets; lower is better. A dashed line of a plot is what was \
         promised.",
        settings.rounds, settings.core,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miss_says_whether_its_spread_reaches_the_bound() {
        let ratio = |low, held| {
            let (of, to) = ("a".to_owned(), "b".to_owned());
            self::ratio(&Ratio { of, to, median: 1.04, low, high: 1.06, at_most: Some(1.03), held })
        };
        assert_eq!(ratio(1.032, Some(false)), "a / b 1.04 [1.03 to 1.06], at most 1.03: missed");
        let within = "a / b 1.04 [1.02 to 1.06], at most 1.03: missed, within its spread";
        assert_eq!(ratio(1.02, Some(false)), within);
        assert_eq!(ratio(1.02, Some(true)), "a / b 1.04 [1.02 to 1.06], at most 1.03: held");
    }
}
