//! What stands in the pages of an image.

mod common;

use common::Copy;
use sgx_isa::{PageType, SecinfoFlags, Tcs};
use std::fs;
use twine_abi::layout::{ELRANGE, LAYOUT_MAGIC, NSSA, PAGE_SIZE, THREADS, tcb};
use twine_image::elf::Program;
use twine_image::inspect::find_layout;
use twine_image::layout::{Image, Page};

fn page(image: &Image, offset: u64) -> Option<&Page> {
    image.pages.iter().find(|p| p.offset == offset)
}

fn word(page: &Page, at: usize) -> u64 {
    u64::from_le_bytes(page.data[at..at + 8].try_into().unwrap())
}

fn flags(access: SecinfoFlags) -> SecinfoFlags {
    access | PageType::Reg.into()
}

#[test]
fn pages_hold_what_the_documentation_says() {
    let (r, w, x) = (SecinfoFlags::R, SecinfoFlags::W, SecinfoFlags::X);
    let copy = Copy::new("repo");
    let elf = fs::read(copy.build(&[]).unwrap().elf).unwrap();
    let program = Program::parse(&elf).unwrap();
    let image = Image::from_elf(&elf).unwrap();
    let layout = &image.layout;
    assert!(image.pages.array_windows().all(|[a, b]| a.offset < b.offset));

    // Segments: permissions, and contents but for layout and cpuid.
    let end = program.segments.iter().map(|s| s.pages().1).max().unwrap();
    assert_eq!(layout.image_end, end);
    for segment in &program.segments {
        for offset in (segment.pages().0..segment.pages().1).step_by(4096) {
            let expected = match (segment.writable, segment.executable) {
                (false, false) => flags(r),
                (true, _) => flags(r | w),
                (_, true) => flags(r | x),
            };
            assert_eq!(page(&image, offset).unwrap().flags, expected, "{offset:#x}");
        }
        for (address, byte) in (segment.address..).zip(&segment.data) {
            let patched = (program.layout..program.layout + size_of_val(layout) as u64).contains(&address)
                || (40..48).contains(&address)
                || (58..64).contains(&address)
                || layout.cpuid_sites.iter().any(|&s| s != 0 && (s..s + 2).contains(&address));
            let found = page(&image, address & !4095).unwrap().data[(address % 4096) as usize];
            assert!(patched || found == *byte, "{address:#x}");
        }
    }
    let text = program.text();
    assert_eq!(layout.text, [text.pages().0, text.pages().1 - text.pages().0]);
    assert!(program.relocations >= 3 && layout.relr[1] != 0);
    assert!(layout.relro[1] > 0 && (layout.relro[0] | layout.relro[1]).is_multiple_of(PAGE_SIZE));

    // Nothing of what is not in the image: section headers and debug information.
    let header = &page(&image, 0).unwrap().data;
    assert_eq!((&header[..4], &header[40..48], &header[58..64]), (&b"\x7fELF"[..], &[0; 8][..], &[0; 6][..]));

    // The one cpuid is at the entry, and is ud2 now.
    assert_eq!((layout.cpuid_count, layout.cpuid_sites[0]), (1, program.entry));
    let entry = page(&image, program.entry & !4095).unwrap();
    assert_eq!(entry.data[(program.entry % 4096) as usize..][..2], [0x0f, 0x0b]);

    // 64-byte aligned: 8 bytes with contents and 5000 without.
    assert_eq!((layout.tls[1], layout.tls[2], layout.tls[3], layout.tls_pages), (8, 5008, 64, 2));
    assert_eq!(program.bytes(layout.tls[0], 8).unwrap(), 42u64.to_le_bytes());

    for slot in 0..THREADS as u64 {
        let base = layout.tcb + slot * layout.slot_stride;
        let at = |distance: u64| page(&image, base.wrapping_add(distance));
        let (ssa, tcs) = (layout.ssa_from_tcb, layout.tcs_from_tcb);
        let zero =
            |p: Option<&Page>| p.is_some_and(|p| p.flags == flags(r | w) && p.data.iter().all(|&b| b == 0));
        assert!(zero(at(4096u64.wrapping_neg())) && zero(at(8192u64.wrapping_neg())), "thread-local storage");
        assert!(at((3 * 4096u64).wrapping_neg()).is_none(), "guard below thread-local storage");
        assert!(zero(at(ssa)) && zero(at(ssa + PAGE_SIZE)), "SSA frames");
        assert!(at(tcs - PAGE_SIZE).is_none(), "guard before the TCS");

        let block = at(0).unwrap();
        let words = [tcb::INDEX, tcb::OFFSET, tcb::SSA].map(|at| word(block, at));
        assert_eq!((block.flags, words), (flags(r | w), [slot, base, base + ssa]));
        assert_eq!(
            block.data.iter().filter(|&&b| b != 0).count(),
            block.data[0x40..0x58].iter().filter(|&&b| b != 0).count()
        );

        let control = at(tcs).unwrap();
        assert_eq!(control.flags, SecinfoFlags::from(PageType::Tcs));
        let control = Tcs::try_copy_from(&control.data[..]).unwrap();
        let expected = Tcs {
            ossa: base + ssa,
            nssa: NSSA,
            oentry: program.entry,
            ofsbasgx: base,
            ogsbasgx: base,
            fslimit: 0xfff,
            gslimit: 0xfff,
            ..Tcs::default()
        };
        assert!(control == expected, "{control:?}");
        assert!(base + layout.tcs_from_tcb + PAGE_SIZE <= layout.heap[0]);
    }
    let slots = THREADS as u64 * (layout.tls_pages + 4);
    assert_eq!(image.pages.iter().filter(|p| p.offset >= end).count() as u64, slots);
    assert_eq!((layout.heap[0] % (2 << 20), layout.heap[1], layout.elrange), (0, ELRANGE, ELRANGE));

    // The layout can be read back from the pages.
    let memory: Vec<u8> =
        image.pages.iter().filter(|p| p.offset < end).flat_map(|p| p.data.to_vec()).collect();
    let found = find_layout(&memory, ELRANGE).unwrap();
    assert_eq!(format!("{found:?}"), format!("{layout:?}"));
    assert_eq!(found.magic, LAYOUT_MAGIC);
    assert!(find_layout(&memory, ELRANGE * 2).is_none());
}
