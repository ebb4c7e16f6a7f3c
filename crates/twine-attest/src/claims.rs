//! What an enclave binds into REPORTDATA: for a channel the hash of its public key, for a program the program's own data,
//! for both the verifier's nonce and the workload.
//!
//! The encoding is that of interoperable RA-TLS (CCC, "Interoperable RA-TLS: SGX and TDX evidence formats"): a CBOR map
//! from names to byte strings, whose SHA-256, followed by zeros, is REPORTDATA.
//!
//! The runtime writes every claims buffer itself, and a buffer holds either a key's hash or a program's data, never
//! both. So a program can choose its data as it likes: it gets no evidence that a channel's verifier takes.

use minicbor::{Decoder, Encoder, decode::Error};
use twine_workload::{Digest, sha256};

use crate::Malformed;

/// IANA's number of SHA-256 among named information hash algorithms.
const SHA_256: u8 = 1;
const KEY: &str = "pubkey-hash";
const NONCE: &str = "nonce";
const WORKLOAD: &str = "twine-workload";
const DATA: &str = "twine-program-data";
/// More claims than any enclave makes.
const MAX_CLAIMS: u64 = 32;

/// Claims about one session of an enclave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// SHA-256 of the public key's SubjectPublicKeyInfo (RFC 5280), DER.
    pub key_hash: [u8; 32],
    /// What the verifier sent, if it sent anything.
    pub nonce: Option<Vec<u8>>,
    /// Digest of the workload: under an `owner` identity CONFIGID does not tell versions' contents apart.
    pub workload: Option<Digest>,
}

/// Claims of the program that runs in an enclave: whatever it wants to be known of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramClaims {
    /// The program's own data.
    pub data: Vec<u8>,
    /// What the verifier sent, if the program passed it on.
    pub nonce: Option<Vec<u8>>,
    /// Digest of the workload, by the runtime's word.
    pub workload: Digest,
}

/// A claims buffer of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnyClaims {
    /// The runtime's, of a channel that ends in it.
    Session(Claims),
    /// The program's.
    Program(ProgramClaims),
}

impl Claims {
    /// The claims buffer.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut hash = Vec::new();
        let encoded = Encoder::new(&mut hash)
            .array(2)
            .and_then(|e| e.u8(SHA_256))
            .and_then(|e| e.bytes(&self.key_hash))
            .map(drop);
        encoded.unwrap_or_else(|_| unreachable!("byte strings encode"));
        let workload = self.workload.as_ref().map(|digest| digest.0.as_slice());
        encode(&[(NONCE, self.nonce.as_deref()), (KEY, Some(&hash)), (WORKLOAD, workload)])
    }

    /// Reads a claims buffer. Claims of other names are somebody else's and ignored; a name may stand once. A program's
    /// claims are refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        match AnyClaims::from_bytes(bytes)? {
            AnyClaims::Session(claims) => Ok(claims),
            AnyClaims::Program(_) => {
                Err(Malformed::new("claims buffer", "it is a program's and speaks of no public key"))
            }
        }
    }
}

impl ProgramClaims {
    /// The claims buffer.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(&[
            (NONCE, self.nonce.as_deref()),
            (WORKLOAD, Some(&self.workload.0)),
            (DATA, Some(&self.data)),
        ])
    }
}

impl AnyClaims {
    /// Reads a claims buffer, as [`Claims::from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::decode(bytes).map_err(|e| Malformed::new("claims buffer", e))
    }

    /// The nonce that they carry.
    pub fn nonce(&self) -> Option<&[u8]> {
        match self {
            Self::Session(claims) => claims.nonce.as_deref(),
            Self::Program(claims) => claims.nonce.as_deref(),
        }
    }

    /// The digest of the workload that they name.
    pub fn workload(&self) -> Option<Digest> {
        match self {
            Self::Session(claims) => claims.workload,
            Self::Program(claims) => Some(claims.workload),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut d = Decoder::new(bytes);
        let len = d.map()?.filter(|len| *len <= MAX_CLAIMS);
        let len = len.ok_or_else(|| Error::message("it is not a map of a few claims"))?;
        let mut names = Vec::new();
        let (mut key_hash, mut nonce, mut workload, mut data) = (None, None, None, None);
        for _ in 0..len {
            let (name, value) = (d.str()?, d.bytes()?);
            if names.contains(&name) {
                return Err(Error::message("a claim stands twice"));
            }
            names.push(name);
            match name {
                KEY => key_hash = Some(decode_hash(value)?),
                NONCE => nonce = Some(value.to_vec()),
                WORKLOAD => {
                    let digest =
                        value.try_into().map_err(|_| Error::message("the workload is not 64 bytes long"))?;
                    workload = Some(Digest(digest));
                }
                DATA => data = Some(value.to_vec()),
                _ => {}
            }
        }
        if d.position() != bytes.len() {
            return Err(Error::message("bytes follow the map"));
        }
        match (key_hash, data, workload) {
            (Some(key_hash), None, workload) => Ok(Self::Session(Claims { key_hash, nonce, workload })),
            (None, Some(data), Some(workload)) => Ok(Self::Program(ProgramClaims { data, nonce, workload })),
            (None, Some(_), None) => Err(Error::message("a program's claims name no workload")),
            (Some(_), Some(_), _) => Err(Error::message("it is a session's and a program's at once")),
            (None, None, _) => Err(Error::message("there is no pubkey-hash")),
        }
    }
}

/// A map of what is there. The names come in the order of RFC 8949, section 4.2.1: shorter ones first.
fn encode(claims: &[(&str, Option<&[u8]>)]) -> Vec<u8> {
    let present = claims.iter().filter_map(|(name, value)| value.map(|value| (name, value)));
    let mut bytes = Vec::new();
    let mut e = Encoder::new(&mut bytes);
    let mut result = e.map(present.clone().count() as u64).map(drop);
    for (name, value) in present {
        result = result.and_then(|()| e.str(name)?.bytes(value).map(drop));
    }
    result.unwrap_or_else(|_| unreachable!("byte strings encode"));
    bytes
}

/// REPORTDATA for a claims buffer.
pub fn report_data(claims: &[u8]) -> [u8; 64] {
    let mut data = [0; 64];
    data.split_at_mut(32).0.copy_from_slice(&sha256(claims).0);
    data
}

fn decode_hash(bytes: &[u8]) -> Result<[u8; 32], Error> {
    let mut d = Decoder::new(bytes);
    if d.array()? != Some(2) || d.u8()? != SHA_256 {
        return Err(Error::message("the public key's hash is not SHA-256"));
    }
    let hash =
        d.bytes()?.try_into().map_err(|_| Error::message("the public key's hash is not 32 bytes long"))?;
    if d.position() == bytes.len() {
        Ok(hash)
    } else {
        Err(Error::message("bytes follow the public key's hash"))
    }
}
