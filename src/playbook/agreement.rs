//! Owns the proof that the gate's parser and serde_yaml see the same document in whatever the gate lets through.

use super::gate;
use super::spans;
use crate::source::{Route, Source};
use proptest::prelude::*;
use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::Value as Json;
use std::path::Path;

/// What saphyr sees: scalars as text, with whether they are plain or blocks.
#[derive(Debug)]
enum Node {
    Scalar(String, ScalarStyle),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

fn tree(text: &str) -> Option<Node> {
    let mut events = Parser::new_from_str(text).map(|event| event.unwrap().0);
    loop {
        match events.next()? {
            Event::DocumentStart(_) => return Some(node(&events.next()?, &mut events)),
            _ => continue,
        }
    }
}

fn node<'a>(event: &Event<'a>, events: &mut impl Iterator<Item = Event<'a>>) -> Node {
    match event {
        Event::Scalar(text, style, ..) => Node::Scalar(text.to_string(), *style),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match events.next().unwrap() {
                    Event::SequenceEnd => return Node::List(items),
                    event => items.push(node(&event, events)),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut fields = Vec::new();
            loop {
                match events.next().unwrap() {
                    Event::MappingEnd => return Node::Map(fields),
                    Event::Scalar(key, ..) => {
                        let value = events.next().unwrap();
                        fields.push((key.to_string(), node(&value, events)));
                    }
                    other => panic!("a key that is no text got through: {other:?}"),
                }
            }
        }
        other => panic!("{other:?} got through"),
    }
}

fn same(node: &Node, json: &Json) -> bool {
    match (node, json) {
        // saphyr ends a block scalar with a line break where the file has none; serde_yaml's text is the one that is used.
        (Node::Scalar(text, ScalarStyle::Literal | ScalarStyle::Folded), Json::String(other)) => {
            text == other || text.trim_end_matches('\n') == other.trim_end_matches('\n')
        }
        (Node::Scalar(text, _), Json::String(other)) => text == other,
        (Node::Scalar(_, style), Json::Null | Json::Bool(_) | Json::Number(_)) => *style == ScalarStyle::Plain,
        (Node::List(items), Json::Array(others)) => {
            items.len() == others.len() && items.iter().zip(others).all(|(item, other)| same(item, other))
        }
        (Node::Map(fields), Json::Object(others)) => {
            fields.len() == others.len()
                && fields.iter().zip(others).all(|((key, value), (other, json))| key == other && same(value, json))
        }
        _ => false,
    }
}

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
