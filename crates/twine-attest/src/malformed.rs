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
        Self { what, why: why.to_string() }
    }
}
