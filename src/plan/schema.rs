//! Owns JSON Schemas that assertions name. The only file that names `jsonschema`.

use serde_json::Value as Json;

/// Whether `schema` is a JSON Schema. Nothing is fetched for it.
pub fn judge(schema: &Json) -> Result<(), String> {
    jsonschema::validator_for(schema).map(|_| ()).map_err(|error| error.to_string())
}

/// What of `instance` is not valid under `schema`: paths and reasons, at most ten. Values are not shown where `hide` is set.
pub fn faults(schema: &Json, instance: &Json, hide: bool) -> Vec<String> {
    match jsonschema::validator_for(schema) {
        Err(error) => vec![error.to_string()],
        Ok(validator) => validator
            .iter_errors(instance)
            .take(10)
            .map(|error| {
                let at = error.instance_path().to_string();
                let at = if at.is_empty() { "the document".to_string() } else { format!("`{at}`") };
                if hide { format!("{at} is not as {} says", error.schema_path()) } else { format!("{at}: {error}") }
            })
            .collect(),
    }
}
