//! `twine inspect`: what a file is and what it holds.

mod elf;
mod module;

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use twine::exit::Code;
use twine::image_format::inspect::{self, ImageInfo, SigstructInfo};
use twine::image_format::sigstruct;

use super::failure::Failure;
use super::output::{Output, Status};

pub const SCHEMA: &str = "twine.inspect/1";

/// Options of `twine inspect`.
#[derive(Args)]
pub struct Options {
    /// A WebAssembly module, an SGXS image, a SIGSTRUCT, or an enclave's ELF file
    file: PathBuf,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Data {
    Module(module::ModuleInfo),
    Image(ImageInfo),
    Sigstruct(SigstructInfo),
    Elf(elf::ElfInfo),
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        let bytes = fs::read(&self.file).map_err(Failure::reading(&self.file))?;
        let bad =
            |why: String| Failure::new(Code::BadInput, "input", format!("{}: {why}", self.file.display()));
        let text = self.file.extension().is_some_and(|extension| extension == "wat");
        let data = match &bytes[..] {
            _ if text => {
                let module = wat::parse_bytes(&bytes).map_err(|error| bad(error.to_string()))?;
                Data::Module(module::describe(&module).map_err(bad)?)
            }
            [0, b'a', b's', b'm', ..] => Data::Module(module::describe(&bytes).map_err(bad)?),
            [0x7f, b'E', b'L', b'F', ..] => Data::Elf(elf::describe(&bytes).map_err(bad)?),
            bytes if bytes.starts_with(b"ECREATE\0") => Data::Image(inspect::image(bytes)?),
            bytes if bytes.len() == sigstruct::SIZE => Data::Sigstruct(inspect::sigstruct(bytes)?),
            _ => {
                return Err(bad(format!(
                    "neither a WebAssembly module, an SGXS image, a SIGSTRUCT ({} bytes) nor an ELF file",
                    sigstruct::SIZE
                )));
            }
        };
        let sound = match &data {
            Data::Module(module) => module.invalid.is_none(),
            Data::Sigstruct(sigstruct) => sigstruct.valid,
            Data::Image(_) | Data::Elf(_) => true,
        };
        output.result(SCHEMA, if sound { Status::Success } else { Status::Fail }, &data);
        Ok(if sound { ExitCode::SUCCESS } else { Code::BadInput.into() })
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module(module) => write!(f, "{module}"),
            Self::Image(image) => show_image(image, f),
            Self::Sigstruct(sigstruct) => show_sigstruct(sigstruct, f),
            Self::Elf(elf) => write!(f, "{elf}"),
        }
    }
}

fn show_image(image: &ImageInfo, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "enclave image (SGXS)")?;
    writeln!(f, "MRENCLAVE   {}", hex::encode(image.mrenclave))?;
    writeln!(f, "ELRANGE     {} bytes", image.elrange)?;
    writeln!(f, "loaded      {} pages, {} bytes", image.pages, image.bytes)?;
    image.pages_by_kind.iter().try_for_each(|(kind, count)| writeln!(f, "  {count:>7} {kind}"))?;
    writeln!(f, "threads     {}", image.threads)?;
    writeln!(f, "measured    {}", if image.fully_measured { "every byte" } else { "in part" })?;
    let Some(layout) = &image.layout else { return writeln!(f, "not an image of Twine") };
    writeln!(f, "border      version {}", layout.abi_version)?;
    writeln!(
        f,
        "code        {} bytes, {} cpuid instructions answered inside",
        layout.text_bytes, layout.cpuid_sites
    )
}

fn show_sigstruct(sigstruct: &SigstructInfo, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match &sigstruct.error {
        None => writeln!(f, "SIGSTRUCT, signature valid")?,
        Some(error) => writeln!(f, "SIGSTRUCT, NOT VALID: {error}")?,
    }
    writeln!(f, "MRSIGNER    {}", hex::encode(sigstruct.mrsigner))?;
    writeln!(f, "MRENCLAVE   {}", hex::encode(sigstruct.mrenclave))?;
    writeln!(f, "ISVPRODID   {}", sigstruct.isvprodid)?;
    writeln!(f, "ISVSVN      {}", sigstruct.isvsvn)?;
    writeln!(f, "signed on   {}", sigstruct.date)?;
    let [flags, mask] = sigstruct.attributes;
    writeln!(f, "ATTRIBUTES  {flags:016x} mask {mask:016x}")?;
    let [xfrm, mask] = sigstruct.xfrm;
    writeln!(f, "XFRM        {xfrm:016x} mask {mask:016x}")?;
    let [miscselect, mask] = sigstruct.miscselect;
    writeln!(f, "MISCSELECT  {miscselect:08x} mask {mask:08x}")?;
    for field in &sigstruct.deviations {
        writeln!(f, "{field} is not what Twine demands: an enclave of Twine would not start with it")?;
    }
    Ok(())
}
