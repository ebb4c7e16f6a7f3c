//! Creating and opening.

use std::collections::{BTreeSet, VecDeque};

use twine_vfs::FileType;

use crate::anchor::{Anchor, AnchorPolicy, AnchorState, Successor};
use crate::commit::{Anchored, LiveAnchor};
use crate::crypto::{Keyring, Label, MasterKey, VolumeKey, make_header, open_header};
use crate::dirty::Dirty;
use crate::engine::{Bounds, Engine, Live, Lull};
use crate::error::{Error, Result};
use crate::format::header::{Found, Header};
use crate::format::inode::Inode;
use crate::format::key::Key;
use crate::format::log::State;
use crate::format::{Page, ROOT_INO, SEGMENT, SLOT, VERSION, offset_of, reserved};
use crate::info::Recovery;
use crate::io::{Io, write_zeros};
use crate::pool::{FoldMap, Pool};
use crate::provider::{Clock, Entropy};
use crate::recover::{Recovered, recover, salvage};
use crate::space::Space;
use crate::store::{ReadAt, Store, WriteAt};
use crate::tree::{Core, Root};

/// What a volume is given by its embedder besides store and key.
pub struct Environment {
    /// Randomness for salts and keys.
    pub entropy: Box<dyn Entropy>,
    /// Time for inodes.
    pub clock: Box<dyn Clock>,
    /// Freshness across restarts; `None` accepts any state that was once committed.
    pub anchor: Option<Box<dyn Anchor>>,
}

#[cfg(feature = "file")]
impl Environment {
    /// The operating system's randomness and clock, and no anchor.
    pub fn system() -> Self {
        Environment {
            entropy: Box::<crate::provider::SystemEntropy>::default(),
            clock: Box::<crate::provider::SystemClock>::default(),
            anchor: None,
        }
    }
}

/// How a volume is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bound of all memory that grows with use: pages, dirty data, inodes, buffers. At least 2 MiB are taken. The
    /// allocation map comes on top: 96 KiB for each GiB of the store.
    pub cache_bytes: usize,
    /// Most bytes that the store may take.
    pub max_store_bytes: u64,
    /// Change nothing, not even the store's lock for writers.
    pub read_only: bool,
    /// Read-only, and the newest state whose root reads, whatever is damaged below it and whatever an anchor says: to copy out
    /// what is left.
    pub salvage: bool,
    /// Refuse any other volume.
    pub expected_id: Option<[u8; 16]>,
    /// When the anchor moves.
    pub anchor_policy: AnchorPolicy,
    /// Blocks that one key may seal, at most the format's 2^31.
    pub blocks_per_epoch: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            cache_bytes: 32 << 20,
            max_store_bytes: u64::MAX,
            read_only: false,
            salvage: false,
            expected_id: None,
            anchor_policy: AnchorPolicy::EverySync,
            blocks_per_epoch: None,
        }
    }
}

impl Options {
    fn limit(&self) -> u32 {
        u32::try_from(self.max_store_bytes / SLOT as u64).unwrap_or(u32::MAX) / SEGMENT * SEGMENT
    }
}

fn random<const N: usize>(entropy: &mut dyn Entropy) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes).map_err(|_| Error::Entropy)?;
    Ok(bytes)
}

/// Both header slots.
pub(crate) fn read_headers(store: &mut dyn Store) -> Result<[Page; 2]> {
    let mut pages = [[0; SLOT]; 2];
    let [first, second] = &mut pages;
    store.read(&mut [ReadAt { offset: 0, buf: first }, ReadAt { offset: offset_of(1), buf: second }])?;
    Ok(pages)
}

