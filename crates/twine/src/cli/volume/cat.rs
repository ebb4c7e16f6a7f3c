//! `twine volume cat`.

use std::io::{ErrorKind, Write, stdout};
use std::process::ExitCode;

use clap::Args;
use twine::exit::Code;
use twine_vfs::{Error, FileSystem, FileType};

use super::open::{Access, Mode, failed_inside};
use super::path::{Place, resolve};
use super::transfer::pour;
use super::transfer::volume::FileReader;
use crate::cli::failure::Failure;
use crate::cli::output::Output;

pub const SCHEMA: &str = "twine.volume.cat/1";

/// Options of `twine volume cat`.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    key: Access,
    /// The volume, and files in it
    #[arg(value_name = "VOLUME::PATH", required = true)]
    places: Vec<Place>,
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        if output.is_json() {
            return Err(Failure::usage("cat writes the file itself; to have JSON, copy it with cp"));
        }
        for Place { volume: file, path } in &self.places {
            let volume = self.key.open(file, Mode::Read)?;
            let failed = |error| failed_inside(&volume, path, error);
            let (ino, file_type) = resolve(&volume, path, true).map_err(failed)?;
            if file_type != FileType::File {
                return Err(failed(Error::IsDirectory));
            }
            let size = volume.stat(ino).map_err(failed)?.size;
            let mut reader = FileReader { volume: &volume, ino, offset: 0, size, path, lost: None };
            let mut out = stdout().lock();
            match pour(&mut reader, &mut out).and_then(|_| out.flush()) {
                // A reader that went away does not want the rest.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
                // The reader's own: the volume.
                Err(error) if error.get_ref().is_some() => return Err(failed(Error::Io)),
                Err(error) => {
                    return Err(Failure::new(Code::Io, "io", format!("standard output: {error}")));
                }
                Ok(()) => {}
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
