//! Owns how taint goes through a computation: a result is secret where it would differ, had the secret been another.
//! Deliberately knows nothing of templates or jq; both are handed in as a function.

use super::stand_in::{STAND_INS, replace};
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
/// For each secret among the inputs the computation is done again with others of the same length in the secret's place
/// (`stand_in`); each text and number of the result that differs then carries that secret's taint, and so does a whole
/// object whose keys differ. Where such a computation fails (the stand-in is no JSON, no base64 …) all texts, numbers
/// and objects do. What has another length then is marked as *measured*: from there on its length is secret too, or the
/// codes of a secret's characters could be carried out as so many dots.
///
/// Public are: null, a truth value that is the whole result, and a number that is the same whatever the secret. So an
/// assertion may say whether two secrets are equal, and a message how long one is; a list of truth values, which could
/// spell a secret, is as secret as what they tell of.
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
    let others = |origin: &Arc<Origin>| {
        let origin = origin.clone();
        (0..STAND_INS).map(move |which| -> Vec<Value> {
            inputs.iter().map(|value| with_stand_in(value, &origin, which)).collect()
        })
    };
    let real = match real {
        Ok(real) => real,
        Err(mut error) => {
            let differs = |inputs: Vec<Value>| !eval(&inputs).is_err_and(|other| other == error);
            if origins.iter().any(|origin| others(origin).any(differs)) {
                error.hush();
            }
            return Err(error);
        }
    };
    let mut marks = Marks::default();
    if real.is_boolean() {
        return Ok(Value::plain(real));
    }
    for origin in origins {
        let taint = Taint::of(origin.clone());
        for inputs in others(&origin) {
            compare(&real, eval(&inputs).ok().as_ref(), &mut String::new(), &taint, &mut marks);
        }
    }
    Ok(Value::marked(real, marks.all))
}

/// The value as it would be, had every secret been another text of the same length; `which` of [`STAND_INS`].
pub fn altered(value: &Value, which: usize) -> Value {
    let mut origins: Vec<Arc<Origin>> = value.taint().origins().cloned().collect();
    origins.sort();
    // One secret at a time leaves no marks for the next, so all that is marked is altered as one secret would be.
    match origins.first() {
        None => value.clone(),
        Some(origin) => {
            let marks = value.marks().iter().map(|(mark, _)| (mark.clone(), Taint::of(origin.clone()))).collect();
            with_stand_in(&Value::marked(value.expose().clone(), marks), origin, which)
        }
    }
}

