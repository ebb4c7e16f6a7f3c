//! SIGSTRUCT, as `sgx-isa` defines it, from and to bytes.

use core::mem::offset_of;

use sgx_isa::Sigstruct;

/// Bytes of a SIGSTRUCT (SDM table "Layout of Enclave Signature Structure").
pub const SIGSTRUCT_SIZE: usize = Sigstruct::UNPADDED_SIZE;

/// A SIGSTRUCT from its bytes, reserved fields as they are: EINIT judges them.
pub fn sigstruct_from_bytes(bytes: &[u8; SIGSTRUCT_SIZE]) -> Sigstruct {
    // try_copy_from fails for another length only, and the length is in the type.
    Sigstruct::try_copy_from(bytes).unwrap_or_default()
}

/// The 1808 bytes of a SIGSTRUCT.
pub fn sigstruct_to_bytes(sigstruct: &Sigstruct) -> [u8; SIGSTRUCT_SIZE] {
    let mut bytes = [0; SIGSTRUCT_SIZE];
    bytes.copy_from_slice(sigstruct.as_ref());
    bytes
}

// The SDM's offsets; a version of sgx-isa that moves a field fails here and not in a signature.
const _: () = {
    assert!(offset_of!(Sigstruct, header) == 0);
    assert!(offset_of!(Sigstruct, vendor) == 16);
    assert!(offset_of!(Sigstruct, date) == 20);
    assert!(offset_of!(Sigstruct, header2) == 24);
    assert!(offset_of!(Sigstruct, swdefined) == 40);
    assert!(offset_of!(Sigstruct, modulus) == 128);
    assert!(offset_of!(Sigstruct, exponent) == 512);
    assert!(offset_of!(Sigstruct, signature) == 516);
    assert!(offset_of!(Sigstruct, miscselect) == 900);
    assert!(offset_of!(Sigstruct, miscmask) == 904);
    assert!(offset_of!(Sigstruct, cet_attributes) == 908);
    assert!(offset_of!(Sigstruct, cet_attributes_mask) == 909);
    assert!(offset_of!(Sigstruct, isvfamilyid) == 912);
    assert!(offset_of!(Sigstruct, attributes) == 928);
    assert!(offset_of!(Sigstruct, attributemask) == 944);
    assert!(offset_of!(Sigstruct, enclavehash) == 960);
    assert!(offset_of!(Sigstruct, isvextprodid) == 1008);
    assert!(offset_of!(Sigstruct, isvprodid) == 1024);
    assert!(offset_of!(Sigstruct, isvsvn) == 1026);
    assert!(offset_of!(Sigstruct, q1) == 1040);
    assert!(offset_of!(Sigstruct, q2) == 1424);
    assert!(SIGSTRUCT_SIZE == 1808);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_the_round_trip() {
        let bytes: [u8; SIGSTRUCT_SIZE] = core::array::from_fn(|i| (i * 5 + 3) as u8);
        assert_eq!(sigstruct_to_bytes(&sigstruct_from_bytes(&bytes)), bytes);
    }
}
