//! Trusted: the image that runs WASI programs.

extern crate twine_enclave_libc as _;

#[unsafe(no_mangle)]
extern "C" fn twine_main() {
    let _ = twine_enclave::border::call(
        &twine_abi::calls::Write { stream: 1 }, b"hello from the enclave\n", &mut [],
    );
}
