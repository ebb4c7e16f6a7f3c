//! The certificate extension that carries evidence.

use minicbor::{Decoder, Encoder, data::Tag};

use crate::Malformed;

/// OID of the extension: tcg-dice-TaggedEvidence.
pub(super) const OID: &[u64] = &[2, 23, 133, 5, 4, 9];
/// CBOR tag of evidence that is an Intel TEE quote (IANA).
const INTEL_TEE_QUOTE: u64 = 60000;

/// What the extension holds: tag 60000 on an array of quote and claims buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The quote.
    pub quote: Vec<u8>,
    /// The claims buffer that its REPORTDATA binds.
    pub claims: Vec<u8>,
}

impl Evidence {
    /// What its bytes start with: the tag. A quote starts otherwise.
    pub const PREFIX: [u8; 3] = [0xD9, (INTEL_TEE_QUOTE >> 8) as u8, INTEL_TEE_QUOTE as u8];

    /// CBOR.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut e = Encoder::new(&mut bytes);
        let result = e
            .tag(Tag::new(INTEL_TEE_QUOTE))
            .and_then(|e| e.array(2))
            .and_then(|e| e.bytes(&self.quote))
            .and_then(|e| e.bytes(&self.claims));
        result.map(drop).unwrap_or_else(|_| unreachable!("byte strings encode"));
        bytes
    }

    /// Takes exactly what [`Evidence::to_bytes`] makes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let evidence = Self::decode(bytes).map_err(|e| Malformed::new("evidence", e))?;
        if evidence.to_bytes() == bytes {
            Ok(evidence)
        } else {
            Err(Malformed::new("evidence", "it is not canonical"))
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, minicbor::decode::Error> {
        let mut d = Decoder::new(bytes);
        if d.tag()? != Tag::new(INTEL_TEE_QUOTE) || d.array()? != Some(2) {
            return Err(minicbor::decode::Error::message("it is not a tagged quote with claims"));
        }
        Ok(Self { quote: d.bytes()?.to_vec(), claims: d.bytes()?.to_vec() })
    }
}
