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
    /// Nobody reads what is written to it.
    Closed = 16,
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
            16 => Self::Closed,
            _ => Self::Io,
        }
    }
}

/// A reply as its request allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<R> {
    /// The host's refusal.
    Refused(Status),
    /// Words, and how many bytes follow them.
    Given(R, usize),
}

/// Bytes at the start of a reply of `replied` bytes that are neither payload nor padding: the status alone, or all words
/// and the length.
///
/// # Errors
/// A size that no reply has.
pub const fn reply_head<R: Words>(replied: u64) -> Result<usize, &'static str> {
    let whole = 8 * (R::COUNT + 2);
    if replied == 8 {
        Ok(8)
    } else if replied >= whole as u64 && replied <= BUFFER_SIZE as u64 {
        Ok(whole)
    } else {
        Err("a reply of an impossible size")
    }
}

/// Reads the enclave's own copy of the head ([`reply_head`]) of a reply of `replied` bytes to a request with room for
/// `room` bytes.
///
/// # Errors
/// How the host broke the protocol.
pub fn read_reply<R: Words>(head: &[u8], replied: u64, room: usize) -> Result<Answer<R>, &'static str> {
    let mut all = head.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
    let status = all.next().unwrap_or(u64::MAX);
    if replied == 8 {
        return match Status::from_word(status) {
            Status::Ok => Err("an empty reply"),
            refused => Ok(Answer::Refused(refused)),
        };
    }
    let mut words = [0; MAX_WORDS];
    for slot in words.iter_mut().take(R::COUNT) {
        *slot = all.next().unwrap_or_default();
    }
    let length = usize::try_from(all.next().unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    if status != Status::Ok as u64 || length > room || replied != (head.len() + padded(length)) as u64 {
        return Err("a reply larger than its request allows");
    }
    Ok(Answer::Given(R::from_words(&words), length))
}

/// Bytes rounded up to whole words.
pub const fn padded(len: usize) -> usize {
    (len + 7) & !7
}
