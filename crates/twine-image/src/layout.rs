//! Lays out the enclave: the segments of the ELF file, then eight thread slots, then dynamic memory.
//!
//! ```text
//! 0            image_end    tcb                                tcs        heap            ELRANGE
//! │ ELF segments │ guard │ TLS │ TCB │ SSA 0 │ SSA 1 │ guard │ TCS │ ...  │ EAUG'd later    │
//!                └──────────────── slot 0 ─────────────────────────┘ slots 1 to 7
//! ```

use crate::elf::{ElfError, Program, Segment};
use crate::scan::{self, ScanError};
use sgx_isa::{PageType, SecinfoFlags, Tcs};
use thiserror::Error;
use twine_abi::layout::{
    ELRANGE, ImageLayout, LAYOUT_MAGIC, MAX_CPUID_SITES, NSSA, PAGE_SIZE, SSA_FRAME_PAGES, THREADS, tcb,
};

/// Dynamic memory starts at a multiple of this, so that page tables can be shared by whole regions.
const HEAP_ALIGN: u64 = 2 << 20;
/// The ELF header is part of the first page. Where it speaks of the section headers (e_shoff; e_shentsize, e_shnum,
/// e_shstrndx) it depends on the size of debug information, which is not in the image.
const E_SHOFF: u64 = 40;
const E_SHENTSIZE: u64 = 58;
/// Words of an [`ImageLayout`] before the list of `cpuid` sites.
const FIXED_WORDS: usize = 22;

/// A page as the loader adds it.
#[derive(Clone, Debug)]
pub struct Page {
    /// Offset from the enclave's base.
    pub offset: u64,
    /// SECINFO.FLAGS: permissions and page type.
    pub flags: SecinfoFlags,
    /// Contents.
    pub data: Box<[u8; PAGE_SIZE as usize]>,
}

/// A laid-out enclave, ready to be measured.
#[derive(Clone, Debug)]
pub struct Image {
    /// What the enclave is told about itself.
    pub layout: ImageLayout,
    /// All pages by ascending offset, the order in which they are added and measured.
    pub pages: Vec<Page>,
    /// What the instruction scan saw.
    pub scan: scan::Report,
}

/// Why no image can be made of an ELF file.
#[derive(Debug, Error)]
pub enum LayoutError {
    /// The file itself.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// Its instructions.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// Too many `cpuid` instructions.
    #[error(
        "the image holds {0} cpuid instructions, the layout lists at most {MAX_CPUID_SITES}: raise MAX_CPUID_SITES"
    )]
    CpuidSites(usize),
    /// The enclave does not fit.
    #[error("image and thread slots end at {0:#x}, beyond half of ELRANGE")]
    TooLarge(u64),
}

impl Image {
    /// Reads, scans and lays out a linked enclave.
    pub fn from_elf(file: &[u8]) -> Result<Self, LayoutError> {
        let mut program = Program::parse(file)?;
        let text = program.text();
        let report = scan::scan(&text.data, text.address, &program.symbols)?;
        if report.cpuid.len() > MAX_CPUID_SITES {
            return Err(LayoutError::CpuidSites(report.cpuid.len()));
        }
        let layout = plan(&program, &report.cpuid)?;
        for &site in &report.cpuid {
            // UD2 has the length of CPUID; the enclave's exception handler answers for it.
            write(&mut program, site, &[0x0f, 0x0b]);
        }
        write(&mut program, E_SHOFF, &[0; 8]);
        write(&mut program, E_SHENTSIZE, &[0; 6]);
        let address = program.layout;
        write(&mut program, address, &to_bytes(&layout));
        let mut pages = segment_pages(&program.segments);
        for slot in 0..THREADS as u64 {
            slot_pages(&layout, program.entry, slot, &mut pages);
        }
        Ok(Self { layout, pages, scan: report })
    }
}

fn plan(program: &Program, cpuid: &[u64]) -> Result<ImageLayout, LayoutError> {
    let [_, _, tls_size, tls_align] = program.tls;
    let tls_pages = tls_size.next_multiple_of(tls_align.max(1)).div_ceil(PAGE_SIZE);
    let ssa_pages = u64::from(NSSA) * u64::from(SSA_FRAME_PAGES);
    let image_end = program.end();
    let ssa_from_tcb = PAGE_SIZE;
    let tcs_from_tcb = ssa_from_tcb + (ssa_pages + 1) * PAGE_SIZE;
    // A guard page, thread-local storage, then everything from the TCB to the TCS.
    let slot_stride = (1 + tls_pages) * PAGE_SIZE + tcs_from_tcb + PAGE_SIZE;
    let heap = (image_end + THREADS as u64 * slot_stride).next_multiple_of(HEAP_ALIGN);
    if heap > ELRANGE / 2 {
        return Err(LayoutError::TooLarge(heap));
    }
    let (text_start, text_end) = program.text().pages();
    let mut cpuid_sites = [0; MAX_CPUID_SITES];
    for (slot, &site) in cpuid_sites.iter_mut().zip(cpuid) {
        *slot = site;
    }
    Ok(ImageLayout {
        magic: LAYOUT_MAGIC,
        abi_version: program.abi_version,
        elrange: ELRANGE,
        image_end,
        text: [text_start, text_end - text_start],
        tls: program.tls,
        relr: program.relr,
        relro: program.relro,
        tcb: image_end + (1 + tls_pages) * PAGE_SIZE,
        slot_stride,
        tls_pages,
        ssa_from_tcb,
        tcs_from_tcb,
        heap: [heap, ELRANGE],
        cpuid_count: cpuid.len() as u64,
        cpuid_sites,
    })
}

