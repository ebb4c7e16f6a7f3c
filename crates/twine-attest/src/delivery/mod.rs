//! Delivery of code and secrets to an enclave that has attested itself: docs/attestation.md, "Delivery".
//!
//! Two ways to come together, one protocol. The owner connects to an enclave that waits, or an enclave connects to the
//! owner's key service; in both the enclave presents evidence for this connection ([`crate::ratls`]) and the other side
//! proves to hold an Ed25519 key (a raw public key, RFC 7250). Then the workload goes in, which must be the one that CONFIGID
//! names and must name that key; then a [`Bundle`]; and [`Message`]s come out.

mod bundle;
mod channel;
mod key;
mod message;
mod secrets;

pub use bundle::{Bundle, File, Variable, VolumeKey};
pub use channel::{Channel, ChannelError};
pub use key::{DeliveryKey, attested_client, attested_server, delivering_client, delivering_server};
pub use message::{Ended, MAX_BUNDLE, MAX_REPLY, MAX_WORKLOAD, Message};
pub use secrets::{Secrets, secrets_schema};
