//! SECINFO.

use sgx_isa::{PageType, SecinfoFlags};

use crate::field::structure;

structure! {
    /// Type and permissions of a page (SDM table "Layout of SECINFO"); 64-byte aligned in memory.
    Secinfo, "SECINFO", 64 {
        /// [`SecinfoFlags`] bits; bits without a name are reserved.
        0 => flags: u64,
    }
}

impl Secinfo {
    /// A SECINFO of these flags.
    pub const fn new(flags: SecinfoFlags) -> Self {
        Self { flags: flags.bits() }
    }
}

/// The page type in SECINFO.FLAGS, or the number that is none.
pub fn page_type(flags: SecinfoFlags) -> Result<PageType, u8> {
    let number = flags.page_type();
    PageType::try_from(number).map_err(|_| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_sgx_isa_byte_for_byte() {
        let flags = SecinfoFlags::R | SecinfoFlags::W | SecinfoFlags::PENDING | PageType::Reg.into();
        let theirs = sgx_isa::Secinfo { flags, ..Default::default() };
        assert_eq!(&Secinfo::new(flags).to_bytes()[..], theirs.as_ref());
        assert_eq!(page_type(flags), Ok(PageType::Reg));
        assert_eq!(page_type(SecinfoFlags::PT_B7), Err(0x80));
    }
}
