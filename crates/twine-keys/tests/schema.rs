//! docs/keys.schema.json is what keys.toml is read by.

use std::path::Path;

use serde_json::Value;

#[test]
fn the_published_schema_is_the_one_that_is_read_by() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/keys.schema.json");
    let schema = twine_keys::json_schema();
    if std::env::var_os("TWINE_UPDATE").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(
        value(&std::fs::read_to_string(&path).unwrap()),
        value(&schema),
        "TWINE_UPDATE=1 writes the file"
    );
}
