//! What a run took, for people and programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use twine::{Cipher, StartPhase, Stats, Window};

/// Counts; times in microseconds, sizes in bytes.
#[derive(Serialize)]
pub struct Statistics {
    /// Host calls by name.
    host_calls: BTreeMap<&'static str, u64>,
    /// EENTER, all causes.
    entries: u64,
    /// Asynchronous exits.
    exceptions: u64,
    interrupts: u64,
    bytes_out: u64,
    bytes_in: u64,
    inside_us: u64,
    outside_us: u64,
    /// From the start of loading to the end of the run.
    total_us: u64,
    /// How long each phase of the start-up took.
    phases: Vec<Phase>,
    volumes: Vec<Volume>,
    /// Dynamic memory that the enclave held at its end and at most.
    pages: u64,
    peak_pages: u64,
}

/// A volume at the end of the run, by the enclave's word.
#[derive(Serialize)]
struct Volume {
    name: String,
    #[serde(flatten)]
    freshness: Freshness,
    sequence: u64,
    store_bytes: u64,
    used_bytes: u64,
    /// Which instructions its cipher has: `vaes`, `aes-ni`, `none`.
    cipher: &'static str,
}

/// What detects an old version of a volume after a restart.
#[derive(Serialize)]
pub struct Freshness {
    anchor: String,
    /// When the anchor is told of a commit: `every-sync`, `interval`, `open-and-close`; none without one.
    policy: Option<&'static str>,
    /// How much the host can take back without being noticed.
    window: String,
}

#[derive(Serialize)]
struct Phase {
    name: &'static str,
    us: u64,
}

impl Statistics {
    /// Of a run whose enclave took `load` to be loaded and measured.
    pub fn new(stats: &Stats, load: Duration) -> Self {
        let mut phases = vec![Phase { name: "load and measure", us: micros(load) }];
        let mut before = Duration::ZERO;
        for (phase, since_start) in &stats.phases {
            phases.push(Phase { name: name(*phase), us: micros(since_start.saturating_sub(before)) });
            before = *since_start;
        }
        if stats.phases.iter().any(|(phase, _)| *phase == StartPhase::GuestStart) {
            phases.push(Phase { name: "program", us: micros(stats.total.saturating_sub(before)) });
        }
        Self {
            host_calls: stats.calls.iter().map(|(call, count)| (call.name(), *count)).collect(),
            entries: stats.entries,
            exceptions: stats.exceptions,
            interrupts: stats.interrupts,
            bytes_out: stats.bytes_out,
            bytes_in: stats.bytes_in,
            inside_us: micros(stats.inside),
            outside_us: micros(stats.outside),
            total_us: micros(load + stats.total),
            phases,
            volumes: stats.volumes.iter().map(volume).collect(),
            pages: stats.pages,
            peak_pages: stats.peak_pages,
        }
    }
}

impl Freshness {
    /// Of a volume without an anchor.
    pub fn none() -> Self {
        let window = "everything since the volume was made".to_owned();
        Self { anchor: "none".to_owned(), policy: None, window }
    }

    /// Of a volume that was opened here: an anchor that was asked hears of every sync.
    pub fn here(info: &twine_volume::Info) -> Self {
        match info.anchor_policy {
            None => Self::none(),
            Some(_) => Self {
                anchor: info.anchor.to_owned(),
                policy: Some("every-sync"),
                window: "nothing that a sync acknowledged".to_owned(),
            },
        }
    }

    /// As the enclave told.
    pub fn of(volume: &twine::Volume) -> Self {
        let (policy, window) = match volume.window {
            Window::Unbounded => return Self::none(),
            Window::Nothing => ("every-sync", "nothing that a sync acknowledged".to_owned()),
            Window::Interval => {
                ("interval", format!("the last {}", humantime::format_duration(volume.interval)))
            }
            Window::Run => ("open-and-close", "one run that did not end properly".to_owned()),
        };
        Self { anchor: volume.anchor.clone(), policy: Some(policy), window }
    }
}

impl fmt::Display for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = self.policy.map_or(String::new(), |policy| format!(" ({policy})"));
        write!(f, "anchor {}{policy}; the host can take back {}", self.anchor, self.window)
    }
}

fn volume(volume: &twine::Volume) -> Volume {
    Volume {
        name: volume.name.clone(),
        freshness: Freshness::of(volume),
        sequence: volume.sequence,
        store_bytes: volume.store_bytes,
        used_bytes: volume.used_bytes,
        cipher: match volume.cipher {
            Cipher::Vectors => "vaes",
            Cipher::Aes => "aes-ni",
            Cipher::Plain => "none",
        },
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn name(phase: StartPhase) -> &'static str {
    match phase {
        StartPhase::Launch => "launch",
        StartPhase::Runtime => "runtime",
        StartPhase::Compiled => "compile",
        StartPhase::Cached => "from the sealed cache",
        StartPhase::Attested => "attest",
        StartPhase::Delivered => "deliver",
        StartPhase::GuestStart => "instantiate",
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls: u64 = self.host_calls.values().sum();
        writeln!(
            f,
            "  exits       {calls} host calls, {} exceptions, {} interrupts",
            self.exceptions, self.interrupts
        )?;
        for (call, count) in &self.host_calls {
            writeln!(f, "    {count:>9} {call}")?;
        }
        writeln!(f, "  entries     {}", self.entries)?;
        writeln!(f, "  bytes       {} out, {} in", self.bytes_out, self.bytes_in)?;
        writeln!(
            f,
            "  time        {} us inside, {} us outside, {} us in all",
            self.inside_us, self.outside_us, self.total_us
        )?;
        for phase in &self.phases {
            writeln!(f, "    {:>9} us {}", phase.us, phase.name)?;
        }
        for volume in &self.volumes {
            let Volume { name, freshness, sequence, used_bytes, store_bytes, cipher } = volume;
            writeln!(
                f,
                "  volume      {name}: state {sequence}, {used_bytes} of {store_bytes} bytes in use, AES-256-GCM by {cipher}"
            )?;
            writeln!(f, "              {freshness}")?;
        }
        write!(f, "  memory      {} pages committed at the end, {} at most", self.pages, self.peak_pages)
    }
}
