//! Hosts that answer wrongly: other lengths, statuses, sizes and bytes than asked for, old replies and those to other
//! calls, pages that are not what was agreed. The enclave goes on where the answer is possible, says an error, or ends
//! by its own decision; it never panics, faults or takes what it did not ask for.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use twine::workload::manifest::Config as Manifest;
use twine::{Image, Program};
use twine_abi::calls::{Call, Outcome};
use twine_abi::run::{Operation, RunRequest};
use twine_abi::wire::{BUFFER_SIZE, MAX_PAYLOAD};
use twine_enclave_tests::{Adversary, DEBUG, PRODUCTION, Plan, Ran, Reply, load, processor, run_with};
use twine_host::backend::{Backend, Config, Enclave};
use twine_host::run::End;

/// Ends that the enclave decides on. Anything else that it dies of is a bug.
const DECISIONS: [&str; 5] = [
    "the host broke the border protocol",
    "the host gives no memory",
    "the host has no clock",
    "no memory for the main stack",
    "out of memory",
];

/// Answers wrongly, as its seed says.
struct Liar {
    rng: fastrand::Rng,
    /// One reply in this many is a lie.
    rarity: u32,
    /// Replies that the enclave has seen.
    old: Vec<(Call, Vec<u8>)>,
    /// What it did, for the report of a failure.
    lies: Vec<String>,
}

impl Liar {
    fn new(seed: u64, rarity: u32) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed), rarity, old: Vec::new(), lies: Vec::new() }
    }

    /// A number at a border where mistakes live.
    fn number(&mut self, honest: u64) -> u64 {
        let borders =
            [0, 1, 7, 8, 9, 4095, 4096, MAX_PAYLOAD as u64, BUFFER_SIZE as u64, 1 << 31, 1 << 32, u64::MAX];
        match self.rng.u32(..6) {
            0 => honest.wrapping_add(1),
            1 => honest.wrapping_sub(1),
            2 => honest.wrapping_add(8),
            3 => honest.wrapping_sub(8),
            4 => self.rng.u64(..),
            _ => borders[self.rng.usize(..borders.len())],
        }
    }

    fn replace(reply: &mut Reply<'_>, bytes: &[u8]) {
        reply.buffer[..bytes.len()].copy_from_slice(bytes);
        reply.length = bytes.len() as u64;
    }
}

impl Plan for Liar {
    fn reply(&mut self, reply: &mut Reply<'_>) {
        let honest = reply.bytes().to_vec();
        if self.rng.u32(..self.rarity) == 0 {
            let words = honest.len() / 8;
            let kind = self.rng.u32(..9);
            match kind {
                0 => reply.length = self.number(honest.len() as u64),
                // The length of the bytes, which stands behind the words.
                1 if words > 1 => {
                    let index = self.rng.usize(1..words.min(4));
                    let value = self.number(reply.word(index));
                    reply.set_word(index, value);
                }
                2 => {
                    let status = self.number(0);
                    reply.set_word(0, status);
                }
                // A refusal.
                3 => Self::replace(reply, &self.rng.u64(..8).to_le_bytes()),
                // An old reply to the same call, or to any.
                4 | 5 if !self.old.is_empty() => {
                    let same: Vec<&(Call, Vec<u8>)> =
                        self.old.iter().filter(|(call, _)| kind == 5 || *call == reply.call).collect();
                    if !same.is_empty() {
                        let bytes = same[self.rng.usize(..same.len())].1.clone();
                        Self::replace(reply, &bytes);
                    }
                }
                // Fewer bytes, and said so.
                6 if words > 2 => {
                    let less = self.rng.u64(..=honest.len() as u64) & !7;
                    reply.length = less;
                }
                7 => {
                    for _ in 0..1 + self.rng.usize(..8) {
                        if !honest.is_empty() {
                            let at = self.rng.usize(..honest.len());
                            reply.buffer[at] ^= 1 << self.rng.u32(..8);
                        }
                    }
                }
                _ => {
                    let length = self.rng.usize(..512) & !7;
                    let noise: Vec<u8> = (0..length).map(|_| self.rng.u8(..)).collect();
                    Self::replace(reply, &noise);
                }
            }
            self.lies
                .push(format!("{:?} #{}: kind {kind}, length {}", reply.call, reply.before, reply.length));
        }
        if self.old.len() < 64 && honest.len() < 1 << 16 {
            self.old.push((reply.call, honest));
        }
    }
}

