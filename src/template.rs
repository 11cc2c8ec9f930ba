//! Owns templates: Tera over flat names, types kept by single expressions, bounded, taint followed.
//! Deliberately knows nothing of steps; variables come through `Names`. The only folder that names `tera`.
//!
//! Stricter than Tera: an undefined operand is an error wherever it stands (ways out: `or`, `| default(value=…)`,
//! `is defined`, `?.`), null is an error where text is made of it, and there are no includes, blocks or components.
//! Lists and objects within a text become compact JSON.

mod analyse;
mod convert;
mod engine;
mod expression;
mod filters;
mod grow;
mod lex;
mod tell;
#[cfg(test)]
mod tests;
mod walk;

use crate::value::{Hush, Names, STAND_INS, STARS, Value, altered, derive, escape, text_of};
use analyse::Fault;
use engine::{Compiled, Form};
use serde_json::Value as Json;
use std::ops::Range;
use std::sync::Arc;

/// A JSON-like tree whose strings may be templates. A string that is one single `{{ … }}` keeps the value's own type.
#[derive(Clone, Debug)]
pub struct Template {
    node: Node,
}

/// A Tera expression without braces, as in `when`.
#[derive(Clone, Debug)]
pub struct Expression {
    compiled: Arc<Compiled>,
}

#[derive(Clone, Debug)]
enum Node {
    /// Holds no template at all.
    Literal(Value),
    Text(Arc<Compiled>),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// What is wrong with a template, or why it gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// JSON Pointer of the string within the tree (empty for the tree itself).
    pub pointer: String,
    /// Bytes within that string.
    pub span: Range<usize>,
    pub message: String,
    pub help: Option<String>,
}

/// A top-level name that a template reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub name: String,
    /// JSON Pointer of the string within the tree.
    pub pointer: String,
    /// Bytes of its first mention within that string.
    pub span: Range<usize>,
    /// Whether every mention has a way out where the name is undefined: `| default`, `or`, `is defined`, `?.`.
    /// An `is defined` counts for all mentions in the same string.
    pub guarded: bool,
}

impl Template {
    /// All mistakes of all strings of the tree.
    pub fn parse(json: &Json) -> Result<Template, Vec<TemplateError>> {
        let mut errors = Vec::new();
        let node = parse_node(json, &mut String::new(), &mut errors);
        if errors.is_empty() { Ok(Template { node }) } else { Err(errors) }
    }

    /// Never a template: the value as it is.
    pub fn literal(json: Json) -> Template {
        Template { node: Node::Literal(Value::plain(json)) }
    }

    /// The text itself where it holds no template at all.
    pub fn as_literal(&self) -> Option<&Json> {
        match &self.node {
            Node::Literal(value) => Some(value.expose()),
            _ => None,
        }
    }

    /// For a text such as `https://host/a/{{ x }}`: the text before the first tag. `None` for trees.
    pub fn literal_prefix(&self) -> Option<&str> {
        match &self.node {
            Node::Literal(value) => value.expose().as_str(),
            Node::Text(compiled) => Some(compiled.prefix()),
            _ => None,
        }
    }

    /// The tree as it was written.
    pub fn written(&self) -> Json {
        self.node.written()
    }

    /// Each of its strings that holds a template, as one of its own, with its JSON Pointer.
    pub fn texts(&self) -> Vec<(String, Template)> {
        let mut texts = Vec::new();
        self.node.texts(&mut String::new(), &mut texts);
        texts
    }

    pub fn reads(&self) -> Vec<Read> {
        let mut reads = Vec::new();
        self.node.each(&mut String::new(), &mut |pointer, compiled| reads.extend(reads_of(pointer, compiled)));
        reads
    }

    /// Ids of steps whose output it reads by `steps["id"]` or `steps.id`; `None`: by an expression that cannot be told.
    pub fn reads_outputs(&self) -> Option<Vec<String>> {
        let mut ids = Some(Vec::new());
        self.node.each(&mut String::new(), &mut |_, compiled| match (&mut ids, compiled.outputs()) {
            (Some(ids), Some(more)) => ids.extend(more),
            _ => ids = None,
        });
        ids.map(|mut ids| {
            ids.sort();
            ids.dedup();
            ids
        })
    }

