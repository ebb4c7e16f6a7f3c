//! SGXS: the stream of ECREATE, EADD and EEXTEND operations that builds an enclave, and its measurement.
//!
//! Each operation is a 64-byte record, EEXTEND followed by its 256 bytes of data; MRENCLAVE is the SHA-256 of the
//! records and data of all measured operations (SDM Vol. 3D, "Measurement"). The writer measures every byte of every
//! page, so the MRENCLAVE of our images is the SHA-256 of the file. The reader takes any canonical stream, unmeasured
//! chunks included, and reads it as a hostile one.

use crate::layout::Page;
use sgx_isa::{MEAS_EADD, MEAS_ECREATE, MEAS_EEXTEND, PageType, SecinfoFlags};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};
use thiserror::Error;
use twine_abi::layout::{ELRANGE, PAGE_SIZE, SSA_FRAME_PAGES};

/// Tag of a 256-byte chunk that is loaded and not measured ("UNMEASRD").
const MEAS_UNMEASURED: u64 = u64::from_le_bytes(*b"UNMEASRD");
const RECORD: usize = 64;
const CHUNK: usize = 256;
const CHUNKS: u64 = PAGE_SIZE / CHUNK as u64;

/// Why a stream is not a valid image.
#[derive(Debug, Error)]
pub enum SgxsError {
    /// Reading failed.
    #[error("reading the image failed at offset {offset}: {source}")]
    Read {
        /// Bytes read so far.
        offset: u64,
        /// What the reader said.
        source: io::Error,
    },
    /// A record contradicts the format.
    #[error("malformed image at offset {offset}: {what}")]
    Malformed {
        /// Where the record starts.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
}

/// The first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Create {
    /// SECS.SSAFRAMESIZE in pages.
    pub ssa_frame_pages: u32,
    /// SECS.SIZE in bytes.
    pub size: u64,
}

/// One EADD with its data.
#[derive(Clone, Debug)]
pub struct AddedPage {
    /// The page; bytes of chunks that are not in the stream are zero.
    pub page: Page,
    /// Bit `n`: chunk `n` of 256 bytes is in the stream.
    pub present: u16,
    /// Bit `n`: chunk `n` is measured.
    pub measured: u16,
}

/// Writes the image of `pages` (ascending, each fully measured) and returns MRENCLAVE.
pub fn write(pages: &[Page], to: &mut dyn Write) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut put = |bytes: &[u8]| {
        hasher.update(bytes);
        to.write_all(bytes)
    };
    put(&record(MEAS_ECREATE, &[&SSA_FRAME_PAGES.to_le_bytes(), &ELRANGE.to_le_bytes()]))?;
    for page in pages {
        put(&record(MEAS_EADD, &[&page.offset.to_le_bytes(), &page.flags.bits().to_le_bytes()]))?;
        for (offset, chunk) in (page.offset..).step_by(CHUNK).zip(page.data.chunks_exact(CHUNK)) {
            put(&record(MEAS_EEXTEND, &[&offset.to_le_bytes()]))?;
            put(chunk)?;
        }
    }
    Ok(hasher.finalize().into())
}

fn record(tag: u64, fields: &[&[u8]]) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let mut at = 8;
    record[..at].copy_from_slice(&tag.to_le_bytes());
    for field in fields {
        record[at..at + field.len()].copy_from_slice(field);
        at += field.len();
    }
    record
}

/// Reads an image page by page and measures it on the way.
pub struct Reader<R> {
    input: R,
    /// Bytes consumed.
    offset: u64,
    hasher: Sha256,
    create: Create,
    /// Header of the next page, read while looking for the end of the last one.
    next: Option<[u8; RECORD]>,
    /// Lowest offset that the next page may have.
    lowest: u64,
}

impl<R: Read> Reader<R> {
    /// Reads the ECREATE record.
    pub fn new(input: R) -> Result<Self, SgxsError> {
        let create = Create { ssa_frame_pages: 0, size: 0 };
        let mut reader = Self { input, offset: 0, hasher: Sha256::new(), create, next: None, lowest: 0 };
        let Some(header) = reader.header()? else {
            return reader.malformed("the file is empty");
        };
        let [tag, word, ..] = words(&header);
        let size = u64::from_le_bytes(header[12..20].try_into().expect("8 bytes"));
        if tag != MEAS_ECREATE {
            return reader.malformed("it does not start with ECREATE: not an SGXS file");
        }
        reader.create = Create { ssa_frame_pages: word as u32, size };
        if header[20..].iter().any(|&b| b != 0) {
            return reader.malformed("ECREATE: reserved bytes are not zero");
        }
        if !size.is_power_of_two() || size < 2 * PAGE_SIZE {
            return reader
                .malformed(format!("ECREATE: size {size:#x} is no power of two of at least two pages"));
        }
        if reader.create.ssa_frame_pages == 0 {
            return reader.malformed("ECREATE: an SSA frame has no pages");
        }
        reader.hasher.update(header);
        reader.next = reader.header()?;
        Ok(reader)
    }

