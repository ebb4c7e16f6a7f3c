//! WASI preview 1 over small traits, for use inside the enclave.
