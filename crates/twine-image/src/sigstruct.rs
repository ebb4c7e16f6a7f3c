//! SIGSTRUCT: the enclave's certificate, signed with RSA-3072, exponent 3 (SDM Vol. 3D, "Enclave Signature Structure").
//!
//! Every image of Twine has the same demands on the processor: MODE64BIT and KSS, EXINFO in the SSA, XFRM 7, all of
//! them under masks of ones, so that the loader cannot choose. Production and debug variants differ in
//! ATTRIBUTES.DEBUG and in nothing else.

use crate::key::{BYTES, KeyError, PublicKey, SigningKey};
use rsa::{BigUint, Pkcs1v15Sign};
use serde::{Deserialize, Serialize};
use sgx_isa::{Attributes, AttributesFlags, Miscselect, SIGSTRUCT_HEADER1, SIGSTRUCT_HEADER2, Sigstruct};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use twine_abi::layout::XFRM;

/// Bytes of a SIGSTRUCT.
pub const SIZE: usize = Sigstruct::UNPADDED_SIZE;
/// Bytes of a SIGSTRUCT that the signature covers: 128 before the modulus, 128 behind the signature.
pub const SIGNED_SIZE: usize = 256;
const SIGNED_HALF: usize = 128;
/// Where the second signed part starts.
const BODY: usize = 900;
/// VENDOR of Intel's own enclaves; everyone else's is 0.
const VENDOR_INTEL: u32 = 0x8086;

/// Why a SIGSTRUCT cannot be made or must not be believed.
#[derive(Debug, Error)]
pub enum SigstructError {
    /// Another size.
    #[error("a SIGSTRUCT has {SIZE} bytes, its signed part {SIGNED_SIZE}; this has {0}")]
    Size(usize),
    /// A field with a fixed value has another one.
    #[error("malformed SIGSTRUCT: field {0}")]
    Field(&'static str),
    /// The signature does not fit the key and the contents.
    #[error("the signature does not verify under the key with MRSIGNER {}", hex::encode(.0))]
    Signature([u8; 32]),
    /// The key is unusable.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The day of signing, the DATE field. Always the caller's choice: a clock would make signatures irreproducible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Year, 4 digits.
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// A calendar day; `None` for what is none.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        ((1..=days).contains(&day) && (1970..=9999).contains(&year)).then_some(Self { year, month, day })
    }

    /// As in the DATE field: 0xYYYYMMDD in binary-coded decimal.
    fn to_bcd(self) -> u32 {
        let bcd = |n: u32| ((n / 10) << 4) | (n % 10);
        let year = u32::from(self.year);
        bcd(year / 100) << 24 | bcd(year % 100) << 16 | bcd(self.month.into()) << 8 | bcd(self.day.into())
    }
}

impl FromStr for Date {
    type Err = SigstructError;

    /// YYYY-MM-DD.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('-').map(|part| part.parse::<u16>().ok());
        let mut next = || parts.next().flatten().ok_or(SigstructError::Field("DATE (write YYYY-MM-DD)"));
        let (year, month, day) = (next()?, next()?, next()?);
        let narrow = |n: u16| u8::try_from(n).ok();
        match (narrow(month), narrow(day), parts.next()) {
            (Some(month), Some(day), None) => Self::new(year, month, day),
            _ => None,
        }
        .ok_or(SigstructError::Field("DATE (write YYYY-MM-DD)"))
    }
}

/// The DATE field of a SIGSTRUCT as YYYY-MM-DD, whatever its digits are.
pub fn date_text(date: u32) -> String {
    format!("{:04x}-{:02x}-{:02x}", date >> 16, date >> 8 & 0xff, date & 0xff)
}

/// Whether a debugger may look in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// ATTRIBUTES.DEBUG = 0.
    Production,
    /// ATTRIBUTES.DEBUG = 1: no secrets are safe in it.
    Debug,
}

