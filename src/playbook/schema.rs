//! Owns the JSON Schemas of our files, made from the types that read them: plain for the walk in `shape`, and with
//! everything an editor can use for people.
//! Deliberately never validates with them.

use super::document::Playbook;
use schemars::JsonSchema;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The actions of a step, of which it has exactly one.
pub const ACTIONS: [&str; 11] =
    ["http", "exec", "shell", "assert", "set", "confirm", "manual", "wait", "use", "group", "parallel"];

/// What a variant (a playbook that `extends` another) may have.
pub const VARIANT_KEYS: [&str; 8] = ["runbook", "name", "extends", "set", "title", "description", "deprecated", "sop"];

/// The schema of a type, as far as the type itself says it.
///
/// An optional key is left away, not given `null`: an empty `when:` or `to:` is a mistake nobody should run with.
pub fn schema_of<T: JsonSchema>() -> Arc<Json> {
    // Made once a type: it takes longer than reading a small file.
    static MADE: Mutex<BTreeMap<String, Arc<Json>>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let schema = made.entry(T::schema_id().into_owned()).or_insert_with(|| {
        let mut schema = schemars::schema_for!(T).to_value();
        tidy(&mut schema);
        Arc::new(schema)
    });
    schema.clone()
}

/// The playbook's schema for editors: besides the shape also what goes together.
pub fn playbook_schema() -> Json {
    let mut schema = Json::clone(&schema_of::<Playbook>());
    schema["$id"] = json!("urn:runbook:playbook:1");
    schema["title"] = json!("Playbook of `runbook`, format 1");
    schema["properties"]["runbook"] =
        json!({"const": 1, "description": schema["properties"]["runbook"]["description"]});
    schema["if"] = json!({"required": ["extends"]});
    schema["then"] = json!({"propertyNames": {"enum": VARIANT_KEYS}});
    schema["else"] = json!({"required": ["steps"], "properties": {"set": false}});
    let definitions = &mut schema["$defs"];
    definitions["Step"]["oneOf"] = ACTIONS.iter().map(|action| json!({"required": [action]})).collect();
    definitions["Step"]["dependentRequired"] =
        json!({"with": ["use"], "as": ["for_each"], "max_parallel": ["for_each"]});
    definitions["Http"]["allOf"] = at_most_one(&["json", "form", "multipart", "text", "file"]);
    let queries = ["jq", "jsonpath", "header", "body", "stdout", "stderr", "status", "exit_code", "schema"];
    definitions["Assertion"]["oneOf"] = queries.iter().map(|query| json!({"required": [query]})).collect();
    definitions["Capture"]["oneOf"] = ["jq", "jsonpath", "header", "regex"]
        .iter()
        .map(|query| json!({"required": [query]}))
        .chain([json!({"required": ["from"], "properties": {"regex": false}})])
        .collect();
    in_order(schema)
}

/// No two of the keys together.
fn at_most_one(keys: &[&str]) -> Json {
    let pairs = keys.iter().enumerate().flat_map(|(at, one)| keys[at + 1..].iter().map(move |other| (one, other)));
    pairs.map(|(one, other)| json!({"not": {"required": [one, other]}})).collect()
}

/// What schemars says for `Option`, defaults and number formats, said so that editors' messages stay readable.
fn tidy(schema: &mut Json) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(tidy),
        Json::Object(fields) => {
            without_null(fields);
            if fields.get("default") == Some(&Json::Null) {
                fields.shift_remove("default");
            }
            if let Some(format) = fields.get("format").and_then(Json::as_str).map(str::to_string) {
                fields.shift_remove("format");
                if format == "uint32" {
                    fields.insert("maximum".into(), u32::MAX.into());
                }
            }
            words(fields);
            fields.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

/// `anyOf: [T, null]` becomes `T`, `type: [T, null]` likewise.
fn without_null(fields: &mut Map<String, Json>) {
    let is_null = |branch: &Json| branch["type"] == "null";
    if let Some(Json::Array(branches)) = fields.get_mut("anyOf") {
        branches.retain(|branch| !is_null(branch));
        if let [one] = branches.as_slice() {
            let Json::Object(one) = one.clone() else { return };
            fields.shift_remove("anyOf");
            for (key, value) in one {
                fields.entry(key).or_insert(value);
            }
        }
    }
    if let Some(Json::Array(kinds)) = fields.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [one] = kinds.as_slice() {
            let one = one.clone();
            fields.insert("type".into(), one);
        }
    }
    if let Some(Json::Array(values)) = fields.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
}

/// A choice of words becomes one `enum`, what each word means part of the description: editors list the words then.
fn words(fields: &mut Map<String, Json>) {
    let Some(Json::Array(branches)) = fields.get("oneOf") else { return };
    let mut words = Vec::new();
    let mut meanings = Vec::new();
    for branch in branches {
        match (&branch["const"], &branch["enum"]) {
            (Json::String(word), _) => {
                words.push(branch["const"].clone());
                if let Some(meaning) = branch["description"].as_str() {
                    meanings.push(format!("- `{word}`: {meaning}"));
                }
            }
            (_, Json::Array(some)) => words.extend(some.clone()),
            _ => return,
        }
    }
    fields.shift_remove("oneOf");
    fields.insert("type".into(), json!("string"));
    fields.insert("enum".into(), Json::Array(words));
    if !meanings.is_empty() {
        let said = fields.get("description").and_then(Json::as_str).map(|said| format!("{said}\n\n"));
        fields.insert("description".into(), json!(said.unwrap_or_default() + &meanings.join("\n")));
    }
}

/// What a reader looks for first comes first.
fn in_order(schema: Json) -> Json {
    let Json::Object(mut fields) = schema else { return schema };
    let mut ordered = Map::new();
    for key in ["$schema", "$id", "title", "description", "type"] {
        if let Some(value) = fields.shift_remove(key) {
            ordered.insert(key.into(), value);
        }
    }
    let definitions = fields.shift_remove("$defs");
    ordered.extend(fields);
    ordered.extend(definitions.map(|all| ("$defs".to_string(), all)));
    Json::Object(ordered)
}
