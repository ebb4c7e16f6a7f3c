//! Volumes: opened over the host's store, under the key that belongs to this workload.

pub mod key;
mod store;

use std::sync::Arc;

use twine_abi::calls::*;
use twine_abi::wire::Status;
use twine_enclave::{border, clock, random};
use twine_volume::{
    AnchorPolicy, Clock, Entropy, EntropyFailed, Environment, Error, Options, Volume, labels, rekey,
};
use twine_workload::{Freshness, KeyPolicy};

use crate::secrets::Secrets;
use crate::{End, anchor};
pub use store::HostStore;

/// A volume as the workload names it.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whose key opens it.
    pub key: KeyPolicy,
    /// What detects an old version of it.
    pub freshness: &'a Freshness,
    /// Whether it is only read.
    pub read_only: bool,
    /// Whether it is made where the host has none.
    pub create: Create,
    /// Bytes of its cache, if the workload says.
    pub cache: Option<u64>,
}

/// Whether a volume is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// It has to be there.
    Never,
    /// If it is not there, and not only read.
    IfMissing,
    /// It must not be there.
    MustBeNew,
}

/// Opens the volume, or creates it.
pub fn open(wanted: Wanted<'_>, secrets: &Secrets) -> Result<Arc<Volume>, End> {
    let Wanted { name, key: policy, freshness, read_only, create, cache } = wanted;
    let refused = |why: String| End::refused(format!("volume {name}: {why}"));
    let (handle, length) = open_store(name, !read_only).map_err(refused)?;
    let environment = || {
        let (anchor, anchor_policy) = anchor::of(freshness, name, handle);
        let mut options = Options { read_only, anchor_policy, ..Options::default() };
        if let Some(bytes) = cache {
            options.cache_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        }
        (Environment { anchor, ..environment() }, options)
    };
    let new = length == 0;
    match (new, create) {
        (true, Create::IfMissing | Create::MustBeNew) if !read_only => {}
        (true, _) => {
            return Err(refused("it does not exist, and this use of it does not create it".to_owned()));
        }
        (false, Create::MustBeNew) => return Err(refused("it exists already; name a new file".to_owned())),
        (false, _) => {}
    }
    if new {
        let master = key::fresh(wanted, secrets).map_err(refused)?;
        let (environment, options) = environment();
        let volume = Volume::create(Box::new(HostStore::new(handle)), &master, environment, &options);
        return volume.map(Arc::new).map_err(|error| End::volume(name, &error));
    }
    // One label, or two where a change of the key was cut short: then one of the two opens.
    let mut store = HostStore::new(handle);
    let labels = labels(&mut store).map_err(|error| End::volume(name, &error))?;
    let mut why = String::new();
    for label in &labels {
        let mut master = match key::existing(name, policy, label, secrets) {
            Ok(master) => master,
            Err(no) => {
                why = no;
                continue;
            }
        };
        if !read_only && key::is_outdated(label) {
            // A newer runtime, workload or processor: from now on older ones get no key for this header.
            let newer = key::fresh(wanted, secrets).map_err(refused)?;
            match rekey(&mut store, &master, &newer, &mut Random) {
                Ok(()) => master = newer,
                Err(Error::WrongKey) => {}
                Err(error) => return Err(End::volume(name, &error)),
            }
        }
        let (environment, options) = environment();
        match Volume::open(Box::new(HostStore::new(handle)), &master, environment, &options) {
            Err(Error::WrongKey) => why = key::explain_refusal(label, name, secrets),
            opened => return opened.map(Arc::new).map_err(|error| End::volume(name, &error)),
        }
    }
    Err(refused(why))
}

/// The handle of the host's store of this name, and its length.
pub fn open_store(name: &str, write: bool) -> Result<(u64, u64), String> {
    let ask = StoreOpen { write: write.into() };
    let opened = border::call(&ask, name.as_bytes(), &mut []);
    opened.map(|(reply, _)| (reply.store, reply.length)).map_err(|status| match status {
        Status::Busy => "another process has it open".to_owned(),
        Status::NotFound => {
            "the host has no such store (a read-only mount creates none); name its file with \
                             --dir FILE::GUEST or host.paths"
                .to_owned()
        }
        status => format!("the host could not open its store ({status:?})"),
    })
}

/// What a volume needs besides store and key, without an anchor.
pub fn environment() -> Environment {
    Environment { entropy: Box::new(Random), clock: Box::new(Wall), anchor: None }
}

/// Tells the host what it may know of a volume: how much it holds and what guards its freshness.
pub fn report(name: &str, volume: &Volume) {
    let info = volume.info();
    let (window, interval) = match info.anchor_policy {
        None => (Window::Unbounded, 0),
        Some(AnchorPolicy::EverySync) => (Window::Nothing, 0),
        Some(AnchorPolicy::Interval(length)) => (Window::Interval, length),
        Some(AnchorPolicy::OpenAndClose) => (Window::Run, 0),
    };
    let state = VolumeState {
        sequence: info.sequence,
        store_bytes: info.store_bytes,
        used_bytes: info.used_bytes,
        window: window as u64,
        interval,
        cipher: cipher() as u64,
    };
    let _ = border::call(&state, format!("{name}\0{}", info.anchor).as_bytes(), &mut []);
}

/// What ring's choice depends on: it asks `cpuid` as this does.
fn cipher() -> Cipher {
    let has_aes = is_x86_feature_detected!("aes") && is_x86_feature_detected!("pclmulqdq");
    let has_vectors = is_x86_feature_detected!("vaes")
        && is_x86_feature_detected!("vpclmulqdq")
        && is_x86_feature_detected!("avx2");
    match (has_aes, has_vectors) {
        (true, true) => Cipher::Vectors,
        (true, false) => Cipher::Aes,
        (false, _) => Cipher::Plain,
    }
}

impl End {
    /// A volume that does not open, or fails.
    pub fn volume(name: &str, error: &Error) -> Self {
        let code = match error {
            error if error.is_stale() => Outcome::RolledBack,
            Error::Anchor(_) => Outcome::Failed,
            Error::NotAVolume
            | Error::HeaderDamaged
            | Error::UnsupportedVersion(_)
            | Error::NoRoot { .. }
            | Error::Equivocation { .. }
            | Error::Corrupted { .. } => Outcome::BadVolume,
            _ => Outcome::Refused,
        };
        Self(code, 0, format!("volume {name}: {error}"))
    }
}

/// The processor's random numbers.
pub struct Random;

impl Entropy for Random {
    fn fill(&mut self, buf: &mut [u8]) -> Result<(), EntropyFailed> {
        random::fill(buf);
        Ok(())
    }
}

struct Wall;

impl Clock for Wall {
    fn now(&mut self) -> u64 {
        clock::realtime()
    }
}
