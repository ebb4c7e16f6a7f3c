//! Leaf numbers of ENCLU, in EAX (SDM table "ENCLU Functions").

/// Creates a report.
pub const EREPORT: u32 = 0;
/// Retrieves a key.
pub const EGETKEY: u32 = 1;
/// Enters an enclave.
pub const EENTER: u32 = 2;
/// Re-enters an enclave after an asynchronous exit.
pub const ERESUME: u32 = 3;
/// Leaves an enclave.
pub const EEXIT: u32 = 4;
/// Accepts a change to a page.
pub const EACCEPT: u32 = 5;
/// Extends the permissions of a page.
pub const EMODPE: u32 = 6;
/// Initialises a pending page with a copy.
pub const EACCEPTCOPY: u32 = 7;
/// Verifies a TDX report.
pub const EVERIFYREPORT2: u32 = 8;
/// Decrements CSSA (AEX-Notify).
pub const EDECCSSA: u32 = 9;

/// The encoding of ENCLU.
pub const ENCLU: [u8; 3] = [0x0F, 0x01, 0xD7];

const _: () = {
    use sgx_isa::Enclu;
    assert!(EREPORT == Enclu::EReport as u32 && EGETKEY == Enclu::EGetkey as u32);
    assert!(
        EENTER == Enclu::EEnter as u32 && ERESUME == Enclu::EResume as u32 && EEXIT == Enclu::EExit as u32
    );
    assert!(EACCEPT == Enclu::EAccept as u32 && EMODPE == Enclu::EModpe as u32);
    assert!(EACCEPTCOPY == Enclu::EAcceptcopy as u32 && EVERIFYREPORT2 == Enclu::EVerifyReport2 as u32);
};
