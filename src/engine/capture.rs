//! Owns taking captures from a step's output, before anything of it is shown or kept.

use super::assertion::Answer;
use super::scope::With;
use crate::event::FailedAssertion;
use crate::plan::{Capture, CaptureFrom, Stream};
use crate::secret::{Origin, Secret};
use crate::value::{Names, Value, shape_of, text_of};
use serde_json::Value as Json;
use std::sync::Arc;

/// The captured values, and what could not be captured.
pub fn take(captures: &[Capture], answer: &Answer, names: &dyn Names) -> (Vec<(String, Value)>, Vec<FailedAssertion>) {
    let names = With { names, own: vec![("out", answer.output.clone())] };
    let mut taken = Vec::new();
    let mut failed = Vec::new();
    for capture in captures {
        match take_one(capture, answer, &names) {
            Ok(value) => taken.push((capture.name.clone(), value)),
            Err((expected, actual)) => {
                failed.push(FailedAssertion {
                    place: capture.place.clone(),
                    text: format!("capture `{}`", capture.name),
                    expected,
                    actual,
                    message: None,
                });
                // What will not do as a secret fails the step; it may be all that there is of it, and is kept.
                if let (Some(mark), Ok(Some(value))) = (&capture.secret, source(&capture.from, answer, &names))
                    && !strings(value.expose()).is_empty()
                {
                    let origin = Arc::new(Origin { name: capture.name.clone(), to: mark.to.clone() });
                    taken.push((capture.name.clone(), value.tainted(&crate::secret::Taint::of(origin))));
                }
            }
        }
    }
    (taken, failed)
}

fn take_one(capture: &Capture, answer: &Answer, names: &With) -> Result<Value, (String, String)> {
    let found =
        source(&capture.from, answer, names).map_err(|error| ("a value".to_string(), format!("an error: {error}")))?;
    let value = match (found.filter(|value| !value.is_null()), &capture.default) {
        (Some(value), _) => value,
        (None, Some(default)) => return Ok(Value::plain(default.clone())),
        (None, None) => {
            let actual =
                if answer.json.is_null() && matches!(capture.from, CaptureFrom::Jq(_) | CaptureFrom::JsonPath(_)) {
                    "nothing: the body is not JSON"
                } else {
                    "nothing"
                };
            return Err(("a value".into(), actual.into()));
        }
    };
    let value = if capture.trim { trimmed(&value) } else { value };
    let Some(mark) = &capture.secret else { return Ok(value) };
    for text in strings(value.expose()) {
        if let Some(fault) = Secret::new(text.to_string()).fault() {
            return Err(("a secret".into(), format!("{}, and {fault}", shape_of(value.expose()))));
        }
    }
    if strings(value.expose()).is_empty() {
        return Err(("a string, since only strings can be secret".into(), shape_of(value.expose())));
    }
    let origin = Arc::new(Origin { name: capture.name.clone(), to: mark.to.clone() });
    Ok(value.tainted(&crate::secret::Taint::of(origin)))
}

fn source(from: &CaptureFrom, answer: &Answer, names: &With) -> Result<Option<Value>, String> {
    Ok(match from {
        CaptureFrom::Jq(query) => query.run(&answer.json, names).map_err(|error| error.to_string())?.into_iter().next(),
        CaptureFrom::JsonPath(path) => path.run(&answer.json).map_err(|error| error.to_string())?.into_iter().next(),
        CaptureFrom::Header(name) => answer.output.get("headers").and_then(|headers| headers.get(name)),
        CaptureFrom::Text(stream) => text(*stream, answer),
        CaptureFrom::Regex { pattern, from } => match text(*from, answer) {
            None => None,
            Some(text) => {
                // The first group where the pattern has one, else the whole match.
                let matched = crate::value::derive(&[text], |inputs| {
                    let text = inputs[0].expose_text();
                    Ok::<_, String>(match pattern.captures(&text) {
                        None => Json::Null,
                        Some(groups) => groups
                            .get(1)
                            .or_else(|| groups.get(0))
                            .map_or(Json::Null, |group| Json::String(group.as_str().into())),
                    })
                })?;
                Some(matched)
            }
        },
    })
}

fn text(stream: Stream, answer: &Answer) -> Option<Value> {
    let name = match stream {
        Stream::Body => "body",
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    // `regex` without `from` means whatever text the output has.
    answer.output.get(name).or_else(|| answer.output.get("stdout"))
}

fn trimmed(value: &Value) -> Value {
    match value.expose() {
        Json::String(text) => Value::marked(Json::String(text.trim().into()), value.marks().to_vec()),
        _ => value.clone(),
    }
}

fn strings(json: &Json) -> Vec<&str> {
    match json {
        Json::String(text) => vec![text],
        Json::Array(items) => items.iter().flat_map(strings).collect(),
        Json::Object(map) => map.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

/// One line that says what came of a step: `200 OK`, `exit 0`.
pub fn detail(output: &Json) -> Option<String> {
    if let Some(status) = output.get("status").and_then(Json::as_u64) {
        let reason = output.get("reason").map(text_of).unwrap_or_default();
        return Some(format!("{status} {reason}").trim().to_string());
    }
    if let Some(code) = output.get("exit_code").and_then(Json::as_i64) {
        return Some(format!("exit {code}"));
    }
    output.get("signal").filter(|signal| !signal.is_null()).map(|signal| format!("ended by {}", text_of(signal)))
}
