//! SECS.

use sgx_isa::Attributes;

use crate::field::structure;

structure! {
    /// SGX Enclave Control Structure (SDM table "Layout of SGX Enclave Control Structure").
    ///
    /// ISVEXTPRODID and ISVFAMILYID have no architectural place in it; the processor keeps them elsewhere.
    Secs, "SECS", 4096 {
        /// Size of ELRANGE in bytes, a power of two.
        0 => size: u64,
        /// First address of ELRANGE, naturally aligned.
        8 => baseaddr: u64,
        /// Size of one SSA frame in pages.
        16 => ssaframesize: u32,
        /// [`Miscselect`](crate::Miscselect) bits: which extended information goes into SSA frames.
        20 => miscselect: u32,
        /// CET legacy bitmap, offset from the base.
        24 => cet_leg_bitmap_offset: u64,
        /// CET attributes.
        32 => cet_attributes: u8,
        /// Attributes.
        48 => attributes: Attributes,
        /// Measurement of the enclave.
        64 => mrenclave: [u8; 32],
        /// SHA-256 of the signer's modulus.
        128 => mrsigner: [u8; 32],
        /// Configuration identity given by the loader (KSS).
        192 => configid: [u8; 64],
        /// Product id.
        256 => isvprodid: u16,
        /// Security version of the enclave.
        258 => isvsvn: u16,
        /// Security version of the configuration (KSS).
        260 => configsvn: u16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sgx_isa::{AttributesFlags, Miscselect};

    #[test]
    fn agrees_with_sgx_isa_byte_for_byte() {
        let attributes = Attributes { flags: AttributesFlags::MODE64BIT | AttributesFlags::KSS, xfrm: 7 };
        let theirs = sgx_isa::Secs {
            size: 1 << 39,
            baseaddr: 0x1234_5000,
            ssaframesize: 2,
            miscselect: Miscselect::EXINFO,
            attributes,
            mrenclave: [0xA1; 32],
            mrsigner: [0xB2; 32],
            isvprodid: 0x1234,
            isvsvn: 0x5678,
            ..Default::default()
        };
        let ours = Secs {
            size: 1 << 39,
            baseaddr: 0x1234_5000,
            ssaframesize: 2,
            miscselect: 1,
            attributes,
            mrenclave: [0xA1; 32],
            mrsigner: [0xB2; 32],
            isvprodid: 0x1234,
            isvsvn: 0x5678,
            ..Default::default()
        };
        assert_eq!(&ours.to_bytes()[..], theirs.as_ref());
        assert_eq!(Secs::from_bytes(&ours.to_bytes()), Ok(ours));
    }

    #[test]
    fn kss_fields_are_where_the_sdm_puts_them() {
        let secs = Secs { configid: [0xC3; 64], configsvn: 0xD4E5, ..Default::default() };
        let bytes = secs.to_bytes();
        assert_eq!((bytes[191], bytes[256]), (0, 0));
        assert_eq!(bytes[192..256], [0xC3; 64]);
        assert_eq!(bytes[260..262], [0xE5, 0xD4]);
    }
}