/// Runs a test of the test image, for a minute at most.
fn run(enclave: &Arc<dyn Enclave>, test: &str, module: Vec<u8>) -> Ran {
    run_with(enclave, test.into(), module, |job| job.timeout = Some(MINUTE))
}

/// For hosts whose lies leave the enclave nothing to do but try again.
const MOMENT: Duration = Duration::from_millis(500);
const MINUTE: Duration = Duration::from_secs(60);

/// Judges how a run with a lying host ended. `told`: the test's word for a corruption.
fn judge(seed: u64, ran: &Ran, lies: &[String]) -> &'static str {
    match &ran.report.end {
        End::Died(message) if DECISIONS.iter().any(|decision| message.starts_with(decision)) => {
            "ended itself"
        }
        End::Finished { outcome: Outcome::Exited, .. } => "finished",
        End::Finished { .. } => "said an error",
        // It left without a word that the host wanted to hear.
        End::Broken(why) if why.contains("without saying how") => "left",
        // A fault in the exception handler, whose pages the host took: the processor lets nobody in again.
        End::Broken(why) if why.contains("no SSA frame is left") => "cannot go on",
        other => panic!("seed {seed}: {other:?} after {lies:#?}\n{}", String::from_utf8_lossy(&ran.log)),
    }
}

#[test]
fn lies_at_the_border_corrupt_nothing() {
    let sim = processor();
    let mut ends = HashMap::<&str, u32>::new();
    for seed in 0..150 {
        let adversary = Arc::new(Adversary::new(load(&sim, DEBUG), Liar::new(seed, 1 + (seed % 40) as u32)));
        let enclave: Arc<dyn Enclave> = adversary.clone();
        let ran = run(&enclave, "border/calls", vec![0x77; 200_000]);
        let lies = adversary.with(|liar| liar.lies.clone());
        let end = judge(seed, &ran, &lies);
        // The test inside compares what it got with what it asked for.
        if let End::Finished { message, .. } = &ran.report.end {
            assert!(
                message.is_empty() || message.contains("no test"),
                "seed {seed}: {message} after {lies:#?}"
            );
        }
        *ends.entry(end).or_default() += 1;
    }
    println!("{ends:?}");
    assert!(ends["ended itself"] > 10 && ends["finished"] > 3, "{ends:?}");
}

/// Memory, threads and heap under a host that lies about them too.
#[test]
fn lies_about_memory_and_threads_corrupt_nothing() {
    let sim = processor();
    let mut ends = HashMap::<&str, u32>::new();
    let tests = ["memory/protect", "memory/decommit", "memory/release", "heap/trim", "clock/std"];
    for seed in 0..100 {
        let test = tests[seed as usize % tests.len()];
        let adversary = Arc::new(Adversary::new(load(&sim, DEBUG), Liar::new(seed, 2 + (seed % 30) as u32)));
        let enclave: Arc<dyn Enclave> = adversary.clone();
        let ran = run(&enclave, test, Vec::new());
        *ends.entry(judge(seed, &ran, &adversary.with(|liar| liar.lies.clone()))).or_default() += 1;
    }
    println!("{ends:?}");
    assert!(ends["ended itself"] > 5, "{ends:?}");
}

/// Says that pages were changed and does not change them.
struct Lazy {
    left: u32,
}

impl Plan for Lazy {
    fn change_pages(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left != 0
    }
}

#[test]
fn pages_that_were_not_changed_are_noticed() {
    let sim = processor();
    for test in ["memory/protect", "memory/decommit", "memory/release"] {
        let mut passed = false;
        for honest in 1..12 {
            let adversary: Arc<dyn Enclave> =
                Arc::new(Adversary::new(load(&sim, DEBUG), Lazy { left: honest }));
            let ran = run_with(&adversary, test.into(), Vec::new(), |job| job.timeout = Some(MOMENT));
            // The test never passes on a lie: each change of pages is proved by EACCEPT, or by the next access.
            if let End::Finished { outcome: Outcome::Exited, .. } = ran.report.end {
                passed = true;
            } else if ran.report.end != End::TimedOut {
                assert!(!passed, "{test}: passes after {} honest changes and not after {honest}", honest - 1);
                judge(honest.into(), &ran, &[]);
            }
        }
    }
}