    /// As text for people: what came from secrets is stars, what stands around it is not.
    pub fn render_shown(&self, names: &dyn Names) -> Result<String, TemplateError> {
        struct Altered<'a>(&'a dyn Names, usize);
        impl Names for Altered<'_> {
            fn lookup(&self, name: &str) -> Option<Value> {
                self.0.lookup(name).map(|value| altered(&value, self.1))
            }
        }
        let value = self.render_text(names)?;
        if !value.is_secret() {
            return Ok(value.expose_text());
        }
        let others = (0..STAND_INS).map(|which| self.render_text(&Altered(names, which)));
        Ok(match others.map(|other| other.map(|other| other.expose_text())).collect::<Result<Vec<_>, _>>() {
            Ok(others) => starred(&value.expose_text(), &others),
            Err(_) => STARS.into(),
        })
    }

    pub fn render(&self, names: &dyn Names) -> Result<Value, TemplateError> {
        self.node.render(names)
    }

    /// Rendered, then as text: a string itself, anything else as compact JSON; taint kept.
    pub fn render_text(&self, names: &dyn Names) -> Result<Value, TemplateError> {
        let value = self.render(names)?;
        match value.expose() {
            Json::String(_) => Ok(value),
            Json::Null => Err(TemplateError {
                pointer: String::new(),
                span: 0..0,
                message: "it is null, which has no text".into(),
                help: Some("say what stands in its place: `{{ … or \"…\" }}`".into()),
            }),
            json => {
                let text = Json::String(text_of(json));
                Ok(match value.is_secret() {
                    true => Value::marked(text, vec![(String::new(), value.taint())]),
                    false => Value::plain(text),
                })
            }
        }
    }
}

impl Expression {
    pub fn parse(text: &str) -> Result<Expression, TemplateError> {
        match Compiled::parse(Form::Expression, text) {
            Ok(Some(compiled)) => Ok(Expression { compiled }),
            Ok(None) => Err(error_of(Fault { span: 0..0, message: "the expression is empty".into(), help: None })),
            Err(fault) => Err(error_of(fault)),
        }
    }

    pub fn text(&self) -> &str {
        self.compiled.text()
    }

    pub fn reads(&self) -> Vec<Read> {
        reads_of("", &self.compiled).collect()
    }

    pub fn reads_outputs(&self) -> Option<Vec<String>> {
        self.compiled.outputs()
    }

    pub fn evaluate(&self, names: &dyn Names) -> Result<Value, TemplateError> {
        render_one(&self.compiled, names)
    }

    /// Evaluated, then Tera's truth: false, null, 0, "", [] and {} are false.
    pub fn holds(&self, names: &dyn Names) -> Result<bool, TemplateError> {
        // Whether it holds carries no taint, so the stand-ins for secrets are not needed.
        let present = present(&self.compiled, names);
        let Ok(value) = self.compiled.render(|name| find(&present, name)) else {
            // Why not is told with care for what it may quote.
            return render_one(&self.compiled, names).map(|_| false);
        };
        Ok(match value {
            Json::Null => false,
            Json::Bool(truth) => truth,
            Json::Number(number) => number.as_f64() != Some(0.0),
            Json::String(text) => !text.is_empty(),
            Json::Array(items) => !items.is_empty(),
            Json::Object(map) => !map.is_empty(),
        })
    }
}

impl Node {
    fn each(&self, pointer: &mut String, found: &mut dyn FnMut(&str, &Compiled)) {
        let length = pointer.len();
        match self {
            Node::Literal(_) => {}
            Node::Text(compiled) => found(pointer, compiled),
            Node::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    pointer.push_str(&format!("/{index}"));
                    item.each(pointer, found);
                    pointer.truncate(length);
                }
            }
            Node::Map(entries) => {
                for (key, item) in entries {
                    pointer.push('/');
                    pointer.push_str(&escape(key));
                    item.each(pointer, found);
                    pointer.truncate(length);
                }
            }
        }
    }

    fn written(&self) -> Json {
        match self {
            Node::Literal(value) => value.expose().clone(),
            Node::Text(compiled) => Json::String(compiled.text().to_string()),
            Node::List(items) => items.iter().map(Node::written).collect(),
            Node::Map(entries) => entries.iter().map(|(key, item)| (key.clone(), item.written())).collect(),
        }
    }

    fn texts(&self, pointer: &mut String, texts: &mut Vec<(String, Template)>) {
        let length = pointer.len();
        let mut below = |segment: String, node: &Node| {
            pointer.push_str(&segment);
            node.texts(pointer, texts);
            pointer.truncate(length);
        };
        match self {
            Node::Literal(_) => {}
            Node::Text(compiled) => {
                texts.push((pointer.clone(), Template { node: Node::Text(compiled.clone()) }));
            }
            Node::List(items) => items.iter().enumerate().for_each(|(index, item)| below(format!("/{index}"), item)),
            Node::Map(entries) => entries.iter().for_each(|(key, item)| below(format!("/{}", escape(key)), item)),
        }
    }

    fn render(&self, names: &dyn Names) -> Result<Value, TemplateError> {
        let below = |segment: String| {
            move |mut error: TemplateError| {
                error.pointer.insert_str(0, &segment);
                error
            }
        };
        match self {
            Node::Literal(value) => Ok(value.clone()),
            Node::Text(compiled) => render_one(compiled, names),
            Node::List(items) => {
                let items = items.iter().enumerate();
                let values: Result<Vec<Value>, _> =
                    items.map(|(index, item)| item.render(names).map_err(below(format!("/{index}")))).collect();
                Ok(Value::list(values?))
            }
            Node::Map(entries) => {
                let entries = entries.iter().map(|(key, item)| {
                    let value = item.render(names).map_err(below(format!("/{}", escape(key))))?;
                    Ok((key.clone(), value))
                });
                Ok(Value::object(entries.collect::<Result<Vec<_>, TemplateError>>()?))
            }
        }
    }
}

