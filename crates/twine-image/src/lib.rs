//! The enclave image: ELF to SGXS, the check for illegal instructions, MRENCLAVE, SIGSTRUCT.
