//! Delivery of code and secrets to an enclave that has attested itself: docs/attestation.md, "Delivery".
//!
//! Two ways to come together, one protocol. The owner connects to an enclave that waits, or an enclave connects to the
//! owner's key service; in both the enclave presents evidence for this connection ([`crate::ratls`]) and the other side
//! proves to hold an Ed25519 key (a raw public key, RFC 7250), which the workload must name. Then a [`Bundle`] goes in, and
//! [`Message`]s come out.

mod bundle;
mod channel;
mod key;
mod message;
#[cfg(feature = "verify")]
mod secrets;

pub use bundle::{Bundle, File, Variable, VolumeKey};
pub use channel::{Channel, ChannelError};
#[cfg(feature = "verify")]
pub use key::DeliveryKey;
pub use key::{attested_client, attested_server};
#[cfg(feature = "verify")]
pub use key::{delivering_client, delivering_server};
pub use message::{Ended, MAX_BUNDLE, MAX_REPLY, Message};
#[cfg(feature = "verify")]
pub use secrets::{Secrets, secrets_schema};
