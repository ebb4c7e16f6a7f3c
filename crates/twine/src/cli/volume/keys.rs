//! Owner's keys in files: 32 random bytes in a PEM block `TWINE VOLUME KEY`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use twine::exit::Code;
use twine_volume::{Entropy, MasterKey, SystemEntropy};
use twine_volume_key::{Anchored, Label, id_of};
use zeroize::Zeroizing;

use crate::cli::failure::Failure;
use crate::cli::output::note;

const TAG: &str = "TWINE VOLUME KEY";

/// An owner's key.
pub struct VolumeKey(Zeroizing<[u8; 32]>);

impl VolumeKey {
    /// A new one.
    pub fn generate() -> Result<Self, Failure> {
        let mut key = Zeroizing::new([0; 32]);
        SystemEntropy::default()
            .fill(&mut *key)
            .map_err(|_| Failure::new(Code::Io, "random", "the system gives no random numbers"))?;
        Ok(Self(key))
    }

    /// As a file keeps it.
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(pem::encode(&pem::Pem::new(TAG, *self.0)))
    }

    /// Reads what [`VolumeKey::to_pem`] wrote; none if it is something else.
    pub fn from_pem(text: &str) -> Option<Self> {
        let pem = pem::parse(text).ok().filter(|pem| pem.tag() == TAG)?;
        Some(Self(Zeroizing::new(pem.contents().try_into().ok()?)))
    }

    /// The key of a file.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let text = Zeroizing::new(fs::read_to_string(path).map_err(Failure::reading(path))?);
        let key = Self::from_pem(&text).ok_or_else(|| {
            let message = format!("{}: it holds no PEM block `{TAG}`", path.display());
            let remedy = "make one with `twine key create --kind volume FILE`";
            Failure { remedy: Some(remedy.to_owned()), ..Failure::new(Code::BadInput, "key", message) }
        })?;
        warn_if_readable(path);
        Ok(key)
    }

    /// What tells it from other keys; no secret.
    pub fn id(&self) -> [u8; 32] {
        id_of(&self.0)
    }

    /// The bytes.
    pub fn bytes(&self) -> [u8; 32] {
        *self.0
    }

    /// For a volume, whose header will say whose key it is, and what keeps it fresh.
    pub fn master(&self, anchor: Anchored) -> MasterKey {
        MasterKey::new(*self.0).labelled(Label::Owner { key: self.id(), anchor }.to_bytes())
    }
}

/// Says so if others can read a key.
pub fn warn_if_readable(path: &Path) {
    if fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0) {
        note(format_args!("{}: others than its owner may read this key; chmod 600 it", path.display()));
    }
}
