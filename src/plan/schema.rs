//! Owns JSON Schemas that assertions name. The only file that names `jsonschema`.

use crate::query::within;
use serde_json::Value as Json;
use std::time::Duration;

/// How long one schema may take: whoever writes it can double the work with each of its levels.
const DEADLINE: Duration = Duration::from_secs(5);
/// How many letters of a reason are told; a value in it may be megabytes.
const LONGEST: usize = 500;

/// Whether `schema` is a JSON Schema. Nothing is fetched for it.
pub fn judge(schema: &Json) -> Result<(), String> {
    let schema = schema.clone();
    within(DEADLINE, move || jsonschema::validator_for(&schema).map(|_| ()).map_err(|error| error.to_string()))
        .map_err(|_| overran())?
}

/// What of `instance` is not valid under `schema`: paths and reasons, at most ten. Values are not shown where `hide` is set.
/// That it cannot be found out within the budgets of a query is one too.
pub fn faults(schema: &Json, instance: &Json, hide: bool) -> Vec<String> {
    let (schema, instance) = (schema.clone(), instance.clone());
    within(DEADLINE, move || found(&schema, &instance, hide)).unwrap_or_else(|_| vec![overran()])
}

fn overran() -> String {
    format!("it could not be judged within {} s and 256 MiB", DEADLINE.as_secs())
}

fn found(schema: &Json, instance: &Json, hide: bool) -> Vec<String> {
    match jsonschema::validator_for(schema) {
        Err(error) => vec![cut(&error.to_string())],
        Ok(validator) => validator
            .iter_errors(instance)
            .take(10)
            .map(|error| {
                let at = error.instance_path().to_string();
                let at = if at.is_empty() { "the document".to_string() } else { format!("`{at}`") };
                let told = if hide {
                    format!("{at} is not as {} says", error.schema_path())
                } else {
                    format!("{at}: {error}")
                };
                cut(&told)
            })
            .collect(),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_string(),
    }
}
