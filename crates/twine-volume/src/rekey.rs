//! Quick re-keying: the volume key wrapped under another master key (section 3).

use crate::crypto::{MasterKey, make_header};
use crate::error::{Error, Result};
use crate::format::offset_of;
use crate::open::{read_headers, unlock};
use crate::provider::Entropy;
use crate::store::{Store, WriteAt};

/// Makes `new` the master key of a closed volume, in place and in constant time.
///
/// It does not revoke what `old` could already read: whoever kept `old` and a copy of the old header has the volume
/// key. For that, copy everything into a new volume.
///
/// # Errors
/// [`Error::WrongKey`] if `old` does not open the volume; after an error of the store one of the two keys does.
pub fn rekey(
    store: &mut dyn Store,
    old: &MasterKey,
    new: &MasterKey,
    entropy: &mut dyn Entropy,
) -> Result<()> {
    let (slot, header, key) = unlock(&read_headers(store)?, old)?;
    let mut salt = [0; 32];
    entropy.fill(&mut salt).map_err(|_| Error::Entropy)?;
    let page = make_header(new, &key, header.version, header.id, header.generation + 1, salt);
    // The copy that is not in use first: until it is durable the other one still opens.
    for target in [1 - slot as u32, slot as u32] {
        store.write(&[WriteAt { offset: offset_of(target), bytes: &page }])?;
        store.sync()?;
    }
    Ok(())
}
