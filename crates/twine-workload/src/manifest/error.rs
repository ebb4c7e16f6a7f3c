//! Errors in files that people write: where, which field, what was found, what to do.

/// What is wrong with a file, or with a value that overrides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// What kind of mistake, for exit codes.
    pub kind: FileErrorKind,
    /// `twine.toml:12:3`, a flag, or a variable.
    pub place: String,
    /// The field, as in `workload.limits.memory`; empty where no single one is at fault.
    pub field: String,
    /// What was found.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// What kind of mistake a [`FileError`] tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileErrorKind {
    /// Not TOML.
    Syntax,
    /// A key that does not exist.
    UnknownKey,
    /// A value of the wrong type, out of range, against a rule, or missing.
    Value,
    /// A named file cannot be read.
    Missing,
    /// A named file has not the contents that it must have.
    Mismatch,
}

impl FileError {
    /// A value that cannot stand.
    pub fn value(field: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(FileErrorKind::Value, field, message, remedy)
    }

    pub(crate) fn new(
        kind: FileErrorKind,
        field: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let (field, message, remedy) = (field.into(), message.into(), remedy.into());
        Self { kind, place: String::new(), field, message, remedy }
    }

    /// The same error, at a place.
    #[must_use]
    pub fn at(self, place: impl Into<String>) -> Self {
        Self { place: place.into(), ..self }
    }
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for part in [&self.place, &self.field].into_iter().filter(|part| !part.is_empty()) {
            write!(f, "{part}: ")?;
        }
        f.write_str(&self.message)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "; {}", self.remedy) }
    }
}

impl std::error::Error for FileError {}
