//! Reads the linked enclave and refuses everything that a loader or an enclave would have to deal with at run time.
//!
//! What is left is a static PIE: read-only, executable and writable segments, thread-local storage, packed relative
//! relocations (DT_RELR) and RELRO. ELF and its processor supplement define the structures, `object` reads them.

use object::elf;
use object::read::elf::{Dyn, FileHeader, ProgramHeader, RelrIterator, SectionHeader, Sym};
use object::{LittleEndian, pod};
use thiserror::Error;
use twine_abi::layout::{ImageLayout, LAYOUT_MAGIC, LAYOUT_SECTION, PAGE_SIZE};

type Header = elf::FileHeader64<LittleEndian>;
const E: LittleEndian = LittleEndian;

/// Most bytes that the segments of an image may span; a limit on what a malformed file can make us allocate.
pub const MAX_IMAGE: u64 = 1 << 30;

/// Why an ELF file is no enclave image.
#[derive(Debug, Error)]
pub enum ElfError {
    /// The file does not parse.
    #[error("malformed ELF file: {0}")]
    Malformed(#[from] object::read::Error),
    /// A header, table or range contradicts another one or leaves the file.
    #[error("malformed ELF file: {0}")]
    Inconsistent(String),
    /// The file is well formed and of a kind that cannot become an enclave.
    #[error("unsuitable ELF file: {0}")]
    Unsuitable(String),
    /// Symbols that nothing defines; there is no loader that would.
    #[error("undefined symbols, which nothing can resolve in an enclave: {}", .0.join(", "))]
    Undefined(Vec<String>),
}

fn unsuitable<T>(why: impl Into<String>) -> Result<T, ElfError> {
    Err(ElfError::Unsuitable(why.into()))
}

fn inconsistent<T>(why: impl Into<String>) -> Result<T, ElfError> {
    Err(ElfError::Inconsistent(why.into()))
}

/// One PT_LOAD segment.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Offset from the image's base, in bytes.
    pub address: u64,
    /// Bytes in memory; what `data` does not cover is zero.
    pub size: u64,
    /// Bytes from the file.
    pub data: Vec<u8>,
    /// PF_W.
    pub writable: bool,
    /// PF_X.
    pub executable: bool,
}

impl Segment {
    fn end(&self) -> u64 {
        self.address + self.size
    }

    /// The pages that the segment touches, as a half-open range of addresses.
    pub fn pages(&self) -> (u64, u64) {
        (self.address & !(PAGE_SIZE - 1), self.end().next_multiple_of(PAGE_SIZE))
    }
}

/// A symbol in the executable segment.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// Offset from the image's base.
    pub address: u64,
    /// Bytes; 0 for assembly labels without a size.
    pub size: u64,
    /// Name as in the file (mangled).
    pub name: String,
    /// STT_FUNC: an instruction starts here for certain.
    pub function: bool,
}

/// What the image builder needs of the ELF file, all of it checked.
#[derive(Clone, Debug)]
pub struct Program {
    /// e_entry.
    pub entry: u64,
    /// PT_LOAD segments in ascending order, no page shared by two.
    pub segments: Vec<Segment>,
    /// PT_TLS: address, size in file, size in memory, alignment; zeros without one.
    pub tls: [u64; 4],
    /// DT_RELR: address and size in bytes; zeros without one.
    pub relr: [u64; 2],
    /// Number of relative relocations behind `relr`.
    pub relocations: u64,
    /// PT_GNU_RELRO in pages: address and size in bytes; zeros without one.
    pub relro: [u64; 2],
    /// Address of the section that holds the [`ImageLayout`].
    pub layout: u64,
    /// ABI version that the enclave was compiled with.
    pub abi_version: u64,
    /// Symbols of the executable segment by ascending address.
    pub symbols: Vec<Symbol>,
}

