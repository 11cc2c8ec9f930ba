//! Owns JSON values that carry taint: which parts of them came from a secret.
//! Deliberately has no `Display` and no `Serialize`: the JSON comes out through `expose`, or through `shown` with stars.

mod derive;
mod stand_in;

pub use derive::{HUSHED, Hush, altered, derive};
pub use stand_in::STAND_INS;

use crate::secret::{Masker, Origin, Taint};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use zeroize::Zeroize;

/// What templates and queries read their variables from.
pub trait Names {
    /// The value of a variable; `None` where it is not defined.
    fn lookup(&self, name: &str) -> Option<Value>;
}

/// Three stars: what stands wherever a secret would.
pub const STARS: &str = "***";

/// A JSON value, with the taint of each of its parts.
#[derive(Clone)]
pub struct Value(Arc<Inner>);

struct Inner {
    json: Json,
    /// JSON Pointers into `json`; each covers all that is below it. Empty for a public value.
    marks: Vec<(String, Taint)>,
}

impl Value {
    pub fn plain(json: Json) -> Value {
        Value(Arc::new(Inner { json, marks: Vec::new() }))
    }

    pub fn null() -> Value {
        Value::plain(Json::Null)
    }

    /// Every string in `json` is the secret of `origin`; what is no string stays public.
    pub fn secret(json: Json, origin: Arc<Origin>) -> Value {
        let mut marks = Marks::default();
        mark_strings(&json, &mut String::new(), &Taint::of(origin), &mut marks);
        Value::marked(json, marks.all)
    }

    /// `marks` are JSON Pointers into `json`, with the taint of what is below them.
    pub fn marked(json: Json, marks: Vec<(String, Taint)>) -> Value {
        Value(Arc::new(Inner { json, marks: marks.into_iter().filter(|(_, taint)| !taint.is_empty()).collect() }))
    }

    /// The value itself, secrets included. Search for this word to find every place where one is used.
    pub fn expose(&self) -> &Json {
        &self.0.json
    }

    /// The value with stars where secrets are.
    pub fn shown(&self) -> Json {
        let mut json = self.0.json.clone();
        for (pointer, _) in &self.0.marks {
            if let Some(part) = json.pointer_mut(pointer) {
                *part = Json::String(STARS.into());
            }
        }
        json
    }

    pub fn is_secret(&self) -> bool {
        !self.0.marks.is_empty()
    }

    pub fn marks(&self) -> &[(String, Taint)] {
        &self.0.marks
    }

    /// All secrets that any part of it came from.
    pub fn taint(&self) -> Taint {
        let mut all = Taint::default();
        for (_, taint) in &self.0.marks {
            all.add(taint);
        }
        all
    }

    /// The part at a JSON Pointer, with its taint.
    pub fn pointer(&self, pointer: &str) -> Option<Value> {
        let json = self.0.json.pointer(pointer)?.clone();
        let marks = self.0.marks.iter().filter_map(|(mark, taint)| {
            if pointer == mark || pointer.strip_prefix(mark.as_str()).is_some_and(|rest| rest.starts_with('/')) {
                Some((String::new(), taint.clone()))
            } else {
                mark.strip_prefix(pointer)
                    .filter(|rest| rest.starts_with('/'))
                    .map(|rest| (rest.to_string(), taint.clone()))
            }
        });
        let marks = marks.collect();
        Some(Value::marked(json, marks))
    }

    /// The value under a key of an object, or an index of a list.
    pub fn get(&self, key: &str) -> Option<Value> {
        self.pointer(&format!("/{}", escape(key)))
    }

    /// The items of a list, each with its taint; none where it is no list.
    pub fn items(&self) -> Vec<Value> {
        let Json::Array(items) = &self.0.json else { return Vec::new() };
        let mut marks: Vec<Vec<(String, Taint)>> = vec![Vec::new(); items.len()];
        for (mark, taint) in &self.0.marks {
            if mark.is_empty() {
                marks.iter_mut().for_each(|own| own.push((String::new(), taint.clone())));
                continue;
            }
            let (index, rest) = mark[1..].split_at(mark[1..].find('/').unwrap_or(mark.len() - 1));
            if let Some(own) = index.parse::<usize>().ok().and_then(|index| marks.get_mut(index)) {
                own.push((rest.to_string(), taint.clone()));
            }
        }
        items.iter().zip(marks).map(|(item, marks)| Value::marked(item.clone(), marks)).collect()
    }

    /// The items of a list of results, of which each counts by itself: one that is a truth value is public.
    pub fn results(&self) -> Vec<Value> {
        let own = |value: Value| if value.expose().is_boolean() { Value::plain(value.expose().clone()) } else { value };
        self.items().into_iter().map(own).collect()
    }

    /// An object of named values.
    pub fn object(parts: impl IntoIterator<Item = (String, Value)>) -> Value {
        let mut json = serde_json::Map::new();
        let mut marks = Vec::new();
        for (key, value) in parts {
            let prefix = format!("/{}", escape(&key));
            marks.extend(value.0.marks.iter().map(|(mark, taint)| (format!("{prefix}{mark}"), taint.clone())));
            json.insert(key, value.0.json.clone());
        }
        Value::marked(Json::Object(json), marks)
    }

    pub fn list(parts: impl IntoIterator<Item = Value>) -> Value {
        let mut json = Vec::new();
        let mut marks = Vec::new();
        for (index, value) in parts.into_iter().enumerate() {
            marks.extend(value.0.marks.iter().map(|(mark, taint)| (format!("/{index}{mark}"), taint.clone())));
            json.push(value.0.json.clone());
        }
        Value::marked(Json::Array(json), marks)
    }

