//! The JSON Schema of `twine.toml`, published as docs/twine.schema.json.

use schemars::schema_for;

use super::Manifest;

/// The schema of [`Manifest`], pretty-printed with a newline at the end.
pub fn json_schema() -> String {
    // A schema is a tree of strings and numbers: it always prints.
    serde_json::to_string_pretty(&schema_for!(Manifest)).unwrap_or_default() + "\n"
}
