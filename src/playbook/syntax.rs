//! Owns what is said about a text that is no YAML, or that is YAML by accident: templates without quotes, tabs, `*` …
//! Deliberately reads only the lines concerned.

use super::gate::mistake;
use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};
use std::sync::Arc;

/// What the parser's complaint at a byte most likely means, and the edit that mends it.
pub fn explain(source: &Arc<Source>, at: usize, complaint: &str) -> Diagnostic {
    mistake(source, "yaml-syntax", complaint, Span::new(at, at))
}

/// A template that begins a value: YAML takes its braces for maps.
pub fn unquoted(source: &Arc<Source>, start: usize) -> Diagnostic {
    mistake(source, "unquoted-template", "a template that begins a value needs quotes", Span::new(start, start + 2))
}
