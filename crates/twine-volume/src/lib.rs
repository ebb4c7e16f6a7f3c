//! The encrypted, crash-safe volume: a file system in one opaque store that an untrusted host keeps.
//!
//! Trusted code, free of SGX. The store below it is the adversary: everything read is verified against a root that is in
//! memory, everything written is sealed first. `docs/volume-format.md` is the specification of what is stored, what a
//! crash leaves and what the host learns; the modules follow it:
//!
//! * `format` the bytes, `crypto` the keys and seals, `store` the host's side;
//! * `io` sealed blocks in batches, `pool` the one cache, `space` the allocation map, `tree` the copy-on-write tree;
//! * `engine` and `fs` inodes, pages and names; `commit`, `recover`, `open` the life of a state;
//! * `anchor` freshness across restarts; `check`, `compact`, `copy`, `rekey` the owner's tools.

#![forbid(unsafe_code)]

mod anchor;
mod check;
mod commit;
mod compact;
mod copy;
mod crypto;
mod dirty;
mod engine;
mod error;
mod format;
mod fs;
mod info;
mod io;
mod log;
mod open;
mod pool;
mod provider;
mod recover;
mod rekey;
mod space;
pub mod store;
mod tree;
mod volume;

#[cfg(test)]
mod tests;

pub use anchor::{
    Anchor, AnchorError, AnchorPolicy, AnchorRecord, AnchorState, InsecureFileAnchor, MemoryAnchor,
    ServiceAnchor, Successor, Transport,
};
#[cfg(feature = "file")]
pub use anchor::{AnchorService, FileRecord, FolderLedger, Ledger};
pub use check::{Finding, HeaderReport, Structure, structure};
pub use copy::{CopyReport, copy_tree};
pub use crypto::{Label, MasterKey};
pub use error::{Error, Result};
#[doc(hidden)]
pub use format::exercise_decoders;
pub use info::{Counters, Info, Recovery};
pub use open::{Environment, Options, labels};
pub use provider::{Clock, Entropy, EntropyFailed};
#[cfg(feature = "file")]
pub use provider::{SystemClock, SystemEntropy};
pub use rekey::rekey;
pub use volume::Volume;
