//! The handle that embedders hold.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::check::Finding;
use crate::crypto::MasterKey;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::format::{SLOT, offset_of};
use crate::info::{Info, Recovery};
use crate::open::{self, Environment, Options};
use crate::store::Store;

/// An open volume; its [`twine_vfs::FileSystem`] is the way to its contents.
///
/// Dropping it loses what was not synced, as a power cut would; [`Volume::unmount`] commits.
pub struct Volume {
    engine: Mutex<Engine>,
}

impl Volume {
    /// Writes a new volume into a store, whatever it held, and opens it.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Entropy`], or the anchor's.
    pub fn create(
        store: Box<dyn Store>,
        master: &MasterKey,
        environment: Environment,
        options: &Options,
    ) -> Result<Volume> {
        Ok(Volume { engine: Mutex::new(open::create(store, master, environment, options)?) })
    }

    /// Opens an existing volume at its newest complete state.
    ///
    /// # Errors
    /// Whatever the store can be guilty of, each with its own variant of [`Error`].
    pub fn open(
        store: Box<dyn Store>,
        master: &MasterKey,
        environment: Environment,
        options: &Options,
    ) -> Result<Volume> {
        Ok(Volume { engine: Mutex::new(open::open(store, master, environment, options)?) })
    }

    /// Commits everything that was done; without a change there is no host call.
    pub fn sync_all(&self) -> Result<()> {
        self.lock().sync()
    }

    /// Commits, lets the anchor follow whatever its policy, and gives unused space back: the last call of a run.
    pub fn unmount(&self) -> Result<()> {
        self.lock().finish()
    }

    /// Verifies every block and every count, past the cache. Nothing found: the volume is whole.
    ///
    /// # Errors
    /// Those of the store; what does not verify is a finding.
    pub fn check(&self) -> Result<Vec<Finding>> {
        self.lock().check()
    }

    /// Moves contents together and gives the rest of the store back to the host: how many bytes.
    pub fn compact(&self) -> Result<u64> {
        self.lock().compact().map(offset_of)
    }

    /// What opening found and left out.
    pub fn recovery(&self) -> Recovery {
        self.lock().recovery.clone()
    }

    /// Why the volume turned read-only, if it did; the guest sees EROFS and EIO only.
    pub fn failure(&self) -> Option<Error> {
        self.lock().failure.clone()
    }

    /// A summary.
    pub fn info(&self) -> Info {
        let engine = self.lock();
        let space = &engine.core.space;
        Info {
            id: *engine.core.io.keys.id(),
            sequence: engine.committed.sequence,
            store_bytes: offset_of(space.slots()),
            used_bytes: offset_of(space.used()),
            free_bytes: offset_of(space.free()),
            epoch_blocks: engine.core.io.epoch_use(),
            cache_bytes: (
                (engine.core.pool.capacity() * SLOT) as u64,
                (engine.core.pool.peak() * SLOT) as u64,
            ),
            anchor: engine.freshness.map_or("none", |(name, _)| name),
            anchor_policy: engine.freshness.map(|(_, policy)| policy),
            read_only: engine.read_only || engine.failure.is_some(),
            counters: engine.core.io.counters,
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_read_only(&self) -> bool {
        let engine = self.lock();
        engine.read_only || engine.failure.is_some()
    }

    /// Runs what reads.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Engine) -> Result<T>) -> twine_vfs::Result<T> {
        let mut engine = self.lock();
        let outcome = look(&mut engine);
        engine.trim_inodes();
        outcome.map_err(|error| error.as_fs())
    }

    /// Runs what changes, then keeps memory in its bounds.
    pub(crate) fn alter<T>(&self, alter: impl FnOnce(&mut Engine) -> Result<T>) -> twine_vfs::Result<T> {
        let mut engine = self.lock();
        let outcome = engine.change(|engine| {
            let done = alter(engine)?;
            engine.relieve()?;
            Ok(done)
        });
        outcome.map_err(|error| error.as_fs())
    }
}
