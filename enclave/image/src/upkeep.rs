//! What is done to a volume without running the program: described, checked, compacted, exported, imported; as the workload, since
//! nobody else has its key.
//!
//! The host chooses the operation and the moment, so none of them may tell it more than it knows. A check names slots, which
//! the host can break one by one: it does not say which file they are of or which belong together. An export is made under the
//! owner's key that the measured workload names, and under no other.

use twine_abi::calls::{Finding as Found, Outcome as Code};
use twine_abi::run::{EXPORT, IMPORT, Operation};
use twine_enclave::border;
use twine_volume::{Finding, MasterKey, Options, Volume, copy_tree, labels};
use twine_volume_key::{Anchored, Label, id_of};
use twine_workload::MountSource;

use crate::End;
use crate::request::Request;
use crate::volume::{self, Create, Wanted};

/// Exit status of a check that found something.
const DAMAGED: u32 = 1;

/// Does what the request asks for, if that is something about a volume.
pub fn run(request: &Request) -> Option<End> {
    let operation = match request.operation() {
        Operation::Run | Operation::Compile => return None,
        operation => operation,
    };
    Some(match perform(operation, request) {
        Ok(status) => End(Code::Exited, status, String::new()),
        Err(end) => end,
    })
}

fn perform(operation: Operation, request: &Request) -> Result<u32, End> {
    let name = request.volume();
    let mount = request
        .workload()
        .mounts
        .iter()
        .find(|mount| matches!(&mount.source, MountSource::Volume { name: known, .. } if known == name));
    let Some((mount, MountSource::Volume { key, freshness, export_to, .. })) =
        mount.map(|mount| (mount, &mount.source))
    else {
        return Err(End::refused(format!("the workload has no volume {name}")));
    };
    let cache = request.workload().limits.volume_cache;
    let wanted = Wanted { name, key: *key, freshness, read_only: true, create: Create::Never, cache };
    match operation {
        Operation::Describe => {
            let volume = volume::open(wanted, request.secrets())?;
            volume::report(name, &volume);
            Ok(0)
        }
        Operation::Check => {
            let volume = volume::open(wanted, request.secrets())?;
            let findings = volume.check().map_err(|error| End::volume(name, &error))?;
            findings.iter().for_each(tell);
            volume::report(name, &volume);
            Ok(if findings.is_empty() { 0 } else { DAMAGED })
        }
        Operation::Compact => {
            let volume = volume::open(Wanted { read_only: false, ..wanted }, request.secrets())?;
            let done = volume.compact().and_then(|_| volume.unmount());
            done.map_err(|error| End::volume(name, &error))?;
            volume::report(name, &volume);
            Ok(0)
        }
        Operation::Export => {
            let refused = |why: &str| End::refused(format!("volume {name}: {why}"));
            let id = export_to.ok_or_else(|| refused("the workload exports it under no key (export_to)"))?;
            let key = request.secrets().volume_key(name);
            let key =
                key.ok_or_else(|| refused("nobody gave this run the owner's key to export it under"))?;
            if id_of(key) != id {
                return Err(refused("the owner's key that was given is not the one that the workload names"));
            }
            let volume = volume::open(wanted, request.secrets())?;
            export(name, &volume, key)?;
            Ok(0)
        }
        Operation::Import => {
            if mount.read_only {
                return Err(End::refused(format!("volume {name}: the workload only reads it")));
            }
            import(request, Wanted { read_only: false, create: Create::MustBeNew, ..wanted })?;
            Ok(0)
        }
        Operation::Run | Operation::Compile => Ok(0),
    }
}

/// Tells the host of something wrong.
fn tell(finding: &Finding) {
    let what =
        if finding.what.ends_with("does not verify") { "a block that does not verify" } else { finding.what };
    let found = Found { inode: u64::MAX, slot: finding.slot.map_or(u64::MAX, u64::from) };
    let _ = border::call(&found, what.as_bytes(), &mut []);
}

/// Copies a volume into a new one under the owner's key.
fn export(name: &str, from: &Volume, key: &[u8; 32]) -> Result<(), End> {
    let target = format!("{name}{EXPORT}");
    let store = new_store(&target)?;
    let master =
        MasterKey::new(*key).labelled(Label::Owner { key: id_of(key), anchor: Anchored::No }.to_bytes());
    let to = Volume::create(Box::new(store), &master, volume::environment(), &Options::default())
        .map_err(|error| End::volume(&target, &error))?;
    copy(name, from, &to)?;
    volume::report(&target, &to);
    Ok(())
}

/// Fills a new volume of this workload from one under the owner's key.
fn import(request: &Request, wanted: Wanted<'_>) -> Result<(), End> {
    let source = format!("{}{IMPORT}", wanted.name);
    let refused = |why: String| End::refused(format!("volume {source}: {why}"));
    let (handle, _) = volume::open_store(&source, false).map_err(refused)?;
    let mut store = volume::HostStore::new(handle);
    let key = request
        .secrets()
        .volume_key(wanted.name)
        .ok_or_else(|| refused("its key is the owner's, and nobody gave one to this run".to_owned()))?;
    labels(&mut store).map_err(|error| End::volume(&source, &error))?;
    let options = Options { read_only: true, ..Options::default() };
    let from = Volume::open(Box::new(store), &MasterKey::new(*key), volume::environment(), &options)
        .map_err(|error| End::volume(&source, &error))?;
    // Only what is new is filled: nothing of an existing volume is at the mercy of whoever starts an import.
    let to = volume::open(wanted, request.secrets())?;
    copy(wanted.name, &from, &to)?;
    volume::report(wanted.name, &to);
    Ok(())
}

/// A store of the host that holds nothing yet.
fn new_store(name: &str) -> Result<volume::HostStore, End> {
    let refused = |why: &str| End::refused(format!("volume {name}: {why}"));
    match volume::open_store(name, true) {
        Ok((handle, 0)) => Ok(volume::HostStore::new(handle)),
        Ok(_) => Err(refused("the host has it already; name a new file")),
        Err(why) => Err(refused(&why)),
    }
}

fn copy(name: &str, from: &Volume, to: &Volume) -> Result<(), End> {
    copy_tree(from, to, false, &mut |_| ()).map_err(|error| {
        let why =
            to.failure().or_else(|| from.failure()).map_or(error.to_string(), |failure| failure.to_string());
        End(Code::Failed, 0, format!("volume {name}: it was not copied: {why}"))
    })?;
    to.unmount().map_err(|error| End::volume(name, &error))
}
