//! The value: one type per part of a manifest, with the CBOR numbers of docs/workload.md.

use minicbor::{Decode, Encode};

/// Everything that the enclave obeys when it runs a program.
///
/// [`Workload::to_bytes`] refuses a value that breaks a rule of docs/workload.md, so that every workload that has an
/// identity is valid.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Workload {
    /// How CONFIGID is made.
    #[n(0)]
    pub identity: Identity,
    /// SHA-256 of the WebAssembly module's bytes.
    #[n(1)]
    pub module: Sha256,
    /// The guest's argument vector, `argv[0]` included.
    #[n(2)]
    pub args: Vec<String>,
    /// Environment variables, sorted by name.
    #[n(3)]
    pub env: Vec<EnvVar>,
    /// Which standard streams reach the host.
    #[n(4)]
    pub stdio: Stdio,
    /// Preopened directories, sorted by guest path.
    #[n(5)]
    pub mounts: Vec<Mount>,
    /// What the guest may connect to or listen on, sorted; nothing else.
    #[n(6)]
    pub network: Vec<NetworkRule>,
    /// Bounds on what the guest may use.
    #[n(7)]
    pub limits: Limits,
    /// What the guest learns of time.
    #[n(8)]
    pub clock: Clock,
    /// Whether trap messages and wasm backtraces leave the enclave in clear.
    #[n(9)]
    pub diagnostics: bool,
    /// Who delivers what after attestation, sorted by name; none: nothing is delivered.
    #[n(10)]
    pub delivery: Option<Vec<Deliverer>>,
}

impl Workload {
    /// A workload that runs `module` with nothing but its standard streams.
    pub fn new(module: Sha256) -> Self {
        Self {
            identity: Identity::Digest,
            module,
            args: Vec::new(),
            env: Vec::new(),
            stdio: Stdio::default(),
            mounts: Vec::new(),
            network: Vec::new(),
            limits: Limits::default(),
            clock: Clock::Host,
            diagnostics: true,
            delivery: None,
        }
    }

    /// Who delivers.
    pub fn deliverers(&self) -> &[Deliverer] {
        self.delivery.as_deref().unwrap_or_default()
    }

    /// The deliverer who holds this key.
    pub fn deliverer(&self, key: &[u8; 32]) -> Option<&Deliverer> {
        self.deliverers().iter().find(|deliverer| deliverer.key == *key)
    }

    /// Names of the environment variables that are delivered, sorted.
    pub fn delivered_variables(&self) -> Vec<String> {
        let delivered = self.env.iter().filter(|variable| variable.value == EnvValue::Delivered);
        sorted(delivered.map(|variable| variable.name.clone()))
    }

    /// Absolute paths of the files that are delivered, sorted.
    pub fn delivered_files(&self) -> Vec<String> {
        sorted(self.mounts.iter().flat_map(Mount::delivered_files))
    }

    /// Names of the volumes whose keys are an owner's, sorted.
    pub fn owner_volumes(&self) -> Vec<String> {
        sorted(self.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Volume { name, key: KeyPolicy::Owner, .. } => Some(name.clone()),
            _ => None,
        }))
    }
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Somebody who delivers secrets, and code perhaps, over the attested channel. Deliverers need not trust each other: none
/// sees what another delivers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Deliverer {
    /// What the workload calls it: 1 to 64 of `a-z A-Z 0-9 . _ -`.
    #[n(0)]
    pub name: String,
    /// Ed25519 public key (RFC 8032) that the deliverer proves to hold, unique.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub key: [u8; 32],
    /// Whether standard output and error go to this deliverer instead of to the host; at most one.
    #[n(2)]
    pub output: bool,
    /// Names of the environment variables that it delivers, sorted.
    #[n(3)]
    pub env: Vec<String>,
    /// Absolute paths of the files that it delivers, sorted.
    #[n(4)]
    pub files: Vec<String>,
    /// Names of the volumes whose keys it delivers, sorted.
    #[n(5)]
    pub volumes: Vec<String>,
}

/// How CONFIGID and CONFIGSVN follow from a workload.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Identity {
    /// CONFIGID is the workload's digest, CONFIGSVN is 0: any change makes another workload.
    #[n(0)]
    Digest,
    /// CONFIGID is the owner's key and a name, CONFIGSVN the version: the owner can upgrade, nobody can downgrade.
    #[n(1)]
    #[cbor(map)]
    Owner {
        /// Ed25519 public key (RFC 8032) that signs the workload.
        #[cbor(n(0), with = "minicbor::bytes")]
        key: [u8; 32],
        /// What the owner calls it: 1 to 64 of `a-z A-Z 0-9 . _ -`.
        #[n(1)]
        name: String,
        /// CONFIGSVN: higher versions read what lower ones sealed, never the other way.
        #[n(2)]
        version: u16,
    },
}

/// A SHA-256 digest (FIPS 180-4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Sha256(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

/// One environment variable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(map)]
pub struct EnvVar {
    /// Without `=` and NUL, not empty, unique.
    #[n(0)]
    pub name: String,
    /// Where its value comes from.
    #[n(1)]
    pub value: EnvValue,
}

/// The value of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum EnvValue {
    /// This value.
    #[n(0)]
    Fixed(#[n(0)] String),
    /// Whatever the host says: measured is only that it may.
    #[n(1)]
    Passthrough,
    /// A secret that comes with the delivery.
    #[n(2)]
    Delivered,
}

/// Which standard streams are the host's. A stream that is not reads as empty, or is discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Stdio {
    /// Descriptor 0.
    #[n(0)]
    pub stdin: bool,
    /// Descriptor 1.
    #[n(1)]
    pub stdout: bool,
    /// Descriptor 2.
    #[n(2)]
    pub stderr: bool,
}

