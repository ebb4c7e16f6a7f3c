//! Why a program was not run.

use std::io;
use std::path::PathBuf;

use twine_host::backend::LoadError;
use twine_host::sim::StateError;
use twine_workload::manifest::{FileError, FileErrorKind};

use crate::exit::Code;

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a program was not run. Each says what failed, where, and what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Hardware was asked for and is not served.
    #[error("{found}; {remedy}")]
    NoTee {
        /// What is missing.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The processor does not load the image.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The image or its SIGSTRUCT cannot be an image of Twine.
    #[error("{what}: {why}")]
    Image {
        /// The file, or that it is the built-in one.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// The simulated processor's state.
    #[error(transparent)]
    State(#[from] StateError),
    /// No folder for state or cache is known.
    #[error("no folder for {what}: neither {variable} nor HOME is set to an absolute path; set {variable}")]
    NoFolder {
        /// `state` or `cache`.
        what: &'static str,
        /// The variable that would name it.
        variable: &'static str,
    },
    /// Reading or writing failed.
    #[error("{path}: {source}; {remedy}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// A manifest, or what flags made of it.
    #[error(transparent)]
    Manifest(#[from] FileError),
    /// The workload has no identity, or not the signature that it needs.
    #[error(transparent)]
    Workload(#[from] twine_workload::Error),
    /// The module named is no module.
    #[error("{path}: {why}", path = path.display())]
    Module {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Valid, and not in this release.
    #[error("{what} is not in this release; {remedy}")]
    Unsupported {
        /// What was asked for.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
}

impl Error {
    /// The exit code for it.
    pub fn code(&self) -> Code {
        match self {
            Self::NoTee { .. } => Code::NoTee,
            Self::Load(error) => match error {
                LoadError::Stream { .. } | LoadError::Fault { .. } => Code::BadInput,
                LoadError::Launch { .. } => Code::Refused,
                LoadError::Unsupported { .. } | LoadError::System { .. } => Code::NoTee,
                LoadError::Read(_) => Code::Io,
            },
            Self::Image { .. } | Self::Module { .. } => Code::BadInput,
            Self::State(_) => Code::Io,
            Self::NoFolder { .. } | Self::Unsupported { .. } => Code::Config,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Code::MissingFile,
            Self::Io { .. } => Code::Io,
            Self::Manifest(error) => match error.kind {
                FileErrorKind::Missing => Code::MissingFile,
                FileErrorKind::Mismatch => Code::Refused,
                _ => Code::Config,
            },
            Self::Workload(error) => match error {
                twine_workload::Error::Unsigned | twine_workload::Error::BadSignature => Code::Refused,
                _ => Code::Config,
            },
        }
    }

    /// A name for programs that read the JSON output.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoTee { .. } => "no-tee",
            Self::Load(_) => "load",
            Self::Image { .. } => "image",
            Self::State(_) => "state",
            Self::NoFolder { .. } => "no-folder",
            Self::Io { .. } => "io",
            Self::Manifest(_) => "manifest",
            Self::Workload(_) => "workload",
            Self::Module { .. } => "module",
            Self::Unsupported { .. } => "unsupported",
        }
    }

    pub(crate) fn reading(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source, remedy: "name a file that exists and can be read" }
    }
}
