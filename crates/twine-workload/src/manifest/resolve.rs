//! From a manifest and the files that it names to a workload.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    ClockWord, EnvEntry, FileError, FileErrorKind, FreshnessWord, IdentityTable, KeyWord, LimitsTable,
    Manifest, MountKind, MountTable, NetworkTable, WorkloadTable,
};
use crate::{
    Candidate, Clock, Deliverer, EnvValue, EnvVar, Freshness, Identity, KeyPolicy, Limits, MeasuredFile,
    Mount, MountSource, Moves, NetworkAction, NetworkRule, Sha256, Stdio, Workload, sha256,
};

/// A workload, and what the host needs to run it.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What the enclave will obey.
    pub workload: Workload,
    /// The module's bytes, if the manifest names a file.
    pub module: Option<Vec<u8>>,
    /// The owner's signature, if the manifest names a file.
    pub signature: Option<Vec<u8>>,
    /// Where the host keeps what stands behind a mount, by guest path; absolute.
    pub paths: BTreeMap<String, PathBuf>,
    /// Where the service of a volume is, by guest path.
    pub anchors: BTreeMap<String, String>,
    /// When the host stops the guest.
    pub timeout: Option<Duration>,
}

impl Resolved {
    /// What the host hands to the enclave: canonical bytes, and the signature if there is one.
    pub fn presented(&self) -> crate::Result<Vec<u8>> {
        let mut bytes = self.workload.to_bytes()?;
        bytes.extend(self.signature.iter().flatten());
        Ok(bytes)
    }

    /// Checks [`Resolved::presented`] as the enclave will.
    pub fn candidate(&self) -> crate::Result<Candidate> {
        Candidate::parse(&self.presented()?)
    }
}

impl Manifest {
    /// Reads the files that the manifest names, relative ones below `base`, and makes the workload.
    pub fn resolve(&self, base: &Path) -> Result<Resolved, FileError> {
        let base =
            std::path::absolute(base).map_err(|e| FileError::value("", e.to_string(), "name a directory"))?;
        let paths: BTreeMap<_, _> = self.host.paths.iter().map(|(k, v)| (k.clone(), base.join(v))).collect();
        let table = &self.workload;
        let module =
            self.host.module.as_ref().map(|path| read(&base.join(path), "host.module")).transpose()?;
        let mut workload = Workload::new(self.module_digest(module.as_deref())?);
        if let Some(identity) = &table.identity {
            workload.identity = owner(identity)?;
        }
        workload.args.clone_from(&table.args);
        workload.env = table.env.iter().map(|(name, entry)| variable(name, entry)).collect();
        workload.stdio =
            Stdio { stdin: table.stdio.stdin, stdout: table.stdio.stdout, stderr: table.stdio.stderr };
        for (i, table) in table.mount.iter().enumerate() {
            workload.mounts.push(mount(table, i, &paths)?);
        }
        workload.mounts.sort_by(|a, b| a.guest.cmp(&b.guest));
        check_paths("host.paths", self.host.paths.keys(), &workload.mounts)?;
        check_paths("host.anchors", self.host.anchors.keys(), &workload.mounts)?;
        workload.network = network(&table.network)?;
        workload.limits = limits(&table.limits);
        workload.clock = match table.clock {
            ClockWord::Host => Clock::Host,
            ClockWord::Denied => Clock::Denied,
        };
        workload.diagnostics = table.diagnostics;
        workload.delivery = delivery(table, &workload)?;
        workload.to_bytes().map_err(rule_broken)?;
        let signature = self.host.signature.as_ref().map(|path| read(&base.join(path), "host.signature"));
        let timeout = self.host.timeout.as_deref().map(|text| {
            humantime::parse_duration(text).map_err(|e| {
                FileError::value("host.timeout", format!("found {text:?}: {e}"), "write it like \"30s\"")
            })
        });
        Ok(Resolved {
            workload,
            module,
            signature: signature.transpose()?,
            paths,
            anchors: self.host.anchors.clone(),
            timeout: timeout.transpose()?,
        })
    }

    fn module_digest(&self, module: Option<&[u8]>) -> Result<Sha256, FileError> {
        let found = module.map(sha256);
        let Some(text) = &self.workload.module else {
            return found.ok_or_else(|| {
                let remedy = "name its file in host.module, or its digest in workload.module";
                FileError::value("workload.module", "the module is not named", remedy)
            });
        };
        let hex = text.strip_prefix("sha256:").unwrap_or_default();
        let expected = Sha256(key("workload.module", hex, "write sha256: and 64 hex digits")?);
        match found {
            Some(found) if found != expected => {
                let message = format!("the manifest says {expected}, but {} has {found}", self.module_path());
                let remedy = "correct workload.module if the new module is meant";
                Err(FileError::new(FileErrorKind::Mismatch, "workload.module", message, remedy))
            }
            _ => Ok(expected),
        }
    }

