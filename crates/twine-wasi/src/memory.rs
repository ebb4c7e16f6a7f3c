//! The one place that touches linear memory: every pointer is checked here, for bounds, alignment and overflow.

use crate::abi::SIZE_IOVEC;
use crate::end::Fault;
use crate::errno::Errno;

/// The caller's linear memory for the length of one call.
pub struct GuestMemory<'a>(&'a mut [u8]);

type Checked<T> = Result<T, Fault>;

impl<'a> GuestMemory<'a> {
    /// Of all bytes of a memory.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        GuestMemory(bytes)
    }

    /// The bytes of a pointer and a length.
    pub fn bytes(&self, address: u32, len: u32) -> Checked<&[u8]> {
        let start = address as usize;
        let end = start.checked_add(len as usize);
        end.and_then(|end| self.0.get(start..end)).ok_or(Fault::OutOfBounds { address, len: len.into() })
    }

    pub(crate) fn bytes_mut(&mut self, address: u32, len: u32) -> Checked<&mut [u8]> {
        let start = address as usize;
        let end = start.checked_add(len as usize);
        end.and_then(|end| self.0.get_mut(start..end)).ok_or(Fault::OutOfBounds { address, len: len.into() })
    }

    /// A path. Bytes that are not UTF-8 are ILSEQ, a NUL is INVAL, as in Wasmtime.
    pub(crate) fn text(&self, address: u32, len: u32) -> Result<&str, crate::end::Failure> {
        let text = std::str::from_utf8(self.bytes(address, len)?).map_err(|_| Errno::ILSEQ)?;
        if text.as_bytes().contains(&0) { Err(Errno::INVAL.into()) } else { Ok(text) }
    }

    pub(crate) fn read_u8(&self, address: u32) -> Checked<u8> {
        self.read::<1>(address).map(|[byte]| byte)
    }

    pub(crate) fn read_u16(&self, address: u32) -> Checked<u16> {
        self.read(address).map(u16::from_le_bytes)
    }

    pub(crate) fn read_u32(&self, address: u32) -> Checked<u32> {
        self.read(address).map(u32::from_le_bytes)
    }

    pub(crate) fn read_u64(&self, address: u32) -> Checked<u64> {
        self.read(address).map(u64::from_le_bytes)
    }

    pub(crate) fn write_u32(&mut self, address: u32, value: u32) -> Checked<()> {
        self.write(address, value.to_le_bytes())
    }

    pub(crate) fn write_u64(&mut self, address: u32, value: u64) -> Checked<()> {
        self.write(address, value.to_le_bytes())
    }

    /// Copies `value` to a pointer, whole or not at all.
    pub fn write_bytes(&mut self, address: u32, value: &[u8]) -> Checked<()> {
        let len = value.len();
        let start = address as usize;
        let target = start.checked_add(len).and_then(|end| self.0.get_mut(start..end));
        target.ok_or(Fault::OutOfBounds { address, len: len as u64 })?.copy_from_slice(value);
        Ok(())
    }

    /// A zeroed record of `len` bytes, filled by `put_*` at fixed offsets and written in one piece.
    pub(crate) fn write_record<const LEN: usize>(
        &mut self,
        address: u32,
        alignment: u32,
        record: &Record<LEN>,
    ) -> Checked<()> {
        aligned(address, alignment)?;
        self.write_bytes(address, &record.0)
    }

    /// Address of record `index` of an array of records of `size` bytes.
    pub(crate) fn element(&self, array: u32, index: u32, size: u32) -> Checked<u32> {
        let offset = u64::from(index) * u64::from(size);
        let past = u64::from(array) + offset + u64::from(size);
        if past > self.0.len() as u64 {
            return Err(Fault::OutOfBounds { address: array, len: offset + u64::from(size) });
        }
        Ok((u64::from(array) + offset) as u32)
    }

    /// Element `index` of an array of `iovec` or `ciovec`: pointer and length.
    pub(crate) fn iovec(&self, array: u32, index: u32) -> Checked<(u32, u32)> {
        let at = self.element(array, index, SIZE_IOVEC)?;
        Ok((self.read_u32(at)?, self.read_u32(at + 4)?))
    }

    fn read<const LEN: usize>(&self, address: u32) -> Checked<[u8; LEN]> {
        aligned(address, LEN as u32)?;
        let mut value = [0; LEN];
        value.copy_from_slice(self.bytes(address, LEN as u32)?);
        Ok(value)
    }

    fn write<const LEN: usize>(&mut self, address: u32, value: [u8; LEN]) -> Checked<()> {
        aligned(address, LEN as u32)?;
        self.write_bytes(address, &value)
    }
}

/// Whether an array or record may start at `address`.
pub(crate) fn aligned(address: u32, alignment: u32) -> Checked<()> {
    if address.is_multiple_of(alignment) { Ok(()) } else { Err(Fault::Misaligned { address, alignment }) }
}

/// A record that is laid out here and then copied to the program; gaps are zero, never stale enclave bytes.
pub(crate) struct Record<const LEN: usize>([u8; LEN]);

impl<const LEN: usize> Record<LEN> {
    pub(crate) fn new() -> Self {
        Record([0; LEN])
    }

    pub(crate) fn put<const N: usize>(mut self, offset: usize, value: [u8; N]) -> Self {
        self.0[offset..offset + N].copy_from_slice(&value);
        self
    }

    pub(crate) fn as_bytes(&self) -> &[u8; LEN] {
        &self.0
    }
}
