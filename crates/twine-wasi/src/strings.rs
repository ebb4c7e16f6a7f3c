//! Arguments and environment as `args_get` and `environ_get` hand them over: one block of C strings.

use crate::end::Outcome;
use crate::errno::Errno;
use crate::memory::{GuestMemory, aligned};

#[derive(Default)]
pub(crate) struct CStrings {
    block: Vec<u8>,
    starts: Vec<u32>,
}

impl CStrings {
    /// Appends one string. `None` if it holds a NUL or the block would no longer fit in 32 bits.
    pub(crate) fn push(&mut self, parts: &[&str]) -> Option<()> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let start = u32::try_from(self.block.len()).ok()?;
        u32::try_from(self.block.len() + len + 1).ok()?;
        if parts.iter().any(|part| part.contains('\0')) {
            return None;
        }
        parts.iter().for_each(|part| self.block.extend_from_slice(part.as_bytes()));
        self.block.push(0);
        self.starts.push(start);
        Some(())
    }

    pub(crate) fn sizes(&self, memory: &mut GuestMemory<'_>, count: u32, size: u32) -> Outcome {
        memory.write_u32(count, self.starts.len() as u32)?;
        memory.write_u32(size, self.block.len() as u32)?;
        Ok(())
    }

    pub(crate) fn copy(&self, memory: &mut GuestMemory<'_>, pointers: u32, block: u32) -> Outcome {
        if self.starts.is_empty() {
            return Ok(());
        }
        aligned(pointers, 4)?;
        memory.write_bytes(block, &self.block)?;
        for (index, start) in self.starts.iter().enumerate() {
            let index = u32::try_from(index).map_err(|_| Errno::OVERFLOW)?;
            let at = memory.element(pointers, index, 4)?;
            memory.write_u32(at, block.wrapping_add(*start))?;
        }
        Ok(())
    }
}
