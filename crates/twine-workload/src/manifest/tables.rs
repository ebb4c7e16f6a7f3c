//! The tables of `twine.toml`, as serde reads them and schemars publishes them.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::Limits;

/// `argv[0]` where the manifest names no arguments: the host's file name is not measured, so it is not used.
pub const DEFAULT_ARG0: &str = "main.wasm";

/// twine.toml, version 1.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this file's format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// What the enclave obeys. Measured: any change makes another identity.
    #[serde(default)]
    pub workload: WorkloadTable,
    /// What the host may choose. Not measured.
    #[serde(default)]
    pub host: HostTable,
}

/// What the enclave obeys.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorkloadTable {
    /// Whose the identity is. Without this table it is the workload's digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityTable>,
    /// `sha256:` and the module's digest in hex. Without it, that of the file `host.module`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Arguments, the program's name (argv 0) included.
    pub args: Vec<String>,
    /// Environment variables.
    pub env: BTreeMap<String, EnvEntry>,
    /// Which standard streams reach the host.
    pub stdio: StdioTable,
    /// Directories that the guest finds preopened.
    pub mount: Vec<MountTable>,
    /// What the guest may do on the network; nothing else.
    pub network: NetworkTable,
    /// Bounds on what the guest may use.
    pub limits: LimitsTable,
    /// What the guest learns of time.
    pub clock: ClockWord,
    /// Whether trap messages and wasm backtraces leave the enclave in clear.
    pub diagnostics: bool,
    /// Who delivers code and secrets after attestation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delivery: Vec<DeliveryTable>,
}

impl Default for WorkloadTable {
    fn default() -> Self {
        Self {
            identity: None,
            module: None,
            args: vec![DEFAULT_ARG0.into()],
            env: BTreeMap::new(),
            stdio: StdioTable::default(),
            mount: Vec::new(),
            network: NetworkTable::default(),
            limits: LimitsTable::default(),
            clock: ClockWord::Host,
            diagnostics: true,
            delivery: Vec::new(),
        }
    }
}

/// One who delivers secrets, and code perhaps, after attestation: with `twine deploy` or `twine keys serve`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliveryTable {
    /// What `from` calls it: 1 to 64 of a-z A-Z 0-9 . _ -; `owner` if not given.
    #[serde(default = "owner")]
    pub name: String,
    /// Its Ed25519 public key: 64 hex digits.
    pub key: String,
    /// Send standard output and error to it instead of to the host; to one at most.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub output: bool,
}

fn owner() -> String {
    "owner".into()
}

/// An identity that survives new versions of the workload.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityTable {
    /// The owner's Ed25519 public key: 64 hex digits.
    pub owner: String,
    /// What the owner calls the workload: 1 to 64 of a-z A-Z 0-9 . _ -.
    pub name: String,
    /// Version, becomes CONFIGSVN: higher ones read what lower ones sealed, never the other way.
    pub version: u16,
}

/// The value of an environment variable: a string, or an [`EnvTable`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct EnvEntry(pub EnvTable);

/// `{ value = "…" }`, `{ passthrough = true }` or `{ delivered = true }`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnvTable {
    /// This value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Whatever the host's environment holds: measured is only that it may.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub passthrough: bool,
    /// A secret that comes with the delivery.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delivered: bool,
    /// `delivered`: who delivers it; the only one if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

impl<'de> Deserialize<'de> for EnvEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EnvVisitor)
    }
}

/// Not an untagged enum: its only error message would be that nothing matched.
struct EnvVisitor;

impl<'de> de::Visitor<'de> for EnvVisitor {
    type Value = EnvEntry;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string, { value = \"…\" }, { passthrough = true } or { delivered = true }")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<EnvEntry, E> {
        Ok(EnvEntry(EnvTable { value: Some(value.into()), ..EnvTable::default() }))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<EnvEntry, A::Error> {
        let table = EnvTable::deserialize(de::value::MapAccessDeserializer::new(map))?;
        let given = [table.value.is_some(), table.passthrough, table.delivered];
        if table.from.is_some() && !table.delivered {
            return Err(de::Error::custom("from is for delivered = true"));
        }
        if given.iter().filter(|given| **given).count() != 1 {
            return Err(de::Error::custom(
                "expected one of value = \"…\", passthrough = true and delivered = true",
            ));
        }
        Ok(EnvEntry(table))
    }
}

impl JsonSchema for EnvEntry {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EnvEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, generator.subschema_for::<EnvTable>()] })
    }
}

