//! The encrypted, crash-safe volume.
