//! From canonical bytes to CONFIGID, and the two steps by which the enclave comes to believe a workload.

use ring::{digest, signature};

use crate::{Error, Identity, MeasuredFile, Result, Sha256, Workload};

/// Each hash and signature has a purpose; the terminating NUL keeps one domain from being another's prefix.
const DIGEST_DOMAIN: &[u8] = b"twine/workload/1/digest\0";
const OWNER_DOMAIN: &[u8] = b"twine/workload/1/owner\0";
const SIGNATURE_DOMAIN: &[u8] = b"twine/workload/1/signature\0";

/// A SHA-512 digest: of a workload, or a CONFIGID.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 64]);

/// A valid workload, signed where it must be, that nobody has promised to run yet.
///
/// On the owner's side it predicts the identity; in the enclave it awaits [`Candidate::accept`].
#[derive(Clone, Debug)]
pub struct Candidate {
    workload: Workload,
    digest: Digest,
}

impl Candidate {
    /// Takes canonical bytes and, for [`Identity::Owner`], the owner's 64-byte Ed25519 signature after them.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let (workload, own, signature) = Workload::split(bytes)?;
        match (&workload.identity, signature) {
            (Identity::Digest, []) => {}
            (Identity::Digest, _) => return Err(Error::UnexpectedSignature),
            (Identity::Owner { .. }, []) => return Err(Error::Unsigned),
            (Identity::Owner { key, .. }, signature) => {
                signature::UnparsedPublicKey::new(&signature::ED25519, key)
                    .verify(&signed_message(own), signature)
                    .map_err(|_| Error::BadSignature)?;
            }
        }
        Ok(Self { workload, digest: digest_of(own) })
    }

    /// The workload.
    pub fn workload(&self) -> &Workload {
        &self.workload
    }

    /// SHA-512 of a domain and the canonical bytes; for [`Identity::Digest`] this is CONFIGID.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// CONFIGID that an enclave running this workload has.
    pub fn config_id(&self) -> Digest {
        config_id(&self.workload.identity, self.digest)
    }

    /// CONFIGSVN that an enclave running this workload has.
    pub fn config_svn(&self) -> u16 {
        match self.workload.identity {
            Identity::Digest => 0,
            Identity::Owner { version, .. } => version,
        }
    }

    /// Compares with what the processor says of this enclave: both fields from a report that it made of itself.
    ///
    /// The loader chose them (SDM vol. 3D, ECREATE); unequal, it runs another workload than it announced.
    pub fn accept(self, report_config_id: &[u8; 64], report_config_svn: u16) -> Result<Accepted> {
        let (expected, found) = (self.config_id(), Digest(*report_config_id));
        if expected != found {
            return Err(Error::ConfigId { expected: Box::new(expected), found: Box::new(found) });
        }
        if self.config_svn() != report_config_svn {
            return Err(Error::ConfigSvn { expected: self.config_svn(), found: report_config_svn });
        }
        Ok(Accepted { workload: self.workload, digest: self.digest })
    }
}

/// A workload that the enclave's own report names. Only [`Candidate::accept`] makes one.
#[derive(Clone, Debug)]
pub struct Accepted {
    workload: Workload,
    digest: Digest,
}

impl Accepted {
    /// The workload.
    pub fn workload(&self) -> &Workload {
        &self.workload
    }

    /// The workload's digest, which goes into report data where CONFIGID is the owner's.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Checks the module's bytes, which must be in enclave memory already.
    pub fn check_module<'a>(&self, module: &'a [u8]) -> Result<CheckedModule<'a>> {
        let (expected, found) = (self.workload.module, sha256(module));
        if expected != found {
            return Err(Error::Module { expected, found });
        }
        Ok(CheckedModule { bytes: module, sha256: found })
    }
}

/// The bytes of the module that an accepted workload names. Only [`Accepted::check_module`] makes one.
#[derive(Clone, Copy)]
pub struct CheckedModule<'a> {
    bytes: &'a [u8],
    sha256: Sha256,
}

impl<'a> CheckedModule<'a> {
    /// The module.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its digest, for instance to name a compilation cache entry.
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }
}

impl MeasuredFile {
    /// Checks the file's contents, which must be in enclave memory already.
    pub fn check(&self, contents: &[u8]) -> Result<()> {
        let found = sha256(contents);
        if found != self.sha256 {
            return Err(Error::File { path: self.path.clone(), expected: self.sha256, found });
        }
        Ok(())
    }
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> Sha256 {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    Sha256(out)
}

/// What the owner signs.
pub(crate) fn signed_message(bytes: &[u8]) -> Vec<u8> {
    [SIGNATURE_DOMAIN, bytes].concat()
}

fn digest_of(bytes: &[u8]) -> Digest {
    sha512(&[DIGEST_DOMAIN, bytes])
}

fn config_id(identity: &Identity, digest: Digest) -> Digest {
    match identity {
        Identity::Digest => digest,
        Identity::Owner { key, name, .. } => owner_config_id(key, name),
    }
}

/// CONFIGID of every version of the workload that the owner of `key` calls `name`.
pub fn owner_config_id(key: &[u8; 32], name: &str) -> Digest {
    sha512(&[OWNER_DOMAIN, key, name.as_bytes()])
}

fn sha512(parts: &[&[u8]]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA512);
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 64];
    out.copy_from_slice(context.finish().as_ref());
    Digest(out)
}

impl core::fmt::Display for Digest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl core::fmt::Debug for Digest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}
