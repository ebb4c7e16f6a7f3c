//! What a workload is.

use anyhow::Result;

use crate::kit::Kit;
use crate::row::{Row, Summary};

/// Something to measure; one file each in `workloads/`.
pub trait Workload {
    /// Its name: the first part of its rows' ids.
    fn name(&self) -> &'static str;

    /// What it is and what its figures mean: a paragraph of the report.
    fn about(&self) -> &'static str;

    /// Builds or fetches what it needs, below [`Kit::folder`], and says what to run.
    ///
    /// # Errors
    /// Whatever is missing. The others run all the same, and the report names what was left out and why.
    fn rows(&self, kit: &Kit) -> Result<Vec<Row>>;

    /// Figures over all of its rows.
    fn summaries(&self) -> Vec<Summary> {
        Vec::new()
    }
}
