//! The report as one HTML page.

use std::fmt::Write;

use super::markdown::{belongs, change, sides};
use super::plot::Plot;
use super::text;
use crate::compare::Change;
use crate::results::{Results, RowResults, WorkloadResults};

const STYLE: &str = include_str!("style.css");

/// The page; it needs no other file.
pub fn page(results: &Results, changes: Option<&[Change]>, plots: &[Plot]) -> String {
    let mut page = String::new();
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>What Twine costs</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>\
         <h1>What Twine costs</h1>"
    );
    if results.settings.quick {
        let _ = write!(page, "<p class=\"missed\">A trial of the benchmark: these figures say nothing.</p>");
    }
    let _ = write!(
        page,
        "<p>Made by <code>{}</code> on {}.</p><p class=\"faint\">{}.</p><p class=\"faint\">{}</p>",
        escape(&results.command),
        escape(&results.started),
        escape(&text::machine(results)),
        escape(&text::method(results)),
    );
    tiles(&mut page, results);
    list(&mut page, "Promised and missed", &text::missed(results), "Nothing: all that was measured holds.");
    if let Some(changes) = changes {
        let lines: Vec<String> = changes.iter().filter(|change| change.clear).map(change).collect();
        list(&mut page, "Changed since the older results", &lines, "Nothing beyond the spread.");
    }
    for workload in &results.workloads {
        self::workload(&mut page, workload, plots);
    }
    let _ = write!(page, "<h2>Versions</h2><ul>");
    for (name, version) in &results.versions {
        let _ = write!(page, "<li>{}: {}</li>", escape(name), escape(version));
    }
    let _ = write!(page, "</ul></body></html>");
    page
}

/// The means, large.
fn tiles(page: &mut String, results: &Results) {
    let _ = write!(page, "<div class=\"tiles\">");
    for workload in &results.workloads {
        for summary in &workload.summaries {
            let class = if summary.held == Some(false) { "tile missed" } else { "tile" };
            let promise = summary.at_most.map(|at_most| format!("at most {at_most}")).unwrap_or_default();
            let _ = write!(
                page,
                "<div class=\"{class}\"><b>{:.3}</b><span>{}</span><small>{} / {} {promise}</small></div>",
                summary.value,
                escape(&summary.title),
                escape(&summary.of),
                escape(&summary.to),
            );
        }
    }
    let _ = write!(page, "</div>");
}

fn list(page: &mut String, title: &str, lines: &[String], none: &str) {
    let _ = write!(page, "<h2>{title}</h2>");
    if lines.is_empty() {
        let _ = write!(page, "<p>{none}</p>");
        return;
    }
    let _ = write!(page, "<ul>");
    for line in lines {
        let _ = write!(page, "<li>{}</li>", escape(line));
    }
    let _ = write!(page, "</ul>");
}

fn workload(page: &mut String, workload: &WorkloadResults, plots: &[Plot]) {
    let _ = write!(page, "<h2>{}</h2><p>{}</p>", escape(&workload.name), escape(&workload.about));
    for reason in &workload.left_out {
        let _ = write!(page, "<p class=\"missed\">Left out: {}</p>", escape(reason));
    }
    for plot in plots.iter().filter(|plot| belongs(plot, workload)) {
        let _ = write!(page, "<figure aria-label=\"{}\">{}</figure>", escape(&plot.title), plot.svg);
    }
    if !workload.rows.is_empty() {
        table(page, workload);
    }
}

fn table(page: &mut String, workload: &WorkloadResults) {
    let sides = sides(&workload.rows);
    let _ = write!(page, "<details><summary>Figures</summary><table><tr><th>row<th>caches");
    for side in &sides {
        let _ = write!(page, "<th class=\"number\">{}", escape(side));
    }
    let _ = write!(page, "<th>ratios</tr>");
    for row in &workload.rows {
        let _ = write!(page, "<tr><td>{}<td>{}", escape(&row.title), text::caches(row.caches));
        for side in &sides {
            let _ = write!(page, "<td class=\"number\">{}", cell(row, side));
        }
        let _ = write!(page, "<td>{}</tr>", notes(row));
    }
    let _ = write!(page, "</table></details>");
}

/// Median and spread of a side.
fn cell(row: &RowResults, side: &str) -> String {
    let Some(side) = row.side(side) else { return String::new() };
    let value = |value| escape(&text::value(value, row.unit));
    format!("{}<br><small>{} to {}</small>", value(side.median), value(side.low), value(side.high))
}

fn notes(row: &RowResults) -> String {
    let mut notes = Vec::new();
    let marked = |held: Option<bool>, text: String| match held {
        Some(false) => format!("<span class=\"missed\">{}</span>", escape(&text)),
        _ => escape(&text),
    };
    notes.extend(row.ratios.iter().map(|ratio| marked(ratio.held, text::ratio(ratio))));
    notes.extend(row.bounds.iter().map(|bound| marked(Some(bound.held), text::bound(bound, row.unit))));
    if row.void_rounds > 0 {
        notes.push(format!("{} rounds void", row.void_rounds));
    }
    notes.join("<br>")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
