//! Owns what was written at a place, as JSON, and in what two such places differ.
//! Deliberately knows no plan; each file is parsed once.

use crate::playbook::written;
use crate::source::{Place, Source};
use serde_json::{Map, Value as Json};
use std::collections::HashMap;
use std::sync::Arc;

/// Characters of a value that are shown.
const SHOWN: usize = 120;

/// What stands for a list of steps.
const STEPS: &str = "…";

/// Files as JSON. They are kept with their sources, so that no other one can come to stand at the same address.
#[derive(Default)]
pub struct Written(HashMap<*const Source, (Arc<Source>, Json)>);

/// What is written otherwise.
pub struct Change {
    /// From the place compared, as a JSON Pointer.
    pub pointer: String,
    /// `None`: not there.
    was: Option<Json>,
    is: Option<Json>,
}

impl Written {
    fn at(&mut self, place: &Place) -> Option<&Json> {
        let (_, json) = self.0.entry(Arc::as_ptr(&place.source)).or_insert_with(|| {
            // It was read when the plan was made.
            (place.source.clone(), written(&place.source).unwrap_or_default())
        });
        json.pointer(place.route.as_str())
    }

    pub fn says(&mut self, place: &Place) -> bool {
        self.at(place).is_some()
    }

    /// The place, or the nearest around it where something is written.
    pub fn nearest(&mut self, place: &Place) -> Place {
        let mut place = place.clone();
        while !self.says(&place)
            && let Some(around) = place.route.parent()
        {
            place.route = around;
        }
        place
    }

    pub fn keys(&mut self, place: &Place) -> Vec<String> {
        self.at(place).and_then(Json::as_object).map(|map| map.keys().cloned().collect()).unwrap_or_default()
    }

    /// In what two places differ, in as far as `part` of what is written there goes; the order of keys does not matter.
    pub fn changes(&mut self, old: &Place, new: &Place, part: fn(&Json) -> Json) -> Vec<Change> {
        let was = self.at(old).map(part);
        let is = self.at(new).map(part);
        let mut changes = Vec::new();
        compare(was.as_ref(), is.as_ref(), String::new(), &mut changes);
        changes
    }
}

pub fn whole(json: &Json) -> Json {
    json.clone()
}

/// A step's own keys, without the lists of steps in it; that there is such a list in a place of it remains.
pub fn own(json: &Json) -> Json {
    let Some(map) = json.as_object() else { return json.clone() };
    let mut own = Map::new();
    for (key, value) in map {
        let value = match (key.as_str(), value) {
            ("on_failure", _) => continue,
            ("group", _) | ("on_unknown" | "parallel", Json::Array(_)) => Json::from(STEPS),
            ("parallel", Json::Object(parallel)) => {
                let rest: Map<_, _> = parallel.clone().into_iter().filter(|(key, _)| key != "steps").collect();
                // A list, and a map with nothing but the list, are the same.
                if rest.is_empty() { Json::from(STEPS) } else { Json::Object(rest) }
            }
            _ => value.clone(),
        };
        own.insert(key.clone(), value);
    }
    Json::Object(own)
}

fn compare(was: Option<&Json>, is: Option<&Json>, pointer: String, changes: &mut Vec<Change>) {
    match (was, is) {
        (Some(Json::Object(old)), Some(Json::Object(new))) => {
            let added = new.keys().filter(|key| !old.contains_key(*key));
            for key in old.keys().chain(added) {
                let inner = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                compare(old.get(key), new.get(key), inner, changes);
            }
        }
        (Some(Json::Array(old)), Some(Json::Array(new))) if old.len() == new.len() => {
            for (index, (was, is)) in old.iter().zip(new).enumerate() {
                compare(Some(was), Some(is), format!("{pointer}/{index}"), changes);
            }
        }
        (was, is) if was == is => {}
        (was, is) => changes.push(Change { pointer, was: was.cloned(), is: is.cloned() }),
    }
}

impl Change {
    /// One line: `http.url` was …, and is … now.
    pub fn told(&self) -> String {
        let path = self.pointer.trim_start_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~");
        let name = if path.is_empty() { "it".to_string() } else { format!("`{path}`") };
        match (&self.was, &self.is) {
            (Some(was), Some(is)) => format!("{name} was {}, and is {} now", short(was), short(is)),
            (Some(was), None) => format!("{name} was {}, and is not there now", short(was)),
            (None, Some(is)) => format!("{name} was not there, and is {} now", short(is)),
            (None, None) => name,
        }
    }
}

fn short(json: &Json) -> String {
    let text = match json {
        Json::String(text) => text.trim_end().replace('\n', "⏎"),
        other => other.to_string(),
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}
