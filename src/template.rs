//! Owns templates: Tera over flat names, types kept by single expressions, bounded, taint followed.
//! Deliberately knows nothing of steps; variables come through `Names`. The only folder that names `tera`.

use crate::value::{Names, Value};
use serde_json::Value as Json;
use std::ops::Range;

/// A JSON-like tree whose strings may be templates. A string that is one single `{{ … }}` keeps the value's own type.
#[derive(Clone, Debug)]
pub struct Template {}

/// A Tera expression without braces, as in `when`.
#[derive(Clone, Debug)]
pub struct Expression {}

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
    pub guarded: bool,
}

impl Template {
    /// All mistakes of all strings of the tree.
    pub fn parse(_json: &Json) -> Result<Template, Vec<TemplateError>> {
        todo!()
    }
    /// Never a template: the value as it is.
    pub fn literal(_json: Json) -> Template {
        todo!()
    }
    /// The text itself where it holds no template at all.
    pub fn as_literal(&self) -> Option<&Json> {
        todo!()
    }
    /// For a text such as `https://host/a/{{ x }}`: the text before the first tag. `None` for trees.
    pub fn literal_prefix(&self) -> Option<&str> {
        todo!()
    }
    pub fn reads(&self) -> Vec<Read> {
        todo!()
    }
    /// Ids of steps whose output it reads by `steps["id"]` or `steps.id`; `None`: by an expression that cannot be told.
    pub fn reads_outputs(&self) -> Option<Vec<String>> {
        todo!()
    }
    pub fn render(&self, _names: &dyn Names) -> Result<Value, TemplateError> {
        todo!()
    }
    /// Rendered, then as text: a string itself, anything else as compact JSON; taint kept.
    pub fn render_text(&self, _names: &dyn Names) -> Result<Value, TemplateError> {
        todo!()
    }
}

impl Expression {
    pub fn parse(_text: &str) -> Result<Expression, TemplateError> {
        todo!()
    }
    pub fn text(&self) -> &str {
        todo!()
    }
    pub fn reads(&self) -> Vec<Read> {
        todo!()
    }
    pub fn reads_outputs(&self) -> Option<Vec<String>> {
        todo!()
    }
    pub fn evaluate(&self, _names: &dyn Names) -> Result<Value, TemplateError> {
        todo!()
    }
    /// Evaluated, then Tera's truth: false, null, 0, "", [] and {} are false.
    pub fn holds(&self, _names: &dyn Names) -> Result<bool, TemplateError> {
        todo!()
    }
}
