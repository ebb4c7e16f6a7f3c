//! The audit log: one JSON object a line, appended, on disk before what it tells of happens.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde::Serialize;
use twine_attest::Summary;

/// Where events go.
pub struct Audit(Mutex<File>);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The service accepts connections from now on.
    Started,
    /// Evidence was accepted; the bundle goes out after this line is on disk.
    Released,
    /// The enclave says that it has taken the bundle.
    Delivered,
    /// The enclave did not take the bundle, or the connection broke after the release.
    Failed,
    /// Evidence was refused, or there was none.
    Refused,
    /// A limit was reached.
    Limited,
    /// The service has stopped.
    Stopped,
}

/// One line.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Line<'a> {
    pub event: Event,
    /// Number of the connection, from 1.
    pub connection: Option<u64>,
    pub peer: Option<&'a str>,
    pub workload: Option<&'a str>,
    pub reason: Option<&'a str>,
    /// What the evidence says, where it is authentic.
    pub evidence: Option<&'a Summary>,
}

impl Audit {
    /// Appends to `path`; a new file is its owner's alone.
    ///
    /// # Errors
    /// The file cannot be opened for writing.
    pub fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(|file| Self(Mutex::new(file)))
    }

    pub(crate) fn event(event: Event) -> Line<'static> {
        Line { event, connection: None, peer: None, workload: None, reason: None, evidence: None }
    }

    /// Writes a line and waits until it is on disk.
    pub(crate) fn write(&self, line: &Line<'_>) -> io::Result<()> {
        #[derive(Serialize)]
        struct Timed<'a> {
            time: String,
            #[serde(flatten)]
            line: &'a Line<'a>,
        }
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let mut text = serde_json::to_vec(&Timed { time, line })?;
        text.push(b'\n');
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&text)?;
        file.sync_data()
    }
}
