//! A workload as lines of field and value, to print it and to say why two identities differ.

use std::collections::BTreeMap;

use crate::{
    Clock, EnvValue, Freshness, Identity, KeyPolicy, Mount, MountSource, Moves, NetworkAction, Sha256,
    Workload,
};

/// One field of a workload, as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, as in `mount."/data".key`.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// One field in which two workloads differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name, as in [`Field::name`].
    pub name: String,
    /// Its value in the old workload, if it is there.
    pub old: Option<String>,
    /// Its value in the new workload, if it is there.
    pub new: Option<String>,
}

impl Workload {
    /// Every field, in a fixed order; equal lists mean equal workloads.
    pub fn describe(&self) -> Vec<Field> {
        let mut lines = Lines(Vec::new());
        lines.identity(&self.identity);
        lines.add("module", format!("sha256:{}", self.module));
        for (i, arg) in self.args.iter().enumerate() {
            lines.add(format!("args[{i}]"), format!("{arg:?}"));
        }
        for variable in &self.env {
            let value = match &variable.value {
                EnvValue::Fixed(value) => format!("{value:?}"),
                EnvValue::Passthrough => "from the host".into(),
                EnvValue::Delivered => "delivered".into(),
            };
            lines.add(format!("env.{:?}", variable.name), value);
        }
        lines.add("stdio.stdin", self.stdio.stdin);
        lines.add("stdio.stdout", self.stdio.stdout);
        lines.add("stdio.stderr", self.stdio.stderr);
        self.mounts.iter().for_each(|mount| lines.mount(mount));
        for rule in &self.network {
            let action = match rule.action {
                NetworkAction::Connect => "connect",
                NetworkAction::Listen => "listen",
            };
            let port = rule.port.map_or("*".into(), |port| port.to_string());
            lines.add(format!("network.{action}.\"{}:{port}\"", rule.host), "allowed");
        }
        lines.add("limits.memory", self.limits.memory);
        lines.add("limits.table_elements", self.limits.table_elements);
        lines.add("limits.stack", self.limits.stack);
        lines.add("limits.descriptors", self.limits.descriptors);
        lines.add("limits.fuel", self.limits.fuel.map_or("none".into(), |fuel| fuel.to_string()));
        let clock = match self.clock {
            Clock::Host => "host",
            Clock::Denied => "denied",
        };
        lines.add("clock", clock);
        lines.add("diagnostics", self.diagnostics);
        for deliverer in self.deliverers() {
            let at = format!("delivery.{:?}", deliverer.name);
            lines.add(format!("{at}.key"), Sha256(deliverer.key));
            lines.add(format!("{at}.output"), deliverer.output);
            let parts =
                [("env", &deliverer.env), ("files", &deliverer.files), ("volumes", &deliverer.volumes)];
            for (part, names) in parts {
                names.iter().for_each(|name| lines.add(format!("{at}.{part}.{name:?}"), "delivered"));
            }
        }
        lines.0
    }

    /// Why `self` and `new` have different digests: each field that differs; nothing for equal workloads.
    pub fn diff(&self, new: &Self) -> Vec<Change> {
        let (old_fields, new_fields) = (self.describe(), new.describe());
        let (old, new) = (by_name(&old_fields), by_name(&new_fields));
        let added = new_fields.iter().filter(|field| !old.contains_key(field.name.as_str()));
        let value =
            |fields: &BTreeMap<&str, &str>, name: &str| fields.get(name).map(|value| (*value).to_owned());
        old_fields
            .iter()
            .chain(added)
            .map(|Field { name, .. }| Change {
                name: name.clone(),
                old: value(&old, name),
                new: value(&new, name),
            })
            .filter(|change| change.old != change.new)
            .collect()
    }
}

fn by_name(fields: &[Field]) -> BTreeMap<&str, &str> {
    fields.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect()
}

struct Lines(Vec<Field>);

impl Lines {
    fn add(&mut self, name: impl Into<String>, value: impl ToString) {
        self.0.push(Field { name: name.into(), value: value.to_string() });
    }

    fn identity(&mut self, identity: &Identity) {
        match identity {
            Identity::Digest => self.add("identity", "digest"),
            Identity::Owner { key, name, version } => {
                self.add("identity", "owner");
                self.add("identity.key", Sha256(*key));
                self.add("identity.name", name);
                self.add("identity.version", version);
            }
        }
    }

    fn mount(&mut self, mount: &Mount) {
        let at = format!("mount.{:?}", mount.guest);
        match &mount.source {
            MountSource::Volume { name, key, freshness } => {
                self.add(at.clone(), "volume");
                self.add(format!("{at}.name"), name);
                let key = match key {
                    KeyPolicy::Enclave => "enclave",
                    KeyPolicy::Signer => "signer",
                    KeyPolicy::Owner => "owner",
                };
                self.add(format!("{at}.key"), key);
                let (freshness, moves) = match freshness {
                    Freshness::Run => ("run".into(), None),
                    Freshness::InsecureFile { moves } => ("insecure-file".into(), Some(moves)),
                    Freshness::Service { key, moves } => (format!("service {}", Sha256(*key)), Some(moves)),
                };
                self.add(format!("{at}.freshness"), freshness);
                if let Some(moves) = moves {
                    let moves = match moves {
                        Moves::EverySync => "every-sync".into(),
                        Moves::Interval(nanoseconds) => format!("{nanoseconds} ns"),
                        Moves::OpenAndClose => "open-and-close".into(),
                    };
                    self.add(format!("{at}.anchor"), moves);
                }
            }
            MountSource::Scratch { bytes } => {
                self.add(at.clone(), "scratch");
                self.add(format!("{at}.bytes"), bytes);
            }
            MountSource::Measured { files } => {
                self.add(at.clone(), "measured");
                for file in files {
                    let contents = format!("{} bytes, sha256:{}", file.size, file.sha256);
                    self.add(format!("{at}.files.{:?}", file.path), contents);
                }
            }
            MountSource::InsecureHost => self.add(at.clone(), "insecure-host"),
            MountSource::Delivered { files } => {
                self.add(at.clone(), "delivered");
                files.iter().for_each(|file| self.add(format!("{at}.files.{file:?}"), "delivered"));
            }
        }
        self.add(format!("{at}.read_only"), mount.read_only);
    }
}
