//! Owns the proof that the gate's parser and serde_yaml see the same document in whatever the gate lets through.

mod tree;

use super::gate;
use super::spans;
use crate::source::{Route, Source};
use proptest::prelude::*;
use serde_json::Value as Json;
use std::path::Path;
use tree::{same, tree};

fn agrees(text: &str) -> Result<(), TestCaseError> {
    let source = Source::new(Path::new("/x.yaml"), text.to_string(), spans::index);
    let index = spans::index(text);
    for (key, value) in index.values() {
        for span in [key, value] {
            prop_assert!(text.get(span.start..span.end).is_some(), "{span:?} in {text:?}");
        }
    }
    match gate::check(&source) {
        Err(told) => {
            prop_assert!(!told.is_empty());
            crate::diagnostic::draw(&told, false);
        }
        Ok(passed) => {
            let Ok(json) = serde_yaml::from_str::<Json>(text) else { return Ok(()) };
            match tree(text) {
                None => prop_assert!(passed.empty && json.is_null()),
                Some(node) => {
                    prop_assert!(same(&node, &json), "{text:?}\n{node:?}\n{json:?}");
                    every_route(&json, &Route::root(), &index)?;
                }
            }
        }
    }
    Ok(())
}

/// Every key and item of what is read has its place.
fn every_route(json: &Json, route: &Route, index: &crate::source::SpanIndex) -> Result<(), TestCaseError> {
    prop_assert!(index.contains_key(route.as_str()), "no place for {route:?}");
    match json {
        Json::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                every_route(item, &route.index(at), index)?;
            }
        }
        Json::Object(fields) => {
            for (key, value) in fields {
                every_route(value, &route.key(key), index)?;
            }
        }
        _ => {}
    }
    Ok(())
}

const TOKENS: &[&str] = &[
    "a",
    "b",
    "é",
    "key",
    ": ",
    ":",
    ":\n",
    "\n",
    "\n",
    "\n  ",
    "\n    ",
    "\n- ",
    "\n  - ",
    "  ",
    " ",
    "- ",
    "-",
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    ", ",
    ",",
    "#",
    " #",
    "|",
    ">",
    "|\n  ",
    ": |\n  ",
    ": >-\n    ",
    "\t",
    "\r\n",
    "\r",
    "? ",
    "?",
    "---\n",
    "...\n",
    "%",
    "&a ",
    "*a",
    "!t ",
    "<<",
    "null",
    "~",
    "1",
    ".5",
    "0x1",
    "\\",
    "\\n",
    "{{ x }}",
    "true",
    "\u{85}",
    "\u{feff}",
    "/",
    "=",
    "a: 1\n",
    "- b\n",
    "'c': d\n",
    "\"e\": f\n",
    "{g: h}",
    "[i, j]",
    "+",
    "2",
    "|2\n",
    "@",
    "`",
];

proptest! {
    #[test]
    fn both_parsers_see_the_same_in_tokens(picks in prop::collection::vec(0..TOKENS.len(), 0..30)) {
        agrees(&picks.into_iter().map(|pick| TOKENS[pick]).collect::<String>())?;
    }

    #[test]
    fn both_parsers_see_the_same_in_any_text(text in any::<String>()) {
        agrees(&text)?;
    }

    #[test]
    fn both_parsers_see_the_same_in_mutated_playbooks(edits in prop::collection::vec((any::<prop::sample::Index>(), 0..TOKENS.len(), 0usize..6), 1..5)) {
        let mut text: String = include_str!("agreement.yaml").to_string();
        for (at, token, cut) in edits {
            let mut at = at.index(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            let end = text[at..].char_indices().nth(cut).map_or(text.len(), |(more, _)| at + more);
            text.replace_range(at..end, TOKENS[token]);
        }
        agrees(&text)?;
    }
}