/// What the signer says about the product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// ISVPRODID.
    pub isvprodid: u16,
    /// ISVSVN.
    pub isvsvn: u16,
    /// ISVFAMILYID.
    pub isvfamilyid: [u8; 16],
    /// ISVEXTPRODID.
    pub isvextprodid: [u8; 16],
}

/// A SIGSTRUCT without key and signature.
#[derive(Clone, Debug)]
pub struct Unsigned(Sigstruct);

impl Unsigned {
    /// The SIGSTRUCT of an image of Twine.
    pub fn new(mrenclave: [u8; 32], identity: &Identity, variant: Variant, date: Date) -> Self {
        let mut flags = AttributesFlags::MODE64BIT | AttributesFlags::KSS;
        flags.set(AttributesFlags::DEBUG, variant == Variant::Debug);
        Self(Sigstruct {
            header: SIGSTRUCT_HEADER1,
            date: date.to_bcd(),
            header2: SIGSTRUCT_HEADER2,
            exponent: 3,
            miscselect: Miscselect::EXINFO,
            miscmask: !0,
            isvfamilyid: identity.isvfamilyid,
            attributes: Attributes { flags, xfrm: XFRM },
            attributemask: [!0; 2],
            enclavehash: mrenclave,
            isvextprodid: identity.isvextprodid,
            isvprodid: identity.isvprodid,
            isvsvn: identity.isvsvn,
            ..Sigstruct::default()
        })
    }

    /// The bytes to sign with RSASSA-PKCS1-v1_5 and SHA-256, for a signer elsewhere.
    pub fn to_bytes(&self) -> [u8; SIGNED_SIZE] {
        let mut bytes = [0; SIGNED_SIZE];
        let (head, body) = self.0.signature_data();
        bytes[..SIGNED_HALF].copy_from_slice(head);
        bytes[SIGNED_HALF..].copy_from_slice(body);
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SigstructError> {
        if bytes.len() != SIGNED_SIZE {
            return Err(SigstructError::Size(bytes.len()));
        }
        let mut whole = [0; SIZE];
        whole[..SIGNED_HALF].copy_from_slice(&bytes[..SIGNED_HALF]);
        whole[BODY..BODY + SIGNED_HALF].copy_from_slice(&bytes[SIGNED_HALF..]);
        let mut sigstruct = Sigstruct::try_copy_from(&whole).ok_or(SigstructError::Size(SIZE))?;
        sigstruct.exponent = 3;
        check_fields(&sigstruct)?;
        Ok(Self(sigstruct))
    }

    /// SHA-256 of [`Self::to_bytes`].
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.to_bytes()).into()
    }

    /// Signs with a key at hand.
    pub fn sign(&self, key: &SigningKey) -> Result<Signed, SigstructError> {
        // With random numbers the RSA implementation blinds the private operation.
        let padding = Pkcs1v15Sign::new::<Sha256>();
        let signature = key
            .rsa()
            .sign_with_rng(&mut rsa::rand_core::OsRng, padding, &self.digest())
            .map_err(KeyError::from)?;
        self.finish(key.public(), &signature)
    }

    /// Adds a signature made elsewhere, big-endian as every tool writes it, and verifies the result.
    pub fn finish(&self, key: &PublicKey, signature: &[u8]) -> Result<Signed, SigstructError> {
        if signature.len() != BYTES {
            return Err(SigstructError::Signature(key.mrsigner()));
        }
        let mut sigstruct = self.0.clone();
        sigstruct.modulus = key.modulus();
        let reversed = signature.iter().rev();
        for (to, from) in sigstruct.signature.iter_mut().zip(reversed) {
            *to = *from;
        }
        (sigstruct.q1, sigstruct.q2) = quotients(&sigstruct.signature, key);
        let signed = Signed(sigstruct);
        signed.verify()?;
        Ok(signed)
    }
}

/// A SIGSTRUCT with key and signature, verified or not.
#[derive(Clone)]
pub struct Signed(Sigstruct);

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed(MRENCLAVE {})", hex::encode(self.0.enclavehash))
    }
}

