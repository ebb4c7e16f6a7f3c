//! Which plots a report has: ratios of each workload, and each curve.

use anyhow::Result;

use super::plot::{Curve, Dots, Plot, curves, dots};
use crate::results::{Results, RowResults, WorkloadResults};

/// All plots, named after their workloads.
pub fn all(results: &Results) -> Result<Vec<Plot>> {
    let mut plots = Vec::new();
    for workload in &results.workloads {
        plots.extend(of_ratios(workload)?);
        plots.extend(of_curves(workload)?);
    }
    Ok(plots)
}

fn of_ratios(workload: &WorkloadResults) -> Result<Option<Plot>> {
    let rows: Vec<&RowResults> =
        workload.rows.iter().filter(|row| row.point.is_none() && !row.ratios.is_empty()).collect();
    let mut series: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for row in rows {
        let mut line = Dots { label: row.title.clone(), marks: Vec::new(), limits: Vec::new() };
        for ratio in &row.ratios {
            let name = format!("{} / {}", ratio.of, ratio.to);
            let which = series.iter().position(|known| *known == name).unwrap_or_else(|| {
                series.push(name);
                series.len() - 1
            });
            line.marks.push((which, ratio.median, ratio.low, ratio.high));
            line.limits.extend(ratio.at_most.map(|at_most| (which, at_most)));
        }
        lines.push(line);
    }
    if lines.is_empty() {
        return Ok(None);
    }
    dots(&workload.name, &format!("{}: time, memory or size, divided", workload.name), &series, &lines)
        .map(Some)
}

fn of_curves(workload: &WorkloadResults) -> Result<Vec<Plot>> {
    let mut names: Vec<(&str, &str)> = Vec::new();
    for point in workload.rows.iter().filter_map(|row| row.point.as_ref()) {
        if !names.contains(&(point.curve.as_str(), point.of.as_str())) {
            names.push((&point.curve, &point.of));
        }
    }
    names.into_iter().enumerate().map(|(at, (name, of))| of_curve(workload, at, name, of)).collect()
}

/// Ratios of the rows on one curve.
fn of_curve(workload: &WorkloadResults, at: usize, name: &str, of: &str) -> Result<Plot> {
    let mut lines: Vec<Curve> = Vec::new();
    for row in &workload.rows {
        let Some(point) = row.point.as_ref().filter(|point| point.curve == name) else { continue };
        for ratio in &row.ratios {
            let title = format!("{} / {}", ratio.of, ratio.to);
            let mark = (point.x, ratio.median, ratio.low, ratio.high);
            match lines.iter_mut().find(|line| line.name == title) {
                Some(line) => line.points.push(mark),
                None => lines.push(Curve { name: title, points: vec![mark] }),
            }
        }
    }
    curves(&format!("{}-{at}", workload.name), &format!("{}: {name}", workload.name), of, &lines)
}
