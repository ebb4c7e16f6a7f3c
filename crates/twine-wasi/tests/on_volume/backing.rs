//! The file system below these tests: a volume whose store is in memory.

use std::sync::Arc;

use twine_vfs::FileSystem;
use twine_volume::store::MemoryStore;
use twine_volume::{Clock, Environment, MasterKey, Options, Volume};

use crate::guest::Shared;

struct HostClock(Shared);

impl Clock for HostClock {
    fn now(&mut self) -> u64 {
        self.0.with(|host| host.realtime)
    }
}

/// An empty one with the host's clock.
pub fn new(host: &Shared) -> Arc<dyn FileSystem> {
    Arc::new(volume(host, &Options::default()))
}

pub fn volume(host: &Shared, options: &Options) -> Volume {
    let environment = Environment { clock: Box::new(HostClock(host.clone())), ..Environment::system() };
    let store = Box::new(MemoryStore::new(Vec::new()));
    Volume::create(store, &MasterKey::new([7; 32]), environment, options).unwrap()
}
