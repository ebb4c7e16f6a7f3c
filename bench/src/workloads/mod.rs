//! The workloads, one file each.

mod cost;
mod polybench;
mod programs;
mod start;

use crate::workload::Workload;

/// All of them, in the order of the report.
pub fn all() -> Vec<Box<dyn Workload>> {
    vec![
        Box::new(start::Start),
        Box::new(polybench::Polybench),
        Box::new(programs::Programs),
        Box::new(cost::Cost),
    ]
}
