//! The border between the host and the enclave: host calls, wire format, entry convention, image layout.