impl Signed {
    /// Takes the bytes of a SIGSTRUCT; whether they mean anything, [`Self::verify`] tells.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SigstructError> {
        Sigstruct::try_copy_from(bytes).map(Self).ok_or(SigstructError::Size(bytes.len()))
    }

    /// The fields.
    pub fn fields(&self) -> &Sigstruct {
        &self.0
    }

    /// The bytes of a `.sig` file.
    pub fn to_bytes(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes.copy_from_slice(self.0.as_ref());
        bytes
    }

    /// Checks all that EINIT checks without knowing the enclave: fixed fields, key, signature, Q1 and Q2. Returns the
    /// key that signed.
    pub fn verify(&self) -> Result<PublicKey, SigstructError> {
        check_fields(&self.0)?;
        let key = PublicKey::from_modulus(&self.0.modulus)?;
        let mut signature = self.0.signature;
        signature.reverse();
        key.rsa()
            .verify(Pkcs1v15Sign::new::<Sha256>(), &Unsigned(self.0.clone()).digest(), &signature)
            .map_err(|_| SigstructError::Signature(key.mrsigner()))?;
        if (self.0.q1, self.0.q2) != quotients(&self.0.signature, &key) {
            return Err(SigstructError::Field("Q1 or Q2"));
        }
        Ok(key)
    }

    /// Whether a debugger may look in.
    pub fn variant(&self) -> Variant {
        match self.0.attributes.flags.contains(AttributesFlags::DEBUG) {
            true => Variant::Debug,
            false => Variant::Production,
        }
    }

    /// Fields in which it differs from what [`Unsigned::new`] makes; such an enclave refuses to start.
    pub fn deviations(&self) -> Vec<&'static str> {
        let date = Date { year: 1970, month: 1, day: 1 };
        let Unsigned(expected) = Unsigned::new([0; 32], &Identity::default(), self.variant(), date);
        let s = &self.0;
        [
            ("MISCSELECT", s.miscselect == expected.miscselect),
            ("MISCMASK", s.miscmask == expected.miscmask),
            ("ATTRIBUTES", s.attributes == expected.attributes),
            ("ATTRIBUTEMASK", s.attributemask == expected.attributemask),
        ]
        .into_iter()
        .filter_map(|(field, equal)| (!equal).then_some(field))
        .collect()
    }
}

fn check_fields(s: &Sigstruct) -> Result<(), SigstructError> {
    let zero = |bytes: &[u8]| bytes.iter().all(|&b| b == 0);
    for (name, good) in [
        ("HEADER", s.header == SIGSTRUCT_HEADER1),
        ("VENDOR", s.vendor == 0 || s.vendor == VENDOR_INTEL),
        ("HEADER2", s.header2 == SIGSTRUCT_HEADER2),
        ("EXPONENT", s.exponent == 3),
        ("reserved", zero(&s._reserved1) && s._reserved2 == 0 && zero(&s._reserved3) && zero(&s._reserved4)),
    ] {
        if !good {
            return Err(SigstructError::Field(name));
        }
    }
    Ok(())
}

/// Q1 = floor(S² / N) and Q2 = floor((S³ - Q1·S·N) / N) of a signature, all little-endian: they spare the processor two
/// divisions.
pub fn quotients(signature: &[u8; BYTES], key: &PublicKey) -> ([u8; BYTES], [u8; BYTES]) {
    let s = BigUint::from_bytes_le(signature);
    let n = BigUint::from_bytes_le(&key.modulus());
    let square = &s * &s;
    let q1 = &square / &n;
    let q2 = (square * &s - &q1 * &s * &n) / &n;
    (little_endian(&q1), little_endian(&q2))
}

/// The low [`BYTES`] bytes: all of them whenever S < N, which verification has checked or will.
fn little_endian(number: &BigUint) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    for (to, from) in bytes.iter_mut().zip(number.to_bytes_le()) {
        *to = from;
    }
    bytes
}