    fn module_path(&self) -> String {
        self.host.module.as_deref().unwrap_or(Path::new("")).display().to_string()
    }
}

/// A path for a mount that does not exist is a misspelt one.
fn check_paths<'g>(
    field: &str,
    mut guests: impl Iterator<Item = &'g String>,
    mounts: &[Mount],
) -> Result<(), FileError> {
    let unknown = guests.find(|guest| !mounts.iter().any(|mount| mount.guest == **guest));
    unknown.map_or(Ok(()), |guest| {
        let known: Vec<_> = mounts.iter().map(|mount| mount.guest.as_str()).collect();
        let remedy = format!("mounts: {}", known.join(", "));
        Err(FileError::value(field, format!("{guest:?} is no mount's guest path"), remedy))
    })
}

fn owner(table: &IdentityTable) -> Result<Identity, FileError> {
    let key =
        key("workload.identity.owner", &table.owner, "write the 64 hex digits that `twine key show` prints")?;
    Ok(Identity::Owner { key, name: table.name.clone(), version: table.version })
}

/// The deliverers, each with what is from it.
fn delivery(table: &WorkloadTable, workload: &Workload) -> Result<Option<Vec<Deliverer>>, FileError> {
    let mut deliverers = Vec::new();
    for (i, deliverer) in table.delivery.iter().enumerate() {
        let remedy = "write the 64 hex digits that `twine key show` prints";
        let key = key(&format!("workload.delivery.{i}.key"), &deliverer.key, remedy)?;
        let (name, output) = (deliverer.name.clone(), deliverer.output);
        deliverers.push(Deliverer { name, key, output, env: vec![], files: vec![], volumes: vec![] });
    }
    let of =
        |deliverers: &mut [Deliverer], from: &Option<String>, field: &str, add: &dyn Fn(&mut Deliverer)| {
            let known: Vec<_> = deliverers.iter().map(|deliverer| deliverer.name.clone()).collect();
            let found = match from {
                Some(name) => deliverers.iter_mut().find(|deliverer| deliverer.name == *name),
                None if deliverers.len() > 1 => None,
                None => deliverers.first_mut(),
            };
            let message = || match from {
                Some(name) => format!("found {name:?}"),
                None => "not given".to_owned(),
            };
            let remedy = match known.is_empty() {
                true => "say who delivers it, in [[workload.delivery]]".to_owned(),
                false => format!("one of {}", known.join(", ")),
            };
            found.map(add).ok_or_else(|| FileError::value(format!("{field}.from"), message(), remedy))
        };
    for (name, entry) in table.env.iter().filter(|(_, entry)| entry.0.delivered) {
        let add = |deliverer: &mut Deliverer| deliverer.env.push(name.clone());
        of(&mut deliverers, &entry.0.from, &format!("workload.env.{name}"), &add)?;
    }
    for (i, table) in table.mount.iter().enumerate() {
        let field = format!("workload.mount.{i}");
        let mount = workload.mounts.iter().find(|mount| mount.guest == table.guest);
        match mount.map(|mount| (mount, &mount.source)) {
            Some((mount, MountSource::Delivered { .. })) => {
                let add = |deliverer: &mut Deliverer| deliverer.files.extend(mount.delivered_files());
                of(&mut deliverers, &table.from, &field, &add)?;
            }
            Some((_, MountSource::Volume { name, key: KeyPolicy::Owner, .. }))
                if table.from.is_some() || !deliverers.is_empty() =>
            {
                let add = |deliverer: &mut Deliverer| deliverer.volumes.push(name.clone());
                of(&mut deliverers, &table.from, &field, &add)?;
            }
            _ if table.from.is_some() => {
                let remedy = "leave it out, or choose kind = \"delivered\" or key = \"owner\"";
                return Err(FileError::value(
                    format!("{field}.from"),
                    "nothing of this mount is delivered",
                    remedy,
                ));
            }
            _ => {}
        }
    }
    for deliverer in &mut deliverers {
        deliverer.files.sort();
        deliverer.volumes.sort();
    }
    deliverers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((!deliverers.is_empty()).then_some(deliverers))
}

fn variable(name: &str, entry: &EnvEntry) -> EnvVar {
    let value = match &entry.0.value {
        Some(value) => EnvValue::Fixed(value.clone()),
        None if entry.0.delivered => EnvValue::Delivered,
        None => EnvValue::Passthrough,
    };
    EnvVar { name: name.into(), value }
}