impl Program {
    /// Reads and checks an ELF file.
    pub fn parse(file: &[u8]) -> Result<Self, ElfError> {
        let header = Header::parse(file)?;
        if !header.is_little_endian() || header.e_machine(E) != elf::EM_X86_64 {
            return unsuitable("not for x86-64");
        }
        if header.e_type(E) != elf::ET_DYN {
            return unsuitable("not position-independent (ET_DYN): link with -pie");
        }
        let headers = header.program_headers(E, file)?;
        let segments = load_segments(headers, file)?;
        let mut program = Self {
            entry: header.e_entry(E),
            segments,
            tls: [0; 4],
            relr: [0; 2],
            relocations: 0,
            relro: [0; 2],
            layout: 0,
            abi_version: 0,
            symbols: Vec::new(),
        };
        let text = program.text();
        if !(text.address..text.end()).contains(&program.entry) {
            return unsuitable(format!("entry point {:#x} is not executable", program.entry));
        }
        for ph in headers {
            match ph.p_type(E) {
                elf::PT_INTERP => {
                    return unsuitable("it names an interpreter: link with --no-dynamic-linker");
                }
                elf::PT_GNU_STACK if ph.p_flags(E).contains(elf::PF_X) => {
                    return unsuitable("it asks for an executable stack: link with -z noexecstack");
                }
                elf::PT_TLS => program.tls = program.read_tls(ph)?,
                elf::PT_GNU_RELRO => program.relro = program.read_relro(ph)?,
                elf::PT_DYNAMIC => {
                    if let Some(dynamic) = ph.dynamic(E, file)? {
                        program.read_dynamic(dynamic)?;
                    }
                }
                _ => {}
            }
        }
        program.read_sections(header, file)?;
        Ok(program)
    }

    /// The one executable segment.
    pub fn text(&self) -> &Segment {
        self.segments.iter().find(|s| s.executable).expect("load_segments checked that there is one")
    }

    /// End of the segments in pages.
    pub fn end(&self) -> u64 {
        self.segments.last().map_or(0, |s| s.pages().1)
    }

    /// Bytes of the file image at `address`, if one segment has all of them.
    pub fn bytes(&self, address: u64, size: u64) -> Option<&[u8]> {
        self.segments.iter().find_map(|s| {
            let start = usize::try_from(address.checked_sub(s.address)?).ok()?;
            s.data.get(start..start.checked_add(usize::try_from(size).ok()?)?)
        })
    }

    fn read_tls(&self, ph: &elf::ProgramHeader64<LittleEndian>) -> Result<[u64; 4], ElfError> {
        let [address, file, memory, align] =
            [ph.p_vaddr(E), ph.p_filesz(E), ph.p_memsz(E), ph.p_align(E).max(1)];
        if !align.is_power_of_two() || align > PAGE_SIZE {
            return unsuitable(format!(
                "thread-local storage is aligned to {align} bytes, at most a page is possible"
            ));
        }
        if address % align != 0 || memory > MAX_IMAGE || file > memory {
            return inconsistent("PT_TLS: misaligned or of an impossible size");
        }
        if file != 0 && self.bytes(address, file).is_none() {
            return inconsistent("PT_TLS: the template lies outside the segments");
        }
        Ok([address, file, memory, align])
    }

    /// Rounds outwards where the rest of a page belongs to nobody, else inwards.
    fn read_relro(&self, ph: &elf::ProgramHeader64<LittleEndian>) -> Result<[u64; 2], ElfError> {
        let (start, size) = (ph.p_vaddr(E), ph.p_memsz(E));
        let Some(end) = start.checked_add(size).filter(|&end| end <= self.end()) else {
            return inconsistent("PT_GNU_RELRO leaves the segments");
        };
        let used = |from: u64, to: u64| self.segments.iter().any(|s| s.address < to && from < s.end());
        let (mut first, mut last) = (start & !(PAGE_SIZE - 1), end.next_multiple_of(PAGE_SIZE));
        if used(first, start) {
            first = start.next_multiple_of(PAGE_SIZE);
        }
        if used(end, last) {
            last = end & !(PAGE_SIZE - 1);
        }
        if first >= last {
            return Ok([0; 2]);
        }
        if !self.segments.iter().any(|s| s.writable && s.pages().0 <= first && last <= s.pages().1) {
            return inconsistent("PT_GNU_RELRO is not within one writable segment");
        }
        Ok([first, last - first])
    }

