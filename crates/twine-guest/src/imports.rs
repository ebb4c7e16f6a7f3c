//! The functions that the runtime provides, as safe Rust: slices in, the used length or an errno out.

macro_rules! imports {
    ($(fn $name:ident($($param:ident: $type:ty),*) -> used = |$out:ident| [$($pass:expr),*];)*) => { $(
        #[cfg(target_arch = "wasm32")]
        pub fn $name($($param: $type),*) -> Result<usize, u16> {
            #[allow(unused_mut, reason = "one has no length")]
            let mut $out = 0_u32;
            // SAFETY: every pointer comes with the length of the slice that it is of; the runtime stays within it.
            let errno = unsafe { raw::$name($($pass),*) };
            if errno == 0 { Ok($out as usize) } else { Err(errno as u16) }
        }

        #[cfg(not(target_arch = "wasm32"))]
        pub fn $name($(_: $type),*) -> Result<usize, u16> {
            Err(crate::Error::NOSYS)
        }
    )* };
}

imports! {
    fn identity(record: &mut [u8; 224]) -> used = |used| [record.as_mut_ptr()];
    fn evidence_collect(data: &[u8], nonce: &[u8], buf: &mut [u8]) -> used = |used| [
        data.as_ptr(), data.len(), nonce.as_ptr(), nonce.len(), buf.as_mut_ptr(), buf.len(), &mut used
    ];
    fn evidence_verify(
        evidence: &[u8], nonce: &[u8], policy: &[u8], collateral: &[u8], at: u64, record: &mut [u8; 224], buf: &mut [u8]
    ) -> used = |used| [
        evidence.as_ptr(), evidence.len(), nonce.as_ptr(), nonce.len(), policy.as_ptr(), policy.len(),
        collateral.as_ptr(), collateral.len(), at, record.as_mut_ptr(), buf.as_mut_ptr(), buf.len(), &mut used
    ];
    fn evidence_parse(evidence: &[u8], record: &mut [u8; 224], buf: &mut [u8]) -> used = |used| [
        evidence.as_ptr(), evidence.len(), record.as_mut_ptr(), buf.as_mut_ptr(), buf.len(), &mut used
    ];
    fn seal(to: u32, aad: &[u8], data: &[u8], buf: &mut [u8]) -> used = |used| [
        to, aad.as_ptr(), aad.len(), data.as_ptr(), data.len(), buf.as_mut_ptr(), buf.len(), &mut used
    ];
    fn unseal(aad: &[u8], sealed: &[u8], buf: &mut [u8]) -> used = |used| [
        aad.as_ptr(), aad.len(), sealed.as_ptr(), sealed.len(), buf.as_mut_ptr(), buf.len(), &mut used
    ];
    fn message(buf: &mut [u8]) -> used = |used| [buf.as_mut_ptr(), buf.len(), &mut used];
}

#[cfg(target_arch = "wasm32")]
mod raw {
    #[link(wasm_import_module = "twine_tee_v1")]
    unsafe extern "C" {
        pub fn identity(record: *mut u8) -> i32;
        pub fn evidence_collect(
            data: *const u8,
            data_len: usize,
            nonce: *const u8,
            nonce_len: usize,
            buf: *mut u8,
            buf_len: usize,
            used: *mut u32,
        ) -> i32;
        pub fn evidence_verify(
            evidence: *const u8,
            evidence_len: usize,
            nonce: *const u8,
            nonce_len: usize,
            policy: *const u8,
            policy_len: usize,
            collateral: *const u8,
            collateral_len: usize,
            at: u64,
            record: *mut u8,
            buf: *mut u8,
            buf_len: usize,
            used: *mut u32,
        ) -> i32;
        pub fn evidence_parse(
            evidence: *const u8,
            evidence_len: usize,
            record: *mut u8,
            buf: *mut u8,
            buf_len: usize,
            used: *mut u32,
        ) -> i32;
        pub fn seal(
            to: u32,
            aad: *const u8,
            aad_len: usize,
            data: *const u8,
            data_len: usize,
            buf: *mut u8,
            buf_len: usize,
            used: *mut u32,
        ) -> i32;
        pub fn unseal(
            aad: *const u8,
            aad_len: usize,
            sealed: *const u8,
            sealed_len: usize,
            buf: *mut u8,
            buf_len: usize,
            used: *mut u32,
        ) -> i32;
        pub fn message(buf: *mut u8, buf_len: usize, used: *mut u32) -> i32;
    }
}