/// Which standard streams reach the host; the others read as empty or are discarded.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StdioTable {
    /// Descriptor 0.
    pub stdin: bool,
    /// Descriptor 1.
    pub stdout: bool,
    /// Descriptor 2.
    pub stderr: bool,
}

impl Default for StdioTable {
    fn default() -> Self {
        Self { stdin: true, stdout: true, stderr: true }
    }
}

/// A directory that the guest finds preopened.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MountTable {
    /// Absolute path that the guest sees. `host.paths` says where the host keeps what stands behind it.
    pub guest: String,
    /// What stands behind it.
    pub kind: MountKind,
    /// Whether the guest may only read; always so for `measured` and `delivered`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// `volume`: its name, which enters its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `volume`: what its key depends on besides CONFIGID and name; `signer` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyWord>,
    /// `volume`: what detects an old version of it after a restart; `run` (nothing does) if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<FreshnessWord>,
    /// `volume` with freshness `service`: the service's Ed25519 public key, 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// `volume` with an anchor: when it learns of a new state, `every-sync` (if not given), `open-and-close`, or after a
    /// time like "30s"; what came after can be rolled back at a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
    /// `scratch`: the most bytes that its files hold together, as a number or like "64 MiB".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// `delivered`: paths of its files below the mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<String>>,
    /// `delivered`, and `volume` with an owner's key: who delivers it; the only one if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// What stands behind a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MountKind {
    /// An encrypted volume that the host stores.
    Volume,
    /// An empty directory in enclave memory, gone at exit.
    Scratch,
    /// Files of the host whose contents are part of the workload.
    Measured,
    /// A directory of the host, in clear.
    InsecureHost,
    /// Secret files that come with the delivery, in enclave memory.
    Delivered,
}

/// What a volume's key depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyWord {
    /// MRENCLAVE: a runtime upgrade loses the volume.
    Enclave,
    /// MRSIGNER and ISVSVN: later runtimes of the same signer keep it.
    Signer,
    /// The owner provides the key after attestation.
    Owner,
}

/// What detects an old version of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FreshnessWord {
    /// Nothing across restarts.
    Run,
    /// A file that the host can restore too: for tests.
    InsecureFile,
    /// A service of the owner's.
    Service,
}

/// What the guest may do on the network.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkTable {
    /// HOST:PORT that it may connect to; `*` for any host or port, IPv6 addresses in brackets.
    pub connect: Vec<String>,
    /// ADDRESS:PORT that it may listen on.
    pub listen: Vec<String>,
}

/// Bounds that the enclave enforces.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsTable {
    /// Bytes of all linear memories together, as a number or like "256 MiB".
    pub memory: Size,
    /// Elements of all tables together.
    pub table_elements: u64,
    /// Bytes of the wasm stack of one thread.
    pub stack: Size,
    /// Open descriptors.
    pub descriptors: u32,
    /// Units of work, about one wasm instruction each; not bounded if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
}

impl Default for LimitsTable {
    fn default() -> Self {
        let Limits { memory, table_elements, stack, descriptors, fuel } = Limits::default();
        Self { memory: Size(memory), table_elements, stack: Size(stack), descriptors, fuel }
    }
}

/// What the guest learns of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClockWord {
    /// The host's clocks.
    Host,
    /// None.
    Denied,
}

/// What the host may choose. Paths are relative to the manifest's directory.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HostTable {
    /// The module's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<PathBuf>,
    /// The owner's signature, as `twine key sign` writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<PathBuf>,
    /// Where the host keeps what stands behind a mount, by guest path.
    pub paths: BTreeMap<String, PathBuf>,
    /// Where the service is that keeps a volume fresh, as HOST:PORT, by the mount's guest path.
    pub anchors: BTreeMap<String, String>,
    /// Wall-clock time after which the host stops the guest, like "30s" or "5m".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

/// A number of bytes: an integer, or a string like "64 MiB" or "1.5 GB".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Size(pub u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bytesize::ByteSize::deserialize(deserializer).map(|size| Self(size.as_u64()))
    }
}

impl JsonSchema for Size {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string" }] })
    }
}