    fn read_dynamic(&mut self, entries: &[elf::Dyn64<LittleEndian>]) -> Result<(), ElfError> {
        let mut entry_size = 8;
        for entry in entries {
            let value = entry.d_val(E);
            match entry.d_tag(E) {
                elf::DT_NULL => break,
                elf::DT_RELR => self.relr[0] = value,
                elf::DT_RELRSZ => self.relr[1] = value,
                elf::DT_RELRENT => entry_size = value,
                elf::DT_NEEDED => {
                    return unsuitable("it needs a shared library (DT_NEEDED): link with -static");
                }
                elf::DT_TEXTREL => {
                    return unsuitable("it has relocations in code (DT_TEXTREL): link with -z text");
                }
                // std's one constructor looks for the program's arguments; an enclave has none.
                elf::DT_INIT_ARRAYSZ if value <= 8 => {}
                elf::DT_INIT_ARRAYSZ | elf::DT_FINI_ARRAYSZ => {
                    return unsuitable(
                        "it has constructors or destructors, which nothing in an enclave runs",
                    );
                }
                // Tables that describe the file to a dynamic linker and change nothing in memory.
                elf::DT_HASH
                | elf::DT_GNU_HASH
                | elf::DT_STRTAB
                | elf::DT_SYMTAB
                | elf::DT_STRSZ
                | elf::DT_SYMENT
                | elf::DT_DEBUG
                | elf::DT_FLAGS
                | elf::DT_FLAGS_1
                | elf::DT_BIND_NOW
                | elf::DT_INIT_ARRAY => {}
                elf::DT_RELA | elf::DT_JMPREL => {
                    return unsuitable(
                        "it has relocations other than packed relative ones (DT_RELR): \
                         a symbol is unresolved, or -z pack-relative-relocs is missing",
                    );
                }
                tag => return unsuitable(format!("its dynamic section has an entry with tag {:#x}", tag.0)),
            }
        }
        if self.relr[1] == 0 {
            self.relr = [0; 2];
            return Ok(());
        }
        if entry_size != 8 || !self.relr[1].is_multiple_of(8) {
            return inconsistent("DT_RELR: entries are not 8 bytes");
        }
        self.check_relocations()
    }

