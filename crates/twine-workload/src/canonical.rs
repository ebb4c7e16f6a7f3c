//! The canonical bytes: CBOR (RFC 8949) of `[version, workload]`, one encoding for each value.

use minicbor::{Decoder, Encoder};

use crate::{Error, Result, Workload};

/// The most canonical bytes that are taken: room for the listing of some hundred thousand measured files.
pub const MAX_LEN: usize = 16 << 20;

const VERSION: u64 = 1;

impl Workload {
    /// The canonical bytes, or the rule that the value breaks.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.check()?;
        let bytes = self.encode_unchecked()?;
        if bytes.len() > MAX_LEN {
            return Err(Error::TooLong { len: bytes.len(), max: MAX_LEN });
        }
        Ok(bytes)
    }

    /// Takes canonical bytes of a valid workload and nothing else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        match Self::split(bytes)? {
            (workload, _, []) => Ok(workload),
            _ => Err(Error::NotCanonical),
        }
    }

    /// The workload at the start of `bytes`, its own bytes, and what follows them.
    pub(crate) fn split(bytes: &[u8]) -> Result<(Self, &[u8], &[u8])> {
        if bytes.len() > MAX_LEN {
            return Err(Error::TooLong { len: bytes.len(), max: MAX_LEN });
        }
        let mut decoder = Decoder::new(bytes);
        if decoder.array().map_err(malformed)? != Some(2) {
            return Err(Error::Malformed("it is not an array of a version and a workload".into()));
        }
        match decoder.u64().map_err(malformed)? {
            VERSION => {}
            found => return Err(Error::Version(found)),
        }
        let workload: Self = decoder.decode().map_err(malformed)?;
        let (own, rest) = bytes.split_at_checked(decoder.position()).ok_or(Error::NotCanonical)?;
        // The decoder takes longer integers, indefinite lengths, unknown and repeated keys; none of them survives a
        // second encoding, so that this one comparison refuses them all.
        if workload.encode_unchecked()? != own {
            return Err(Error::NotCanonical);
        }
        workload.check()?;
        Ok((workload, own, rest))
    }

    fn encode_unchecked(&self) -> Result<Vec<u8>> {
        let mut encoder = Encoder::new(Vec::new());
        encoder
            .array(2)
            .and_then(|e| e.u64(VERSION))
            .and_then(|e| e.encode(self))
            .map_err(|e| Error::Malformed(e.to_string()))?;
        Ok(encoder.into_writer())
    }
}

fn malformed(error: minicbor::decode::Error) -> Error {
    Error::Malformed(error.to_string())
}
