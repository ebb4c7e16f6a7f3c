//! For programs that run in Twine: evidence over their own data, judgement of a peer's evidence, sealed data.
//!
//! The module `twine_tee_v1` for Rust programs on `wasm32-wasip1`; `docs/guest-api.md` is the specification. Elsewhere,
//! in a program's own tests say, every function answers [`Error`] with [`Error::NOSYS`].
//!
//! ```no_run
//! # fn send(_: &[u8]) {}
//! # fn main() -> Result<(), twine_guest::Error> {
//! // To a peer that sent a nonce: this very program, in an enclave, says so.
//! let evidence = twine_guest::collect(b"my public key", b"the peer's nonce")?;
//! send(&evidence);
//! // For the next run of this workload, or of a later version under the same signer.
//! let sealed = twine_guest::seal(twine_guest::SealTo::Signer, b"counter", &7_u64.to_le_bytes())?;
//! assert_eq!(twine_guest::unseal(b"counter", &sealed)?, 7_u64.to_le_bytes());
//! # Ok(())
//! # }
//! ```

#![no_std]

extern crate alloc;

mod imports;

use alloc::{string::String, vec, vec::Vec};
use core::fmt;

/// Most bytes of a program's data in one piece of evidence.
pub const MAX_DATA: usize = 4096;
/// Most bytes of a verifier's nonce.
pub const MAX_NONCE: usize = 64;
/// Most bytes of evidence.
pub const MAX_EVIDENCE: usize = 32 << 10;
/// Most bytes of associated data.
pub const MAX_AAD: usize = 4096;
/// How much longer sealed data is than what was sealed.
pub const SEAL_OVERHEAD: usize = 80;

const RECORD_LEN: usize = 224;

/// To what sealed data is bound, beside the workload and the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum SealTo {
    /// This image and signer.
    Enclave = 0,
    /// Later images of the same signer and product as well.
    Signer = 1,
}

/// Why a call failed: a number of WASI's errno and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The number.
    pub errno: u16,
    /// What failed and why, if the runtime said it.
    pub message: String,
}

impl Error {
    /// An input is longer than its limit.
    pub const TOO_BIG: u16 = 1;
    /// Evidence is refused, or sealed data does not open.
    pub const ACCES: u16 = 2;
    /// Evidence or sealed data is malformed.
    pub const BADMSG: u16 = 9;
    /// The policy is wrong.
    pub const INVAL: u16 = 28;
    /// The host serves no quotes.
    pub const IO: u16 = 29;
    /// The program does not run in Twine.
    pub const NOSYS: u16 = 52;
    /// The workload denies the clocks, and no time was given.
    pub const NOTSUP: u16 = 58;
    /// Collateral is missing or not valid at this time.
    pub const STALE: u16 = 72;
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (errno {})", self.message, self.errno)
    }
}

impl core::error::Error for Error {}

/// The identity of an enclave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// MRENCLAVE: the runtime's image.
    pub mrenclave: [u8; 32],
    /// MRSIGNER: who signed the image.
    pub mrsigner: [u8; 32],
    /// ISVPRODID.
    pub isvprodid: u16,
    /// ISVSVN.
    pub isvsvn: u16,
    /// CONFIGID: the workload's identity.
    pub configid: [u8; 64],
    /// CONFIGSVN: its version.
    pub configsvn: u16,
    /// CPUSVN.
    pub cpusvn: [u8; 16],
    /// Digest of the workload.
    pub workload: [u8; 64],
    /// Whether a debugger can read the enclave.
    pub debug: bool,
}

/// A peer whose evidence was verified and met a policy. Only [`Policy::verify`] makes one.
#[derive(Clone, Debug)]
pub struct Peer {
    identity: Identity,
    simulated: bool,
    data: Vec<u8>,
}

impl Peer {
    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What it says.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Whether its processor is a simulated one, which the policy then allowed.
    pub fn is_simulated(&self) -> bool {
        self.simulated
    }
}

