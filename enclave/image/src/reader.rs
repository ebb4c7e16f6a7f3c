//! Bytes that the host hands over in pieces: sized once, copied once.

use twine_abi::wire::{MAX_PAYLOAD, Status};

/// Reads `total` bytes by `piece(offset, into)`, which answers how many came and the size of the whole. A host that
/// changes its mind about the size, or sends nothing before the end, gets `None`; so does one that goes over `limit`.
pub fn read(
    limit: u64,
    mut piece: impl FnMut(u64, &mut [u8]) -> Result<(u64, usize), Status>,
) -> Result<Option<Vec<u8>>, Status> {
    let mut bytes = Vec::new();
    let mut total = None;
    loop {
        let start = bytes.len();
        let want = total.map_or(4096, |total: u64| (total - start as u64).min(MAX_PAYLOAD as u64) as usize);
        bytes.resize(start + want, 0);
        let (told, got) = piece(start as u64, &mut bytes[start..])?;
        bytes.truncate(start + got);
        if *total.get_or_insert(told) != told || told > limit {
            return Ok(None);
        }
        if bytes.len() as u64 >= told {
            return Ok((bytes.len() as u64 == told).then_some(bytes));
        }
        if got == 0 {
            return Ok(None);
        }
        if start == 0 {
            let rest = told as usize - bytes.len();
            bytes.reserve_exact(rest);
        }
    }
}