/// Overwrites bytes of the file image that [`Program::parse`] or the scan found there.
fn write(program: &mut Program, address: u64, bytes: &[u8]) {
    for segment in &mut program.segments {
        let Some(start) = address.checked_sub(segment.address) else { continue };
        if let Some(to) = segment.data.get_mut(start as usize..).and_then(|d| d.get_mut(..bytes.len())) {
            to.copy_from_slice(bytes);
        }
    }
}

fn segment_pages(segments: &[Segment]) -> Vec<Page> {
    let mut pages = Vec::new();
    for segment in segments {
        let mut flags = SecinfoFlags::R | PageType::Reg.into();
        flags.set(SecinfoFlags::W, segment.writable);
        flags.set(SecinfoFlags::X, segment.executable);
        let (start, end) = segment.pages();
        let lead = (segment.address - start) as usize;
        for offset in (start..end).step_by(PAGE_SIZE as usize) {
            let mut data = Box::new([0; PAGE_SIZE as usize]);
            // Where this page starts in the segment's bytes, and where those bytes start in the page.
            let (from, to) = if offset == start { (0, lead) } else { ((offset - start) as usize - lead, 0) };
            let bytes = segment.data.get(from..).unwrap_or_default();
            let count = bytes.len().min(data.len() - to);
            data[to..to + count].copy_from_slice(&bytes[..count]);
            pages.push(Page { offset, flags, data });
        }
    }
    pages
}

fn slot_pages(layout: &ImageLayout, entry: u64, slot: u64, pages: &mut Vec<Page>) {
    let rw = SecinfoFlags::R | SecinfoFlags::W | PageType::Reg.into();
    let tcb = layout.tcb + slot * layout.slot_stride;
    let ssa = tcb + layout.ssa_from_tcb;
    let empty = || Box::new([0; PAGE_SIZE as usize]);
    for page in 0..layout.tls_pages {
        let offset = tcb - (layout.tls_pages - page) * PAGE_SIZE;
        pages.push(Page { offset, flags: rw, data: empty() });
    }
    let mut data = empty();
    for (at, value) in [(tcb::INDEX, slot), (tcb::OFFSET, tcb), (tcb::SSA, ssa)] {
        data[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    pages.push(Page { offset: tcb, flags: rw, data });
    for page in 0..u64::from(NSSA) * u64::from(SSA_FRAME_PAGES) {
        pages.push(Page { offset: ssa + page * PAGE_SIZE, flags: rw, data: empty() });
    }
    let control = Tcs {
        ossa: ssa,
        nssa: NSSA,
        oentry: entry,
        ofsbasgx: tcb,
        ogsbasgx: tcb,
        // Limits count in 64-bit mode only at EADD, which wants their low 12 bits set.
        fslimit: 0xfff,
        gslimit: 0xfff,
        ..Tcs::default()
    };
    let mut data = empty();
    data.copy_from_slice(control.as_ref());
    pages.push(Page { offset: tcb + layout.tcs_from_tcb, flags: PageType::Tcs.into(), data });
}

/// The bytes of a layout as they stand in the image.
fn to_bytes(l: &ImageLayout) -> Vec<u8> {
    let [t0, t1, t2, t3] = l.tls;
    let fixed: [u64; FIXED_WORDS] = [
        l.magic,
        l.abi_version,
        l.elrange,
        l.image_end,
        l.text[0],
        l.text[1],
        t0,
        t1,
        t2,
        t3,
        l.relr[0],
        l.relr[1],
        l.relro[0],
        l.relro[1],
        l.tcb,
        l.slot_stride,
        l.tls_pages,
        l.ssa_from_tcb,
        l.tcs_from_tcb,
        l.heap[0],
        l.heap[1],
        l.cpuid_count,
    ];
    fixed.iter().chain(&l.cpuid_sites).flat_map(|word| word.to_le_bytes()).collect()
}

/// Reads a layout back; `None` if `bytes` holds no complete one.
pub fn from_bytes(bytes: &[u8]) -> Option<ImageLayout> {
    let mut words = bytes.chunks_exact(8).map(|w| u64::from_le_bytes(w.try_into().expect("chunks of 8")));
    let mut next = || words.next();
    let layout = ImageLayout {
        magic: next()?,
        abi_version: next()?,
        elrange: next()?,
        image_end: next()?,
        text: [next()?, next()?],
        tls: [next()?, next()?, next()?, next()?],
        relr: [next()?, next()?],
        relro: [next()?, next()?],
        tcb: next()?,
        slot_stride: next()?,
        tls_pages: next()?,
        ssa_from_tcb: next()?,
        tcs_from_tcb: next()?,
        heap: [next()?, next()?],
        cpuid_count: next()?,
        cpuid_sites: {
            let mut sites = [0; MAX_CPUID_SITES];
            for site in &mut sites {
                *site = next()?;
            }
            sites
        },
    };
    (layout.magic == LAYOUT_MAGIC).then_some(layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Linkers other than ours start a segment in the middle of a page.
    #[test]
    fn a_segment_may_start_and_end_within_a_page() {
        let data: Vec<u8> = (0..5000).map(|i| (i % 251) as u8 + 1).collect();
        let segment =
            Segment { address: 0x1f00, size: 9000, data: data.clone(), writable: true, executable: false };
        let pages = segment_pages(&[segment]);
        assert_eq!(pages.iter().map(|p| p.offset).collect::<Vec<_>>(), [0x1000, 0x2000, 0x3000, 0x4000]);
        let memory: Vec<u8> = pages.iter().flat_map(|p| p.data.to_vec()).collect();
        assert!(memory[..0xf00].iter().all(|&b| b == 0));
        assert!(memory[0xf00..0xf00 + 5000] == data);
        assert!(memory[0xf00 + 5000..].iter().all(|&b| b == 0));
    }
}
