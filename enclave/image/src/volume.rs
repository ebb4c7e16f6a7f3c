//! Volumes: the host's store behind the border, and the key that belongs to this workload.
//!
//! The key is the processor's sealing key for this enclave (or its signer and product) with the workload's CONFIGID, a
//! random key id per volume, and the security versions of the day it was created; HKDF adds the volume's name. What is
//! needed to ask for it again is the volume's label, which the host keeps: with another label the processor gives
//! another key, or none, and the volume does not open.
//!
//! ```text
//! label = [version 1: u8][policy: u8, 0 enclave, 1 signer][ISVSVN: u16][CPUSVN: 16 bytes][key id: 32 bytes]
//! ```

use std::sync::Arc;

use ring::hkdf;
use twine_abi::calls::{Outcome as Code, *};
use twine_abi::wire::{MAX_PAYLOAD, Status};
use twine_enclave::identity::{self, SealTo};
use twine_enclave::{border, clock, random};
use twine_volume::store::{ReadAt, Store, StoreError, WriteAt};
use twine_volume::{Clock, Entropy, EntropyFailed, Environment, Error, MasterKey, Options, Volume};
use twine_workload::{Freshness, KeyPolicy};

use crate::{End, anchor};

const LABEL: usize = 52;
const LABEL_VERSION: u8 = 1;

/// Opens the volume `name`, or creates it where the host has none.
pub fn open(
    name: &str,
    policy: KeyPolicy,
    freshness: &Freshness,
    read_only: bool,
) -> Result<Arc<Volume>, End> {
    let refused = |why: String| End::refused(format!("volume {name}: {why}"));
    let mut label = [0; MAX_LABEL];
    let open = StoreOpen { write: (!read_only).into() };
    let (reply, bytes) = border::call(&open, name.as_bytes(), &mut label).map_err(|status| {
        refused(match status {
            Status::Busy => "another process has it open".to_owned(),
            Status::NotFound => {
                "the host has no such store (a read-only mount creates none); name its file with --dir FILE::GUEST or \
             host.paths".to_owned()
            }
            status => format!("the host could not open its store ({status:?})"),
        })
    })?;
    let new = bytes == 0 && reply.length == 0;
    if new && read_only {
        return Err(refused("it does not exist, and a read-only mount does not create it".to_owned()));
    }
    let label = if new { new_label(policy) } else { Label::parse(&label[..bytes], policy) };
    let label = label.map_err(refused)?;
    let master = label.master_key(name).map_err(refused)?;
    let store = Box::new(HostStore(reply.store));
    let (anchor, anchor_policy) = anchor::of(freshness, name, reply.store);
    let environment = Environment { entropy: Box::new(Random), clock: Box::new(Wall), anchor };
    let options = Options { read_only, anchor_policy, ..Options::default() };
    let opened = if new {
        border::call(&StoreLabel { store: reply.store }, &label.0, &mut [])
            .map_err(|status| refused(format!("the host could not keep its label ({status:?})")))?;
        Volume::create(store, &master, environment, &options)
    } else {
        Volume::open(store, &master, environment, &options)
    };
    opened.map(Arc::new).map_err(|error| match error {
        Error::WrongKey => refused(
            "it belongs to another workload (module, arguments, environment, mounts, limits: \
                `twine measure --diff` shows what changed), or to another enclave or signer"
                .to_owned(),
        ),
        error => End::volume(name, &error),
    })
}

impl End {
    /// A volume that does not open, or fails.
    pub fn volume(name: &str, error: &Error) -> Self {
        let code = match error {
            error if error.is_stale() => Code::RolledBack,
            Error::Anchor(_) => Code::Failed,
            _ => Code::Refused,
        };
        Self(code, 0, format!("volume {name}: {error}"))
    }
}

struct Label([u8; LABEL]);

fn new_label(policy: KeyPolicy) -> Result<Label, String> {
    let own = identity::own_report();
    let mut label = [0; LABEL];
    label[0] = LABEL_VERSION;
    label[1] = policy_code(policy)?;
    label[2..4].copy_from_slice(&own.isvsvn.to_le_bytes());
    label[4..20].copy_from_slice(&own.cpusvn);
    random::fill(&mut label[20..]);
    Ok(Label(label))
}

fn policy_code(policy: KeyPolicy) -> Result<u8, String> {
    match policy {
        KeyPolicy::Enclave => Ok(0),
        KeyPolicy::Signer => Ok(1),
        KeyPolicy::Owner => {
            Err("this runtime cannot receive an owner's key yet; use key = \"enclave\" or \"signer\""
                .to_owned())
        }
    }
}

impl Label {
    fn parse(bytes: &[u8], policy: KeyPolicy) -> Result<Self, String> {
        let label: [u8; LABEL] = bytes
            .try_into()
            .map_err(|_| "its label is missing or damaged; restore the file beside it".to_owned())?;
        if label[0] != LABEL_VERSION {
            return Err(format!("its label has version {}, this runtime knows {LABEL_VERSION}", label[0]));
        }
        if label[1] != policy_code(policy)? {
            return Err("it was created with another key policy than the workload names".to_owned());
        }
        Ok(Self(label))
    }

