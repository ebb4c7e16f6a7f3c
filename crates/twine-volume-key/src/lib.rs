//! The label in a volume's header: whose key opens the volume, and what is needed to find that key again.
//!
//! Read without a key, hence a claim until the volume opens: a label that somebody changed leads to another key, or to the
//! right one under which the header does not authenticate. `docs/volume-format.md`, section 14, has the layout.

#![forbid(unsafe_code)]

/// Bytes of a label: `twine_volume::Label`.
pub const LABEL: usize = 128;

const VERSION: u8 = 1;

/// Whose key opens a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Label {
    /// An enclave's, by EGETKEY.
    Sealed(Sealed),
    /// The owner's, who is given it by name or file.
    Owner {
        /// The key's [`id_of`].
        key: [u8; 32],
        /// What keeps it fresh.
        anchor: Anchored,
    },
}

/// The anchor that a volume was made with, and without which nobody writes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchored {
    /// None.
    No,
    /// A record beside the store.
    InsecureFile,
    /// A service.
    Service {
        /// Its Ed25519 public key.
        key: [u8; 32],
        /// What it knows the volume by.
        index: [u8; 32],
    },
}

/// What an enclave has to ask its processor for, and who that enclave was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Which of the fields of `identity` the key depends on.
    pub to: SealedTo,
    /// Security versions of the day it was sealed.
    pub versions: Versions,
    /// Random, one for each time that a header is made.
    pub key_id: [u8; 32],
    /// Only to say what differs if the key does not open the volume.
    pub identity: Identity,
}

/// Which image a sealed volume belongs to; its workload (CONFIGID) and name in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedTo {
    /// The one of this MRENCLAVE.
    Enclave,
    /// Every one of this MRSIGNER and product with a high enough version.
    Signer,
}

/// Security versions that a sealing key depends on. EGETKEY gives no key for any above one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The image's.
    pub isvsvn: u16,
    /// The workload's.
    pub configsvn: u16,
    /// The processor's.
    pub cpusvn: [u8; 16],
}

/// Who sealed, as far as a label has room: digests cut to 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// MRENCLAVE.
    pub mrenclave: [u8; 16],
    /// MRSIGNER.
    pub mrsigner: [u8; 16],
    /// CONFIGID.
    pub configid: [u8; 16],
    /// ISVPRODID.
    pub product: u16,
    /// A debug enclave.
    pub debug: bool,
}

/// Why a label says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// All zero: whoever made the volume knows its key without one.
    Empty,
    /// Of another version, or damaged.
    Unknown,
}

/// Writes fields one after another.
struct Out([u8; LABEL], usize);

impl Out {
    fn put(&mut self, bytes: &[u8]) {
        self.0[self.1..][..bytes.len()].copy_from_slice(bytes);
        self.1 += bytes.len();
    }
}

/// Reads them.
struct In<'a>(&'a [u8]);

impl In<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn number(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }
}

impl Label {
    /// As the header carries it.
    pub fn to_bytes(&self) -> [u8; LABEL] {
        let mut out = Out([0; LABEL], 0);
        match self {
            Self::Sealed(Sealed { to, versions, key_id, identity }) => {
                out.put(&[VERSION, if *to == SealedTo::Enclave { 1 } else { 2 }]);
                out.put(&versions.isvsvn.to_le_bytes());
                out.put(&versions.configsvn.to_le_bytes());
                out.put(&identity.product.to_le_bytes());
                out.put(&versions.cpusvn);
                out.put(key_id);
                out.put(&identity.mrenclave);
                out.put(&identity.mrsigner);
                out.put(&identity.configid);
                out.put(&[identity.debug.into()]);
            }
            Self::Owner { key, anchor } => {
                out.put(&[VERSION, 3]);
                out.put(key);
                match anchor {
                    Anchored::No => out.put(&[0]),
                    Anchored::InsecureFile => out.put(&[1]),
                    Anchored::Service { key, index } => {
                        out.put(&[2]);
                        out.put(key);
                        out.put(index);
                    }
                }
            }
        }
        out.0
    }

    /// Reads a label; one that would be written otherwise is none.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn from_bytes(bytes: &[u8; LABEL]) -> Result<Self, Unreadable> {
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(Unreadable::Empty);
        }
        let label = Self::decode(In(bytes)).ok_or(Unreadable::Unknown)?;
        if label.to_bytes() == *bytes { Ok(label) } else { Err(Unreadable::Unknown) }
    }

    fn decode(mut bytes: In<'_>) -> Option<Self> {
        let [VERSION, kind] = bytes.take()? else { return None };
        let to = match kind {
            1 => SealedTo::Enclave,
            2 => SealedTo::Signer,
            3 => {
                let key = bytes.take()?;
                let anchor = match bytes.take()? {
                    [0] => Anchored::No,
                    [1] => Anchored::InsecureFile,
                    [2] => Anchored::Service { key: bytes.take()?, index: bytes.take()? },
                    _ => return None,
                };
                return Some(Self::Owner { key, anchor });
            }
            _ => return None,
        };
        let (isvsvn, configsvn, product) = (bytes.number()?, bytes.number()?, bytes.number()?);
        let versions = Versions { isvsvn, configsvn, cpusvn: bytes.take()? };
        let key_id = bytes.take()?;
        let identity = Identity {
            mrenclave: bytes.take()?,
            mrsigner: bytes.take()?,
            configid: bytes.take()?,
            product,
            debug: bytes.take()? == [1],
        };
        Some(Self::Sealed(Sealed { to, versions, key_id, identity }))
    }
}

