//! What a run took, as the host counts it.

use std::time::Duration;

use twine_abi::calls::{Call, Cipher, StartPhase, Window};

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
    /// The volumes, as the enclave described them at the run's end.
    pub volumes: Vec<Volume>,
    /// What a check of a volume found wrong.
    pub findings: Vec<Finding>,
}

/// What the enclave tells about a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name in the workload.
    pub name: String,
    /// What detects an old version of it: the anchor's name, or `none`.
    pub anchor: String,
    /// How much of its history a host can take back at a restart without being noticed.
    pub window: Window,
    /// Of [`Window::Interval`].
    pub interval: Duration,
    /// The last committed state.
    pub sequence: u64,
    /// Bytes of the store that it accounts for.
    pub store_bytes: u64,
    /// Of these, in use.
    pub used_bytes: u64,
    /// Which instructions its cipher has.
    pub cipher: Cipher,
}

/// Something wrong in a volume, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub what: String,
    /// The inode that it concerns.
    pub inode: Option<u64>,
    /// The slot of 4 KiB that it was found in.
    pub slot: Option<u64>,
}
