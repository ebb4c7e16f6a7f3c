//! One process: started on its core, timed from outside, its output and its resources kept.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use wait4::Wait4;

use crate::row::Invocation;

/// What a process did.
pub struct Run {
    /// From before it was made until after it had ended.
    pub wall: Duration,
    /// Processor time, its own and the kernel's for it.
    pub processor: Duration,
    /// Most memory, in bytes.
    pub peak: u64,
    /// Memory when it had printed a line and waited, in bytes, if that was asked for.
    pub resting: Option<u64>,
    /// Exit status.
    pub status: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// Which core measured processes run on: the last one that there is, since the first serves interrupts.
pub fn core() -> Result<usize> {
    let all = sched_getaffinity(None).context("sched_getaffinity")?;
    (0..CpuSet::MAX_CPU).rev().find(|&cpu| all.is_set(cpu)).context("no processor to run on")
}

/// Makes large pages unavailable to this process and all that it starts: an enclave has none.
pub fn without_large_pages() -> Result<()> {
    rustix::thread::disable_transparent_huge_pages(true).context("prctl(PR_SET_THP_DISABLE)")
}

/// Runs a command to its end; with `rest`, looks at its memory when it has printed its first line, and only then gives it
/// the end of its input.
pub fn run(command: &Invocation, rest: bool) -> Result<Run> {
    let mut process = Command::new(&command.program);
    process.args(&command.args).envs(command.env.iter().map(|(name, value)| (name, value)));
    process.stdin(match &command.stdin {
        _ if rest => Stdio::piped(),
        Some(path) => File::open(path).with_context(|| path.display().to_string())?.into(),
        None => Stdio::null(),
    });
    process.stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Instant::now();
    let mut child = spawn_pinned(&mut process).with_context(|| command.program.display().to_string())?;
    let errors = child.stderr.take().map(reader);
    let mut stdout = Vec::new();
    let mut resting = None;
    if let Some(pipe) = child.stdout.take() {
        let mut pipe = BufReader::new(pipe);
        if rest {
            pipe.read_until(b'\n', &mut stdout)?;
            resting = Some(resident(child.id())?);
            drop(child.stdin.take());
        }
        pipe.read_to_end(&mut stdout)?;
    }
    let end = child.wait4().context("wait4")?;
    let wall = started.elapsed();
    let stderr = errors.and_then(|errors| errors.join().ok()).unwrap_or_default();
    let processor = end.rusage.utime + end.rusage.stime;
    Ok(Run { wall, processor, peak: end.rusage.maxrss, resting, status: end.status.code(), stdout, stderr })
}

impl Run {
    /// An error with what it said, unless it ended well.
    pub fn succeeded(self, command: &Invocation) -> Result<Self> {
        if self.status != Some(0) {
            let said = String::from_utf8_lossy(&self.stderr);
            bail!("{} ended with {:?}: {}", command.program.display(), self.status, said.trim());
        }
        Ok(self)
    }

    /// Standard output as text.
    pub fn text(&self) -> &str {
        str::from_utf8(&self.stdout).unwrap_or_default()
    }
}

/// A child inherits the affinity of the thread that makes it.
fn spawn_pinned(process: &mut Command) -> Result<Child> {
    let all = sched_getaffinity(None).context("sched_getaffinity")?;
    let mut one = CpuSet::new();
    one.set(core()?);
    sched_setaffinity(None, &one).context("sched_setaffinity")?;
    let child = process.spawn();
    sched_setaffinity(None, &all).context("sched_setaffinity")?;
    Ok(child?)
}

fn reader(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // A pipe that breaks has given what it had.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// Resident memory of a process, in bytes.
fn resident(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).context("no Rss in smaps_rollup")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().context("Rss")?;
    Ok(kib << 10)
}
