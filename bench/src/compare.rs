//! What changed between two results: ratios, which a slower day moves on both sides, not times.

use crate::results::{Results, RowResults};

/// A ratio that both results have.
pub struct Change {
    pub id: String,
    /// `twine / native`, say.
    pub what: String,
    pub old: f64,
    pub new: f64,
    /// Whether the spreads do not meet, so that it is more than noise.
    pub clear: bool,
}

/// All of them, in the order of the new results.
pub fn compare(old: &Results, new: &Results) -> Vec<Change> {
    let mut changes = Vec::new();
    for row in new.rows() {
        if let Some(before) = old.rows().find(|before| before.id == row.id) {
            changes.extend(of_row(before, row));
        }
    }
    changes
}

fn of_row(old: &RowResults, new: &RowResults) -> Vec<Change> {
    let both = new.ratios.iter().filter_map(|ratio| Some((old.ratio(&ratio.of, &ratio.to)?, ratio)));
    both.map(|(before, now)| Change {
        id: new.id.clone(),
        what: format!("{} / {}", now.of, now.to),
        old: before.median,
        new: now.median,
        clear: before.high < now.low || now.high < before.low,
    })
    .collect()
}
