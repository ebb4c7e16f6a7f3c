//! A host in memory that answers as a test wants.

#![allow(dead_code, reason = "each test uses its part")]

use std::sync::{Arc, Mutex};

use twine_abi::calls::*;
use twine_abi::wire::{HostCall, MAX_WORDS, Status, Words};
use twine_folders::Border;

/// What a host answers: words and bytes, or a refusal.
pub type Answer = Result<(Vec<u64>, Vec<u8>), Status>;
type Script = Box<dyn FnMut(Call, &[u64], &[u8]) -> Answer + Send>;

/// A host by a function.
#[derive(Clone)]
pub struct Host(Arc<Mutex<Script>>);

impl Host {
    pub fn new(script: impl FnMut(Call, &[u64], &[u8]) -> Answer + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(script))))
    }
}

impl Border for Host {
    fn call<C: HostCall>(
        &self,
        request: &C,
        data: &[u8],
        into: &mut [u8],
    ) -> Result<(C::Reply, usize), Status> {
        let words = request.to_words();
        let (answer, bytes) = (self.0.lock().unwrap())(C::CALL, &words[..C::COUNT], data)?;
        let mut reply = [0; MAX_WORDS];
        reply[..answer.len()].copy_from_slice(&answer);
        // The border itself ends the enclave if more comes than was asked for.
        let count = bytes.len().min(into.len());
        into[..count].copy_from_slice(&bytes[..count]);
        Ok((C::Reply::from_words(&reply), count))
    }
}

pub const FILE: u64 = NodeKind::File as u64;
pub const DIRECTORY: u64 = NodeKind::Directory as u64;
pub const SYMLINK: u64 = NodeKind::Symlink as u64;

/// Handle, kind, device, inode.
pub fn node(handle: u64, kind: u64, inode: u64) -> Answer {
    Ok((vec![handle, kind, 1, inode], vec![]))
}
