//! Why a workload is refused.

use crate::{Digest, Sha256};

/// What the functions of this crate return.
pub type Result<T> = core::result::Result<T, Error>;

/// Why a workload is refused. The bytes come from the host, so every variant is the host's or the owner's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Longer than [`crate::MAX_LEN`].
    #[error("the workload is {len} bytes long; at most {max} are taken")]
    TooLong {
        /// What was given.
        len: usize,
        /// [`crate::MAX_LEN`].
        max: usize,
    },
    /// Not CBOR, or not the structure of docs/workload.md.
    #[error("the workload's bytes are not a workload: {0}")]
    Malformed(String),
    /// Another format version.
    #[error("the workload has format version {0}; this runtime takes 1: use a runtime that knows it")]
    Version(u64),
    /// A second encoding of a value, or bytes after one that stands alone.
    #[error("the workload is not in canonical form: encode it again with this version's tools")]
    NotCanonical,
    /// A rule of docs/workload.md is broken.
    #[error("workload.{field}: found {found}; {rule}")]
    Invalid {
        /// The field, as in `mounts[1].guest`.
        field: String,
        /// What is there.
        found: String,
        /// What must hold.
        rule: &'static str,
    },
    /// An `owner` workload without signature.
    #[error(
        "the workload's identity is its owner's, but no signature was given: sign it with the owner's key"
    )]
    Unsigned,
    /// Bytes after a `digest` workload: a signature would mean nothing there.
    #[error("the workload's identity is its digest, but more bytes follow it: leave the signature out")]
    UnexpectedSignature,
    /// The signature is not the owner's over these bytes.
    #[error("the signature is not the owner's over this workload: sign it again, or refuse who sent it")]
    BadSignature,
    /// The report of the enclave names another CONFIGID.
    #[error("the enclave was started with CONFIGID {found}, but this workload's is {expected}")]
    ConfigId {
        /// Of the workload.
        expected: Box<Digest>,
        /// In the report.
        found: Box<Digest>,
    },
    /// The report of the enclave names another CONFIGSVN.
    #[error("the enclave was started with CONFIGSVN {found}, but this workload's is {expected}")]
    ConfigSvn {
        /// Of the workload.
        expected: u16,
        /// In the report.
        found: u16,
    },
    /// The module's bytes are not the measured ones.
    #[error("the module's SHA-256 is {found}, but the workload names {expected}")]
    Module {
        /// Of the workload.
        expected: Sha256,
        /// Of the bytes.
        found: Sha256,
    },
    /// A measured file's bytes are not the measured ones.
    #[error("{path}: SHA-256 is {found}, but the workload names {expected}")]
    File {
        /// In the mount.
        path: String,
        /// Of the workload.
        expected: Sha256,
        /// Of the bytes.
        found: Sha256,
    },
}
