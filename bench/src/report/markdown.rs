//! The report as Markdown.

use std::fmt::Write;

use super::plot::Plot;
use super::text;
use crate::compare::Change;
use crate::results::{Results, RowResults, WorkloadResults};

/// The page; its plots are files beside it.
pub fn page(results: &Results, changes: Option<&[Change]>, plots: &[Plot]) -> String {
    let mut page = String::new();
    let _ = writeln!(page, "# What Twine costs\n");
    if results.settings.quick {
        let _ = writeln!(page, "**A trial of the benchmark: these figures say nothing.**\n");
    }
    let _ = writeln!(page, "Made by `{}` on {}.\n", results.command, results.started);
    let _ = writeln!(page, "{}.\n\n{}\n", text::machine(results), text::method(results));
    for (name, version) in &results.versions {
        let _ = writeln!(page, "* {name}: {version}");
    }
    section(
        &mut page,
        "Promised and missed",
        &text::missed(results),
        "Nothing: all that was measured holds.",
    );
    if let Some(changes) = changes {
        let lines: Vec<String> = changes.iter().filter(|change| change.clear).map(change).collect();
        section(&mut page, "Changed since the older results", &lines, "Nothing beyond the spread.");
    }
    for workload in &results.workloads {
        self::workload(&mut page, workload, plots);
    }
    page
}

fn section(page: &mut String, title: &str, lines: &[String], none: &str) {
    let _ = writeln!(page, "\n## {title}\n");
    if lines.is_empty() {
        let _ = writeln!(page, "{none}");
    }
    for line in lines {
        let _ = writeln!(page, "* {line}");
    }
}

/// A change in a line.
pub fn change(change: &Change) -> String {
    format!("{} {}: {:.3} was {:.3}", change.id, change.what, change.new, change.old)
}

fn workload(page: &mut String, workload: &WorkloadResults, plots: &[Plot]) {
    let _ = writeln!(page, "\n## {}\n\n{}\n", workload.name, workload.about);
    for summary in &workload.summaries {
        let _ = writeln!(page, "* {}", text::summary(summary));
    }
    for reason in &workload.left_out {
        let _ = writeln!(page, "* Left out: {reason}");
    }
    for plot in plots.iter().filter(|plot| belongs(plot, workload)) {
        let _ = writeln!(page, "\n![{}]({}.svg)", plot.title, plot.name);
    }
    let sides = sides(&workload.rows);
    if workload.rows.is_empty() {
        return;
    }
    let _ = writeln!(page, "\n| row | caches | {} | ratios |", sides.join(" | "));
    let _ = writeln!(page, "|---|---|{}---|", "---:|".repeat(sides.len()));
    for row in &workload.rows {
        let values: Vec<String> = sides.iter().map(|side| cell(row, side)).collect();
        let mut notes: Vec<String> = row.ratios.iter().map(text::ratio).collect();
        notes.extend(row.bounds.iter().map(|bound| text::bound(bound, row.unit)));
        if row.void_rounds > 0 {
            notes.push(format!("{} rounds void", row.void_rounds));
        }
        let caches = text::caches(row.caches);
        let _ =
            writeln!(page, "| {} | {caches} | {} | {} |", row.title, values.join(" | "), notes.join("; "));
    }
    counts(page, workload);
}

/// What Twine counts; stable where times are not.
fn counts(page: &mut String, workload: &WorkloadResults) {
    let counted: Vec<&RowResults> =
        workload.rows.iter().filter(|row| row.sides.iter().any(|side| !side.counts.is_empty())).collect();
    if counted.is_empty() {
        return;
    }
    let _ = writeln!(page, "\n| row | entries | exceptions | bytes out | bytes in | pages at most |");
    let _ = writeln!(page, "|---|---:|---:|---:|---:|---:|");
    for row in counted {
        for side in row.sides.iter().filter(|side| !side.counts.is_empty()) {
            let of = |name: &str| side.counts.get(name).copied().unwrap_or_default().to_string();
            let cells = ["entries", "exceptions", "bytes_out", "bytes_in", "peak_pages"].map(of);
            let _ = writeln!(page, "| {} | {} |", row.title, cells.join(" | "));
        }
    }
}

fn cell(row: &RowResults, side: &str) -> String {
    row.side(side).map(|side| text::value(side.median, row.unit)).unwrap_or_default()
}

/// Names of all sides that any row has.
pub fn sides(rows: &[RowResults]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for side in rows.iter().flat_map(|row| &row.sides) {
        if !names.contains(&side.name.as_str()) {
            names.push(&side.name);
        }
    }
    names
}

/// Whether a plot is of a workload.
pub fn belongs(plot: &Plot, workload: &WorkloadResults) -> bool {
    let rest = plot.name.strip_prefix(workload.name.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}
