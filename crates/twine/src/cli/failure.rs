//! What every verb fails with.

use std::io;
use std::path::Path;

use twine::exit::Code;
use twine::image_format::key::KeyError;
use twine::image_format::sgxs::SgxsError;
use twine::image_format::sigstruct::SigstructError;
use twine::workload::manifest::{FileError, KeyError as OwnerKeyError};

/// An error as people and programs read it.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: Code,
    /// What kind of error, for programs.
    pub name: &'static str,
    /// Field of a manifest.
    pub field: Option<String>,
    /// What failed, where, what to do; or without the last where `remedy` has it.
    pub message: String,
    /// What to do.
    pub remedy: Option<String>,
}

impl Failure {
    pub fn new(code: Code, name: &'static str, message: impl ToString) -> Self {
        Self { code, name, field: None, message: message.to_string(), remedy: None }
    }

    fn with_remedy(code: Code, name: &'static str, message: String, remedy: &str) -> Self {
        Self { remedy: Some(remedy.to_owned()), ..Self::new(code, name, message) }
    }

    /// A combination of arguments that clap cannot express.
    pub fn usage(message: impl ToString) -> Self {
        Self::new(Code::Usage, "usage", message)
    }

    /// A file could not be read.
    pub fn reading(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| {
            twine::Error::Io { path, source, remedy: "name a file that exists and can be read" }.into()
        }
    }

    /// A file could not be written.
    pub fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |error| match error.kind() {
            io::ErrorKind::AlreadyExists => Self::new(
                Code::Io,
                "exists",
                format!("{path} exists and is not overwritten; name another file"),
            ),
            _ => Self::new(Code::Io, "io", format!("{path}: {error}; name a place that can be written")),
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        twine::Error::from(error).into()
    }
}

impl From<twine::Error> for Failure {
    fn from(error: twine::Error) -> Self {
        let (code, name) = (error.code(), error.name());
        match error {
            twine::Error::Manifest(FileError { place, field, message, remedy, .. }) => Self {
                code,
                name,
                message: if place.is_empty() { message } else { format!("{place}: {message}") },
                field: (!field.is_empty()).then_some(field),
                remedy: (!remedy.is_empty()).then_some(remedy),
            },
            twine::Error::NoTee { found, remedy } => Self::with_remedy(code, name, found, remedy),
            twine::Error::Unsupported { what, remedy } => {
                Self::with_remedy(code, name, format!("{what} is not in this release"), remedy)
            }
            twine::Error::Io { path, source, remedy } => {
                Self::with_remedy(code, name, format!("{}: {source}", path.display()), remedy)
            }
            error => Self::new(code, name, error),
        }
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        let code = match &error {
            KeyError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Code::MissingFile,
            KeyError::Io { .. } | KeyError::Exists(_) => Code::Io,
            _ => Code::BadInput,
        };
        Self::new(code, "key", error)
    }
}

impl From<OwnerKeyError> for Failure {
    fn from(error: OwnerKeyError) -> Self {
        let code = match &error {
            OwnerKeyError::NotTheOwner { .. } => Code::Refused,
            OwnerKeyError::Workload(_) => Code::Config,
            OwnerKeyError::Random => Code::Io,
            _ => Code::BadInput,
        };
        Self::new(code, "key", error)
    }
}

impl From<SigstructError> for Failure {
    fn from(error: SigstructError) -> Self {
        match error {
            SigstructError::Key(error) => error.into(),
            error @ SigstructError::Signature(_) => Self::new(Code::Refused, "signature", error),
            error => Self::new(Code::BadInput, "sigstruct", error),
        }
    }
}

impl From<SgxsError> for Failure {
    fn from(error: SgxsError) -> Self {
        Self::new(Code::BadInput, "image", format!("{error}; build or fetch the image again"))
    }
}