fn mount(table: &MountTable, i: usize, paths: &BTreeMap<String, PathBuf>) -> Result<Mount, FileError> {
    let field = |name: &str| format!("workload.mount.{i}.{name}");
    let unfit = |name: &str, present: bool, kind: &str| {
        let remedy = format!("leave it out, or choose kind = \"{kind}\"");
        if present {
            Err(FileError::value(field(name), "the mount's kind has no such field", remedy))
        } else {
            Ok(())
        }
    };
    let missing = |name: &str, remedy: &str| FileError::value(field(name), "not given", remedy);
    if table.kind != MountKind::Volume {
        unfit("name", table.name.is_some(), "volume")?;
        unfit("key", table.key.is_some(), "volume")?;
        unfit("freshness", table.freshness.is_some(), "volume")?;
        unfit("service", table.service.is_some(), "volume")?;
        unfit("anchor", table.anchor.is_some(), "volume")?;
    }
    if table.kind != MountKind::Scratch {
        unfit("size", table.size.is_some(), "scratch")?;
    }
    if table.kind != MountKind::Delivered {
        unfit("files", table.files.is_some(), "delivered")?;
    }
    let path = || {
        paths.get(&table.guest).ok_or_else(|| {
            let message = format!("no host path for the mount {:?}", table.guest);
            FileError::value("host.paths", message, "add it: \"GUEST PATH\" = \"HOST PATH\"")
        })
    };
    let source = match table.kind {
        MountKind::Volume => {
            path()?;
            let name = table.name.clone().ok_or_else(|| missing("name", "give the volume a name"))?;
            MountSource::Volume { name, key: key_policy(table), freshness: freshness(table, &field)? }
        }
        MountKind::Scratch => {
            let size =
                table.size.ok_or_else(|| missing("size", "say how much it may hold, like \"64 MiB\""))?;
            MountSource::Scratch { bytes: size.0 }
        }
        MountKind::Measured => MountSource::Measured { files: measure(path()?, "host.paths")? },
        MountKind::InsecureHost => {
            path()?;
            MountSource::InsecureHost
        }
        MountKind::Delivered => {
            let files = table.files.clone();
            let mut files = files.ok_or_else(|| missing("files", "list its files, like [\"key.pem\"]"))?;
            files.sort_by(|a, b| a.split('/').cmp(b.split('/')));
            MountSource::Delivered { files }
        }
    };
    let unchanging = matches!(table.kind, MountKind::Measured | MountKind::Delivered);
    let read_only = table.read_only.unwrap_or(unchanging);
    Ok(Mount { guest: table.guest.clone(), source, read_only })
}

fn key_policy(table: &MountTable) -> KeyPolicy {
    match table.key.unwrap_or(KeyWord::Signer) {
        KeyWord::Enclave => KeyPolicy::Enclave,
        KeyWord::Signer => KeyPolicy::Signer,
        KeyWord::Owner => KeyPolicy::Owner,
    }
}

fn freshness(table: &MountTable, field: &dyn Fn(&str) -> String) -> Result<Freshness, FileError> {
    let word = table.freshness.unwrap_or(FreshnessWord::Run);
    if word == FreshnessWord::Run && table.anchor.is_some() {
        let remedy = "leave it out, or choose freshness = \"service\"";
        return Err(FileError::value(field("anchor"), "the freshness has no such field", remedy));
    }
    match (word, &table.service) {
        (FreshnessWord::Run, None) => Ok(Freshness::Run),
        (FreshnessWord::InsecureFile, None) => Ok(Freshness::InsecureFile { moves: moves(table, field)? }),
        (FreshnessWord::Service, Some(hex)) => Ok(Freshness::Service {
            key: key(&field("service"), hex, "write the service's key as 64 hex digits")?,
            moves: moves(table, field)?,
        }),
        (FreshnessWord::Service, None) => {
            Err(FileError::value(field("service"), "not given", "name the service's key, 64 hex digits"))
        }
        (_, Some(_)) => {
            let remedy = "leave it out, or choose freshness = \"service\"";
            Err(FileError::value(field("service"), "the freshness has no such field", remedy))
        }
    }
}

fn moves(table: &MountTable, field: &dyn Fn(&str) -> String) -> Result<Moves, FileError> {
    match table.anchor.as_deref() {
        None | Some("every-sync") => Ok(Moves::EverySync),
        Some("open-and-close") => Ok(Moves::OpenAndClose),
        Some(text) => {
            let interval =
                humantime::parse_duration(text).ok().and_then(|time| u64::try_from(time.as_nanos()).ok());
            interval.map(Moves::Interval).ok_or_else(|| {
                let remedy = "write \"every-sync\", \"open-and-close\", or a time like \"30s\"";
                FileError::value(field("anchor"), format!("found {text:?}"), remedy)
            })
        }
    }
}

