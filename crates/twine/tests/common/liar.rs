//! Runs a program in a real enclave whose host lies.

#![allow(dead_code, reason = "each test uses its part")]

use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use twine::image_format::sigstruct::Variant;
use twine::workload::manifest::Config;
use twine::{Image, StartPhase};
use twine_abi::calls::{Call, Stage};
use twine_abi::run::{Operation, RunRequest};
use twine_host::backend::{Backend, Config as Launch};
use twine_host::run::folders::Place;
use twine_host::run::{End, Job, Liar, Observer, Streams};
use twine_host::sim::{Fuse, Processor, Sim};

use crate::common::User;

/// Bytes that several hold.
#[derive(Clone, Default)]
pub struct Shared(pub Arc<Mutex<Vec<u8>>>);

impl Shared {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    pub fn holds(&self, needle: &[u8]) -> bool {
        self.0.lock().unwrap().windows(needle.len()).any(|window| window == needle)
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keeps every message that leaves but those of `except`, and lies by a function.
struct Host<F> {
    left: Shared,
    except: Vec<Call>,
    lie: F,
}

impl<F: FnMut(Call, &mut [u8], usize) -> usize + Send> Liar for Host<F> {
    fn asked(&mut self, call: Call, message: &[u8]) {
        if !self.except.contains(&call) {
            self.left.0.lock().unwrap().extend_from_slice(message);
        }
    }

    fn answers(&mut self, call: Call, buffer: &mut [u8], length: usize) -> usize {
        (self.lie)(call, buffer, length)
    }
}

const MINUTE: Duration = Duration::from_secs(60);

struct Deaf;

impl Observer for Deaf {
    fn phase(&mut self, _: StartPhase, _: Duration) {}
    fn progress(&mut self, _: Stage, _: u64, _: u64) {}
}

/// How a run ended, what the program printed, and what left the enclave otherwise.
pub struct Lied {
    pub end: End,
    pub stdout: Shared,
    pub left: Shared,
}

/// Runs a manifest whose mounts the host keeps in `volumes` and `folders`. `between` happens when everything has been
/// measured and nothing has started; `lie` changes answers.
pub fn run(
    user: &User,
    manifest: &Path,
    between: impl FnOnce(),
    lie: impl FnMut(Call, &mut [u8], usize) -> usize + Send + 'static,
) -> Lied {
    let config = Config::read(manifest).unwrap();
    let resolved = twine::resolve(&config.manifest().unwrap(), config.base()).unwrap();
    let candidate = resolved.candidate().unwrap();
    let presented = resolved.presented().unwrap();
    let request = RunRequest {
        flags: 0,
        operation: Operation::Run,
        workload: &presented,
        environment: &[],
        volume: &[],
        insecure_keys: &[],
    };
    let mut request = request.header().to_vec();
    request.extend_from_slice(&presented);
    request.resize(request.len().next_multiple_of(8), 0);
    let program = twine::Program::from_config(&config).unwrap();
    let place = |(guest, path): (&String, &std::path::PathBuf)| Place {
        guest: guest.clone(),
        path: path.clone(),
        writable: true,
    };
    let folders = resolved.paths.iter().map(place).collect();
    between();
    let image = Image::embedded(Variant::Production).unwrap();
    std::fs::create_dir_all(user.state()).unwrap();
    let processor = Processor::new(Fuse::open(&user.state()).unwrap()).unwrap();
    let backend = Sim::new(Arc::new(processor)).unwrap();
    let config = Launch { id: candidate.config_id().0, svn: candidate.config_svn() };
    let enclave = backend.load(image.sgxs(), &image.sigstruct().to_bytes(), &config).unwrap();
    let (stdout, left) = (Shared::default(), Shared::default());
    let host = Host { left: left.clone(), except: vec![Call::Write, Call::Finish], lie };
    let input = std::fs::File::open(user.file("stdin", "input of sixteen")).unwrap();
    let job = Job {
        request,
        module: resolved.module.unwrap().into(),
        cache: None,
        volumes: program.volumes().to_vec(),
        quotes: None,
        delivery: Default::default(),
        anchors: program.anchors().to_vec(),
        folders,
        // A store in memory would be read without a call to lie in.
        map_stores: false,
        // A host that never says the end.
        timeout: Some(MINUTE),
        streams: Streams {
            stdin: OwnedFd::from(input),
            stdout: Box::new(stdout.clone()),
            stderr: Box::new(Shared::default()),
            log: Box::new(Shared::default()),
        },
        observer: Box::new(Deaf),
        liar: Some(Box::new(host)),
    };
    let report =
        std::thread::scope(|scope| scope.spawn(|| twine_host::run::run(&enclave, job)).join().unwrap());
    Lied { end: report.end, stdout, left }
}

/// Sets a word of an answer: 0 is the status.
pub fn set_word(buffer: &mut [u8], index: usize, word: u64) {
    buffer[8 * index..][..8].copy_from_slice(&word.to_le_bytes());
}

/// Lies about some calls, as its seed says: words, statuses, lengths, bits, and what it said before.
pub struct Twister {
    state: u64,
    rarity: u64,
    about: fn(Call) -> bool,
    old: Vec<(Call, Vec<u8>)>,
}

impl Twister {
    /// One answer in `rarity` is a lie.
    pub fn new(seed: u64, rarity: u64, about: fn(Call) -> bool) -> Self {
        Self { state: seed, rarity, about, old: Vec::new() }
    }

    fn below(&mut self, bound: usize) -> usize {
        // SplitMix64.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }

    /// Changes the answer in the buffer; its length.
    pub fn lie(&mut self, call: Call, buffer: &mut [u8], length: usize) -> usize {
        if !(self.about)(call) {
            return length;
        }
        let honest = buffer[..length].to_vec();
        let mut said = length;
        if self.below(self.rarity as usize) == 0 {
            let word = [0, 1, 7, 4096, 1 << 31, 1 << 40, u64::MAX - 1, u64::MAX][self.below(8)];
            match self.below(6) {
                0 => said = [0, 8, length.saturating_sub(8), length + 8, length + 4096][self.below(5)],
                1 => set_word(buffer, 0, word),
                2 => set_word(buffer, 1 + self.below((length / 8).clamp(2, 9) - 1), word),
                3 => {
                    for _ in 0..1 + self.below(6) {
                        let at = self.below(length);
                        buffer[at] ^= 1 << self.below(8);
                    }
                }
                4 => {
                    let of_call = self.old.iter().filter(|(known, _)| *known == call);
                    let same: Vec<Vec<u8>> = of_call.map(|(_, bytes)| bytes.clone()).collect();
                    if !same.is_empty() {
                        let old = &same[self.below(same.len())];
                        buffer[..old.len()].copy_from_slice(old);
                        said = old.len();
                    }
                }
                _ => {
                    let less = self.below(length + 1) & !7;
                    buffer[less..length].fill(0);
                }
            }
        }
        if self.old.len() < 256 {
            self.old.push((call, honest));
        }
        said
    }
}

/// How a run with a lying host may end: with a word, an error, or by the enclave's own decision; never by a panic.
#[track_caller]
pub fn judge(seed: u64, end: &End) -> &'static str {
    match end {
        End::Finished { .. } => "finished",
        // What a production enclave says before it ends itself; a panic has no words.
        End::Died(message) if message.starts_with("the host broke the border protocol") => "ended itself",
        other => panic!("seed {seed}: {other:?}"),
    }
}
