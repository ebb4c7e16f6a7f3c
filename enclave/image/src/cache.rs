//! The host as the keeper of sealed artefacts. What it gives back is checked by the seal, not here.

use twine_abi::calls::{CacheGet, CachePut};
use twine_abi::wire::MAX_PAYLOAD;
use twine_enclave::border;
use twine_runtime::cache::Store;

use crate::reader;

/// Most bytes of a sealed artefact.
const LIMIT: u64 = 4 << 30;

pub struct HostStore;

impl Store for HostStore {
    fn get(&self, name: &[u8; 32]) -> Option<Vec<u8>> {
        let sealed = reader::read(LIMIT, |offset, into| {
            let max = into.len() as u64;
            border::call(&CacheGet { offset, max }, name, into).map(|(reply, got)| (reply.total, got))
        });
        sealed.ok().flatten()
    }

    fn put(&self, name: &[u8; 32], bytes: &[u8]) {
        let total = bytes.len() as u64;
        let mut message = Vec::with_capacity(MAX_PAYLOAD);
        let mut offset = 0;
        for piece in bytes.chunks(MAX_PAYLOAD - name.len()) {
            message.clear();
            message.extend_from_slice(name);
            message.extend_from_slice(piece);
            // The first refusal ends it: the next start compiles again.
            if border::call(&CachePut { offset, total }, &message, &mut []).is_err() {
                return;
            }
            offset += piece.len() as u64;
        }
    }
}