/// A program of the image that runs programs, on a volume of its own.
struct Subject {
    program: Program,
    request: Vec<u8>,
    folder: tempfile::TempDir,
}

impl Subject {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../twine/tests/programs/append.wat");
        std::fs::write(folder.path().join("append.wasm"), wat::parse_file(source).unwrap()).unwrap();
        let manifest = folder.path().join("twine.toml");
        let text = "version = 1\n[[workload.mount]]\nguest = \"/\"\nkind = \"volume\"\nname = \"log\"\n\
                    [host]\nmodule = \"append.wasm\"\n[host.paths]\n\"/\" = \"log.volume\"\n";
        std::fs::write(&manifest, text).unwrap();
        let program = Program::from_config(&Manifest::read(&manifest).unwrap()).unwrap();
        let workload = program.workload().to_bytes().unwrap();
        let request = RunRequest {
            flags: twine_abi::run::CACHE,
            operation: Operation::Run,
            workload: &workload,
            environment: &[],
            volume: &[],
            insecure_keys: &[],
        };
        let mut bytes = request.header().to_vec();
        bytes.extend_from_slice(&workload);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        Self { program, request: bytes, folder }
    }

    fn run(&self, sim: &dyn Backend, plan: impl Plan + 'static) -> Ran {
        let image = Image::embedded(twine::image_format::sigstruct::Variant::Debug).unwrap();
        let candidate = self.program.candidate();
        let config = Config { id: candidate.config_id().0, svn: candidate.config_svn() };
        let enclave = sim.load(image.sgxs(), &image.sigstruct().to_bytes(), &config).unwrap();
        let enclave: Arc<dyn Enclave> = Arc::new(Adversary::new(enclave, plan));
        run_with(&enclave, self.request.clone(), self.program.module().unwrap().clone(), |job| {
            job.cache = Some(self.folder.path().join("cache"));
            job.volumes = self.program.volumes().to_vec();
            job.timeout = Some(MINUTE);
        })
    }
}

struct Honest;
impl Plan for Honest {}

/// The image that runs programs, with its cache and an encrypted volume: a run that says it went well did go well, and
/// the volume never shows a state that was not.
#[test]
fn lies_to_a_running_program_corrupt_nothing() {
    let (sim, subject) = (processor(), Subject::new());
    let first = subject.run(&sim, Honest);
    assert_eq!((first.stdout.as_slice(), first.last_words()), (&b"1\n"[..], None), "{:?}", first.report.end);
    let volume = subject.program.volumes()[0].1.clone();
    let pristine = std::fs::read(&volume).unwrap();
    let mut ends = HashMap::<&str, u32>::new();
    for seed in 0..120 {
        std::fs::write(&volume, &pristine).unwrap();
        let ran = subject.run(&sim, Liar::new(seed, 2 + (seed % 60) as u32));
        let end = judge(seed, &ran, &[]);
        if end == "finished" && matches!(ran.report.end, End::Finished { code: 0, .. }) {
            // Without an anchor a store that the host calls new is new.
            let said = String::from_utf8_lossy(&ran.stdout);
            assert!(said == "2\n" || said == "1\n", "seed {seed}: {said:?}");
        }
        *ends.entry(end).or_default() += 1;
    }
    println!("{ends:?}");
    assert!(ends["ended itself"] > 10 && ends["finished"] > 3 && ends["said an error"] > 3, "{ends:?}");
}

/// The enclave says nothing but its decision in a production image.
#[test]
fn a_broken_protocol_says_no_more_than_that() {
    struct Long;
    impl Plan for Long {
        fn reply(&mut self, reply: &mut Reply<'_>) {
            reply.length = u64::MAX;
        }
    }
    let enclave: Arc<dyn Enclave> = Arc::new(Adversary::new(load(&processor(), PRODUCTION), Long));
    let ran = run(&enclave, "border/calls", Vec::new());
    assert_eq!(ran.last_words(), Some(DECISIONS[0]));
}
