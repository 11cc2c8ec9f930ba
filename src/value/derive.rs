//! Owns how taint goes through a computation: a result is secret where it would differ, had the secret been another.
//! Deliberately knows nothing of templates or jq; both are handed in as a function.

use super::Value;
use crate::secret::{Origin, Taint};
use serde_json::Value as Json;
use std::sync::Arc;

/// Computes `eval(inputs)` and marks what came from a secret.
///
/// For each secret among the inputs the computation is done once more with another text of the same length in the
/// secret's place; each string of the result that differs then carries that secret's taint. Where the second
/// computation fails (the stand-in is no JSON, no base64 …) all strings do. Booleans, numbers and null carry none:
/// an assertion may say whether two secrets are equal, and a message may say how long one is.
pub fn derive<E>(inputs: &[Value], eval: impl Fn(&[Value]) -> Result<Json, E>) -> Result<Value, E> {
    let real = eval(inputs)?;
    let mut origins: Vec<Arc<Origin>> = Vec::new();
    for value in inputs {
        for (_, taint) in value.marks() {
            origins.extend(taint.origins().cloned());
        }
    }
    if origins.is_empty() {
        return Ok(Value::plain(real));
    }
    origins.sort();
    origins.dedup();
    let mut marks: Vec<(String, Taint)> = Vec::new();
    for origin in origins {
        let altered: Vec<Value> = inputs.iter().map(|value| with_stand_in(value, &origin)).collect();
        let other = eval(&altered).ok();
        compare(&real, other.as_ref(), &mut String::new(), &Taint::of(origin), &mut marks);
    }
    Ok(Value::marked(real, marks))
}

fn with_stand_in(value: &Value, origin: &Arc<Origin>) -> Value {
    let touched: Vec<&str> =
        value.marks().iter().filter(|(_, taint)| taint.contains(origin)).map(|(mark, _)| mark.as_str()).collect();
    if touched.is_empty() {
        return value.clone();
    }
    let mut json = value.expose().clone();
    for mark in touched {
        if let Some(part) = json.pointer_mut(mark) {
            replace_strings(part);
        }
    }
    Value::plain(json)
}

fn replace_strings(json: &mut Json) {
    match json {
        Json::String(text) => *text = text.chars().map(other_char).collect(),
        Json::Array(items) => items.iter_mut().for_each(replace_strings),
        Json::Object(map) => {
            *map = std::mem::take(map)
                .into_iter()
                .map(|(key, mut value)| {
                    replace_strings(&mut value);
                    (key, value)
                })
                .collect();
        }
        _ => {}
    }
}

/// Another character of the same kind, so that patterns that only look at kinds and lengths give the same answer.
fn other_char(c: char) -> char {
    match c {
        'a'..='z' => rotate(c, b'a', 26, 13),
        'A'..='Z' => rotate(c, b'A', 26, 13),
        '0'..='9' => rotate(c, b'0', 10, 5),
        'ß' => 'x',
        _ if c.is_ascii_punctuation() || c == ' ' => 'q',
        _ => 'ß',
    }
}

fn rotate(c: char, first: u8, count: u8, by: u8) -> char {
    char::from(first + (c as u8 - first + by) % count)
}

fn compare(real: &Json, other: Option<&Json>, at: &mut String, taint: &Taint, marks: &mut Vec<(String, Taint)>) {
    let length = at.len();
    match (real, other) {
        (_, Some(other)) if real == other => {}
        (Json::Array(items), Some(Json::Array(others))) if items.len() == others.len() => {
            for (index, (item, other)) in items.iter().zip(others).enumerate() {
                at.push_str(&format!("/{index}"));
                compare(item, Some(other), at, taint, marks);
                at.truncate(length);
            }
        }
        (Json::Object(map), Some(Json::Object(others))) if map.keys().eq(others.keys()) => {
            for (key, value) in map {
                at.push('/');
                at.push_str(&super::escape(key));
                compare(value, others.get(key), at, taint, marks);
                at.truncate(length);
            }
        }
        // A key that came from the secret has no place of its own: the whole object is secret then.
        (Json::Object(_), Some(Json::Object(_))) => super::add_mark(marks, at, taint),
        _ => super::mark_strings(real, at, taint, marks),
    }
}
