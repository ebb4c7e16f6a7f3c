//! Images and their signatures, which come from whoever hands them out.

use twine_image::layout::Image;
use twine_image::sgxs::{self, Reader};
use twine_image::sigstruct::{Date, Identity, Signed, Unsigned, Variant};
use twine_image::{elf, inspect, key};

pub fn sgxs(bytes: &[u8]) {
    if let Ok(mut reader) = Reader::new(bytes) {
        while let Ok(Some(_)) = reader.next_page() {}
    }
    let measured = sgxs::measure(bytes);
    assert_eq!(inspect::image(bytes).is_ok(), measured.is_ok(), "one reader accepts what the other refuses");
}

pub fn sgxs_seeds() -> Vec<Vec<u8>> {
    let record = |tag: &[u8; 8], words: [u64; 7]| {
        let words = words.iter().flat_map(|word| word.to_le_bytes());
        tag.iter().copied().chain(words).collect::<Vec<u8>>()
    };
    // ECREATE: SSAFRAMESIZE and half of SIZE share a word.
    let size = 0x10000_u64;
    let create = record(b"ECREATE\0", [1 | size << 32, size >> 32, 0, 0, 0, 0, 0]);
    let page = |offset: u64, flags: u64| {
        let mut page = record(b"EADD\0\0\0\0", [offset, flags, 0, 0, 0, 0, 0]);
        for chunk in 0..16 {
            page.extend(record(b"EEXTEND\0", [offset + 256 * chunk, 0, 0, 0, 0, 0, 0]));
            page.extend([chunk as u8; 256]);
        }
        page
    };
    let whole = [create.clone(), page(0, 0x100), page(0x1000, 0x203), page(0x2000, 0x205)].concat();
    vec![create, whole]
}

pub fn elf(bytes: &[u8]) {
    let program = elf::Program::parse(bytes);
    if Image::from_elf(bytes).is_ok() {
        assert!(program.is_ok());
    }
}

/// The smallest that have headers to spoil: a static PIE with a text segment and the section of the layout.
pub fn elf_seeds() -> Vec<Vec<u8>> {
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    for (value, size) in [
        (3_u64, 2),
        (62, 2),
        (1, 4),
        (0x1000, 8),
        (64, 8),
        (0x300, 8),
        (0, 4),
        (64, 2),
        (56, 2),
        (4, 2),
        (64, 2),
        (4, 2),
        (1, 2),
    ] {
        file.extend(&value.to_le_bytes()[..size]);
    }
    // PT_LOAD of headers, text and data, PT_DYNAMIC.
    for (kind, flags, offset, address, size, align) in [
        (1_u32, 4_u32, 0_u64, 0_u64, 0x200_u64, 0x1000_u64),
        (1, 5, 0x200, 0x1000, 0x40, 0x1000),
        (1, 6, 0x240, 0x2000, 0x80, 0x1000),
        (2, 6, 0x240, 0x2000, 0x20, 8),
    ] {
        file.extend(kind.to_le_bytes());
        file.extend(flags.to_le_bytes());
        for word in [offset, address, address, size, size, align] {
            file.extend(word.to_le_bytes());
        }
    }
    file.resize(0x200, 0);
    file.extend([0x90; 0x3D]);
    file.extend([0x0F, 0x01, 0xD7]);
    file.resize(0x2C0, 0);
    file.extend(b"\0.text\0.twine.layout\0.symtab\0.strtab\0");
    file.resize(0x300 + 4 * 64, 0);
    vec![file.clone(), file[..0x240].to_vec()]
}

pub fn sigstruct(bytes: &[u8]) {
    let _ = inspect::sigstruct(bytes);
    if let Ok(unsigned) = Unsigned::from_bytes(bytes) {
        assert_eq!(unsigned.to_bytes(), bytes, "a signed part has another encoding");
    }
    if let Ok(signed) = Signed::from_bytes(bytes) {
        assert_eq!(signed.to_bytes(), bytes, "a SIGSTRUCT has another encoding");
        let _ = signed.verify();
        let _ = signed.deviations();
    }
    if let Ok(text) = core::str::from_utf8(bytes) {
        let _ = key::PublicKey::from_pem(text);
    }
}

pub fn sigstruct_seeds() -> Vec<Vec<u8>> {
    let date = Date::new(2026, 1, 1).expect("a day");
    let unsigned = Unsigned::new([7; 32], &Identity::default(), Variant::Production, date);
    // A modulus of the right size and form, whatever signed with it.
    let mut whole = vec![0_u8; 1808];
    let half = unsigned.to_bytes();
    whole[..128].copy_from_slice(&half[..128]);
    whole[900..1028].copy_from_slice(&half[128..]);
    whole[128..512].fill(0xC5);
    whole[512] = 3;
    whole[516..900].fill(0x35);
    vec![unsigned.to_bytes().to_vec(), whole]
}
