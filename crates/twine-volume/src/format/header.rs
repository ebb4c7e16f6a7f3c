//! The header (section 3). Bytes only; the keys are `crypto::header`'s.

use super::cursor::Reader;
use super::{Page, SLOT, VERSION, WITHOUT_LOG};

const MAGIC: [u8; 8] = *b"TWINEVOL";
const AES_256_GCM: u32 = 1;
/// Bytes of the label.
pub(crate) const LABEL: usize = 128;
/// Bytes that the HMAC covers.
pub(crate) const SIGNED: usize = 120 + LABEL;
/// Bytes that the checksum covers.
const SUMMED: usize = SIGNED + 32;

/// The decoded header; nothing in it is authenticated yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: u32,
    pub(crate) id: [u8; 16],
    pub(crate) generation: u64,
    pub(crate) salt: [u8; 32],
    pub(crate) wrapped: [u8; 48],
    pub(crate) label: [u8; LABEL],
}

/// What a header slot holds.
pub(crate) enum Found {
    /// No magic: never written, or something else.
    Nothing,
    /// Magic, and the rest is damaged.
    Damaged,
    /// Another version, its checksum unchecked.
    Version(u32),
    /// Whole, with its HMAC.
    Whole(Box<Header>, [u8; 32]),
}

impl Header {
    /// The bytes under the HMAC.
    pub(crate) fn signed(&self) -> [u8; SIGNED] {
        let mut out = [0; SIGNED];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&self.version.to_le_bytes());
        out[12..16].copy_from_slice(&AES_256_GCM.to_le_bytes());
        out[16..32].copy_from_slice(&self.id);
        out[32..40].copy_from_slice(&self.generation.to_le_bytes());
        out[40..72].copy_from_slice(&self.salt);
        out[72..120].copy_from_slice(&self.wrapped);
        out[120..].copy_from_slice(&self.label);
        out
    }

    pub(crate) fn encode(&self, hmac: &[u8; 32]) -> Page {
        let mut page = [0; SLOT];
        page[..SIGNED].copy_from_slice(&self.signed());
        page[SIGNED..SUMMED].copy_from_slice(hmac);
        let sum = ring::digest::digest(&ring::digest::SHA256, &page[..SUMMED]);
        page[SUMMED..SUMMED + 32].copy_from_slice(sum.as_ref());
        page
    }

    pub(crate) fn find(page: &Page) -> Found {
        let mut reader = Reader::new(page);
        if reader.array() != Some(MAGIC) {
            return Found::Nothing;
        }
        let version = match reader.u32() {
            Some(version @ (VERSION | WITHOUT_LOG)) => version,
            Some(other) => return Found::Version(other),
            None => return Found::Damaged,
        };
        Self::decode(page, version, reader)
            .map_or(Found::Damaged, |(header, hmac)| Found::Whole(Box::new(header), hmac))
    }

    fn decode(page: &Page, version: u32, mut reader: Reader<'_>) -> Option<(Header, [u8; 32])> {
        let cipher = reader.u32()?;
        let header = Header {
            version,
            id: reader.array()?,
            generation: reader.u64()?,
            salt: reader.array()?,
            wrapped: reader.array()?,
            label: reader.array()?,
        };
        let hmac = reader.array()?;
        let sum: [u8; 32] = reader.array()?;
        reader.finish_zero()?;
        let expected = ring::digest::digest(&ring::digest::SHA256, page.get(..SUMMED)?);
        (cipher == AES_256_GCM && expected.as_ref() == sum).then_some((header, hmac))
    }
}
