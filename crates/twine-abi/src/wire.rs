//! The wire format: words and one byte string.
//!
//! ```text
//! request  [call][word]*n [length][bytes, zero-padded to 8]
//! reply    [status][word]*m [length][bytes, zero-padded to 8]
//! ```
//! Every word is a little-endian `u64` and n, m are fixed per call, so that all of the untrusted buffer is written
//! and read in aligned pieces of 8 bytes and a message can be checked by its length alone.

/// Most words that a request or reply carries beside call or status and length.
pub const MAX_WORDS: usize = 8;
/// Size of the untrusted buffer of each thread, in bytes.
pub const BUFFER_SIZE: usize = 1 << 20;
/// Most payload bytes of one message: what the buffer holds beside the words.
pub const MAX_PAYLOAD: usize = BUFFER_SIZE - 8 * (MAX_WORDS + 2);

/// A fixed number of words, as a struct.
pub trait Words: Sized {
    /// How many.
    const COUNT: usize;
    /// The fields in order; the rest stays zero.
    fn to_words(&self) -> [u64; MAX_WORDS];
    /// The struct of the first [`Self::COUNT`] words.
    fn from_words(words: &[u64; MAX_WORDS]) -> Self;
}

/// A call's number, request and reply.
pub trait HostCall: Words {
    /// Its place in [`crate::calls::Call`].
    const CALL: crate::calls::Call;
    /// What the host answers beside bytes.
    type Reply: Words;
}

/// Why the host did not do what was asked. The enclave treats each as the host's word, never as a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// There is no such thing.
    NotFound = 1,
    /// The host could not read, write or store.
    Io = 2,
    /// The host has no memory, disk or threads left.
    Exhausted = 3,
    /// The host does not offer this.
    Unsupported = 4,
    /// The request made no sense to the host.
    Invalid = 5,
    /// Another process uses it, or it holds something else than expected.
    Busy = 6,
    /// The name is taken.
    Exists = 7,
    /// A directory was needed.
    NotDirectory = 8,
    /// Anything but a directory was needed.
    IsDirectory = 9,
    /// The directory has entries.
    NotEmpty = 10,
    /// The host's permissions do not allow it.
    NotPermitted = 11,
    /// Nothing can be changed there.
    ReadOnly = 12,
    /// The file would become too large.
    TooLarge = 13,
    /// Too many links.
    TooManyLinks = 14,
    /// The name is too long.
    NameTooLong = 15,
}

impl Status {
    /// The status behind a reply's first word; anything unknown is [`Status::Io`].
    pub fn from_word(word: u64) -> Self {
        match word {
            0 => Self::Ok,
            1 => Self::NotFound,
            3 => Self::Exhausted,
            4 => Self::Unsupported,
            5 => Self::Invalid,
            6 => Self::Busy,
            7 => Self::Exists,
            8 => Self::NotDirectory,
            9 => Self::IsDirectory,
            10 => Self::NotEmpty,
            11 => Self::NotPermitted,
            12 => Self::ReadOnly,
            13 => Self::TooLarge,
            14 => Self::TooManyLinks,
            15 => Self::NameTooLong,
            _ => Self::Io,
        }
    }
}

/// Bytes rounded up to whole words.
pub const fn padded(len: usize) -> usize {
    (len + 7) & !7
}
