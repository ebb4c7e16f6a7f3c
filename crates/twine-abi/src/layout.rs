//! What the image builder tells the enclave about its own layout, and the first words of a thread control block.

/// Size of a page, of an SSA frame and of every alignment below, in bytes.
pub const PAGE_SIZE: u64 = 4096;
/// Size of the enclave's linear address range (SECS.SIZE): a power of two, naturally aligned.
pub const ELRANGE: u64 = 512 << 30;
/// Thread slots (TCSs) in every image.
pub const THREADS: usize = 8;
/// SSA frames per TCS: one for the program, one for the exception handler. A fault in the handler cannot re-enter.
pub const NSSA: u32 = 2;
/// Pages of one SSA frame: XFRM 7 needs 832 bytes of XSAVE area, 16 of EXINFO, 184 of GPRs.
pub const SSA_FRAME_PAGES: u32 = 1;
/// XFRM of every image: x87, SSE, AVX. What the enclave tells a program about the processor is bounded by it.
pub const XFRM: u64 = 7;
/// Most `cpuid` instructions an image may hold; each is rewritten to `ud2` and listed in [`ImageLayout::cpuid_sites`].
pub const MAX_CPUID_SITES: usize = 64;
/// ELF section that holds the [`ImageLayout`] to be filled in by the image builder.
pub const LAYOUT_SECTION: &str = ".twine.layout";
/// First word of an [`ImageLayout`], before and after it is filled in.
pub const LAYOUT_MAGIC: u64 = u64::from_le_bytes(*b"TWINEIMG");

/// Filled in by the image builder before measuring, hence measured. Offsets are in bytes from the enclave's base.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct ImageLayout {
    /// [`LAYOUT_MAGIC`].
    pub magic: u64,
    /// [`crate::ABI_VERSION`] of the enclave; set by the enclave crate, checked by builder and loader.
    pub abi_version: u64,
    /// SECS.SIZE.
    pub elrange: u64,
    /// End of the ELF segments, page-aligned.
    pub image_end: u64,
    /// Start of the executable segment and its size in bytes (page-aligned).
    pub text: [u64; 2],
    /// PT_TLS: offset of the template, its size in the file, its size in memory, its alignment.
    pub tls: [u64; 4],
    /// Packed relative relocations (DT_RELR): offset and size in bytes.
    pub relr: [u64; 2],
    /// Pages that become read-only after relocation (PT_GNU_RELRO): offset and size in bytes, page-aligned outwards
    /// only as far as no other data shares a page.
    pub relro: [u64; 2],
    /// Offset of slot 0's TCB; slot `i`'s is `i * slot_stride` further.
    pub tcb: u64,
    /// Distance of two slots.
    pub slot_stride: u64,
    /// Pages of thread-local storage right below each TCB.
    pub tls_pages: u64,
    /// SSA frame 0 and TCS of a slot, as distances from its TCB.
    pub ssa_from_tcb: u64,
    /// See [`Self::ssa_from_tcb`].
    pub tcs_from_tcb: u64,
    /// Dynamic memory: first offset (2 MiB aligned) and end (the end of ELRANGE).
    pub heap: [u64; 2],
    /// Number of entries of `cpuid_sites`.
    pub cpuid_count: u64,
    /// Offsets of the instructions that were `cpuid` and now are `ud2`, ascending.
    pub cpuid_sites: [u64; MAX_CPUID_SITES],
}

impl ImageLayout {
    /// What the enclave crate places in [`LAYOUT_SECTION`].
    pub const UNFILLED: Self = Self {
        magic: LAYOUT_MAGIC,
        abi_version: crate::ABI_VERSION,
        elrange: 0,
        image_end: 0,
        text: [0; 2],
        tls: [0; 4],
        relr: [0; 2],
        relro: [0; 2],
        tcb: 0,
        slot_stride: 0,
        tls_pages: 0,
        ssa_from_tcb: 0,
        tcs_from_tcb: 0,
        heap: [0; 2],
        cpuid_count: 0,
        cpuid_sites: [0; MAX_CPUID_SITES],
    };
}

const _: () =
    assert!(size_of::<ImageLayout>() == (22 + MAX_CPUID_SITES) * 8, "the image builder writes it as words");

/// Words of a TCB page (FS and GS base of a thread) that the image builder fills in; all else there is zero.
pub mod tcb {
    /// Slot number of the thread.
    pub const INDEX: usize = 0x40;
    /// Offset of this TCB from the enclave's base.
    pub const OFFSET: usize = 0x48;
    /// Offset of SSA frame 0 from the enclave's base.
    pub const SSA: usize = 0x50;
    /// First word that belongs to the enclave.
    pub const FREE: usize = 0x58;
}
