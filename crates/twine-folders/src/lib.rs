//! Trusted: folders that the host keeps, behind [`twine_vfs::FileSystem`].
//!
//! A [`MeasuredFolder`] holds files whose contents the workload names by digest: the host delivers them, and no byte
//! reaches the program before it was checked. A [`HostFolder`] is the host's in clear (`insecure-host`): what it says
//! is the host's word, and what is checked is that it is a possible answer, so that a lie can mislead the program but
//! not this side of the border.
//!
//! Both make the host calls 30 to 38 of `twine-abi` through a [`Border`], which tests replace by a hostile host.

#![forbid(unsafe_code)]

mod answer;
mod insecure;
mod measured;

pub use insecure::HostFolder;
pub use measured::{MeasuredFolder, NamedFile};

use twine_abi::wire::{HostCall, Status};

/// Makes host calls. At most `into.len()` bytes come back, and they are counted in the answer.
pub trait Border: Send + Sync {
    /// One call; `Err` is the host's refusal.
    ///
    /// # Errors
    /// The host's status.
    fn call<C: HostCall>(
        &self,
        request: &C,
        data: &[u8],
        into: &mut [u8],
    ) -> Result<(C::Reply, usize), Status>;
}
