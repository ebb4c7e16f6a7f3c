//! REPORT, as `sgx-isa` defines it (KSS fields included), from and to bytes.

use core::mem::offset_of;

use sgx_isa::Report;

/// Bytes of a REPORT (SDM table "Layout of REPORT").
pub const REPORT_SIZE: usize = Report::UNPADDED_SIZE;
/// Bytes that the MAC covers: all before KEYID. This part is also the report body inside a quote.
pub const REPORT_BODY_SIZE: usize = Report::TRUNCATED_SIZE;

/// A report from its bytes, reserved fields as they are: the MAC covers them.
pub fn report_from_bytes(bytes: &[u8; REPORT_SIZE]) -> Report {
    // try_copy_from fails for another length only, and the length is in the type.
    Report::try_copy_from(bytes).unwrap_or_default()
}

/// The 432 bytes of a report.
pub fn report_to_bytes(report: &Report) -> [u8; REPORT_SIZE] {
    let mut bytes = [0; REPORT_SIZE];
    bytes.copy_from_slice(report.as_ref());
    bytes
}

/// The part of a report that its MAC covers.
pub fn mac_data(report: &Report) -> [u8; REPORT_BODY_SIZE] {
    *report.mac_data()
}

// The SDM's offsets; a version of sgx-isa that moves a field fails here and not in a MAC.
const _: () = {
    assert!(offset_of!(Report, cpusvn) == 0);
    assert!(offset_of!(Report, miscselect) == 16);
    assert!(offset_of!(Report, cet_attributes) == 20);
    assert!(offset_of!(Report, isvextnprodid) == 32);
    assert!(offset_of!(Report, attributes) == 48);
    assert!(offset_of!(Report, mrenclave) == 64);
    assert!(offset_of!(Report, mrsigner) == 128);
    assert!(offset_of!(Report, configid) == 192);
    assert!(offset_of!(Report, isvprodid) == 256);
    assert!(offset_of!(Report, isvsvn) == 258);
    assert!(offset_of!(Report, configsvn) == 260);
    assert!(offset_of!(Report, isvfamilyid) == 304);
    assert!(offset_of!(Report, reportdata) == 320);
    assert!(offset_of!(Report, keyid) == 384);
    assert!(offset_of!(Report, mac) == 416);
    assert!(REPORT_SIZE == 432 && REPORT_BODY_SIZE == 384);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_the_round_trip() {
        let bytes: [u8; REPORT_SIZE] = core::array::from_fn(|i| (i * 7 + 1) as u8);
        let report = report_from_bytes(&bytes);
        assert_eq!(report_to_bytes(&report), bytes);
        assert_eq!(mac_data(&report)[..], bytes[..384]);
    }
}
