//! The workloads, one file each.

mod border;
mod case;
mod cost;
mod polybench;
mod programs;
mod scale;
mod sqlite;
mod start;
mod study;
mod volume;

use crate::workload::Workload;

/// All of them, in the order of the report.
pub fn all() -> Vec<Box<dyn Workload>> {
    vec![
        Box::new(start::Start),
        Box::new(polybench::Polybench),
        Box::new(programs::Programs),
        Box::new(sqlite::Sqlite),
        Box::new(volume::Volume),
        Box::new(scale::Scale),
        Box::new(border::Border),
        Box::new(cost::Cost),
        Box::new(study::Study),
        Box::new(case::CaseStudy),
    ]
}
