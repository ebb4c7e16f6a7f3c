//! The report of results: Markdown, and one HTML page that carries its plots.

mod figures;
mod html;
mod markdown;
mod plot;
mod text;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::compare::Change;
use crate::results::Results;

pub use text::line;

/// Writes `report.md` with its plots beside it, and `report.html`.
pub fn write(results: &Results, changes: Option<&[Change]>, out: &Path) -> Result<()> {
    let plots = figures::all(results)?;
    for plot in &plots {
        put(&out.join(format!("{}.svg", plot.name)), &plot.svg)?;
    }
    put(&out.join("report.md"), &markdown::page(results, changes, &plots))?;
    put(&out.join("report.html"), &html::page(results, changes, &plots))
}

fn put(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())
}
