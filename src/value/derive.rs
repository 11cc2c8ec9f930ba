//! Owns how taint goes through a computation: a result is secret where it would differ, had the secret been another.
//! Deliberately knows nothing of templates or jq; both are handed in as a function.

use super::{Marks, Value};
use crate::secret::{Origin, Taint};
use serde_json::Value as Json;
use std::collections::HashSet;
use std::sync::Arc;

/// An error that can be told without what it says of the values it is about.
pub trait Hush: PartialEq {
    fn hush(&mut self);
}

/// What stands in place of an error's words where those would show a part of a secret.
pub const HUSHED: &str = "it fails, and how is not told, since a part of a secret stands in it";

impl Hush for String {
    fn hush(&mut self) {
        *self = HUSHED.into();
    }
}

/// Computes `eval(inputs)` and marks what came from a secret.
///
/// For each secret among the inputs the computation is done once more with another text of the same length in the
/// secret's place; each string and number of the result that differs then carries that secret's taint, and so does a
/// whole object whose keys differ. Where the second computation fails (the stand-in is no JSON, no base64 …) all
/// strings, numbers and objects do. Booleans and null carry none, nor does a number that only tells a length: an assertion may
/// say whether two secrets are equal, and a message may say how long one is.
///
/// An error that would be worded otherwise with another secret is hushed: it quotes what was derived from it, in a form
/// that the masker does not know.
pub fn derive<E: Hush>(inputs: &[Value], eval: impl Fn(&[Value]) -> Result<Json, E>) -> Result<Value, E> {
    let real = eval(inputs);
    let mut origins: Vec<Arc<Origin>> = Vec::new();
    for value in inputs {
        for (_, taint) in value.marks() {
            origins.extend(taint.origins().cloned());
        }
    }
    if origins.is_empty() {
        return real.map(Value::plain);
    }
    origins.sort();
    origins.dedup();
    let altered =
        |origin: &Arc<Origin>| -> Vec<Value> { inputs.iter().map(|value| with_stand_in(value, origin)).collect() };
    let real = match real {
        Ok(real) => real,
        Err(mut error) => {
            let differs = |origin| !eval(&altered(origin)).is_err_and(|other| other == error);
            if origins.iter().any(differs) {
                error.hush();
            }
            return Err(error);
        }
    };
    let mut marks = Marks::default();
    for origin in origins {
        let other = eval(&altered(&origin)).ok();
        compare(&real, other.as_ref(), &mut String::new(), &Taint::of(origin), &mut marks);
    }
    Ok(Value::marked(real, marks.all))
}

/// The value as it would be, had every secret been another text of the same length.
pub fn altered(value: &Value) -> Value {
    let mut origins: Vec<Arc<Origin>> = value.taint().origins().cloned().collect();
    origins.sort();
    // One secret at a time leaves no marks for the next, so all that is marked is altered as one secret would be.
    match origins.first() {
        None => value.clone(),
        Some(origin) => {
            let marks = value.marks().iter().map(|(mark, _)| (mark.clone(), Taint::of(origin.clone()))).collect();
            with_stand_in(&Value::marked(value.expose().clone(), marks), origin)
        }
    }
}

fn with_stand_in(value: &Value, origin: &Arc<Origin>) -> Value {
    let mut touched: Vec<&str> =
        value.marks().iter().filter(|(_, taint)| taint.contains(origin)).map(|(mark, _)| mark.as_str()).collect();
    if touched.is_empty() {
        return value.clone();
    }
    // Each part once, or the second time could bring the first text back: marks may repeat and lie within each other.
    touched.sort_unstable_by_key(|mark| mark.len());
    let mut outermost: HashSet<&str> = HashSet::new();
    touched.retain(|mark| {
        let ends = mark.match_indices('/').map(|(end, _)| end).chain([mark.len()]);
        let covered = ends.into_iter().any(|end| outermost.contains(&mark[..end]));
        !covered && outermost.insert(mark)
    });
    let mut json = value.expose().clone();
    for mark in touched {
        if let Some(part) = json.pointer_mut(mark) {
            replace(part);
        }
    }
    Value::plain(json)
}

/// All that is below a mark, with keys and numbers: they are marked where they came from the secret.
fn replace(json: &mut Json) {
    match json {
        Json::String(text) => *text = stand_in(text),
        Json::Array(items) => items.iter_mut().for_each(replace),
        Json::Object(map) => {
            *map = std::mem::take(map)
                .into_iter()
                .map(|(key, mut value)| {
                    replace(&mut value);
                    (stand_in(&key), value)
                })
                .collect();
        }
        Json::Number(number) => {
            *json = match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), ..) => Json::from(number ^ 1),
                (_, Some(number), _) => Json::from(number ^ 1),
                (.., Some(number)) => Json::from(number + 1.0),
                _ => Json::Null,
            }
        }
        Json::Null | Json::Bool(_) => {}
    }
}