    /// The key that this label stands for; another enclave or workload gets another one.
    fn master_key(&self, name: &str) -> Result<MasterKey, String> {
        let isvsvn = u16::from_le_bytes([self.0[2], self.0[3]]);
        let (mut cpusvn, mut key_id) = ([0; 16], [0; 32]);
        cpusvn.copy_from_slice(&self.0[4..20]);
        key_id.copy_from_slice(&self.0[20..]);
        let to = if self.0[1] == 0 { SealTo::Enclave { isvsvn } } else { SealTo::Signer { isvsvn } };
        let secret = identity::seal_key(to, cpusvn, key_id).map_err(|code| {
            format!("the processor refuses its key (EGETKEY error {code}): it belongs to a newer version")
        })?;
        let mut key = [0; 32];
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"twine volume key v1")
            .extract(&secret)
            .expand(&[name.as_bytes()], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut key))
            .map_err(|_| "its key cannot be derived".to_owned())?;
        Ok(MasterKey::new(key))
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

/// A store of the host, by its handle. Large batches go in as many calls as they need.
struct HostStore(u64);

fn failed(operation: &'static str) -> impl Fn(Status) -> StoreError {
    move |status| match status {
        Status::Exhausted => StoreError::NoSpace,
        Status::Busy => StoreError::InUse,
        status => StoreError::Failed { operation, code: status as i32 },
    }
}

/// Most bytes of pieces in one call, beside their pairs.
const BATCH: usize = MAX_PAYLOAD - 16 * PIECES;
const PIECES: usize = 1024;

fn push_pair(message: &mut Vec<u8>, offset: u64, length: usize) {
    message.extend_from_slice(&offset.to_le_bytes());
    message.extend_from_slice(&(length as u64).to_le_bytes());
}

impl HostStore {
    /// Reads one batch: directly into place where it is one piece, else through one buffer.
    fn read_batch(&self, pieces: &mut [(u64, &mut [u8])]) -> Result<(), StoreError> {
        let mut pairs = Vec::with_capacity(16 * pieces.len());
        let mut total = 0;
        for (offset, buf) in pieces.iter() {
            push_pair(&mut pairs, *offset, buf.len());
            total += buf.len();
        }
        let ask = StoreRead { store: self.0, pieces: pieces.len() as u64 };
        let short = StoreError::Failed { operation: "read", code: 0 };
        if let [(_, buf)] = pieces {
            let (_, got) = border::call(&ask, &pairs, buf).map_err(failed("read"))?;
            return if got == total { Ok(()) } else { Err(short) };
        }
        let mut bytes = vec![0; total];
        let (_, got) = border::call(&ask, &pairs, &mut bytes).map_err(failed("read"))?;
        if got != total {
            return Err(short);
        }
        let mut rest = &bytes[..];
        for (_, buf) in pieces {
            let (piece, tail) = rest.split_at(buf.len());
            buf.copy_from_slice(piece);
            rest = tail;
        }
        Ok(())
    }

    fn write_batch(&self, parts: &[(&[u8], u64)]) -> Result<(), StoreError> {
        let mut message = Vec::with_capacity(parts.iter().map(|(part, _)| 16 + part.len()).sum());
        for (part, offset) in parts {
            push_pair(&mut message, *offset, part.len());
        }
        for (part, _) in parts {
            message.extend_from_slice(part);
        }
        let ask = StoreWrite { store: self.0, pieces: parts.len() as u64 };
        border::call(&ask, &message, &mut []).map(|_| ()).map_err(failed("write"))
    }
}

impl Store for HostStore {
    fn length(&mut self) -> Result<u64, StoreError> {
        let ask = StoreLength { store: self.0 };
        border::call(&ask, &[], &mut []).map(|(reply, _)| reply.length).map_err(failed("length"))
    }

    fn read(&mut self, pieces: &mut [ReadAt<'_>]) -> Result<(), StoreError> {
        let mut batch: Vec<(u64, &mut [u8])> = Vec::new();
        let mut bytes = 0;
        for piece in pieces {
            let mut offset = piece.offset;
            for part in piece.buf.chunks_mut(BATCH) {
                if bytes + part.len() > BATCH || batch.len() == PIECES {
                    self.read_batch(&mut batch)?;
                    batch.clear();
                    bytes = 0;
                }
                bytes += part.len();
                let length = part.len() as u64;
                batch.push((offset, part));
                offset += length;
            }
        }
        if batch.is_empty() { Ok(()) } else { self.read_batch(&mut batch) }
    }

    fn write(&mut self, pieces: &[WriteAt<'_>]) -> Result<(), StoreError> {
        let parts = pieces.iter().flat_map(|piece| {
            let offsets = (piece.offset..).step_by(BATCH);
            piece.bytes.chunks(BATCH).zip(offsets)
        });
        let mut batch: Vec<(&[u8], u64)> = Vec::new();
        let mut bytes = 0;
        for (part, offset) in parts {
            if bytes + part.len() > BATCH || batch.len() == PIECES {
                self.write_batch(&batch)?;
                batch.clear();
                bytes = 0;
            }
            bytes += part.len();
            batch.push((part, offset));
        }
        if batch.is_empty() { Ok(()) } else { self.write_batch(&batch) }
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        border::call(&StoreSync { store: self.0 }, &[], &mut []).map(|_| ()).map_err(failed("sync"))
    }

    fn allocate(&mut self, offset: u64, len: u64) -> Result<(), StoreError> {
        let ask = StoreAllocate { store: self.0, offset, length: len };
        border::call(&ask, &[], &mut []).map(|_| ()).map_err(failed("allocate"))
    }

    fn punch(&mut self, offset: u64, len: u64) -> Result<(), StoreError> {
        let ask = StorePunch { store: self.0, offset, length: len };
        border::call(&ask, &[], &mut []).map(|_| ()).map_err(failed("punch"))
    }

    fn truncate(&mut self, len: u64) -> Result<(), StoreError> {
        let ask = StoreTruncate { store: self.0, length: len };
        border::call(&ask, &[], &mut []).map(|_| ()).map_err(failed("truncate"))
    }
}