    /// The same value with every string in it also tainted by `taint`.
    pub fn tainted(&self, taint: &Taint) -> Value {
        if taint.is_empty() {
            return self.clone();
        }
        let mut marks = Marks::of(&self.0.marks);
        mark_strings(&self.0.json, &mut String::new(), taint, &mut marks);
        Value::marked(self.0.json.clone(), marks.all)
    }

    /// A handle that tells whether a value is this very one, without keeping it alive.
    pub fn downgrade(&self) -> WeakValue {
        WeakValue(Arc::downgrade(&self.0))
    }

    pub fn is_null(&self) -> bool {
        self.0.json.is_null()
    }

    /// As text: a string itself, anything else as compact JSON.
    pub fn expose_text(&self) -> String {
        text_of(&self.0.json)
    }

    /// Teaches the masker every secret text in it. What was born under this `name` was declared to be a secret and is one
    /// as a whole; anything else was made of secrets.
    pub fn teach_as(&self, name: &str, masker: &Masker) {
        for (pointer, taint) in &self.0.marks {
            let Some(part) = self.0.json.pointer(pointer) else { continue };
            match taint.origins().any(|origin| origin.name == name) {
                true => each_text(part, &mut |text| masker.learn(text)),
                false => each_text(part, &mut |text| masker.learn_derived(text)),
            }
        }
    }

    /// Teaches the masker the texts in it, all of which were made of secrets, that it would not hide already.
    pub fn teach_derived(&self, masker: &Masker) {
        for part in self.0.marks.iter().filter_map(|(pointer, _)| self.0.json.pointer(pointer)) {
            each_text(part, &mut |text| masker.learn_derived(text));
        }
    }
}

/// Names a value without keeping it, or its secrets, alive.
pub struct WeakValue(Weak<Inner>);

impl WeakValue {
    pub fn is(&self, value: &Value) -> bool {
        std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(&value.0))
    }

    pub fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for (pointer, _) in &self.marks {
            if let Some(part) = self.json.pointer_mut(pointer) {
                wipe(part);
            }
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.shown())
    }
}

impl From<Json> for Value {
    fn from(json: Json) -> Value {
        Value::plain(json)
    }
}

/// A string itself, anything else as compact JSON.
pub fn text_of(json: &Json) -> String {
    match json {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What can be said of a value without showing it: its type, its keys, its lengths.
pub fn shape_of(json: &Json) -> String {
    match json {
        Json::Null => "null".into(),
        Json::Bool(_) => "a boolean".into(),
        Json::Number(_) => "a number".into(),
        Json::String(text) => match text.chars().count() {
            1 => "a string of 1 character".into(),
            count => format!("a string of {count} characters"),
        },
        Json::Array(items) => match items.first() {
            None => "an empty list".into(),
            Some(first) => format!("a list of {}, the first is {}", items.len(), shape_of(first)),
        },
        Json::Object(map) => {
            let keys: Vec<String> = map
                .iter()
                .take(12)
                .map(|(key, value)| match value {
                    Json::Object(_) => format!("{key}: {{…}}"),
                    Json::Array(items) => format!("{key}: list of {}", items.len()),
                    other => format!("{key}: {}", shape_of(other)),
                })
                .collect();
            let rest = if map.len() > 12 { format!(", and {} more", map.len() - 12) } else { String::new() };
            format!("{{{}{rest}}}", keys.join(", "))
        }
    }
}

/// A key as a segment of a JSON Pointer (RFC 6901).
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Marks as they are collected; one for each place.
#[derive(Default)]
struct Marks {
    all: Vec<(String, Taint)>,
    places: HashMap<String, usize>,
}

impl Marks {
    fn of(marks: &[(String, Taint)]) -> Marks {
        let mut own = Marks::default();
        marks.iter().for_each(|(at, taint)| own.add(at, taint));
        own
    }

    fn add(&mut self, at: &str, taint: &Taint) {
        match self.places.get(at) {
            Some(index) => self.all[*index].1.add(taint),
            None => {
                self.places.insert(at.to_string(), self.all.len());
                self.all.push((at.to_string(), taint.clone()));
            }
        }
    }
}

fn mark_strings(json: &Json, at: &mut String, taint: &Taint, marks: &mut Marks) {
    let length = at.len();
    match json {
        Json::String(text) if !text.is_empty() => marks.add(at, taint),
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                at.push_str(&format!("/{index}"));
                mark_strings(item, at, taint, marks);
                at.truncate(length);
            }
        }
        Json::Object(map) => {
            for (key, value) in map {
                at.push('/');
                at.push_str(&escape(key));
                mark_strings(value, at, taint, marks);
                at.truncate(length);
            }
        }
        _ => {}
    }
}

/// The texts of what is secret, keys and numbers too.
fn each_text(json: &Json, each: &mut impl FnMut(&str)) {
    match json {
        Json::String(text) => each(text),
        Json::Array(items) => items.iter().for_each(|item| each_text(item, each)),
        Json::Object(map) => map.iter().for_each(|(key, value)| {
            each(key);
            each_text(value, each)
        }),
        // A number is marked where it was made of a secret's digits.
        Json::Number(number) => each(&number.to_string()),
        _ => {}
    }
}

fn wipe(json: &mut Json) {
    match json {
        Json::String(text) => text.zeroize(),
        Json::Array(items) => items.iter_mut().for_each(wipe),
        Json::Object(map) => map.iter_mut().for_each(|(_, value)| wipe(value)),
        _ => {}
    }
}
