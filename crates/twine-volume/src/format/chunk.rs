//! Where 32 blocks of a file are (section 5).

use super::cursor::Reader;
use super::pointer::{Pointer, Salt};
use super::{INLINE_MAX, TAG};

/// Blocks of a chunk.
pub(crate) const CHUNK: u64 = 32;

const RUNS: u8 = 0;
const INLINE: u8 = 1;

/// A chunk, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// The whole file's contents.
    Inline(Vec<u8>),
    /// One pointer or hole for each block.
    Blocks(Box<[Option<Pointer>; CHUNK as usize]>),
}

impl Chunk {
    /// All holes.
    pub(crate) fn empty() -> Chunk {
        Chunk::Blocks(Box::new([None; CHUNK as usize]))
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Chunk::Inline(bytes) => bytes.is_empty(),
            Chunk::Blocks(blocks) => blocks.iter().all(Option::is_none),
        }
    }

    /// The pointers of a chunk that has any.
    pub(crate) fn pointers(&self) -> impl Iterator<Item = (u64, Pointer)> + '_ {
        let blocks: &[Option<Pointer>] = match self {
            Chunk::Inline(_) => &[],
            Chunk::Blocks(blocks) => blocks.as_slice(),
        };
        blocks.iter().enumerate().filter_map(|(i, p)| p.map(|p| (i as u64, p)))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let blocks = match self {
            Chunk::Inline(bytes) => {
                let mut out = Vec::with_capacity(1 + bytes.len());
                out.push(INLINE);
                out.extend_from_slice(bytes);
                return out;
            }
            Chunk::Blocks(blocks) => blocks,
        };
        let mut out = vec![RUNS];
        let mut i = 0;
        while let Some(slot) = blocks.get(i) {
            let Some(first) = slot else {
                i += 1;
                continue;
            };
            let run: Vec<&Pointer> = blocks[i..]
                .iter()
                .map_while(Option::as_ref)
                .zip(0u32..)
                .take_while(|(p, n)| {
                    p.salt == first.salt
                        && Some(p.slot) == first.slot.checked_add(*n)
                        && Some(p.counter) == first.counter.checked_add(*n)
                })
                .map(|(p, _)| p)
                .collect();
            out.push(i as u8);
            out.push(run.len() as u8);
            out.extend_from_slice(&first.slot.to_le_bytes());
            out.extend_from_slice(&first.counter.to_le_bytes());
            out.extend_from_slice(&first.salt.0);
            run.iter().for_each(|p| out.extend_from_slice(&p.tag));
            i += run.len();
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Chunk> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            INLINE => {
                let rest = reader.rest();
                return (rest.len() <= INLINE_MAX).then(|| Chunk::Inline(rest.to_vec()));
            }
            RUNS => {}
            _ => return None,
        }
        let mut blocks = Box::new([None; CHUNK as usize]);
        let mut at = 0usize;
        while !reader.is_empty() {
            let (first, count) = (usize::from(reader.u8()?), usize::from(reader.u8()?));
            let (slot, counter, salt) = (reader.u32()?, reader.u32()?, Salt(reader.array()?));
            let to = blocks.get_mut(first..first.checked_add(count)?)?;
            if count == 0 || first < at {
                return None;
            }
            for (n, block) in (0u32..).zip(to) {
                let tag: [u8; TAG] = reader.array()?;
                *block =
                    Some(Pointer { slot: slot.checked_add(n)?, counter: counter.checked_add(n)?, salt, tag });
            }
            at = first + count;
        }
        Some(Chunk::Blocks(blocks))
    }
}
