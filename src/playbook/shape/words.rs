//! Owns how places and values are named in messages about a document's shape.

use crate::source::Place;
use serde_json::{Map, Value as Json};

/// The last key of a route and the 1-based number of an item below it.
fn tail(place: &Place) -> (String, Option<usize>) {
    let mut parts = place.route.as_str().rsplit('/');
    let last = parts.next().unwrap_or_default();
    let name = |part: &str| part.replace("~1", "/").replace("~0", "~");
    match last.parse::<usize>() {
        Ok(index) => (name(parts.find(|part| part.parse::<usize>().is_err()).unwrap_or_default()), Some(index + 1)),
        Err(_) => (name(last), None),
    }
}

/// What stands at a place, as the subject of a sentence.
pub fn subject(place: &Place) -> String {
    match tail(place) {
        (key, None) if key.is_empty() => "the file".into(),
        (key, None) => format!("`{key}`"),
        (key, Some(number)) => format!("item {number} of `{key}`"),
    }
}

/// A map, as that in which something is unknown or missing.
pub fn called(definition: &str, place: &Place) -> String {
    match (definition, tail(place)) {
        ("Step", _) => "a step".into(),
        (_, (key, None)) if key.is_empty() => "the file".into(),
        ("Assertion", (key, _)) => format!("an item of `{key}`"),
        ("Input", (key, _)) => format!("the input `{key}`"),
        ("Capture", (key, _)) => format!("the capture `{key}`"),
        (_, (key, None)) => format!("`{key}`"),
        (_, (key, Some(_))) => format!("an item of `{key}`"),
    }
}

pub fn found(json: &Json) -> String {
    match json {
        Json::Null => "nothing".into(),
        Json::Bool(flag) => format!("`{flag}`"),
        Json::Number(number) => format!("the number {number}"),
        Json::String(text) if text.is_empty() => "an empty text".into(),
        Json::String(text) => match text.lines().next() {
            Some(line) if line.chars().count() > 40 => {
                format!("the text `{}…`", line.chars().take(40).collect::<String>())
            }
            Some(line) if line.len() < text.trim_end().len() => format!("the text `{line}…`"),
            line => format!("the text `{}`", line.unwrap_or_default()),
        },
        Json::Array(_) => "a list".into(),
        Json::Object(_) => "a map".into(),
    }
}

pub fn quoted(words: &[Json]) -> String {
    let word = |word: &Json| format!("`{}`", word.as_str().map_or_else(|| word.to_string(), str::to_string));
    words.iter().map(word).collect::<Vec<_>>().join(", ")
}

pub fn keys(properties: &Map<String, Json>) -> String {
    properties.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Breaks a long line at spaces, since notes are drawn as they are.
pub fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("never empty");
        if !last.is_empty() && last.len() + word.len() > 90 {
            lines.push(word.to_string());
        } else {
            let space = if last.is_empty() { "" } else { " " };
            last.push_str(space);
            last.push_str(word);
        }
    }
    lines.join("\n")
}
