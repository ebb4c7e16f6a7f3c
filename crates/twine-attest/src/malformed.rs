//! The error of every reader of evidence.

/// Evidence whose bytes are not what they must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {what} is malformed: {why}")]
pub struct Malformed {
    /// Quote, collateral, certificate…
    pub what: &'static str,
    /// What is wrong.
    pub why: String,
}

impl Malformed {
    pub(crate) fn new(what: &'static str, why: impl ToString) -> Self {
        // Some parsers explain themselves on several lines.
        let why = why
            .to_string()
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        Self { what, why }
    }
}