/// What a program accepts of a peer: policy.toml of `docs/attestation.md`.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// TOML.
    pub text: &'a str,
    /// Collateral as JSON; empty: the host is asked for it.
    pub collateral: &'a [u8],
    /// Seconds since 1970 to judge as of; none: by the host's clock, with which the host can make old collateral valid.
    pub at: Option<u64>,
}

impl Policy<'_> {
    /// Verifies a peer's evidence, which must carry `nonce` unless that is empty.
    pub fn verify(&self, evidence: &[u8], nonce: &[u8]) -> Result<Peer, Error> {
        let mut record = [0; RECORD_LEN];
        let mut data = vec![0; MAX_DATA];
        let at = self.at.unwrap_or(0);
        let policy = self.text.as_bytes();
        let used =
            imports::evidence_verify(evidence, nonce, policy, self.collateral, at, &mut record, &mut data);
        data.truncate(checked(used)?);
        Ok(Peer { identity: identity_of(&record), simulated: record[4] & 4 != 0, data })
    }
}

/// Who this enclave is.
pub fn identity() -> Result<Identity, Error> {
    let mut record = [0; RECORD_LEN];
    checked(imports::identity(&mut record))?;
    Ok(identity_of(&record))
}

/// Evidence that this workload in this enclave says `data`, for whoever sent `nonce` (may be empty).
pub fn collect(data: &[u8], nonce: &[u8]) -> Result<Vec<u8>, Error> {
    let mut evidence = vec![0; MAX_EVIDENCE];
    let used = checked(imports::evidence_collect(data, nonce, &mut evidence))?;
    evidence.truncate(used);
    Ok(evidence)
}

/// Who evidence claims to be of, and what it claims to say. **Nothing of it is verified.**
pub fn parse_unverified(evidence: &[u8]) -> Result<(Identity, Vec<u8>), Error> {
    let mut record = [0; RECORD_LEN];
    let mut data = vec![0; MAX_DATA];
    let used = checked(imports::evidence_parse(evidence, &mut record, &mut data))?;
    data.truncate(used);
    Ok((identity_of(&record), data))
}

/// Seals `data` with `aad`, which [`unseal`] must be given again. An old copy opens as well as a new one.
pub fn seal(to: SealTo, aad: &[u8], data: &[u8]) -> Result<Vec<u8>, Error> {
    let mut sealed = vec![0; data.len() + SEAL_OVERHEAD];
    let used = checked(imports::seal(to as u32, aad, data, &mut sealed))?;
    sealed.truncate(used);
    Ok(sealed)
}

/// Opens sealed data.
pub fn unseal(aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
    let mut data = vec![0; sealed.len()];
    let used = checked(imports::unseal(aad, sealed, &mut data))?;
    data.truncate(used);
    Ok(data)
}

/// The result of a call, with its message if it failed.
fn checked(result: Result<usize, u16>) -> Result<usize, Error> {
    result.map_err(|errno| {
        let mut text = vec![0; 4096];
        let used = imports::message(&mut text).unwrap_or(0);
        text.truncate(used);
        Error { errno, message: String::from_utf8(text).unwrap_or_default() }
    })
}

fn identity_of(record: &[u8; RECORD_LEN]) -> Identity {
    fn field<const N: usize>(record: &[u8; RECORD_LEN], offset: usize) -> [u8; N] {
        core::array::from_fn(|i| record[offset + i])
    }
    Identity {
        mrenclave: field(record, 32),
        mrsigner: field(record, 64),
        isvprodid: u16::from_le_bytes(field(record, 8)),
        isvsvn: u16::from_le_bytes(field(record, 10)),
        configid: field(record, 96),
        configsvn: u16::from_le_bytes(field(record, 12)),
        cpusvn: field(record, 16),
        workload: field(record, 160),
        debug: record[4] & 1 != 0,
    }
}