fn with_stand_in(value: &Value, origin: &Arc<Origin>, which: usize) -> Value {
    let mut touched: Vec<(&str, bool)> = value
        .marks()
        .iter()
        .filter(|(_, taint)| taint.contains(origin))
        .map(|(mark, taint)| (mark.as_str(), taint.is_measured()))
        .collect();
    if touched.is_empty() {
        return value.clone();
    }
    // Each part once, or the second time could bring the first text back: marks may repeat and lie within each other.
    touched.sort_unstable_by_key(|(mark, measured)| (mark.len(), !measured));
    let mut outermost: HashSet<&str> = HashSet::new();
    touched.retain(|(mark, _)| {
        let ends = mark.match_indices('/').map(|(end, _)| end).chain([mark.len()]);
        let covered = ends.into_iter().any(|end| outermost.contains(&mark[..end]));
        !covered && outermost.insert(mark)
    });
    let mut json = value.expose().clone();
    for (mark, measured) in touched {
        if let Some(part) = json.pointer_mut(mark) {
            replace(part, which, measured);
        }
    }
    Value::plain(json)
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
        (Json::Array(_), Some(Json::Array(_))) => marks.add(at, &taint.measured()),
        (Json::Array(items), _) => {
            for (index, item) in items.iter().enumerate() {
                at.push_str(&format!("/{index}"));
                compare(item, None, at, taint, marks);
                at.truncate(length);
            }
        }
        (Json::String(text), Some(Json::String(other))) if text.chars().count() != other.chars().count() => {
            marks.add(at, &taint.measured());
        }
        // Where a stand-in could not be computed with, nobody knows how long the text would have been.
        (Json::String(text), None) if !text.is_empty() => marks.add(at, &taint.measured()),
        (Json::Number(_) | Json::Bool(_), _) => marks.add(at, taint),
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
        let told = |eval: fn(&str) -> Json| derived(&secret("s3cr3t"), |json| eval(json.as_str().unwrap()));
        assert!(!told(|text| json!([text.len(), null])).is_secret());
        assert!(!told(|text| json!(text == "s3cr3t")).is_secret());
        assert!(!told(|text| json!(text.len() > 40)).is_secret());
    }

    #[test]
    fn many_truths_spell_a_secret() {
        let bits = derived(&secret("s3cr3t"), |json| json!([json == "s3cr3t", json != "s3cr3t", true]));
        assert_eq!(bits.shown(), json!(["***", "***", true]));
        let counted = derived(&bits, |bits| {
            json!(bits.as_array().unwrap().iter().filter(|bit| bit.as_bool() == Some(true)).count())
        });
        assert!(counted.is_secret() || counted.expose() == 2, "{counted:?}");
        let mapped = derived(&bits, |bits| json!(format!("{bits}")));
        assert!(mapped.is_secret());
    }

    #[test]
    fn numbers_made_of_a_secret_stay_secret_whatever_is_reckoned_with_them() {
        let codes = derived(&secret("s3cr3t"), |json| json!(json.as_str().unwrap().bytes().collect::<Vec<_>>()));
        let pin = derived(&secret("83512967"), |json| json!(json.as_str().unwrap().parse::<u64>().unwrap()));
        let reckonings: [fn(f64) -> f64; 6] =
            [|n| (n / 2.0).floor(), |n| n + 1.0, |n| n % 10.0, |n| -n, |n| (n / 16.0).floor(), |n| n * 0.5];
        for (index, reckon) in reckonings.into_iter().enumerate() {
            let all = derived(&codes, |codes| {
                codes.as_array().unwrap().iter().map(|n| json!(reckon(n.as_f64().unwrap()))).collect()
            });
            // A part of a number may be the same by chance; most of them are not.
            assert!(all.marks().len() >= 4, "{index}: {all:?}");
            assert!(derived(&pin, |n| json!(reckon(n.as_f64().unwrap()))).is_secret(), "{index}");
        }
    }

    #[test]
    fn a_length_that_was_made_of_a_secret_is_one() {
        let dots = derived(&secret("s3cr3t"), |json| {
            json!(json.as_str().unwrap().bytes().map(|code| ".".repeat(code.into())).collect::<Vec<_>>())
        });
        let lengths = derived(&dots, |dots| {
            dots.as_array().unwrap().iter().map(|dots| json!(dots.as_str().unwrap().len() / 3)).collect()
        });
        assert_eq!(lengths.shown(), json!(["***", "***", "***", "***", "***", "***"]));
        let list = derived(&secret("s3cr3t"), |json| json!(vec![0; json.as_str().unwrap().as_bytes()[0].into()]));
        assert!(derived(&list, |list| json!(list.as_array().unwrap().len())).is_secret());
        // What only stands around a secret has a length that anybody may know.
        let around = derived(&secret("s3cr3t"), |json| json!(format!("Bearer {}", json.as_str().unwrap())));
        assert!(!derived(&around, |text| json!(text.as_str().unwrap().len())).is_secret());
    }

    #[test]
    fn no_table_can_be_made_that_foresees_the_stand_ins() {
        // Gives the same for each character and for what the first stand-in puts in its place.
        let other = |c: u8| b'a' + (c - b'a' + 7) % 26;
        let mut found = 0;
        let text: String = ('a'..='z').cycle().take(260).collect();
        let told = derived(&secret(&text), |json| {
            json.as_str().unwrap().bytes().map(|c| json!(c.min(other(c)).to_string())).collect()
        });
        found += told.shown().as_array().unwrap().iter().filter(|shown| *shown != "***").count();
        assert!(found < 100, "{found} of 260");
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