/// The labels of a store's whole headers, the newest first, each once: what to find the master key with. Nothing of them is
/// authenticated until the volume opens under that key.
///
/// # Errors
/// As opening without a right key: there is no volume, or none that this build reads.
pub fn labels(store: &mut dyn Store) -> Result<Vec<Label>> {
    let pages = read_headers(store)?;
    let mut found: Vec<_> = pages
        .iter()
        .filter_map(|page| match Header::find(page) {
            Found::Whole(header, _) => Some((header.generation, header.label)),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        // Without a whole header no key is looked at: this says why there is none.
        unlock(&pages, &MasterKey::new([0; 32]))?;
    }
    found.sort_by_key(|(generation, _)| std::cmp::Reverse(*generation));
    let mut labels: Vec<_> = found.into_iter().map(|(_, label)| label).collect();
    labels.dedup();
    Ok(labels)
}

/// The header to use: which slot, its contents, and the volume key.
pub(crate) fn unlock(pages: &[Page; 2], master: &MasterKey) -> Result<(usize, Header, VolumeKey)> {
    let (mut best, mut whole, mut damaged, mut version) = (None, false, false, None);
    for (slot, page) in pages.iter().enumerate() {
        match Header::find(page) {
            Found::Nothing => {}
            Found::Damaged => damaged = true,
            Found::Version(found) => version = Some(found),
            Found::Whole(header, signature) => {
                whole = true;
                let newer = best
                    .as_ref()
                    .is_none_or(|(_, h, _): &(usize, Header, VolumeKey)| h.generation < header.generation);
                if newer && let Ok(key) = open_header(master, &header, &signature) {
                    best = Some((slot, *header, key));
                }
            }
        }
    }
    match (best, version) {
        (Some(best), _) => Ok(best),
        (None, Some(version)) => Err(Error::UnsupportedVersion(version)),
        (None, None) if whole => Err(Error::WrongKey),
        (None, None) if damaged => Err(Error::HeaderDamaged),
        (None, None) => Err(Error::NotAVolume),
    }
}

/// Writes a new volume into an empty store and opens it.
pub(crate) fn create(
    mut store: Box<dyn Store>,
    master: &MasterKey,
    mut environment: Environment,
    options: &Options,
) -> Result<Engine> {
    let id: [u8; 16] = random(environment.entropy.as_mut())?;
    let key = VolumeKey::new(random(environment.entropy.as_mut())?);
    let salt = random(environment.entropy.as_mut())?;
    // An older volume's records must not stand beside the new ones; the header comes last and makes it a volume.
    store.truncate(0)?;
    store.allocate(0, offset_of(SEGMENT))?;
    write_zeros(store.as_mut(), 0, reserved(VERSION))?;
    let header = make_header(master, &key, VERSION, id, 1, salt);
    let mut io = Io::new(store, Keyring::new(key, VERSION, id));
    io.start_writing(environment.entropy, options.blocks_per_epoch)?;
    let bounds = Bounds::new(options.cache_bytes);
    let core = Core::empty(io, Pool::new(bounds.pages), Space::new(SEGMENT, reserved(VERSION)))?;
    let nothing = State { sequence: 0, tag: [0; 16] };
    let committed = committed(nothing, 1, nothing, core.root, None);
    let mut engine = engine(core, environment.clock, bounds, options, committed, 2);
    let now = engine.now();
    engine.inodes.insert(ROOT_INO, Live::new(Inode::new(FileType::Directory, ROOT_INO, now)));
    engine.update(ROOT_INO, |_| ())?;
    engine.commit()?;
    engine.freshness = freshness(environment.anchor.as_deref(), options);
    // The anchor comes before the header: a volume without a record is one whose record was taken away.
    if let Some(anchor) = environment.anchor {
        let state = (engine.committed.sequence, engine.committed.tag);
        engine.committed.anchor =
            Some(take_over(anchor, &mut engine.core.io, None, state, options, Error::OtherAnchor)?);
    }
    engine
        .core
        .io
        .store
        .write(&[WriteAt { offset: 0, bytes: &header }, WriteAt { offset: offset_of(1), bytes: &header }])?;
    engine.core.io.barrier()?;
    engine.recovery.sequence = engine.committed.sequence;
    Ok(engine)
}

/// Opens an existing volume.
pub(crate) fn open(
    mut store: Box<dyn Store>,
    master: &MasterKey,
    environment: Environment,
    options: &Options,
) -> Result<Engine> {
    let (_, header, key) = unlock(&read_headers(store.as_mut())?, master)?;
    if options.expected_id.is_some_and(|id| id != header.id) {
        return Err(Error::OtherVolume);
    }
    let Environment { entropy, clock, mut anchor } = environment;
    let keys = Keyring::new(key, header.version, header.id);
    let freshness = freshness(anchor.as_deref(), options);
    let anchored = match &mut anchor {
        Some(anchor) => {
            anchor.unlock(&keys.anchor_secret());
            let known =
                anchor.load(&header.id).map_err(|error| Error::of_anchor(error, Error::Unanchored))?;
            Some(known.ok_or(Error::Unanchored)?)
        }
        None => None,
    };
    let bounds = Bounds::new(options.cache_bytes);
    let io = Io::new(store, keys);
    let pool = Pool::new(bounds.pages);
    let read_only = options.read_only || options.salvage;
    let (mut core, recovered) =
        if options.salvage { salvage(io, pool)? } else { recover(io, pool, anchored.as_ref())? };
    let state = recovered.state();
    let mut live_anchor = None;
    if !read_only {
        core.io.start_writing(entropy, options.blocks_per_epoch)?;
        // What recovery saw may sit in the host's cache only, and the next commit builds on it.
        core.io.barrier()?;
        if let Some(anchor) = anchor {
            let forked = Error::Forked { sequence: state.sequence };
            let at = (state.sequence, state.tag);
            live_anchor = Some(take_over(anchor, &mut core.io, anchored.as_ref(), at, options, forked)?);
        }
    }
    let Recovered { base, log, next, report } = recovered;
    let committed = committed(state, next, base.state(), base.root(), live_anchor);
    let mut engine = engine(core, clock, bounds, options, committed, base.record.next_ino);
    engine.freshness = freshness;
    engine.recovery = Recovery { sequence: state.sequence, log_records: log.len() as u32, ..report };
    for logged in &log {
        match engine.replay(&logged.record, logged.slot) {
            // What is left is all that is asked for.
            Err(_) if options.salvage => break,
            done => done?,
        }
    }
    if !read_only && !log.is_empty() {
        // The next root must find room for what the log holds.
        engine.reserve(0, true)?;
    }
    if options.salvage && engine.live(ROOT_INO).is_err() {
        // The names that are left lead to the rest.
        let root = Inode::new(FileType::Directory, ROOT_INO, 0);
        engine.inodes.insert(ROOT_INO, Live { opens: 1, ..Live::new(root) });
    }
    let mut orphans = VecDeque::new();
    if !options.salvage {
        engine
            .core
            .scan(Key::orphan(0), |key, _| key.as_orphan().map(|ino| orphans.push_back(ino)).is_some())?;
    }
    engine.recovery.orphans = orphans.len() as u64;
    if !read_only {
        engine.changed = !orphans.is_empty();
        engine.orphans = orphans;
    }
    Ok(engine)
}

/// What reports say of the anchor.
fn freshness(anchor: Option<&dyn Anchor>, options: &Options) -> Option<(&'static str, AnchorPolicy)> {
    anchor.map(|anchor| (anchor.name(), options.anchor_policy))
}

/// Becomes the anchor's one writer.
fn take_over(
    mut anchor: Box<dyn Anchor>,
    io: &mut Io,
    expected: Option<&AnchorState>,
    (sequence, tag): (u64, [u8; 16]),
    options: &Options,
    conflict: Error,
) -> Result<LiveAnchor> {
    anchor.unlock(&io.keys.anchor_secret());
    let writer = random(io.entropy()?)?;
    let announces = options.anchor_policy == AnchorPolicy::EverySync;
    let state = AnchorState { current: Successor { sequence, tag }, pending: None, announces, writer };
    anchor.swap(io.keys.id(), expected, &state).map_err(|error| Error::of_anchor(error, conflict))?;
    Ok(LiveAnchor { anchor, policy: options.anchor_policy, state, moved: 0 })
}

/// A run begins here; its first commit is a root.
fn committed(state: State, next: u64, base: State, root: Root, anchor: Option<LiveAnchor>) -> Anchored {
    Anchored { sequence: state.sequence, tag: state.tag, next, base, root, logged: None, anchor }
}

fn engine(
    core: Core,
    clock: Box<dyn Clock>,
    bounds: Bounds,
    options: &Options,
    committed: Anchored,
    next_ino: u64,
) -> Engine {
    Engine {
        core,
        clock,
        bounds,
        limit: options.limit(),
        inodes: FoldMap::default(),
        dirty_inodes: BTreeSet::new(),
        dirty: Dirty::default(),
        next_ino,
        changed: false,
        read_only: options.read_only || options.salvage,
        failure: None,
        committed,
        lull: Lull::default(),
        cleaning: None,
        orphans: VecDeque::new(),
        recovery: Recovery::default(),
        freshness: None,
    }
}
