//! TCS.

use crate::field::structure;

structure! {
    /// Thread Control Structure (SDM table "Layout of Thread Control Structure"), one page.
    ///
    /// STATE (offset 0) and AEP (offset 40) are the processor's own and reserved to software.
    Tcs, "TCS", 4096 {
        /// [`TcsFlags`](crate::TcsFlags) bits.
        8 => flags: u64,
        /// Offset of the first SSA frame from the enclave's base, page-aligned.
        16 => ossa: u64,
        /// SSA frames in use.
        24 => cssa: u32,
        /// SSA frames there are.
        28 => nssa: u32,
        /// Offset of the entry point from the enclave's base.
        32 => oentry: u64,
        /// FS base inside, as an offset from the enclave's base, page-aligned.
        48 => ofsbasgx: u64,
        /// GS base inside, as an offset from the enclave's base, page-aligned.
        56 => ogsbasgx: u64,
        /// FS limit of 32-bit enclaves.
        64 => fslimit: u32,
        /// GS limit of 32-bit enclaves.
        68 => gslimit: u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_sgx_isa_byte_for_byte() {
        let theirs = sgx_isa::Tcs {
            flags: sgx_isa::TcsFlags::DBGOPTIN,
            ossa: 1,
            cssa: 2,
            nssa: 3,
            oentry: 4,
            ofsbasgx: 5,
            ogsbasgx: 6,
            fslimit: 7,
            gslimit: 8,
            ..Default::default()
        };
        let ours = Tcs {
            flags: 1,
            ossa: 1,
            cssa: 2,
            nssa: 3,
            oentry: 4,
            ofsbasgx: 5,
            ogsbasgx: 6,
            fslimit: 7,
            gslimit: 8,
        };
        assert_eq!(&ours.to_bytes()[..], theirs.as_ref());
        assert_eq!(Tcs::from_bytes(&ours.to_bytes()), Ok(ours));
    }
}