    /// The first record.
    pub fn create(&self) -> Create {
        self.create
    }

    /// The next page; `None` at the end of the stream.
    pub fn next_page(&mut self) -> Result<Option<AddedPage>, SgxsError> {
        let Some(header) = self.next.take() else { return Ok(None) };
        let (offset, flags) = self.check_add(&header)?;
        self.hasher.update(header);
        let mut data = Box::new([0; PAGE_SIZE as usize]);
        let (mut present, mut measured) = (0u16, 0u16);
        let mut lowest = 0;
        while let Some(header) = self.header()? {
            let [tag, at, rest @ ..] = words(&header);
            if tag != MEAS_EEXTEND && tag != MEAS_UNMEASURED {
                self.next = Some(header);
                break;
            }
            let chunk = at.wrapping_sub(offset) / CHUNK as u64;
            if at < offset || !at.is_multiple_of(CHUNK as u64) || chunk >= CHUNKS || chunk < lowest {
                return self
                    .malformed(format!("EEXTEND of {at:#x} does not follow in the page at {offset:#x}"));
            }
            if rest.iter().any(|&word| word != 0) {
                return self.malformed("EEXTEND: reserved bytes are not zero");
            }
            lowest = chunk + 1;
            let start = chunk as usize * CHUNK;
            let bytes: &mut [u8] = &mut data[start..start + CHUNK];
            read_exact(&mut self.input, &mut self.offset, bytes)?;
            present |= 1 << chunk;
            if tag == MEAS_EEXTEND {
                measured |= 1 << chunk;
                self.hasher.update(header);
                self.hasher.update(bytes);
            }
        }
        Ok(Some(AddedPage { page: Page { offset, flags, data }, present, measured }))
    }

    /// MRENCLAVE of everything read so far; reads the rest first.
    pub fn finish(mut self) -> Result<[u8; 32], SgxsError> {
        while self.next_page()?.is_some() {}
        Ok(self.hasher.finalize().into())
    }

    fn check_add(&mut self, header: &[u8; RECORD]) -> Result<(u64, SecinfoFlags), SgxsError> {
        let [tag, offset, flags, rest @ ..] = words(header);
        if tag != MEAS_EADD {
            return self.malformed(format!("expected EADD, found the tag {tag:#018x}"));
        }
        if !offset.is_multiple_of(PAGE_SIZE) || offset < self.lowest || offset >= self.create.size {
            return self
                .malformed(format!("EADD: page {offset:#x} is misaligned, out of order or outside ELRANGE"));
        }
        if rest.iter().any(|&word| word != 0) {
            return self.malformed("EADD: reserved bytes are not zero");
        }
        self.lowest = offset + PAGE_SIZE;
        let access = SecinfoFlags::R | SecinfoFlags::W | SecinfoFlags::X;
        let known =
            SecinfoFlags::from_bits(flags).filter(|&f| (f & !(access | SecinfoFlags::PT_MASK)).is_empty());
        match known.map(|flags| (flags, flags.page_type(), flags & access)) {
            Some((flags, kind, access)) if kind == PageType::Tcs as u8 && access.is_empty() => {
                Ok((offset, flags))
            }
            Some((flags, kind, access))
                if kind == PageType::Reg as u8 && access.contains(SecinfoFlags::R) =>
            {
                Ok((offset, flags))
            }
            _ => {
                self.malformed(format!("EADD: page {offset:#x} has the impossible SECINFO.FLAGS {flags:#x}"))
            }
        }
    }

    /// The next 64 bytes; `None` at the end of the input.
    fn header(&mut self) -> Result<Option<[u8; RECORD]>, SgxsError> {
        let mut header = [0; RECORD];
        let first = loop {
            match self.input.read(&mut header) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(SgxsError::Read { offset: self.offset, source }),
                Ok(count) => break count,
            }
        };
        if first == 0 {
            return Ok(None);
        }
        self.offset += first as u64;
        read_exact(&mut self.input, &mut self.offset, &mut header[first..])?;
        Ok(Some(header))
    }

    fn malformed<T>(&self, what: impl Into<String>) -> Result<T, SgxsError> {
        Err(SgxsError::Malformed { offset: self.offset.saturating_sub(RECORD as u64), what: what.into() })
    }
}

fn read_exact(input: &mut impl Read, offset: &mut u64, bytes: &mut [u8]) -> Result<(), SgxsError> {
    match input.read_exact(bytes) {
        Ok(()) => *offset += bytes.len() as u64,
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(SgxsError::Malformed { offset: *offset, what: "the file is truncated".into() });
        }
        Err(source) => return Err(SgxsError::Read { offset: *offset, source }),
    }
    Ok(())
}

fn words(record: &[u8; RECORD]) -> [u64; RECORD / 8] {
    let mut words = [0; RECORD / 8];
    for (word, bytes) in words.iter_mut().zip(record.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().expect("chunks of 8"));
    }
    words
}

/// MRENCLAVE of an image.
pub fn measure(input: impl Read) -> Result<[u8; 32], SgxsError> {
    Reader::new(input)?.finish()
}
