//! SGX architectural structures as the SDM defines them, with the KSS fields, for both sides of the border.
