//! What is delivered.

use minicbor::encode::{Error, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};
use twine_workload::Deliverer;

use crate::Malformed;

const VERSION: u64 = 1;

/// What one deliverer delivers: what the host, and every other deliverer, may not have. Not printable, as most of it is secret.
#[derive(Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Bundle {
    /// The module; none if the host has it.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub module: Option<Vec<u8>>,
    /// Values of the environment variables that are delivered, sorted by name.
    #[n(1)]
    pub env: Vec<Variable>,
    /// Contents of the files that are delivered, sorted by path.
    #[n(2)]
    pub files: Vec<File>,
    /// Keys of the volumes that are this deliverer's, sorted by name.
    #[n(3)]
    pub keys: Vec<VolumeKey>,
}

/// An environment variable.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Variable {
    /// Its name.
    #[n(0)]
    pub name: String,
    /// Its value, without NUL.
    #[n(1)]
    pub value: String,
}

/// A file of a mount of kind `delivered`.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct File {
    /// Absolute path, as the guest sees it.
    #[n(0)]
    pub path: String,
    /// The bytes.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub contents: Vec<u8>,
}

/// The key of a volume with key policy `owner`.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct VolumeKey {
    /// The volume's name.
    #[n(0)]
    pub name: String,
    /// Its master key.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub key: [u8; 32],
}

impl Bundle {
    /// CBOR of `[1, bundle]`.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode_to(Vec::new()).unwrap_or_else(|_| unreachable!("a Vec takes everything"))
    }

    fn encode_to<W: Write>(&self, to: W) -> Result<W, Error<W::Error>> {
        let mut encoder = Encoder::new(to);
        encoder.array(2)?.u64(VERSION)?.encode(self)?;
        Ok(encoder.into_writer())
    }

    /// Takes what [`Bundle::to_bytes`] makes; unknown keys and other spellings are refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let malformed = |why: String| Malformed::new("bundle", why);
        let mut d = Decoder::new(bytes);
        let head = d.array().and_then(|len| Ok((len, d.u64()?))).map_err(|e| malformed(e.to_string()))?;
        match head {
            (Some(2), VERSION) => {}
            (Some(2), version) => {
                return Err(malformed(format!("it has version {version}; this runtime takes {VERSION}")));
            }
            _ => return Err(malformed("it is not an array of version and bundle".into())),
        }
        let bundle: Self = d.decode().map_err(|e| malformed(e.to_string()))?;
        // The decoder takes longer integers, indefinite lengths, unknown keys, and keys twice or in another order: none of
        // them survives a second encoding.
        match bundle.encode_to(Same(bytes)) {
            Ok(Same([])) => Ok(bundle),
            _ => Err(malformed(
                "it has unknown keys, is not in its shortest form or its order, or bytes follow it".into(),
            )),
        }
    }

    /// Refuses a bundle that does not hold exactly the secrets that the workload asks of `deliverer`.
    pub fn check(&self, deliverer: &Deliverer) -> Result<(), Malformed> {
        let names = self.env.iter().map(|variable| variable.name.as_str());
        same("env", names, &deliverer.env)?;
        if let Some(bad) = self.env.iter().find(|variable| variable.value.contains('\0')) {
            return Err(Malformed::new("bundle", format!("env.{}: a value holds no NUL", bad.name)));
        }
        same("files", self.files.iter().map(|file| file.path.as_str()), &deliverer.files)?;
        same("keys", self.keys.iter().map(|key| key.name.as_str()), &deliverer.volumes)
    }
}

/// Takes what it holds and nothing else: a bundle of 2 GiB is compared with its encoding and not copied.
struct Same<'a>(&'a [u8]);

impl Write for Same<'_> {
    type Error = ();

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), ()> {
        self.0 = self.0.strip_prefix(bytes).ok_or(())?;
        Ok(())
    }
}

fn same<'a>(
    field: &str,
    found: impl Iterator<Item = &'a str> + Clone,
    wanted: &[String],
) -> Result<(), Malformed> {
    let wrong = |name: &str, why: &str| Err(Malformed::new("bundle", format!("{field}.{name}: {why}")));
    let mut previous = None;
    for name in found.clone() {
        if previous.is_some_and(|previous| previous >= name) {
            return wrong(name, "entries are sorted, and each stands once");
        }
        previous = Some(name);
        if !wanted.iter().any(|wanted| wanted == name) {
            return wrong(name, "the workload does not ask this deliverer for it");
        }
    }
    match wanted.iter().find(|wanted| !found.clone().any(|name| name == wanted.as_str())) {
        Some(missing) => wrong(missing, "the workload asks this deliverer for it, and it is not there"),
        None => Ok(()),
    }
}
