//! A store of the kind that the paper's system uses, as the baseline of the study: a tree of 4 KiB nodes, each sealed
//! under a fresh key that its parent keeps; 48 nodes of cache; one call of the host and two copies for each node;
//! nodes cleared when they come and go; a recovery file with what a flush overwrites. Nothing is durable. Written from
//! that description for this benchmark, outside any enclave; good for nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

const NODE: usize = 4096;
const CACHED: usize = 48;
/// Key and tag of a node.
const ENTRY: usize = 32;
/// Data nodes and inner nodes below one inner node.
const DATA: u64 = 96;
const INNER: u64 = 32;

/// Which node: data by number, inner ones by number; the root is inner node 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Data(u64),
    Inner(u64),
}

struct Node {
    bytes: Box<[u8; NODE]>,
    /// As the file has it.
    sealed: Box<[u8; NODE]>,
    dirty: bool,
    /// Whether the file has it.
    stored: bool,
}

/// One file.
pub struct Protected {
    file: File,
    recovery: File,
    keys: Keys,
    cache: BTreeMap<Name, Node>,
    /// Most recently used last.
    order: VecDeque<Name>,
    /// Key and tag of the root.
    root: [u8; ENTRY],
    /// Bytes of the file.
    length: u64,
}

impl Name {
    /// An inner node lies before the data below it.
    fn place(self) -> u64 {
        let node = match self {
            Self::Inner(n) => 1 + n * (DATA + 1),
            Self::Data(n) => 2 + n / DATA * (DATA + 1) + n % DATA,
        };
        node * NODE as u64
    }

    /// The inner node that keeps its key, and where; none for the root.
    fn parent(self) -> Option<(Self, usize)> {
        match self {
            Self::Data(n) => Some((Self::Inner(n / DATA), (n % DATA) as usize)),
            Self::Inner(0) => None,
            Self::Inner(n) => Some((Self::Inner((n - 1) / INNER), (DATA + (n - 1) % INNER) as usize)),
        }
    }
}

impl Protected {
    /// Opens an empty file.
    pub fn create(path: &Path) -> Result<Self> {
        let open = |path: &Path| {
            let opened = File::options().read(true).write(true).create(true).truncate(true).open(path);
            opened.with_context(|| path.display().to_string())
        };
        Ok(Self {
            file: open(path)?,
            recovery: open(&path.with_extension("recovery"))?,
            keys: Keys::new(),
            cache: BTreeMap::new(),
            order: VecDeque::new(),
            root: [0; ENTRY],
            length: 0,
        })
    }

    /// Writes a block.
    pub fn write(&mut self, block: u64, bytes: &[u8; NODE]) -> Result<()> {
        self.fetch(Name::Data(block))?;
        let node = self.cache.get_mut(&Name::Data(block)).context("a node that was just fetched")?;
        node.bytes.copy_from_slice(bytes);
        node.dirty = true;
        Ok(())
    }

    /// Reads a block.
    pub fn read(&mut self, block: u64, bytes: &mut [u8; NODE]) -> Result<()> {
        self.fetch(Name::Data(block))?;
        bytes.copy_from_slice(&self.cache[&Name::Data(block)].bytes[..]);
        Ok(())
    }

    /// Brings a node and those above it into the cache.
    fn fetch(&mut self, name: Name) -> Result<()> {
        if self.cache.contains_key(&name) {
            self.touch(name);
            return Ok(());
        }
        let entry = match name.parent() {
            Some((parent, index)) => {
                self.fetch(parent)?;
                let bytes = &self.cache[&parent].bytes[index * ENTRY..(index + 1) * ENTRY];
                bytes.try_into().context("an entry")?
            }
            None => self.root,
        };
        let mut node = Node {
            bytes: Box::new([0; NODE]),
            sealed: Box::new([0; NODE]),
            dirty: false,
            stored: entry != [0; ENTRY],
        };
        if node.stored {
            // Out of the file into the host's buffer, and from there inside.
            let mut outside = Box::new([0; NODE]);
            self.file.read_exact_at(&mut outside[..], name.place())?;
            node.sealed.copy_from_slice(&outside[..]);
            outside.fill(0);
            node.bytes.copy_from_slice(&node.sealed[..]);
            open(&entry, &mut node.bytes)?;
        }
        self.cache.insert(name, node);
        self.touch(name);
        self.shrink()
    }

    /// Makes a node the last to go, and those above it go later still: a node that is written gives its parent a new key.
    fn touch(&mut self, name: Name) {
        for name in std::iter::successors(Some(name), |name| name.parent().map(|(parent, _)| parent)) {
            self.order.retain(|other| *other != name);
            self.order.push_back(name);
        }
    }

    /// Drops the nodes used longest ago; one that is dirty makes all be written first.
    fn shrink(&mut self) -> Result<()> {
        while self.cache.len() > CACHED {
            let oldest = *self.order.front().context("an order of all nodes")?;
            if self.cache[&oldest].dirty {
                self.flush()?;
            }
            self.order.pop_front();
            if let Some(mut gone) = self.cache.remove(&oldest) {
                gone.bytes.fill(0);
                gone.sealed.fill(0);
            }
        }
        Ok(())
    }