/// Every regular file below `root`, or the file `root` itself. Links and special files are refused: what they lead to is not measured.
fn measure(root: &Path, field: &str) -> Result<Vec<MeasuredFile>, FileError> {
    let mut files = Vec::new();
    if root.is_file() {
        let name = root.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        files.push(measure_file(root, name.to_owned(), field)?);
    } else {
        measure_directory(root, "", field, &mut files)?;
    }
    files.sort_by(|a: &MeasuredFile, b| a.path.split('/').cmp(b.path.split('/')));
    Ok(files)
}

fn measure_directory(
    dir: &Path,
    below: &str,
    field: &str,
    files: &mut Vec<MeasuredFile>,
) -> Result<(), FileError> {
    for entry in fs::read_dir(dir).map_err(|e| unreadable(dir, field, &e))? {
        let entry = entry.map_err(|e| unreadable(dir, field, &e))?;
        let path = entry.path();
        let refuse = |message: &str| {
            let message = format!("{}: {message}", path.display());
            FileError::value(field, message, "measure a directory of regular files with UTF-8 names")
        };
        let name = entry.file_name().into_string().map_err(|_| refuse("the name is not UTF-8"))?;
        let guest = if below.is_empty() { name } else { format!("{below}/{name}") };
        let kind = entry.file_type().map_err(|e| unreadable(&path, field, &e))?;
        if kind.is_dir() {
            measure_directory(&path, &guest, field, files)?;
        } else if kind.is_file() {
            files.push(measure_file(&path, guest, field)?);
        } else {
            return Err(refuse("neither a file nor a directory"));
        }
    }
    Ok(())
}

fn measure_file(path: &Path, guest: String, field: &str) -> Result<MeasuredFile, FileError> {
    let mut file = fs::File::open(path).map_err(|e| unreadable(path, field, &e))?;
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let (mut buffer, mut size) = (vec![0; 1 << 20], 0);
    loop {
        let count = file.read(&mut buffer).map_err(|e| unreadable(path, field, &e))?;
        if count == 0 {
            break;
        }
        context.update(&buffer[..count]);
        size += count as u64;
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    Ok(MeasuredFile { path: guest, size, sha256: Sha256(digest) })
}

fn network(table: &NetworkTable) -> Result<Vec<NetworkRule>, FileError> {
    let rules = |action, field: &'static str, list: &[String]| {
        list.iter().map(|text| rule(action, field, text)).collect::<Result<Vec<_>, _>>()
    };
    let mut all = rules(NetworkAction::Connect, "workload.network.connect", &table.connect)?;
    all.extend(rules(NetworkAction::Listen, "workload.network.listen", &table.listen)?);
    all.sort();
    all.dedup();
    Ok(all)
}

fn rule(action: NetworkAction, field: &str, text: &str) -> Result<NetworkRule, FileError> {
    let wrong = || {
        FileError::value(
            field,
            format!("found {text:?}"),
            "write HOST:PORT, \"*\" for any, IPv6 addresses in brackets",
        )
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = if port == "*" { None } else { Some(port.parse().map_err(|_| wrong())?) };
    Ok(NetworkRule { action, host: host.into(), port })
}

fn limits(table: &LimitsTable) -> Limits {
    Limits {
        memory: table.memory.0,
        table_elements: table.table_elements,
        stack: table.stack.0,
        descriptors: table.descriptors,
        fuel: table.fuel,
    }
}

fn key(field: &str, hex: &str, remedy: &str) -> Result<[u8; 32], FileError> {
    let wrong = || FileError::value(field, format!("found {hex:?}"), remedy);
    let digits = hex.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(wrong());
    }
    let mut key = [0; 32];
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let text = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(text, 16).map_err(|_| wrong())?;
    }
    Ok(key)
}

fn read(path: &Path, field: &str) -> Result<Vec<u8>, FileError> {
    fs::read(path).map_err(|e| unreadable(path, field, &e))
}

fn unreadable(path: &Path, field: &str, error: &std::io::Error) -> FileError {
    let message = format!("{}: {error}", path.display());
    FileError::new(FileErrorKind::Missing, field, message, "name something that exists and can be read")
}

fn rule_broken(error: crate::Error) -> FileError {
    match error {
        crate::Error::Invalid { field, found, rule } => {
            FileError::value(format!("workload.{field}"), format!("found {found}"), rule)
        }
        other => FileError::value("workload", other.to_string(), ""),
    }
}
