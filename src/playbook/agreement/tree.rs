//! Owns what saphyr sees in a text, and whether that is what serde_yaml read. The fuzzer of the front end includes this
//! file too.
//! Deliberately judges nothing: only what the gate lets through is compared.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::Value as Json;

/// What saphyr sees: scalars as text, with whether they are plain or blocks.
#[derive(Debug)]
pub enum Node {
    Scalar(String, ScalarStyle),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

pub fn tree(text: &str) -> Option<Node> {
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

pub fn same(node: &Node, json: &Json) -> bool {
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
