//! The SGXS stream: records that name the leaf functions which built the enclave, with their data.

use sgxs::sgxs::{MEAS_UNMEASRD, Meas, SgxsRead};
use twine_sgx::{MEAS_EADD, MEAS_ECREATE, MEAS_EEXTEND, SecinfoFlags};

use crate::backend::LoadError;

/// One record.
pub(super) enum Record<'a> {
    Create {
        ssaframesize: u32,
        size: u64,
    },
    Add {
        offset: u64,
        flags: SecinfoFlags,
    },
    /// The record as EEXTEND measures it, and whether it does: a header of 64 bytes and 256 bytes of the page.
    Chunk {
        offset: u64,
        record: &'a [u8; CHUNK],
        measured: bool,
    },
}

/// Where records come from.
pub(super) trait Records {
    /// The next record, or none at the end.
    fn next(&mut self) -> Result<Option<Record<'_>>, LoadError>;
}

/// Records from bytes, which it lends as they are: hashing, not parsing, is to cost time.
pub(super) struct Bytes<'a> {
    rest: &'a [u8],
    record: u64,
}

/// Bytes of a record's header.
pub(super) const HEADER: usize = 64;
/// Bytes of a record with data.
pub(super) const CHUNK: usize = HEADER + 256;

impl<'a> Bytes<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, record: 0 }
    }

    fn malformed(&self, what: &'static str) -> LoadError {
        LoadError::Stream { what, record: self.record }
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

impl Records for Bytes<'_> {
    fn next(&mut self) -> Result<Option<Record<'_>>, LoadError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let Some((header, rest)) = self.rest.split_first_chunk::<HEADER>() else {
            return Err(self.malformed("it ends inside a record"));
        };
        let zero_from = |at: usize| header[at..].iter().all(|b| *b == 0);
        self.record += 1;
        match u64_at(header, 0) {
            MEAS_ECREATE if zero_from(20) => {
                self.rest = rest;
                let mut ssaframesize = [0; 4];
                ssaframesize.copy_from_slice(&header[8..12]);
                let ssaframesize = u32::from_le_bytes(ssaframesize);
                Ok(Some(Record::Create { ssaframesize, size: u64_at(header, 12) }))
            }
            MEAS_EADD if zero_from(24) => {
                self.rest = rest;
                match SecinfoFlags::from_bits(u64_at(header, 16)) {
                    Some(flags) => Ok(Some(Record::Add { offset: u64_at(header, 8), flags })),
                    None => Err(self.malformed("a SECINFO has a reserved bit set")),
                }
            }
            tag @ (MEAS_EEXTEND | MEAS_UNMEASRD) if zero_from(16) => {
                let Some((record, rest)) = self.rest.split_first_chunk::<CHUNK>() else {
                    return Err(self.malformed("it ends inside a record"));
                };
                self.rest = rest;
                Ok(Some(Record::Chunk { offset: u64_at(header, 8), record, measured: tag == MEAS_EEXTEND }))
            }
            MEAS_ECREATE | MEAS_EADD | MEAS_EEXTEND | MEAS_UNMEASRD => {
                Err(self.malformed("a record has a reserved byte set"))
            }
            _ => Err(self.malformed("a record has an unknown tag")),
        }
    }
}

/// Records from the ecosystem's reader.
pub(super) struct Ecosystem<'a, R> {
    from: &'a mut R,
    chunk: [u8; CHUNK],
    number: u64,
}

impl<'a, R: SgxsRead> Ecosystem<'a, R> {
    pub fn new(from: &'a mut R) -> Self {
        Self { from, chunk: [0; CHUNK], number: 0 }
    }

    fn chunk(&mut self, tag: u64, offset: u64, data: &[u8; 256]) -> Record<'_> {
        self.chunk[..8].copy_from_slice(&tag.to_le_bytes());
        self.chunk[8..16].copy_from_slice(&offset.to_le_bytes());
        self.chunk[HEADER..].copy_from_slice(data);
        Record::Chunk { offset, record: &self.chunk, measured: tag == MEAS_EEXTEND }
    }
}

impl<R: SgxsRead> Records for Ecosystem<'_, R> {
    fn next(&mut self) -> Result<Option<Record<'_>>, LoadError> {
        let record = self.number;
        self.number += 1;
        let meas = self.from.read_meas().map_err(|error| match error.downcast::<std::io::Error>() {
            Ok(error) => LoadError::Read(error),
            Err(_) => LoadError::Stream { what: "a record has an unknown tag", record },
        })?;
        Ok(Some(match meas {
            None => return Ok(None),
            Some(Meas::ECreate(header)) => {
                Record::Create { ssaframesize: header.ssaframesize, size: header.size }
            }
            Some(Meas::EAdd(header)) => Record::Add { offset: header.offset, flags: header.secinfo.flags },
            Some(Meas::EExtend { header, data }) => self.chunk(MEAS_EEXTEND, header.offset, &data),
            Some(Meas::Unmeasured { header, data }) => self.chunk(MEAS_UNMEASRD, header.offset, &data),
            Some(Meas::Unsized(_) | Meas::BareEExtend(_) | Meas::BareUnmeasured(_)) => {
                return Err(LoadError::Stream { what: "the enclave's size is not filled in", record });
            }
        }))
    }
}
