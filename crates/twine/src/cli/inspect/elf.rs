//! The linked enclave before it became an image: symbols and segments.

use std::fmt;

use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SegmentFlags, elf};
use serde::Serialize;

/// What an ELF file holds.
#[derive(Serialize)]
pub struct ElfInfo {
    bytes: usize,
    /// Offset of the entry point.
    entry: u64,
    /// With a name.
    symbols: usize,
    /// Line numbers for debuggers.
    debug_info: bool,
    segments: Vec<Segment>,
    /// An enclave of Twine: it has a layout for the image builder to fill in.
    enclave: bool,
}

#[derive(Serialize)]
struct Segment {
    offset: u64,
    bytes: u64,
    permissions: String,
}

/// Describes an ELF file.
pub fn describe(bytes: &[u8]) -> Result<ElfInfo, String> {
    let file = object::File::parse(bytes).map_err(|error| error.to_string())?;
    let segments = file.segments().map(|segment| Segment {
        offset: segment.address(),
        bytes: segment.size(),
        permissions: permissions(segment.flags()),
    });
    Ok(ElfInfo {
        bytes: bytes.len(),
        entry: file.entry(),
        symbols: file.symbols().filter(|symbol| symbol.name().is_ok_and(|name| !name.is_empty())).count(),
        debug_info: file.section_by_name(".debug_line").is_some_and(|section| section.size() != 0),
        segments: segments.collect(),
        enclave: file.section_by_name(twine_abi::layout::LAYOUT_SECTION).is_some(),
    })
}

fn permissions(flags: SegmentFlags) -> String {
    let SegmentFlags::Elf { p_flags, .. } = flags else { return String::new() };
    let bit = |flag: elf::ProgramFlags, letter| if p_flags.0 & flag.0 != 0 { letter } else { '-' };
    [bit(elf::PF_R, 'r'), bit(elf::PF_W, 'w'), bit(elf::PF_X, 'x')].iter().collect()
}

impl fmt::Display for ElfInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}, {} bytes",
            if self.enclave { "linked enclave (ELF)" } else { "ELF file" },
            self.bytes
        )?;
        writeln!(f, "entry       {:#x}", self.entry)?;
        let lines = if self.debug_info { "with" } else { "without" };
        writeln!(f, "symbols     {}, {lines} line numbers", self.symbols)?;
        for segment in &self.segments {
            writeln!(
                f,
                "segment     {} at {:#x}, {} bytes",
                segment.permissions, segment.offset, segment.bytes
            )?;
        }
        Ok(())
    }
}
