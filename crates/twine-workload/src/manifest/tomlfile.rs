//! Reading a TOML file into a type that has a JSON Schema, with errors that name line, field and remedy.
//!
//! The schema tells which keys a table may have, so that an unknown one gets a suggestion; there is no second list.

use std::collections::BTreeMap;

use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::{FileError, FileErrorKind};

/// A line of the file, counted from 1, for each key that it sets.
pub type Lines = BTreeMap<Vec<String>, usize>;

/// Reads `text`, which errors call `file`.
pub fn read<T: DeserializeOwned + JsonSchema>(text: &str, file: &str) -> Result<(T, Lines), FileError> {
    let document =
        DeTable::parse(text).map_err(|e| {
            FileError::new(FileErrorKind::Syntax, "", one_line(e.message()), "write it as TOML 1.0")
                .at(place(file, text, e.span()))
        })?;
    let schema = schema_for!(T).to_value();
    let mut walk = Walk { root: &schema, text, file, lines: Lines::new() };
    walk.table(document.get_ref(), &schema, &mut Vec::new())?;
    let lines = walk.lines;
    let value = toml::from_str(text).map_err(|e| {
        let field = field_at(text, e.span(), &lines);
        let remedy = "compare with the published schema";
        FileError::value(field, one_line(e.message()), remedy).at(place(file, text, e.span()))
    })?;
    Ok((value, lines))
}

/// Refuses keys that the schema of `T` does not have in a table that did not come from one file.
pub(crate) fn check_keys<T: JsonSchema>(table: &toml::Table) -> Result<(), FileError> {
    let text = table.to_string();
    let schema = schema_for!(T).to_value();
    let document = DeTable::parse(&text).map_err(|e| FileError::value("", one_line(e.message()), ""))?;
    let mut walk = Walk { root: &schema, text: &text, file: "", lines: Lines::new() };
    walk.table(document.get_ref(), &schema, &mut Vec::new()).map_err(|e| e.at(""))
}

struct Walk<'a> {
    root: &'a Value,
    text: &'a str,
    file: &'a str,
    lines: Lines,
}

impl<'a> Walk<'a> {
    fn table(
        &mut self,
        table: &DeTable<'_>,
        schema: &'a Value,
        path: &mut Vec<String>,
    ) -> Result<(), FileError> {
        let schema = self.object(schema);
        for (key, value) in table {
            path.push(key.get_ref().to_string());
            self.lines.insert(path.clone(), line_column(self.text, key.span().start).0);
            let property = schema.and_then(|schema| {
                schema
                    .pointer(&format!("/properties/{}", pointer_token(key.get_ref())))
                    .or_else(|| schema.get("additionalProperties").filter(|schema| schema.is_object()))
            });
            let Some(property) = property else {
                path.pop();
                return Err(self.unknown(key.get_ref(), key.span(), schema, path));
            };
            self.value(value.get_ref(), property, path)?;
            path.pop();
        }
        Ok(())
    }

    fn value(
        &mut self,
        value: &DeValue<'_>,
        schema: &'a Value,
        path: &mut Vec<String>,
    ) -> Result<(), FileError> {
        match value {
            DeValue::Table(table) if self.object(schema).is_some() => self.table(table, schema, path),
            DeValue::Array(items) => {
                let Some(schema) = schema.get("items") else { return Ok(()) };
                for (i, item) in items.iter().enumerate() {
                    path.push(i.to_string());
                    self.lines.insert(path.clone(), line_column(self.text, item.span().start).0);
                    self.value(item.get_ref(), schema, path)?;
                    path.pop();
                }
                Ok(())
            }
            // Of another type than the schema says: serde refuses it with its own words.
            _ => Ok(()),
        }
    }

    /// The schema of an object behind references and alternatives.
    fn object(&self, schema: &'a Value) -> Option<&'a Value> {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            return self.object(self.root.pointer(reference.strip_prefix('#')?)?);
        }
        if let Some(Value::Array(alternatives)) = schema.get("anyOf") {
            return alternatives.iter().find_map(|schema| self.object(schema));
        }
        (schema.get("properties").is_some()
            || schema.get("additionalProperties").is_some_and(Value::is_object))
        .then_some(schema)
    }

    fn unknown(
        &self,
        key: &str,
        span: core::ops::Range<usize>,
        schema: Option<&Value>,
        path: &[String],
    ) -> FileError {
        let mut known: Vec<&str> = schema
            .and_then(|schema| schema.get("properties")?.as_object())
            .map(|properties| properties.keys().map(String::as_str).collect())
            .unwrap_or_default();
        // The map's own order depends on a feature that other crates of a build may switch on.
        known.sort_unstable();
        let near = known
            .iter()
            .map(|name| (strsim::jaro_winkler(key, name), name))
            .filter(|(similarity, _)| *similarity > 0.75)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let remedy = match near {
            Some((_, name)) => format!("did you mean `{name}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        FileError::new(FileErrorKind::UnknownKey, path.join("."), format!("unknown key `{key}`"), remedy)
            .at(place(self.file, self.text, Some(span)))
    }
}

fn place(file: &str, text: &str, span: Option<core::ops::Range<usize>>) -> String {
    match span {
        Some(span) => {
            let (line, column) = line_column(text, span.start);
            format!("{file}:{line}:{column}")
        }
        None => file.into(),
    }
}

/// Both from 1, the column in characters.
fn line_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    (line, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
}

/// The deepest key on the line of an error: serde gives a span but no path.
fn field_at(text: &str, span: Option<core::ops::Range<usize>>, lines: &Lines) -> String {
    let Some(span) = span else { return String::new() };
    let line = line_column(text, span.start).0;
    let on_line = lines.iter().filter(|(_, at)| **at == line).map(|(path, _)| path);
    on_line.max_by_key(|path| path.len()).map(|path| path.join(".")).unwrap_or_default()
}

fn one_line(message: &str) -> String {
    message.trim().replace('\n', "; ")
}

/// RFC 6901, section 3.
fn pointer_token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