    /// Writes everything that changed: first what that overwrites to the recovery file, then the nodes, data first.
    pub fn flush(&mut self) -> Result<()> {
        let mut dirty: Vec<Name> = Vec::new();
        for (name, node) in &self.cache {
            if node.dirty && matches!(name, Name::Data(_)) {
                dirty.push(*name);
            }
        }
        // Every inner node above gets new keys.
        let mut inner: Vec<Name> = Vec::new();
        for name in &dirty {
            let mut at = *name;
            while let Some((parent, _)) = at.parent() {
                if !inner.contains(&parent) {
                    inner.push(parent);
                }
                at = parent;
            }
        }
        if dirty.is_empty() {
            return Ok(());
        }
        inner.sort_by(|one, other| other.cmp(one));
        for name in &inner {
            if !self.cache.contains_key(name) {
                bail!("an inner node left before the data below it");
            }
        }
        dirty.extend(inner);
        let mut outside = Box::new([0; NODE]);
        for (number, name) in (0..).zip(&dirty) {
            if self.cache[name].stored {
                self.file.read_exact_at(&mut outside[..], name.place())?;
                self.recovery.write_all_at(&outside[..], number * NODE as u64)?;
            }
        }
        for name in dirty {
            let node = self.cache.get_mut(&name).context("a node to write")?;
            node.sealed.copy_from_slice(&node.bytes[..]);
            (node.dirty, node.stored) = (false, true);
            let entry = seal(self.keys.next()?, &mut node.sealed)?;
            outside.copy_from_slice(&node.sealed[..]);
            match name.parent() {
                Some((parent, index)) => {
                    let above = self.cache.get_mut(&parent).context("an inner node")?;
                    above.bytes[index * ENTRY..(index + 1) * ENTRY].copy_from_slice(&entry);
                }
                None => self.root = entry,
            }
            self.file.write_all_at(&outside[..], name.place())?;
            self.length = self.length.max(name.place() + NODE as u64);
        }
        self.recovery.set_len(0)?;
        Ok(())
    }
}

/// Fresh keys, drawn many at a time: a processor's random numbers need no system call.
struct Keys {
    random: SystemRandom,
    drawn: Vec<[u8; 16]>,
}

impl Keys {
    fn new() -> Self {
        Self { random: SystemRandom::new(), drawn: Vec::new() }
    }

    fn next(&mut self) -> Result<[u8; 16]> {
        if self.drawn.is_empty() {
            let mut bytes = [0; NODE];
            self.random.fill(&mut bytes).map_err(|_| anyhow!("no random numbers"))?;
            self.drawn.extend(bytes.as_chunks::<16>().0);
        }
        self.drawn.pop().context("a key that was just drawn")
    }
}

fn key(bytes: &[u8]) -> Result<LessSafeKey> {
    UnboundKey::new(&AES_128_GCM, bytes).map(LessSafeKey::new).map_err(|_| anyhow!("a key of 16 bytes"))
}

/// A key is used once, so its nonce is zero.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

fn seal(fresh: [u8; 16], node: &mut [u8; NODE]) -> Result<[u8; ENTRY]> {
    let mut entry = [0; ENTRY];
    entry[..16].copy_from_slice(&fresh);
    let tag = key(&entry[..16])?
        .seal_in_place_separate_tag(nonce(), Aad::empty(), node)
        .map_err(|_| anyhow!("a node does not seal"))?;
    entry[16..].copy_from_slice(tag.as_ref());
    Ok(entry)
}

fn open(entry: &[u8; ENTRY], node: &mut [u8; NODE]) -> Result<()> {
    let tag: [u8; 16] = entry[16..].try_into().context("a tag")?;
    key(&entry[..16])?
        .open_in_place_separate_tag(nonce(), Aad::empty(), tag.into(), node, 0..)
        .map(|_| ())
        .map_err(|_| anyhow!("a node does not verify"))
}

/// What `programs/volume/volume.c` does: operations of 4 KiB on a new file, a line each.
pub fn operate(path: &Path, operations: &[String]) -> Result<()> {
    let mut store = Protected::create(path)?;
    let mut bytes = [0x5a; NODE];
    for operation in operations {
        let (name, size) = operation.split_once(':').context("OPERATION:SIZE")?;
        let blocks = order(size.parse::<u64>().context("a size in MiB")? << 8, name.contains("random"));
        let started = Instant::now();
        for block in &blocks {
            if name.starts_with("write") {
                bytes[..8].copy_from_slice(&block.to_le_bytes());
                store.write(*block, &bytes)?;
            } else {
                store.read(*block, &mut bytes)?;
                if bytes[..8] != block.to_le_bytes() {
                    bail!("block {block} holds something else");
                }
            }
        }
        store.flush()?;
        println!("{name} {} {} 0", blocks.len(), started.elapsed().as_nanos());
    }
    Ok(())
}

/// Block numbers in order, or shuffled with a fixed seed.
fn order(count: u64, shuffled: bool) -> Vec<u64> {
    let mut blocks: Vec<u64> = (0..count).collect();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for i in (1..blocks.len()).rev().filter(|_| shuffled) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        blocks.swap(i, (state % (i as u64 + 1)) as usize);
    }
    blocks
}
