//! Sealing: an epoch is one fresh salt and a counter that lives in memory only.

use ring::aead;

use super::{Keyring, Place, nonce};
use crate::format::log;
use crate::format::pointer::{Pointer, Salt};
use crate::format::record::{CLEAR, Clear, SEALED};
use crate::format::{Page, SLOT, TAG};

/// Most blocks that one epoch's key seals.
pub(crate) const BLOCKS_PER_EPOCH: u32 = 1 << 31;

/// What this run seals with.
pub(crate) struct Epoch {
    salt: Salt,
    blocks: aead::LessSafeKey,
    records: aead::LessSafeKey,
    used: u32,
    /// Slots of records in the log.
    logged: u32,
    limit: u32,
    last_record: Option<u64>,
}

impl Epoch {
    /// `salt` must be fresh from the entropy source.
    pub(crate) fn new(keys: &Keyring, salt: Salt, limit: u32) -> Epoch {
        let (blocks, records) = keys.epoch_keys(salt);
        Epoch {
            salt,
            blocks,
            records,
            used: 0,
            logged: 0,
            limit: limit.min(BLOCKS_PER_EPOCH),
            last_record: None,
        }
    }

    pub(crate) fn salt(&self) -> Salt {
        self.salt
    }

    /// Blocks sealed so far, which is also the next counter.
    pub(crate) fn used(&self) -> u32 {
        self.used
    }

    pub(crate) fn exhausted(&self) -> bool {
        self.used >= self.limit || self.logged >= self.limit
    }

    /// Seals a page where it stands. `None` when the epoch is exhausted.
    pub(crate) fn seal(
        &mut self,
        id: &[u8; 16],
        place: Place,
        slot: u32,
        page: &mut [u8],
    ) -> Option<Pointer> {
        if self.exhausted() {
            return None;
        }
        let counter = self.used;
        self.used += 1;
        let aad = aead::Aad::from(place.associated_data(slot, id));
        let sealed = self.blocks.seal_in_place_separate_tag(nonce(counter.into()), aad, page).ok()?;
        let mut tag = [0; TAG];
        tag.copy_from_slice(sealed.as_ref());
        Some(Pointer { slot, counter, salt: self.salt, tag })
    }

    /// Seals a record into its slot's bytes, and gives its tag. Each sequence once, ascending, or `None`.
    pub(crate) fn seal_record(
        &mut self,
        keys: &Keyring,
        sequence: u64,
        slot: u32,
        body: &[u8; SEALED],
    ) -> Option<(Page, [u8; TAG])> {
        let clear = Clear { sequence, salt: self.salt }.encode();
        let mut page = [0; SLOT];
        page[..CLEAR].copy_from_slice(&clear);
        page[CLEAR..CLEAR + SEALED].copy_from_slice(body);
        let tag = self.seal_body(keys, sequence, slot, &clear, &mut page[CLEAR..CLEAR + SEALED])?;
        page[CLEAR + SEALED..].copy_from_slice(&tag);
        Some((page, tag))
    }

    /// Seals a record of the log where it stands in its slots, and gives its tag. Each sequence once, ascending, or `None`.
    pub(crate) fn seal_log_record(
        &mut self,
        keys: &Keyring,
        sequence: u64,
        slot: u32,
        bytes: &mut [u8],
    ) -> Option<[u8; TAG]> {
        let slots = u32::try_from(bytes.len() / SLOT).ok()?;
        let clear = log::Clear { sequence, salt: self.salt, slots }.encode();
        let (head, rest) = bytes.split_first_chunk_mut()?;
        let (body, end) = rest.split_last_chunk_mut()?;
        *head = clear;
        *end = self.seal_body(keys, sequence, slot, &clear, body)?;
        self.logged = self.logged.saturating_add(slots);
        Some(*end)
    }

    /// Both kinds of records share a key and its nonces, the sequence's.
    fn seal_body(
        &mut self,
        keys: &Keyring,
        sequence: u64,
        slot: u32,
        clear: &[u8],
        body: &mut [u8],
    ) -> Option<[u8; TAG]> {
        if self.last_record.is_some_and(|last| last >= sequence) {
            return None;
        }
        self.last_record = Some(sequence);
        let aad = aead::Aad::from(keys.record_associated_data(slot, clear));
        let sealed = self.records.seal_in_place_separate_tag(nonce(sequence), aad, body).ok()?;
        sealed.as_ref().try_into().ok()
    }
}
