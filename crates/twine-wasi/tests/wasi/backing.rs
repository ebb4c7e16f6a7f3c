//! The file system below these tests.

use std::sync::Arc;

use twine_vfs::{FileSystem, MemFs, MemLimits};

use crate::guest::Shared;

/// An empty one with the host's clock.
pub fn new(host: &Shared) -> Arc<dyn FileSystem> {
    let host = host.clone();
    Arc::new(MemFs::new(MemLimits::default(), move || host.with(|host| host.realtime)))
}
