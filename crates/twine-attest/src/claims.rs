//! What an enclave binds into REPORTDATA: the hash of its public key, the verifier's nonce, its workload.
//!
//! The encoding is that of interoperable RA-TLS (CCC, "Interoperable RA-TLS: SGX and TDX evidence formats"): a CBOR map
//! from names to byte strings, whose SHA-256, followed by zeros, is REPORTDATA.

use minicbor::{Decoder, Encoder, decode::Error, encode};
use twine_workload::{Digest, sha256};

use crate::Malformed;

/// IANA's number of SHA-256 among named information hash algorithms.
const SHA_256: u8 = 1;
const KEY: &str = "pubkey-hash";
const NONCE: &str = "nonce";
const WORKLOAD: &str = "twine-workload";
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

impl Claims {
    /// The claims buffer.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A Vec takes everything: its error type has no values.
        let Ok(()) = self.encode(&mut Encoder::new(&mut bytes));
        bytes
    }

    fn encode(&self, e: &mut Encoder<&mut Vec<u8>>) -> Result<(), core::convert::Infallible> {
        let infallible = |result: Result<(), encode::Error<core::convert::Infallible>>| {
            result.unwrap_or_else(|_| unreachable!("byte strings encode"))
        };
        let mut hash = Vec::new();
        infallible(
            Encoder::new(&mut hash)
                .array(2)
                .and_then(|e| e.u8(SHA_256))
                .and_then(|e| e.bytes(&self.key_hash))
                .map(drop),
        );
        // Shorter names first, as in RFC 8949, section 4.2.1.
        let workload = self.workload.as_ref().map(|digest| digest.0.as_slice());
        let claims = [(NONCE, self.nonce.as_deref()), (KEY, Some(hash.as_slice())), (WORKLOAD, workload)];
        let present = claims.iter().filter_map(|(name, value)| value.map(|value| (name, value)));
        infallible(e.map(present.clone().count() as u64).map(drop));
        for (name, value) in present {
            infallible(e.str(name).and_then(|e| e.bytes(value)).map(drop));
        }
        Ok(())
    }

    /// Reads a claims buffer. Claims of other names are somebody else's and ignored; a name may stand once.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::decode(bytes).map_err(|e| Malformed::new("claims buffer", e))
    }

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut d = Decoder::new(bytes);
        let len = d.map()?.filter(|len| *len <= MAX_CLAIMS);
        let len = len.ok_or_else(|| Error::message("it is not a map of a few claims"))?;
        let mut names = Vec::new();
        let (mut key_hash, mut nonce, mut workload) = (None, None, None);
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
                _ => {}
            }
        }
        if d.position() != bytes.len() {
            return Err(Error::message("bytes follow the map"));
        }
        let key_hash = key_hash.ok_or_else(|| Error::message("there is no pubkey-hash"))?;
        Ok(Self { key_hash, nonce, workload })
    }
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
