//! Descriptions of images and SIGSTRUCTs, for people and as JSON: digests in hex, sizes in bytes.

use crate::layout;
use crate::sgxs::{Reader, SgxsError};
use crate::sigstruct::{Signed, SigstructError, Variant, date_text};
use serde::{Serialize, Serializer};
use sgx_isa::{PageType, SecinfoFlags};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use twine_abi::layout::{ImageLayout, LAYOUT_MAGIC, PAGE_SIZE};

/// An SGXS image.
#[derive(Clone, Debug, Serialize)]
pub struct ImageInfo {
    /// MRENCLAVE of the stream.
    #[serde(with = "hex")]
    pub mrenclave: [u8; 32],
    /// ELRANGE.
    pub elrange: u64,
    /// Pages of an SSA frame.
    pub ssa_frame_pages: u32,
    /// Pages added at load, and their bytes.
    pub pages: u64,
    /// See [`Self::pages`].
    pub bytes: u64,
    /// Pages by type and permission: `reg r-x`, `tcs`.
    pub pages_by_kind: BTreeMap<String, u64>,
    /// Threads that can be inside at once (TCS pages).
    pub threads: u64,
    /// Every byte of every page is measured.
    pub fully_measured: bool,
    /// The layout that an image of Twine carries; none in other enclaves.
    pub layout: Option<LayoutInfo>,
}

/// What an image of Twine says about itself.
#[derive(Clone, Debug, Serialize)]
pub struct LayoutInfo {
    /// Version of the border.
    pub abi_version: u64,
    /// End of code and data.
    pub image_end: u64,
    /// Executable bytes.
    pub text_bytes: u64,
    /// Start of dynamic memory; it ends with ELRANGE.
    pub heap_start: u64,
    /// Thread-local storage per thread.
    pub tls_bytes: u64,
    /// `cpuid` instructions that the enclave answers itself.
    pub cpuid_sites: u64,
}

/// Describes an image. The stream is checked as strictly as [`crate::sgxs::measure`] does.
pub fn image(input: impl Read) -> Result<ImageInfo, SgxsError> {
    let mut reader = Reader::new(input)?;
    let create = reader.create();
    let mut info = ImageInfo {
        mrenclave: [0; 32],
        elrange: create.size,
        ssa_frame_pages: create.ssa_frame_pages,
        pages: 0,
        bytes: 0,
        pages_by_kind: BTreeMap::new(),
        threads: 0,
        fully_measured: true,
        layout: None,
    };
    // The layout may lie across two pages.
    let mut window = Vec::new();
    let mut window_end = 0;
    while let Some(added) = reader.next_page()? {
        info.pages += 1;
        info.bytes += PAGE_SIZE;
        info.fully_measured &= added.measured == u16::MAX;
        let flags = added.page.flags;
        info.threads += u64::from(flags.page_type() == PageType::Tcs as u8);
        *info.pages_by_kind.entry(kind(flags)).or_default() += 1;
        if info.layout.is_none() {
            match added.page.offset == window_end {
                true => drop(window.drain(..window.len().saturating_sub(added.page.data.len()))),
                false => window.clear(),
            }
            window.extend_from_slice(&added.page.data[..]);
            window_end = added.page.offset + PAGE_SIZE;
            info.layout = find_layout(&window, create.size).as_ref().map(LayoutInfo::from);
        }
    }
    info.mrenclave = reader.finish()?;
    Ok(info)
}

impl From<&ImageLayout> for LayoutInfo {
    fn from(layout: &ImageLayout) -> Self {
        Self {
            abi_version: layout.abi_version,
            image_end: layout.image_end,
            text_bytes: layout.text[1],
            heap_start: layout.heap[0],
            tls_bytes: layout.tls[2],
            cpuid_sites: layout.cpuid_count,
        }
    }
}