impl Default for Stdio {
    fn default() -> Self {
        Self { stdin: true, stdout: true, stderr: true }
    }
}

/// A directory that the guest finds preopened.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Mount {
    /// Absolute, normal path that the guest sees, unique.
    #[n(0)]
    pub guest: String,
    /// What stands behind it.
    #[n(1)]
    pub source: MountSource,
    /// Whether the guest may only read. Always true of [`MountSource::Measured`] and [`MountSource::Delivered`].
    #[n(2)]
    pub read_only: bool,
}

impl Mount {
    /// Absolute paths of the files that are delivered for this mount.
    pub fn delivered_files(&self) -> Vec<String> {
        match &self.source {
            MountSource::Delivered { files } => {
                let guest = self.guest.trim_end_matches('/');
                files.iter().map(|file| format!("{guest}/{file}")).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What stands behind a mount.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum MountSource {
    /// An encrypted volume that the host stores.
    #[n(0)]
    #[cbor(map)]
    Volume {
        /// Enters the volume's key, so that one workload's volumes cannot be swapped: 1 to 64 of `a-z A-Z 0-9 . _ -`.
        #[n(0)]
        name: String,
        /// What the volume's key depends on.
        #[n(1)]
        key: KeyPolicy,
        /// What detects an old version of the whole volume.
        #[n(2)]
        freshness: Freshness,
    },
    /// An empty directory in enclave memory, gone at exit.
    #[n(1)]
    #[cbor(map)]
    Scratch {
        /// The most bytes that its files may hold together.
        #[n(0)]
        bytes: u64,
    },
    /// Files whose contents are part of the workload, read-only.
    #[n(2)]
    #[cbor(map)]
    Measured {
        /// Every file, sorted by path.
        #[n(0)]
        files: Vec<MeasuredFile>,
    },
    /// A directory of the host, in clear: the host reads and changes everything in it.
    #[n(3)]
    InsecureHost,
    /// Secret files that come with the delivery, in enclave memory, read-only.
    #[n(4)]
    #[cbor(map)]
    Delivered {
        /// Normal path of every file below the mount, sorted by components.
        #[n(0)]
        files: Vec<String>,
    },
}

/// One file of a measured mount.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(map)]
pub struct MeasuredFile {
    /// Normal path below the mount, without a leading `/`.
    #[n(0)]
    pub path: String,
    /// Bytes.
    #[n(1)]
    pub size: u64,
    /// Of the contents.
    #[n(2)]
    pub sha256: Sha256,
}

/// What a volume's key depends on, besides CONFIGID and the volume's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum KeyPolicy {
    /// MRENCLAVE: a runtime upgrade loses the volume.
    #[n(0)]
    Enclave,
    /// MRSIGNER, product and ISVSVN: later runtimes of the same signer keep the volume.
    #[n(1)]
    Signer,
    /// The owner provides the key after attestation.
    #[n(2)]
    Owner,
}

/// What detects that the host gave back an old version of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Freshness {
    /// Within a run only: after a restart the host may present any version that was once committed.
    #[n(0)]
    Run,
    /// A file of the host's: for tests, as the host can restore it too.
    #[n(1)]
    #[cbor(map)]
    InsecureFile {
        /// When it learns of a new state.
        #[n(0)]
        moves: Moves,
    },
    /// A service of the owner's, known by its Ed25519 public key.
    #[n(2)]
    #[cbor(map)]
    Service {
        /// The service's key.
        #[cbor(n(0), with = "minicbor::bytes")]
        key: [u8; 32],
        /// When it learns of a new state.
        #[n(1)]
        moves: Moves,
    },
}

/// When an anchor learns of a new state, and with it how much of the past a host can bring back at a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub enum Moves {
    /// With every sync: nothing that was synced.
    #[n(0)]
    #[default]
    EverySync,
    /// With the first sync after so many nanoseconds: an interval's syncs, after a crash.
    #[n(1)]
    Interval(#[n(0)] u64),
    /// When the volume is opened and closed: one run's syncs, after a crash.
    #[n(2)]
    OpenAndClose,
}

/// One thing that the guest may do on the network. The host can still redirect, delay and read what is not encrypted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(map)]
pub struct NetworkRule {
    /// Who opens the connection.
    #[n(0)]
    pub action: NetworkAction,
    /// A DNS name in lower case, an IP address, or `*` for any.
    #[n(1)]
    pub host: String,
    /// The port; none for any.
    #[n(2)]
    pub port: Option<u16>,
}

/// Who opens a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum NetworkAction {
    /// The guest.
    #[n(0)]
    Connect,
    /// The peer.
    #[n(1)]
    Listen,
}

/// Bounds that the enclave enforces. Wall-clock timeouts are the host's, as time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Limits {
    /// Bytes of all linear memories together.
    #[n(0)]
    pub memory: u64,
    /// Elements of all tables together.
    #[n(1)]
    pub table_elements: u64,
    /// Bytes of the wasm stack of one thread.
    #[n(2)]
    pub stack: u64,
    /// Open descriptors.
    #[n(3)]
    pub descriptors: u32,
    /// Units of work (about one wasm instruction each) before the guest is stopped; none for no bound.
    #[n(4)]
    pub fuel: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 4 << 30, table_elements: 1 << 20, stack: 1 << 20, descriptors: 1024, fuel: None }
    }
}

/// What the guest learns of time. In an enclave all time is the host's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Clock {
    /// The host's clocks; the monotonic one never runs backwards.
    #[n(0)]
    Host,
    /// None: clock calls fail with ENOTSUP, sleeping included.
    #[n(1)]
    Denied,
}

impl core::fmt::Display for Sha256 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl core::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}
