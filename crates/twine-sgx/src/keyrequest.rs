//! KEYREQUEST.

use bitflags::bitflags;

use crate::field::{Field, structure};

bitflags! {
    /// What a sealing key depends on (SDM table "KEYPOLICY").
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Keypolicy: u16 {
        /// On MRENCLAVE.
        const MRENCLAVE = 1 << 0;
        /// On MRSIGNER.
        const MRSIGNER = 1 << 1;
        /// Not on ISVPRODID.
        const NOISVPRODID = 1 << 2;
        /// On CONFIGID, and on CONFIGSVN as requested.
        const CONFIGID = 1 << 3;
        /// On ISVFAMILYID.
        const ISVFAMILYID = 1 << 4;
        /// On ISVEXTPRODID.
        const ISVEXTPRODID = 1 << 5;
    }
}

impl Keypolicy {
    /// The bits that only an enclave with ATTRIBUTES.KSS may set.
    pub const KSS: Self =
        Self::NOISVPRODID.union(Self::CONFIGID).union(Self::ISVFAMILYID).union(Self::ISVEXTPRODID);
}

impl Field for Keypolicy {
    const SIZE: usize = 2;
    fn put(&self, out: &mut [u8]) {
        self.bits().put(out);
    }
    fn get(bytes: &[u8]) -> Self {
        Self::from_bits_retain(u16::get(bytes))
    }
}

structure! {
    /// What EGETKEY is asked for (SDM table "Layout of KEYREQUEST"); 512-byte aligned in memory.
    Keyrequest, "KEYREQUEST", 512 {
        /// [`Keyname`](crate::Keyname).
        0 => keyname: u16,
        /// What the key depends on; bits without a name are kept, and refused by EGETKEY.
        2 => keypolicy: Keypolicy,
        /// ISVSVN, at most one's own.
        4 => isvsvn: u16,
        /// Mask of the CET attributes the key depends on.
        6 => cet_attributes_mask: u8,
        /// CPUSVN, at most the processor's.
        8 => cpusvn: [u8; 16],
        /// Mask of ATTRIBUTES.FLAGS the key depends on; INIT and DEBUG always are in.
        24 => attributemask: u64,
        /// Mask of ATTRIBUTES.XFRM the key depends on.
        32 => xfrmmask: u64,
        /// Diversifies the key.
        40 => keyid: [u8; 32],
        /// Mask of MISCSELECT the key depends on.
        72 => miscmask: u32,
        /// CONFIGSVN, at most one's own (KSS).
        76 => configsvn: u16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_sgx_isa_byte_for_byte() {
        let theirs = sgx_isa::Keyrequest {
            keyname: sgx_isa::Keyname::Seal as u16,
            keypolicy: sgx_isa::Keypolicy::MRENCLAVE | sgx_isa::Keypolicy::MRSIGNER,
            isvsvn: 0x0102,
            cpusvn: [3; 16],
            attributemask: [0x0405_0607, 0x0809_0A0B],
            keyid: [0x0C; 32],
            miscmask: 0x0D0E_0F10,
            ..Default::default()
        };
        let ours = Keyrequest {
            keyname: 4,
            keypolicy: Keypolicy::MRENCLAVE | Keypolicy::MRSIGNER,
            isvsvn: 0x0102,
            cpusvn: [3; 16],
            attributemask: 0x0405_0607,
            xfrmmask: 0x0809_0A0B,
            keyid: [0x0C; 32],
            miscmask: 0x0D0E_0F10,
            ..Default::default()
        };
        assert_eq!(&ours.to_bytes()[..], theirs.as_ref());
        assert_eq!(Keyrequest::from_bytes(&ours.to_bytes()), Ok(ours));
    }

    #[test]
    fn configsvn_and_the_policy_bits_are_where_the_sdm_puts_them() {
        let request = Keyrequest { configsvn: 0x1122, keypolicy: Keypolicy::KSS, ..Default::default() };
        let bytes = request.to_bytes();
        assert_eq!(bytes[76..78], [0x22, 0x11]);
        assert_eq!(bytes[2..4], [0b11_1100, 0]);
    }

    #[test]
    fn reserved_bytes_are_refused_and_reserved_policy_bits_kept() {
        let mut bytes = [0; 512];
        bytes[3] = 0x80;
        assert_eq!(Keyrequest::from_bytes(&bytes).unwrap().keypolicy.bits(), 0x8000);
        bytes[511] = 1;
        assert_eq!(Keyrequest::from_bytes(&bytes).unwrap_err().offset, 511);
    }
}