impl Sealed {
    /// In what `own`, who was not given the key, differs from who sealed: for a person.
    pub fn differences(&self, own: &Identity, versions: &Versions) -> Vec<String> {
        let theirs = &self.identity;
        let mut out = Vec::new();
        let mut digest = |what: &str, theirs: &[u8; 16], own: &[u8; 16]| {
            if theirs != own {
                out.push(format!("{what} {}…, this is {}…", short(theirs), short(own)));
            }
        };
        if self.to == SealedTo::Enclave {
            digest("another image: MRENCLAVE", &theirs.mrenclave, &own.mrenclave);
        }
        digest("another signer: MRSIGNER", &theirs.mrsigner, &own.mrsigner);
        digest("another workload: CONFIGID", &theirs.configid, &own.configid);
        let mut number = |what: &str, theirs: u16, own: u16| {
            out.push(format!("{what} {theirs}, this is {own}"));
        };
        if theirs.product != own.product {
            number("another product: ISVPRODID", theirs.product, own.product);
        }
        if self.versions.isvsvn > versions.isvsvn {
            number("a newer runtime: ISVSVN", self.versions.isvsvn, versions.isvsvn);
        }
        if self.versions.configsvn > versions.configsvn {
            number("a newer version of the workload: CONFIGSVN", self.versions.configsvn, versions.configsvn);
        }
        if self.versions.cpusvn.iter().zip(versions.cpusvn).any(|(theirs, own)| *theirs > own) {
            out.push("a processor with newer microcode".to_owned());
        }
        if theirs.debug != own.debug {
            let kind = |debug| if debug { "a debug" } else { "a production" };
            out.push(format!("{} enclave, this is {} one", kind(theirs.debug), kind(own.debug)));
        }
        out
    }
}

fn short(digest: &[u8; 16]) -> String {
    digest[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What tells an owner's key from another one without showing anything of it.
pub fn id_of(key: &[u8; 32]) -> [u8; 32] {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(b"twine volume key id v1\0");
    context.update(key);
    let mut id = [0; 32];
    id.copy_from_slice(context.finish().as_ref());
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(to: SealedTo) -> Sealed {
        Sealed {
            to,
            versions: Versions { isvsvn: 2, configsvn: 3, cpusvn: [4; 16] },
            key_id: [5; 32],
            identity: Identity {
                mrenclave: [6; 16],
                mrsigner: [7; 16],
                configid: [8; 16],
                product: 9,
                debug: true,
            },
        }
    }

    #[test]
    fn a_label_has_one_form() {
        let labels = [
            Label::Sealed(sealed(SealedTo::Enclave)),
            Label::Sealed(sealed(SealedTo::Signer)),
            Label::Owner { key: [1; 32], anchor: Anchored::No },
            Label::Owner { key: [1; 32], anchor: Anchored::InsecureFile },
            Label::Owner { key: [1; 32], anchor: Anchored::Service { key: [2; 32], index: [3; 32] } },
        ];
        for label in labels {
            let bytes = label.to_bytes();
            assert_eq!(Label::from_bytes(&bytes), Ok(label.clone()));
            for at in 0..LABEL {
                for bit in 0..8 {
                    let mut other = bytes;
                    other[at] ^= 1 << bit;
                    if let Ok(read) = Label::from_bytes(&other) {
                        assert_eq!(read.to_bytes(), other, "byte {at}");
                        assert_ne!(read, label, "byte {at}");
                    }
                }
            }
        }
        assert_eq!(Label::from_bytes(&[0; LABEL]), Err(Unreadable::Empty));
        assert_eq!(Label::from_bytes(&[9; LABEL]), Err(Unreadable::Unknown));
    }

    #[test]
    fn what_differs_is_named() {
        let was = sealed(SealedTo::Enclave);
        assert_eq!(was.differences(&was.identity, &was.versions), Vec::<String>::new());
        let own = Identity { mrenclave: [1; 16], configid: [1; 16], debug: false, ..was.identity };
        let older = Versions { isvsvn: 1, configsvn: 3, cpusvn: [3; 16] };
        let text = was.differences(&own, &older).join("; ");
        for part in [
            "MRENCLAVE 060606060606…, this is 010101010101…",
            "CONFIGID 0808",
            "ISVSVN 2, this is 1",
            "newer microcode",
            "a debug enclave, this is a production one",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains("MRSIGNER") && !text.contains("CONFIGSVN"), "{text}");
        let signer = sealed(SealedTo::Signer).differences(&own, &older).join("; ");
        assert!(!signer.contains("MRENCLAVE"), "{signer}");
    }

    #[test]
    fn keys_have_ids_of_their_own() {
        assert_eq!(id_of(&[1; 32]), id_of(&[1; 32]));
        assert_ne!(id_of(&[1; 32]), id_of(&[2; 32]));
    }
}
