//! Wrapping the volume key under the master key, and the header's HMAC.

use ring::{aead, hmac};
use zeroize::Zeroizing;

use super::{Forged, MasterKey, VolumeKey, cipher, derive, nonce};
use crate::format::Page;
use crate::format::header::Header;

fn hmac_key(master: &MasterKey, salt: &[u8; 32], id: &[u8; 16]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, derive(&master.bytes, salt, "twine-volume v1 header", id).as_ref())
}

fn wrapping_key(master: &MasterKey, salt: &[u8; 32], id: &[u8; 16]) -> aead::LessSafeKey {
    cipher(&derive(&master.bytes, salt, "twine-volume v1 wrap", id))
}

/// A header slot for this volume key. `salt` must be fresh.
pub(crate) fn make_header(
    master: &MasterKey,
    volume: &VolumeKey,
    version: u32,
    id: [u8; 16],
    generation: u64,
    salt: [u8; 32],
) -> Page {
    let mut wrapped = [0; 48];
    let (key, tag) = wrapped.split_at_mut(32);
    key.copy_from_slice(volume.0.as_ref());
    let sealed = wrapping_key(master, &salt, &id)
        .seal_in_place_separate_tag(nonce(0), aead::Aad::empty(), key)
        .expect("AES-GCM seals 32 bytes");
    tag.copy_from_slice(sealed.as_ref());
    let header = Header { version, id, generation, salt, wrapped, label: master.label };
    let signature = hmac::sign(&hmac_key(master, &salt, &id), &header.signed());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(signature.as_ref());
    header.encode(&bytes)
}

/// The volume key of a header, if this master key made it.
pub(crate) fn open_header(
    master: &MasterKey,
    header: &Header,
    signature: &[u8; 32],
) -> Result<VolumeKey, Forged> {
    hmac::verify(&hmac_key(master, &header.salt, &header.id), &header.signed(), signature)
        .map_err(|_| Forged)?;
    let mut wrapped = Zeroizing::new(header.wrapped);
    let key = wrapping_key(master, &header.salt, &header.id)
        .open_in_place(nonce(0), aead::Aad::empty(), wrapped.as_mut())
        .map_err(|_| Forged)?;
    Ok(VolumeKey::new(key.try_into().map_err(|_| Forged)?))
}
