//! The enclave image: the one that was built with this crate, or files.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use twine_abi::layout::PAGE_SIZE;
use twine_image::sigstruct::{SIZE, Signed, Variant};

use crate::error::{Error, Result};

const EMBEDDED: &[u8] = include_bytes!(env!("TWINE_IMAGE"));
const PRODUCTION: &[u8; SIZE] = include_bytes!(env!("TWINE_SIGSTRUCT"));
const DEBUG: &[u8; SIZE] = include_bytes!(env!("TWINE_DEBUG_SIGSTRUCT"));

/// Where the build put the image's ELF file, with the symbols that debuggers want.
pub const ELF: &str = env!("TWINE_ELF");

/// A measured image and the SIGSTRUCT that it is launched with.
#[derive(Clone)]
pub struct Image {
    sgxs: Cow<'static, [u8]>,
    sigstruct: Signed,
    name: String,
}

impl Image {
    /// The image that was built with this crate, signed with the key of that build.
    pub fn embedded(variant: Variant) -> Result<Self> {
        let sigstruct = match variant {
            Variant::Production => PRODUCTION,
            Variant::Debug => DEBUG,
        };
        Self::new(Cow::Borrowed(EMBEDDED), sigstruct, "the built-in image".to_owned())
    }

    /// An image and its SIGSTRUCT from files.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Image`] for a SIGSTRUCT that is malformed. Whether the two belong together is the
    /// processor's to say, at load.
    pub fn from_files(sgxs: &Path, sigstruct: &Path) -> Result<Self> {
        let image = fs::read(sgxs).map_err(Error::reading(sgxs))?;
        let bytes = fs::read(sigstruct).map_err(Error::reading(sigstruct))?;
        Self::new(Cow::Owned(image), &bytes, format!("{} with {}", sgxs.display(), sigstruct.display()))
    }

    /// The same image, launched with the SIGSTRUCT of a file.
    ///
    /// # Errors
    /// As [`Image::from_files`].
    pub fn with_sigstruct(self, sigstruct: &Path) -> Result<Self> {
        let bytes = fs::read(sigstruct).map_err(Error::reading(sigstruct))?;
        Self::new(self.sgxs, &bytes, format!("{} with {}", self.name, sigstruct.display()))
    }

    fn new(sgxs: Cow<'static, [u8]>, sigstruct: &[u8], name: String) -> Result<Self> {
        match Signed::from_bytes(sigstruct) {
            Ok(sigstruct) => Ok(Self { sgxs, sigstruct, name }),
            Err(error) => Err(Error::Image { what: name, why: format!("{error}; sign the image again") }),
        }
    }

    /// The SGXS stream.
    pub fn sgxs(&self) -> &[u8] {
        &self.sgxs
    }

    /// Gives back the memory that reading the image took; the built-in one is read from the program's file again when it
    /// is loaded again.
    #[allow(unsafe_code)]
    pub(crate) fn forget_pages(&self) {
        let Cow::Borrowed(bytes) = self.sgxs else { return };
        let page = PAGE_SIZE as usize;
        let start = bytes.as_ptr().addr().next_multiple_of(page);
        let end = (bytes.as_ptr().addr() + bytes.len()) / page * page;
        // SAFETY: whole pages of `EMBEDDED`, which the program's file backs and nobody writes, so their contents stay.
        let forgotten = unsafe {
            rustix::mm::madvise(start as *mut _, end.saturating_sub(start), rustix::mm::Advice::LinuxDontNeed)
        };
        // Advice: at worst the memory stays.
        let _ = forgotten;
    }

    /// The SIGSTRUCT.
    pub fn sigstruct(&self) -> &Signed {
        &self.sigstruct
    }

    /// What to call it in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is launched as a debug enclave.
    pub fn is_debug(&self) -> bool {
        self.sigstruct.variant() == Variant::Debug
    }
}

/// Called with the base address of every debug enclave right after it is loaded, and with its symbols' file: a place for
/// debuggers to stop at (`scripts/twine-gdb.py`).
#[inline(never)]
pub fn loaded_for_debugger(base: u64, elf: &str) {
    std::hint::black_box((base, elf));
}
