//! What the owner gave this run.

use twine_abi::run::RunRequest;
use twine_enclave::identity;
use zeroize::Zeroizing;

use crate::End;

/// Secrets by name. Empty where nobody gave any.
#[derive(Default)]
pub struct Secrets {
    volume_keys: Vec<(String, Zeroizing<[u8; 32]>)>,
}

impl Secrets {
    /// Those that the host hands over itself. It knows them, so only debug enclaves, which keep nothing from it, take any:
    /// else it could give a workload a volume of its own making, or one that it can read.
    pub fn insecure(request: &RunRequest<'_>) -> Result<Self, End> {
        let mut secrets = Self::default();
        if request.insecure_keys.is_empty() {
            return Ok(secrets);
        }
        if !identity::is_debug() {
            return Err(End::refused(
                "an owner's key by the host's hand is no secret; only debug enclaves take one (--debug)",
            ));
        }
        let malformed = || End::refused("the volume keys in the run request are malformed");
        let text = core::str::from_utf8(request.insecure_keys).map_err(|_| malformed())?;
        for pair in text.split_terminator('\0') {
            let (name, digits) = pair.split_once('=').ok_or_else(malformed)?;
            secrets.add_volume_key(name, from_hex(digits).ok_or_else(malformed)?)?;
        }
        Ok(secrets)
    }

    /// Takes the owner's key for a volume.
    pub fn add_volume_key(&mut self, volume: &str, key: Zeroizing<[u8; 32]>) -> Result<(), End> {
        if self.volume_key(volume).is_some() {
            return Err(End::refused(format!("two keys were given for the volume {volume}")));
        }
        self.volume_keys.push((volume.to_owned(), key));
        Ok(())
    }

    /// The owner's key for a volume.
    pub fn volume_key(&self, volume: &str) -> Option<&[u8; 32]> {
        self.volume_keys.iter().find(|(name, _)| name == volume).map(|(_, key)| &**key)
    }
}

fn from_hex(digits: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    let bytes = digits.as_bytes();
    if bytes.len() != 64 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    for (byte, pair) in key.iter_mut().zip(bytes.chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *byte = (digit(high)? << 4 | digit(low)?) as u8;
    }
    Some(key)
}
