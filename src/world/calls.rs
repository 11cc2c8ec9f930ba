//! Owns the record of what a world was asked, within bounds: the latest calls, of each the beginning of long texts.
//! Deliberately masks nothing: a world holds no real secrets, and tests look for them here.

use serde_json::{Map, Value as Json};
use std::collections::VecDeque;

const CALLS: usize = 10_000;
/// Of one text: a body, what was given on standard input, a file.
const TEXT: usize = 64 << 10;
/// Of all texts together.
const ALL: usize = 64 << 20;

#[derive(Default)]
pub struct Calls {
    kept: VecDeque<(usize, Map<String, Json>)>,
    weight: usize,
    count: u64,
}

impl Calls {
    /// How many there were, also those no longer kept.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Keeps a call, under the next number.
    pub fn add(&mut self, at: String, call: Map<String, Json>) {
        self.count += 1;
        let mut kept = Map::from_iter([("n".to_owned(), self.count.into()), ("at".to_owned(), at.into())]);
        for (name, mut json) in call {
            if shorten(&mut json) {
                kept.insert(format!("{name}_cut"), true.into());
            }
            kept.insert(name, json);
        }
        let weight = kept.iter().map(|(name, json)| name.len() + weight(json)).sum();
        self.kept.push_back((weight, kept));
        self.weight += weight;
        while self.kept.len() > CALLS || self.weight > ALL {
            let Some((weight, _)) = self.kept.pop_front() else { break };
            self.weight -= weight;
        }
    }

    /// All that are kept, oldest first. A body that is JSON is there as `json` too; it is read again here, since few are
    /// ever looked at.
    pub fn shown(&self) -> Json {
        let show = |call: &Map<String, Json>| {
            let mut shown = Map::new();
            for (name, json) in call {
                shown.insert(name.clone(), json.clone());
                if name == "body" {
                    let parsed = json.as_str().and_then(|body| serde_json::from_str(body).ok());
                    shown.insert("json".to_owned(), parsed.unwrap_or(Json::Null));
                }
            }
            Json::Object(shown)
        };
        self.kept.iter().map(|(_, call)| show(call)).collect()
    }
}

/// Cuts every long text in it; whether there was one.
fn shorten(json: &mut Json) -> bool {
    match json {
        Json::String(text) if text.len() > TEXT => {
            let end = (0..=TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            text.truncate(end);
            text.shrink_to_fit();
            true
        }
        Json::Array(list) => list.iter_mut().fold(false, |cut, item| shorten(item) | cut),
        Json::Object(map) => map.values_mut().fold(false, |cut, item| shorten(item) | cut),
        _ => false,
    }
}

fn weight(json: &Json) -> usize {
    32 + match json {
        Json::String(text) => text.len(),
        Json::Array(list) => list.iter().map(weight).sum(),
        Json::Object(map) => map.iter().map(|(name, json)| name.len() + weight(json)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn add(calls: &mut Calls, body: String) {
        calls.add("now".into(), Map::from_iter([("body".to_owned(), body.into())]));
    }

    #[test]
    fn a_json_body_is_shown_as_both() {
        let mut calls = Calls::default();
        add(&mut calls, "{\"a\":1}".into());
        add(&mut calls, "text".into());
        let shown = calls.shown();
        assert_eq!(shown[0], json!({"n": 1, "at": "now", "body": "{\"a\":1}", "json": {"a": 1}}));
        assert_eq!(shown[1]["json"], Json::Null);
    }

    #[test]
    fn the_latest_are_kept_and_long_texts_are_cut() {
        let mut calls = Calls::default();
        (0..CALLS + 5).for_each(|n| add(&mut calls, n.to_string()));
        let shown = calls.shown();
        assert_eq!((shown.as_array().unwrap().len(), &shown[0]["n"]), (CALLS, &json!(6)));
        (0..2000).for_each(|_| add(&mut calls, "é".repeat(TEXT)));
        let shown = calls.shown();
        let last = shown.as_array().unwrap().last().unwrap();
        assert_eq!((last["body"].as_str().unwrap().len(), &last["body_cut"]), (TEXT, &json!(true)));
        assert!(calls.weight <= ALL && calls.kept.len() < 1100 && calls.count() == CALLS as u64 + 2005);
    }
}
