//! What a run took, as the host counts it.

use std::time::Duration;

use twine_abi::calls::{Call, StartPhase};

/// Counts and times of one run.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Host calls by kind, those that happened.
    pub calls: Vec<(Call, u64)>,
    /// Bytes out of and into the enclave by host calls.
    pub bytes_out: u64,
    /// See [`Stats::bytes_out`].
    pub bytes_in: u64,
    /// EENTER, all causes.
    pub entries: u64,
    /// Asynchronous exits by an exception.
    pub exceptions: u64,
    /// Asynchronous exits by an interrupt.
    pub interrupts: u64,
    /// Time between entry and exit, all threads.
    pub inside: Duration,
    /// Time in host calls, all threads.
    pub outside: Duration,
    /// From the start of the run to its end.
    pub total: Duration,
    /// When each phase of the start-up was over, from the start of the run.
    pub phases: Vec<(StartPhase, Duration)>,
    /// Dynamic pages that the enclave had committed at its end and at most, by its own word.
    pub pages: u64,
    /// See [`Stats::pages`].
    pub peak_pages: u64,
}
