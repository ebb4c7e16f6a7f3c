//! Text for people, or one JSON object for programs.

use std::fmt::Display;
use std::io::{Write, stderr, stdout};

use serde::Serialize;

use super::failure::Failure;

/// How results are printed.
pub struct Output {
    json: bool,
}

/// The envelope of every JSON result.
#[derive(Serialize)]
struct Envelope<'a, T> {
    schema: &'static str,
    status: Status,
    data: Option<&'a T>,
    errors: Vec<ErrorEntry<'a>>,
}

/// How it went.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As wanted.
    Success,
    /// Done, and the answer is no: the program failed, a check did not hold.
    Fail,
    /// Not done.
    Error,
}

#[derive(Serialize)]
struct ErrorEntry<'a> {
    code: &'a str,
    field: Option<&'a str>,
    message: &'a str,
    remedy: Option<&'a str>,
}

impl Output {
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether standard output is for one JSON object.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a result: as JSON, or its text.
    pub fn result<T: Serialize + Display>(&self, schema: &'static str, status: Status, data: &T) {
        match self.json {
            true => json(&Envelope { schema, status, data: Some(data), errors: Vec::new() }),
            // A reader that went away does not want the rest.
            false => drop(write!(stdout(), "{data}")),
        }
    }

    /// Prints why there is no result.
    pub fn failure(&self, schema: &'static str, failure: &Failure) {
        if self.json {
            let entry = ErrorEntry {
                code: failure.name,
                field: failure.field.as_deref(),
                message: &failure.message,
                remedy: failure.remedy.as_deref(),
            };
            json(&Envelope::<()> { schema, status: Status::Error, data: None, errors: vec![entry] });
        }
        let field = failure.field.iter().map(|field| format!("{field}: ")).collect::<String>();
        let remedy = failure.remedy.iter().map(|remedy| format!("; {remedy}")).collect::<String>();
        note(format_args!("{field}{}{remedy}", failure.message));
    }
}

/// Says something on standard error.
pub fn note(text: impl Display) {
    let _ = writeln!(stderr(), "twine: {text}");
}

fn json(value: &impl Serialize) {
    // Only maps with keys that are no strings fail to serialise; there are none.
    if let Ok(text) = serde_json::to_string(value) {
        let _ = writeln!(stdout(), "{text}");
    }
}