    /// Every relocated word is in writable memory and holds an address within the image.
    fn check_relocations(&mut self) -> Result<(), ElfError> {
        let Some(table) = self.bytes(self.relr[0], self.relr[1]) else {
            return inconsistent("DT_RELR lies outside the segments");
        };
        let count = table.len() / 8;
        let Ok((words, _)) = pod::slice_from_bytes::<elf::Relr64<LittleEndian>>(table, count) else {
            return inconsistent("DT_RELR is truncated");
        };
        let mut relocations = 0;
        for target in RelrIterator::<Header>::new(E, words) {
            let writable = self.segments.iter().any(|s| {
                s.writable && s.address <= target && target.checked_add(8).is_some_and(|end| end <= s.end())
            });
            let addend = self.bytes(target, 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
            if !writable || addend >= self.end() {
                return inconsistent(format!("relocation of {target:#x} to {addend:#x} leaves the image"));
            }
            relocations += 1;
        }
        self.relocations = relocations;
        Ok(())
    }

    fn read_sections(&mut self, header: &Header, file: &[u8]) -> Result<(), ElfError> {
        let sections = header.sections(E, file)?;
        let Some((_, section)) = sections.section_by_name(E, LAYOUT_SECTION.as_bytes()) else {
            return unsuitable(format!("it has no section {LAYOUT_SECTION}"));
        };
        self.layout = section.sh_addr(E);
        let size = size_of::<ImageLayout>();
        if section.sh_size(E) != size as u64 {
            return unsuitable(format!(
                "section {LAYOUT_SECTION} has {} bytes, not {size}: image builder and enclave differ in version",
                section.sh_size(E)
            ));
        }
        let Some((magic, abi)) =
            self.bytes(self.layout, size as u64).and_then(|b| Some((word(b, 0)?, word(b, 1)?)))
        else {
            return inconsistent(format!("section {LAYOUT_SECTION} lies outside the segments"));
        };
        if magic != LAYOUT_MAGIC {
            return unsuitable(format!(
                "section {LAYOUT_SECTION} starts with {magic:#x}, not with the magic"
            ));
        }
        if abi != twine_abi::ABI_VERSION {
            return unsuitable(format!(
                "its ABI version is {abi}, this builder's {}",
                twine_abi::ABI_VERSION
            ));
        }
        self.abi_version = abi;

        let table = sections.symbols(E, file, elf::SHT_SYMTAB)?;
        if table.is_empty() {
            return unsuitable("it is stripped: without symbols its instructions cannot be checked");
        }
        let (text_start, text_end) = (self.text().address, self.text().end());
        let mut undefined = Vec::new();
        for symbol in table.iter().skip(1) {
            let name = || {
                table
                    .symbol_name(E, symbol)
                    .map_or("?".into(), |name| String::from_utf8_lossy(name).into_owned())
            };
            if symbol.is_undefined(E) {
                undefined.push(name());
                continue;
            }
            let kind = symbol.st_type();
            let address = symbol.st_value(E);
            if kind == elf::STT_GNU_IFUNC {
                return unsuitable(format!("symbol {} is resolved at run time (STT_GNU_IFUNC)", name()));
            }
            if (kind == elf::STT_FUNC || kind == elf::STT_NOTYPE) && (text_start..text_end).contains(&address)
            {
                let function = kind == elf::STT_FUNC;
                self.symbols.push(Symbol { address, size: symbol.st_size(E), name: name(), function });
            }
        }
        if !undefined.is_empty() {
            undefined.sort();
            return Err(ElfError::Undefined(undefined));
        }
        self.symbols.sort_by_key(|s| s.address);
        Ok(())
    }
}

fn word(bytes: &[u8], index: usize) -> Option<u64> {
    bytes.get(index * 8..index * 8 + 8)?.try_into().ok().map(u64::from_le_bytes)
}

fn load_segments(
    headers: &[elf::ProgramHeader64<LittleEndian>],
    file: &[u8],
) -> Result<Vec<Segment>, ElfError> {
    let mut segments = Vec::new();
    for ph in headers.iter().filter(|ph| ph.p_type(E) == elf::PT_LOAD && ph.p_memsz(E) != 0) {
        let (address, size, flags) = (ph.p_vaddr(E), ph.p_memsz(E), ph.p_flags(E));
        let Ok(data) = ph.data(E, file) else {
            return inconsistent(format!("the segment at {address:#x} leaves the file"));
        };
        if address.checked_add(size).is_none_or(|end| end > MAX_IMAGE) || data.len() as u64 > size {
            return inconsistent(format!("the segment at {address:#x} has an impossible size"));
        }
        let (writable, executable) = (flags.contains(elf::PF_W), flags.contains(elf::PF_X));
        if writable && executable {
            return unsuitable(format!("the segment at {address:#x} is writable and executable"));
        }
        if !flags.contains(elf::PF_R) {
            return unsuitable(format!("the segment at {address:#x} is not readable"));
        }
        segments.push(Segment { address, size, data: data.to_vec(), writable, executable });
    }
    segments.sort_by_key(|s: &Segment| s.address);
    if segments.first().is_none_or(|s| s.pages().0 != 0) {
        return unsuitable("its first segment is not at address 0");
    }
    if let Some([a, b]) = segments.array_windows().find(|[a, b]| a.pages().1 > b.pages().0) {
        return unsuitable(format!(
            "the segments at {:#x} and {:#x} share a page: link with -z separate-code and 4 KiB pages",
            a.address, b.address
        ));
    }
    if segments.iter().filter(|s| s.executable).count() != 1 {
        return unsuitable("it does not have exactly one executable segment");
    }
    Ok(segments)
}
