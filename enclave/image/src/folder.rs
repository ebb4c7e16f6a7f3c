//! Measured and insecure mounts: the host's folders behind the border.

use std::sync::Arc;

use twine_abi::calls::{Stream, Write};
use twine_abi::wire::{HostCall, Status};
use twine_enclave::border;
use twine_folders::{Border, HostFolder, MeasuredFolder, NamedFile};
use twine_vfs::FileSystem;
use twine_workload::MeasuredFile;

use crate::End;

/// The border of this enclave.
struct Enclave;

impl Border for Enclave {
    fn call<C: HostCall>(
        &self,
        request: &C,
        data: &[u8],
        into: &mut [u8],
    ) -> Result<(C::Reply, usize), Status> {
        border::call(request, data, into)
    }
}

/// The files of a measured mount.
pub fn measured(guest: &str, files: &[MeasuredFile]) -> Result<Arc<dyn FileSystem>, End> {
    let files = files.iter().map(|file| NamedFile {
        path: file.path.clone(),
        size: file.size,
        sha256: file.sha256.0,
    });
    // The host knows what it delivered: its own mistake is no secret.
    let report = |message: &str| {
        let _ = border::call(&Write { stream: Stream::Log as u64 }, message.as_bytes(), &mut []);
    };
    match MeasuredFolder::new(Enclave, guest, files, report) {
        Ok(folder) => Ok(Arc::new(folder)),
        Err(error) => Err(End::refused(format!("the measured mount {guest}: {error}"))),
    }
}

/// A folder of the host in clear.
pub fn insecure(guest: &str, read_only: bool) -> Result<Arc<dyn FileSystem>, End> {
    match HostFolder::open(Enclave, guest, read_only) {
        Ok(folder) => Ok(Arc::new(folder)),
        Err(error) => Err(End::refused(format!(
            "the insecure mount {guest}: the host could not open its folder ({error}); name one that exists"
        ))),
    }
}