fn stand_in(text: &str) -> String {
    text.chars().map(other_char).collect()
}

/// Another character of the same kind, so that patterns that only look at kinds and lengths give the same answer.
fn other_char(c: char) -> char {
    match c {
        'a'..='z' => rotate(c, b'a', 26, 7),
        'A'..='Z' => rotate(c, b'A', 26, 7),
        '0'..='9' => rotate(c, b'0', 10, 3),
        'ß' => 'x',
        _ if c.is_ascii_punctuation() || c == ' ' => 'q',
        _ => 'ß',
    }
}

fn rotate(c: char, first: u8, count: u8, by: u8) -> char {
    char::from(first + (c as u8 - first + by) % count)
}

fn compare(real: &Json, other: Option<&Json>, at: &mut String, taint: &Taint, marks: &mut Marks) {
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
        (Json::Object(map), _) if !map.is_empty() => marks.add(at, taint),
        (Json::Array(items), _) => {
            for (index, item) in items.iter().enumerate() {
                at.push_str(&format!("/{index}"));
                compare(item, None, at, taint, marks);
                at.truncate(length);
            }
        }
        (Json::Number(_), _) => marks.add(at, taint),
        _ => super::mark_strings(real, at, taint, marks),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secret(text: &str) -> Value {
        Value::secret(json!(text), Arc::new(Origin { name: "token".into(), to: None }))
    }

    fn derived(value: &Value, eval: impl Fn(&Json) -> Json) -> Value {
        derive(std::slice::from_ref(value), |inputs| Ok::<_, String>(eval(inputs[0].expose()))).unwrap()
    }

    #[test]
    fn what_was_taken_apart_is_still_secret_when_it_is_put_together() {
        let codes = derived(&secret("s3cr3t"), |json| json.as_str().unwrap().bytes().map(Json::from).collect());
        assert_eq!(codes.marks().len(), 6);
        let again = derived(&codes, |json| {
            let codes = json.as_array().unwrap().iter().map(|code| code.as_u64().unwrap() as u8 as char);
            Json::String(codes.collect())
        });
        assert_eq!((again.expose(), again.is_secret()), (&json!("s3cr3t"), true));
    }

    #[test]
    fn marks_that_repeat_or_nest_are_one() {
        let origin = Arc::new(Origin { name: "token".into(), to: None });
        for marks in [vec!["/a/b", "/a/b"], vec!["/a/b", "/a"], vec!["", "/a/b", "/a"]] {
            let marks = marks.into_iter().map(|mark| (mark.to_string(), Taint::of(origin.clone()))).collect();
            let value = Value::marked(json!({"a": {"b": "s3cr3t"}, "c": 1}), marks);
            assert!(derived(&value, |json| json!(json["a"]["b"])).is_secret());
        }
    }

    #[test]
    fn a_key_is_secret_and_stays_so() {
        let object = derived(&secret("s3cr3t"), |json| json!({json.as_str().unwrap(): 1, "other": 2}));
        assert_eq!(object.shown(), json!("***"));
        let key = derived(&object, |json| json!(json.as_object().unwrap().keys().next()));
        assert_eq!((key.expose(), key.is_secret()), (&json!("s3cr3t"), true));
        // Also where the stand-in makes the computation fail.
        let parsed = derive(&[secret(r#"{"s3cr3t": 1}"#)], |inputs| {
            serde_json::from_str::<Json>(inputs[0].expose().as_str().unwrap()).map_err(|error| error.to_string())
        });
        assert_eq!(parsed.unwrap().shown(), json!("***"));
    }

    #[test]
    fn lengths_and_truths_are_public() {
        let told = derived(&secret("s3cr3t"), |json| json!([json.as_str().unwrap().len(), json == "s3cr3t", null]));
        assert!(!told.is_secret());
    }

    #[test]
    fn an_error_that_quotes_a_secret_is_hushed() {
        let fail = |tell: fn(&str) -> String| {
            derive(&[secret("s3cr3t")], |inputs| Err::<Json, _>(tell(inputs[0].expose().as_str().unwrap())))
        };
        assert_eq!(fail(|text| text.to_uppercase()).unwrap_err(), HUSHED);
        assert_eq!(fail(|text| format!("{} characters", text.len())).unwrap_err(), "6 characters");
    }
}
