//! Certificate chains as PEM text, of which only one spelling is taken.
//!
//! No signature covers PEM text, and readers of PEM skip what they do not know; two spellings of a chain would be two
//! quotes with one meaning. The root at a chain's end is not verified by anybody either, as the verifier has its own:
//! [`ends_in`] compares them.

use pem::{EncodeConfig, LineEnding};

use crate::Malformed;

/// The certificates of a chain in their order, as DER. A newline and then a NUL at the end are optional.
pub(crate) fn split(text: &[u8], what: &'static str) -> Result<Vec<Vec<u8>>, Malformed> {
    let text = text.strip_suffix(b"\0").unwrap_or(text);
    let blocks = pem::parse_many(text).map_err(|e| Malformed::new(what, e))?;
    if blocks.is_empty() || blocks.iter().any(|block| block.tag() != "CERTIFICATE") {
        return Err(Malformed::new(what, "it is not made of certificates"));
    }
    let mut rest = text;
    for block in &blocks {
        // Intel writes lines of 64 characters, other tools of 76.
        let width = rest.split(|byte| *byte == b'\n').nth(1).map_or(64, <[u8]>::len);
        let config = EncodeConfig::new().set_line_ending(LineEnding::LF).set_line_wrap(width);
        let normal = pem::encode_config(block, config);
        rest = rest
            .strip_prefix(normal.as_bytes())
            .or_else(|| rest.strip_prefix(normal.trim_end().as_bytes()).filter(|rest| rest.is_empty()))
            .ok_or_else(|| Malformed::new(what, "it is not PEM with lines of one length and nothing else"))?;
    }
    if !rest.is_empty() {
        return Err(Malformed::new(what, "bytes follow its last certificate"));
    }
    Ok(blocks.into_iter().map(pem::Pem::into_contents).collect())
}

/// Whether a chain has `len` certificates and the last is `root`.
pub(crate) fn ends_in(chain: &[Vec<u8>], len: usize, root: &[u8]) -> bool {
    chain.len() == len && chain.last().is_some_and(|last| last == root)
}
