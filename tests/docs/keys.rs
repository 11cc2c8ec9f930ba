//! Owns which keys and words of a schema occur in documents that follow it.

use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;

/// `Step.http`, `Effect=once`: every key of every shape, every word of every choice.
pub fn all(schema: &Json) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let shapes = schema["$defs"].as_object().into_iter().flatten();
    let root = ("".to_string(), schema);
    for (name, shape) in shapes.map(|(name, shape)| (name.clone(), shape)).chain([root]) {
        all.extend(keys(shape).map(|key| format!("{name}.{key}")));
        all.extend(words(shape).map(|word| format!("{name}={word}")));
        for branch in branches(shape) {
            all.extend(words(branch).map(|word| format!("{name}={word}")));
        }
    }
    all
}

/// What of it occurs in one document.
pub fn found(schema: &Json, document: &Json) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(schema, "", schema, document, &mut found);
    found
}

fn walk(root: &Json, name: &str, shape: &Json, json: &Json, found: &mut BTreeSet<String>) {
    if let Some(to) = shape["$ref"].as_str() {
        let name = to.rsplit('/').next().unwrap();
        return walk(root, name, &root["$defs"][name], json, found);
    }
    for branch in branches(shape).filter(|branch| fits(root, branch, json)) {
        walk(root, name, branch, json, found);
    }
    for word in words(shape).filter(|word| json.as_str() == Some(word)) {
        found.insert(format!("{name}={word}"));
    }
    match json {
        Json::Object(map) => {
            for (key, value) in map {
                match shape["properties"].get(key) {
                    Some(inner) => {
                        found.insert(format!("{name}.{key}"));
                        walk(root, &format!("{name}.{key}"), inner, value, found);
                    }
                    None if shape["additionalProperties"].is_object() => {
                        walk(root, name, &shape["additionalProperties"], value, found);
                    }
                    None => {}
                }
            }
        }
        Json::Array(items) if shape["items"].is_object() => {
            items.iter().for_each(|item| walk(root, name, &shape["items"], item, found));
        }
        _ => {}
    }
}

/// Whether a branch may be meant: its type is the value's, and it knows all its keys.
fn fits(root: &Json, shape: &Json, json: &Json) -> bool {
    if let Some(to) = shape["$ref"].as_str() {
        return fits(root, &root["$defs"][to.rsplit('/').next().unwrap()], json);
    }
    let kind = match json {
        Json::Object(_) => "object",
        Json::Array(_) => "array",
        Json::String(_) => "string",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::Null => "null",
    };
    let typed = match &shape["type"] {
        Json::String(one) => one == kind || one == "number" && kind == "integer",
        Json::Array(some) => some.iter().any(|one| one == kind || one == "number" && kind == "integer"),
        _ => true,
    };
    let known = |map: &Map<String, Json>| map.keys().all(|key| !shape["properties"][key.as_str()].is_null());
    typed && (shape["additionalProperties"] != Json::Bool(false) || json.as_object().is_none_or(known))
}

fn branches(shape: &Json) -> impl Iterator<Item = &Json> {
    // Where `oneOf` only says which keys go together, its branches have no shape of their own.
    ["anyOf", "oneOf"].into_iter().filter_map(|key| shape[key].as_array()).flatten()
}

fn keys(shape: &Json) -> impl Iterator<Item = &str> {
    shape["properties"].as_object().into_iter().flatten().map(|(key, _)| key.as_str())
}

fn words(shape: &Json) -> impl Iterator<Item = &str> {
    shape["enum"].as_array().into_iter().flatten().chain(shape.get("const")).filter_map(Json::as_str)
}
