//! TARGETINFO.

use sgx_isa::{Attributes, Report};

use crate::field::structure;

structure! {
    /// The identity an EREPORT is addressed to (SDM table "Layout of TARGETINFO"); 512-byte aligned in memory.
    Targetinfo, "TARGETINFO", 512 {
        /// MRENCLAVE of the target.
        0 => measurement: [u8; 32],
        /// Attributes of the target.
        32 => attributes: Attributes,
        /// CET attributes of the target.
        48 => cet_attributes: u8,
        /// CONFIGSVN of the target (KSS).
        50 => configsvn: u16,
        /// [`Miscselect`](crate::Miscselect) bits of the target.
        52 => miscselect: u32,
        /// CONFIGID of the target (KSS).
        64 => configid: [u8; 64],
    }
}

impl From<&Report> for Targetinfo {
    /// The identity that `report` speaks for, KSS fields included.
    fn from(report: &Report) -> Self {
        Self {
            measurement: report.mrenclave,
            attributes: report.attributes,
            cet_attributes: report.cet_attributes,
            configsvn: report.configsvn,
            miscselect: report.miscselect.bits(),
            configid: report.configid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report_from_bytes;
    use sgx_isa::{AttributesFlags, Miscselect};

    #[test]
    fn agrees_with_sgx_isa_byte_for_byte() {
        let attributes = Attributes { flags: AttributesFlags::MODE64BIT, xfrm: 3 };
        let theirs = sgx_isa::Targetinfo {
            measurement: [0x11; 32],
            attributes,
            miscselect: Miscselect::EXINFO,
            ..Default::default()
        };
        let ours = Targetinfo { measurement: [0x11; 32], attributes, miscselect: 1, ..Default::default() };
        assert_eq!(&ours.to_bytes()[..], theirs.as_ref());
    }

    #[test]
    fn kss_fields_come_from_the_report_and_are_where_the_sdm_puts_them() {
        let mut report = [0; 432];
        report[192..256].fill(0x22);
        report[260..262].copy_from_slice(&[0x34, 0x12]);
        let target = Targetinfo::from(&report_from_bytes(&report)).to_bytes();
        assert_eq!(target[50..52], [0x34, 0x12]);
        assert_eq!(target[64..128], [0x22; 64]);
    }

    #[test]
    fn reserved_bytes_are_refused() {
        for offset in (0..512).filter(|o| matches!(o, 49 | 56..64 | 128..)) {
            let mut bytes = [0; 512];
            bytes[offset] = 1;
            let error = Targetinfo::from_bytes(&bytes).unwrap_err();
            assert_eq!((error.structure, error.offset), ("TARGETINFO", offset));
        }
    }
}
