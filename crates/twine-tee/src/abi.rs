//! Limits of the interface (docs/guest-api.md). Memory that a call takes beside the program's own is bounded by them.

/// Most bytes of a program's data in one piece of evidence.
pub const MAX_DATA: u32 = 4096;
/// Most bytes of a verifier's nonce.
pub const MAX_NONCE: u32 = 64;
/// Most bytes of evidence.
pub const MAX_EVIDENCE: u32 = 32 << 10;
/// Most bytes of a policy, and of collateral.
pub const MAX_INPUT: u32 = 1 << 20;
/// Most bytes of associated data.
pub const MAX_AAD: u32 = 4096;
/// Most bytes of sealed data.
pub const MAX_SEALED: u32 = 64 << 20;
