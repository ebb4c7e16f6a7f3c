//! Sealed data, format version 1 (docs/guest-api.md): bytes that this workload can open again on this processor.
//!
//! ```text
//! header = "TWSEAL" 00 01, to: u8, 0: 3 bytes, ISVSVN: u16, CONFIGSVN: u16, CPUSVN: 16 bytes, KEYID: 32 bytes
//! key    = HKDF-SHA-256(salt "twine sealed data v1", EGETKEY by the header, info header), 32 bytes
//! sealed = header, AES-256-GCM(key, nonce 0, associated data = header ‖ the program's, plaintext), tag: 16 bytes
//! ```
//!
//! Every field of the header enters the key, and KEYID is fresh: no key seals twice, so the nonce may be constant.

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf,
};
use twine_sgx::Report;

use crate::{KeyRequest, SealTo};

/// Bytes before the ciphertext.
pub const HEADER_LEN: usize = 64;
/// How much longer sealed data is than what was sealed.
pub const OVERHEAD: usize = HEADER_LEN + 16;

const MAGIC: &[u8; 8] = b"TWSEAL\x00\x01";
const SALT: &[u8] = b"twine sealed data v1";

/// Why sealed data does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Not sealed data of a known version.
    #[error("the sealed data is malformed: {0}")]
    Malformed(&'static str),
    /// The processor gives no key.
    #[error(
        "the sealed data belongs to a newer version: the processor refuses its key to an enclave, workload or processor \
         with a lower security version"
    )]
    Newer,
    /// The key or the associated data is another one, or bytes were changed.
    #[error(
        "the sealed data does not open: it was changed, its associated data is another, or another enclave, workload or \
         processor sealed it"
    )]
    Refused,
}

/// Where keys come from: EGETKEY.
pub type Keys<'a> = &'a mut dyn FnMut(&KeyRequest) -> Option<[u8; 16]>;

/// Seals `data` to the enclave of `own`. `key_id` must be fresh and random.
pub fn seal(
    to: SealTo,
    own: &Report,
    key_id: [u8; 32],
    aad: &[u8],
    data: &[u8],
    keys: Keys<'_>,
) -> Result<Vec<u8>, SealError> {
    let request =
        KeyRequest { to, isv_svn: own.isvsvn, config_svn: own.configsvn, cpu_svn: own.cpusvn, key_id };
    let header = write(&request);
    let key = derive(&request, &header, keys)?;
    let mut sealed = Vec::with_capacity(OVERHEAD + data.len());
    sealed.extend_from_slice(&header);
    sealed.extend_from_slice(data);
    let (_, text) = sealed.split_at_mut(HEADER_LEN);
    let tag = key
        .seal_in_place_separate_tag(nonce(), Aad::from([&header[..], aad].concat()), text)
        .map_err(|_| SealError::Malformed("it is too long"))?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// Opens what [`seal`] made.
pub fn unseal(aad: &[u8], sealed: &[u8], keys: Keys<'_>) -> Result<Vec<u8>, SealError> {
    let (header, text) = sealed
        .split_first_chunk::<HEADER_LEN>()
        .ok_or(SealError::Malformed("it is shorter than a header"))?;
    let request = read(header)?;
    let key = derive(&request, header, keys)?;
    let mut text = text.to_vec();
    let aad = Aad::from([&header[..], aad].concat());
    let len = key.open_in_place(nonce(), aad, &mut text).map_err(|_| SealError::Refused)?.len();
    text.truncate(len);
    Ok(text)
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

fn derive(request: &KeyRequest, header: &[u8], keys: Keys<'_>) -> Result<LessSafeKey, SealError> {
    let secret = keys(request).ok_or(SealError::Newer)?;
    let unbound: UnboundKey = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT)
        .extract(&secret)
        .expand(&[header], &AES_256_GCM)
        .map_err(|_| SealError::Refused)?
        .into();
    Ok(LessSafeKey::new(unbound))
}

fn write(request: &KeyRequest) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    let fields: [(usize, &[u8]); 6] = [
        (0, MAGIC),
        (8, &[request.to as u8]),
        (12, &request.isv_svn.to_le_bytes()),
        (14, &request.config_svn.to_le_bytes()),
        (16, &request.cpu_svn),
        (32, &request.key_id),
    ];
    for (offset, field) in fields {
        header[offset..offset + field.len()].copy_from_slice(field);
    }
    header
}

fn read(header: &[u8; HEADER_LEN]) -> Result<KeyRequest, SealError> {
    if header[..6] != MAGIC[..6] {
        return Err(SealError::Malformed("it does not start with TWSEAL"));
    }
    if header[..8] != MAGIC[..] {
        return Err(SealError::Malformed("its version is not 1"));
    }
    let to = match header[8] {
        0 => SealTo::Enclave,
        1 => SealTo::Signer,
        _ => return Err(SealError::Malformed("it is sealed to something that this version does not know")),
    };
    if header[9..12] != [0; 3] {
        return Err(SealError::Malformed("its reserved bytes are not zero"));
    }
    let (mut cpu_svn, mut key_id) = ([0; 16], [0; 32]);
    cpu_svn.copy_from_slice(&header[16..32]);
    key_id.copy_from_slice(&header[32..]);
    Ok(KeyRequest {
        to,
        isv_svn: u16::from_le_bytes([header[12], header[13]]),
        config_svn: u16::from_le_bytes([header[14], header[15]]),
        cpu_svn,
        key_id,
    })
}
