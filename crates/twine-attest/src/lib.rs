//! Evidence, policy and verification of SGX quotes; no SGX hardware needed.
