//! Opening: keys of whatever epoch a pointer names.

use std::collections::HashMap;

use ring::aead;
use zeroize::Zeroizing;

use super::{Forged, VolumeKey, block_key, derive, nonce, record_key};
use crate::format::log::{self, LogRecord};
use crate::format::pointer::{Pointer, Salt};
use crate::format::record::{CLEAR, Clear, Record, SEALED};
use crate::format::{Page, SLOT, TAG};

/// What a block is: the part of its associated data that its parent knows besides the pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A node of this height.
    Node { level: u8 },
    /// A block of a file.
    Data { ino: u64, block: u64 },
}

impl Place {
    pub(super) fn associated_data(self, slot: u32, id: &[u8; 16]) -> [u8; 44] {
        let (kind, level, owner, index) = match self {
            Place::Node { level } => (1, level, 0, 0),
            Place::Data { ino, block } => (2, 0, ino, block),
        };
        let mut out = [0; 44];
        out[..4].copy_from_slice(b"TVB1");
        out[4] = kind;
        out[5] = level;
        out[8..12].copy_from_slice(&slot.to_le_bytes());
        out[12..20].copy_from_slice(&owner.to_le_bytes());
        out[20..28].copy_from_slice(&index.to_le_bytes());
        out[28..].copy_from_slice(id);
        out
    }

    /// For reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Place::Node { .. } => "tree node",
            Place::Data { .. } => "file data",
        }
    }
}

/// Expanded keys kept at hand: about 1 KiB each.
const KEPT: usize = 128;

/// The volume key and the epoch keys derived from it so far.
pub(crate) struct Keyring {
    version: u32,
    id: [u8; 16],
    volume: VolumeKey,
    name_key: Zeroizing<[u8; 32]>,
    blocks: HashMap<Salt, aead::LessSafeKey>,
}

impl Keyring {
    pub(crate) fn new(volume: VolumeKey, version: u32, id: [u8; 16]) -> Keyring {
        let name_key = derive(&volume.0, &[], "twine-volume v1 name", &id);
        Keyring { version, id, volume, name_key, blocks: HashMap::new() }
    }

    pub(crate) fn id(&self) -> &[u8; 16] {
        &self.id
    }

    /// Of the volume's format.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// What a record in this slot is authenticated with; it begins with what the record shows in clear.
    pub(super) fn record_associated_data(&self, slot: u32, clear: &[u8]) -> Vec<u8> {
        let magic = clear.get(..4).unwrap_or_default();
        [magic, &self.version.to_le_bytes(), &self.id, &slot.to_le_bytes(), clear].concat()
    }

    /// What proves to an anchor that the volume asks.
    pub(crate) fn anchor_secret(&self) -> Zeroizing<[u8; 32]> {
        derive(&self.volume.0, &[], "twine-volume v1 anchor", &self.id)
    }

    pub(super) fn epoch_keys(&self, salt: Salt) -> (aead::LessSafeKey, aead::LessSafeKey) {
        (block_key(&self.volume, salt, &self.id), record_key(&self.volume, salt, &self.id))
    }

    /// Decrypts a block where it stands. On failure its bytes are unspecified and must not be used.
    pub(crate) fn open(&mut self, pointer: &Pointer, place: Place, page: &mut [u8]) -> Result<(), Forged> {
        if self.blocks.len() >= KEPT && !self.blocks.contains_key(&pointer.salt) {
            self.blocks.clear();
        }
        let key = self
            .blocks
            .entry(pointer.salt)
            .or_insert_with(|| block_key(&self.volume, pointer.salt, &self.id));
        let aad = aead::Aad::from(place.associated_data(pointer.slot, &self.id));
        key.open_in_place_separate_tag(nonce(pointer.counter.into()), aad, pointer.tag.into(), page, 0..)
            .map(|_| ())
            .map_err(|_| Forged)
    }

    /// The record in a slot of the ring, with its tag. `Ok(None)`: the slot was never written.
    pub(crate) fn open_record(
        &self,
        slot: u32,
        page: &Page,
    ) -> Result<Option<(Clear, Record, [u8; TAG])>, Forged> {
        let Some(clear) = Clear::decode(&page[..CLEAR]) else {
            return if page.iter().all(|b| *b == 0) { Ok(None) } else { Err(Forged) };
        };
        if crate::format::record::slot_of(clear.sequence) != slot {
            return Err(Forged);
        }
        let mut body = [0; SEALED + TAG];
        body.copy_from_slice(&page[CLEAR..]);
        let mut tag = [0; TAG];
        tag.copy_from_slice(&body[SEALED..]);
        let aad = aead::Aad::from(self.record_associated_data(slot, &clear.encode()));
        let opened = record_key(&self.volume, clear.salt, &self.id)
            .open_in_place(nonce(clear.sequence), aad, &mut body)
            .map_err(|_| Forged)?;
        Ok(Some((clear, Record::decode(opened, self.version).ok_or(Forged)?, tag)))
    }

    /// The record that begins in a slot of the log, with its tag, if one does.
    pub(crate) fn open_log_record(
        &self,
        slot: u32,
        from: &[u8],
    ) -> Option<(log::Clear, LogRecord, [u8; TAG])> {
        let clear = log::Clear::decode(from.get(..log::CLEAR)?)?;
        let mut body = from.get(log::CLEAR..clear.slots as usize * SLOT)?.to_vec();
        let tag = *body.last_chunk()?;
        let aad = aead::Aad::from(self.record_associated_data(slot, &clear.encode()));
        let opened = record_key(&self.volume, clear.salt, &self.id)
            .open_in_place(nonce(clear.sequence), aad, &mut body)
            .ok()?;
        Some((clear, LogRecord::decode(opened, self.version)?, tag))
    }

    /// Spreads names over the cookies of a directory; nobody without the volume key can aim at one.
    pub(crate) fn name_hash(&self, name: &str) -> [u8; 8] {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        context.update(self.name_key.as_ref());
        context.update(name.as_bytes());
        let mut out = [0; 8];
        out.copy_from_slice(&context.finish().as_ref()[..8]);
        out
    }
}
