//! Owns the JSON Schemas of our files, made from the types that read them.

use schemars::JsonSchema;
use serde_json::Value as Json;

/// The schema of a type, as the walk reads it.
pub fn schema_of<T: JsonSchema>() -> Json {
    schemars::schema_for!(T).to_value()
}

/// The playbook's schema, for editors.
pub fn playbook_schema() -> Json {
    schema_of::<super::document::Playbook>()
}