fn parse_node(json: &Json, pointer: &mut String, errors: &mut Vec<TemplateError>) -> Node {
    let length = pointer.len();
    let literal = || Node::Literal(Value::plain(json.clone()));
    match json {
        Json::String(text) => match Compiled::parse(Form::Text, text) {
            Ok(Some(compiled)) => Node::Text(compiled),
            Ok(None) => literal(),
            Err(fault) => {
                errors.push(TemplateError { pointer: pointer.clone(), ..error_of(fault) });
                literal()
            }
        },
        Json::Array(items) => {
            let mut nodes = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                pointer.push_str(&format!("/{index}"));
                nodes.push(parse_node(item, pointer, errors));
                pointer.truncate(length);
            }
            let all_literal = nodes.iter().all(|node| matches!(node, Node::Literal(_)));
            if all_literal { literal() } else { Node::List(nodes) }
        }
        Json::Object(map) => {
            let mut nodes = Vec::with_capacity(map.len());
            for (key, item) in map {
                pointer.push('/');
                pointer.push_str(&escape(key));
                nodes.push((key.clone(), parse_node(item, pointer, errors)));
                pointer.truncate(length);
            }
            let all_literal = nodes.iter().all(|(_, node)| matches!(node, Node::Literal(_)));
            if all_literal { literal() } else { Node::Map(nodes) }
        }
        _ => literal(),
    }
}

fn present(compiled: &Compiled, names: &dyn Names) -> Vec<(String, Value)> {
    let reads = compiled.reads().iter();
    reads.filter_map(|(name, ..)| Some((name.clone(), names.lookup(name)?))).collect()
}

fn find<'v>(present: &'v [(String, Value)], name: &str) -> Option<&'v Value> {
    present.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn render_one(compiled: &Compiled, names: &dyn Names) -> Result<Value, TemplateError> {
    let (keys, values): (Vec<String>, Vec<Value>) = present(compiled, names).into_iter().unzip();
    let eval = |values: &[Value]| {
        compiled.render(|name| keys.iter().position(|known| known == name).and_then(|index| values.get(index)))
    };
    derive(&values, eval).map_err(error_of)
}

fn reads_of(pointer: &str, compiled: &Compiled) -> impl Iterator<Item = Read> {
    compiled.reads().iter().map(move |(name, span, guarded)| Read {
        name: name.clone(),
        pointer: pointer.into(),
        span: span.clone(),
        guarded: *guarded,
    })
}

impl Hush for Fault {
    fn hush(&mut self) {
        self.message.hush();
        self.help = None;
    }
}

/// A text with stars where it differs from any that it would be with other secrets.
fn starred(text: &str, others: &[String]) -> String {
    let text: Vec<char> = text.chars().collect();
    let mut hidden: Vec<bool> = vec![false; text.len()];
    for other in others {
        let other: Vec<char> = other.chars().collect();
        if text.len() == other.len() {
            hidden.iter_mut().zip(text.iter().zip(&other)).for_each(|(hidden, (real, other))| *hidden |= real != other);
        } else {
            let same = |pairs: &mut dyn Iterator<Item = (&char, &char)>| pairs.take_while(|(a, b)| a == b).count();
            let start = same(&mut text.iter().zip(&other));
            let end = same(&mut text.iter().rev().zip(other.iter().rev())).min(text.len() - start);
            let end = text.len() - end;
            // Where something was left out, what stands beside it tells where.
            hidden[start.min(text.len().saturating_sub(1))..end.max((start + 1).min(text.len()))].fill(true);
        }
    }
    // A character of a hash or of base64 may be the same by chance: the whole word is hidden.
    let in_word = |c: char| c.is_alphanumeric() || "+/=_-".contains(c);
    for index in 1..text.len() {
        hidden[index] |= hidden[index - 1] && in_word(text[index]) && in_word(text[index - 1]);
    }
    for index in (1..text.len()).rev() {
        hidden[index - 1] |= hidden[index] && in_word(text[index]) && in_word(text[index - 1]);
    }
    let mut shown = String::new();
    for (index, c) in text.iter().enumerate() {
        match hidden[index] {
            false => shown.push(*c),
            true if index == 0 || !hidden[index - 1] => shown.push_str(STARS),
            true => {}
        }
    }
    shown
}

fn error_of(fault: Fault) -> TemplateError {
    TemplateError { pointer: String::new(), span: fault.span, message: fault.message, help: fault.help }
}