/// The layout in the memory of an image (whole pages, adjacent) whose ELRANGE has `size` bytes.
pub fn find_layout(memory: &[u8], size: u64) -> Option<ImageLayout> {
    let magic = LAYOUT_MAGIC.to_le_bytes();
    (0..memory.len()).step_by(8).filter(|&at| memory[at..].starts_with(&magic)).find_map(|at| {
        // Code may hold the magic as a constant; it is not followed by ELRANGE.
        layout::from_bytes(&memory[at..]).filter(|l| l.elrange == size && l.image_end < size)
    })
}

fn kind(flags: SecinfoFlags) -> String {
    if flags.page_type() == PageType::Tcs as u8 {
        return "tcs".into();
    }
    let bit = |flag, letter| if flags.contains(flag) { letter } else { '-' };
    format!("reg {}{}{}", bit(SecinfoFlags::R, 'r'), bit(SecinfoFlags::W, 'w'), bit(SecinfoFlags::X, 'x'))
}

/// A SIGSTRUCT.
#[derive(Clone, Debug, Serialize)]
pub struct SigstructInfo {
    /// Whether everything in it that can be checked alone is right.
    pub valid: bool,
    /// Why not.
    pub error: Option<String>,
    /// MRSIGNER: hash of the modulus in it. Only of worth if `valid`.
    #[serde(with = "hex")]
    pub mrsigner: [u8; 32],
    /// MRENCLAVE of the enclave that it is for.
    #[serde(with = "hex")]
    pub mrenclave: [u8; 32],
    /// What ATTRIBUTES.DEBUG says; it binds the loader only under a mask of ones (see `deviations`).
    pub variant: Variant,
    /// Day of signing.
    pub date: String,
    /// VENDOR.
    pub vendor: u32,
    /// SWDEFINED.
    pub swdefined: u32,
    /// ISVPRODID.
    pub isvprodid: u16,
    /// ISVSVN.
    pub isvsvn: u16,
    /// ISVFAMILYID.
    #[serde(with = "hex")]
    pub isvfamilyid: [u8; 16],
    /// ISVEXTPRODID.
    #[serde(with = "hex")]
    pub isvextprodid: [u8; 16],
    /// ATTRIBUTES.FLAGS and its mask; in JSON hex, since their high bits do not survive as numbers.
    #[serde(serialize_with = "hex_words")]
    pub attributes: [u64; 2],
    /// XFRM and its mask.
    #[serde(serialize_with = "hex_words")]
    pub xfrm: [u64; 2],
    /// MISCSELECT and its mask.
    pub miscselect: [u32; 2],
    /// CET_ATTRIBUTES and its mask.
    pub cet_attributes: [u8; 2],
    /// Fields in which it differs from every SIGSTRUCT of Twine; with one the enclave does not start.
    pub deviations: Vec<&'static str>,
}

fn hex_words<S: Serializer>(words: &[u64; 2], serializer: S) -> Result<S::Ok, S::Error> {
    words.map(|word| format!("{word:016x}")).serialize(serializer)
}

/// Describes a SIGSTRUCT; fails only if the size is wrong.
pub fn sigstruct(bytes: &[u8]) -> Result<SigstructInfo, SigstructError> {
    let signed = Signed::from_bytes(bytes)?;
    let error = signed.verify().err().map(|e| e.to_string());
    let s = signed.fields();
    Ok(SigstructInfo {
        valid: error.is_none(),
        error,
        mrsigner: Sha256::digest(s.modulus).into(),
        mrenclave: s.enclavehash,
        variant: signed.variant(),
        date: date_text(s.date),
        vendor: s.vendor,
        swdefined: s.swdefined,
        isvprodid: s.isvprodid,
        isvsvn: s.isvsvn,
        isvfamilyid: s.isvfamilyid,
        isvextprodid: s.isvextprodid,
        attributes: [s.attributes.flags.bits(), s.attributemask[0]],
        xfrm: [s.attributes.xfrm, s.attributemask[1]],
        miscselect: [s.miscselect.bits(), s.miscmask],
        cet_attributes: [s.cet_attributes, s.cet_attributes_mask],
        deviations: signed.deviations(),
    })
}
