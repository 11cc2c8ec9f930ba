//! Owns telling what Tera found wrong in the author's words, at the author's bytes.
//! Deliberately decides nothing.

use super::analyse::{Edit, Fault, Key, Path};
use super::engine::{Compiled, LONGEST_RESULT};
use super::filters::Stop;
use serde_json::Value as Json;
use std::ops::Range;
use tera::ErrorKind;

impl Compiled {
    /// A hidden filter found a value that may not be there.
    pub(super) fn stopped<'j>(
        &self,
        stop: Stop,
        error: &tera::Error,
        json: &dyn Fn(&str) -> Option<&'j Json>,
    ) -> Fault {
        let report = report(error);
        let at = report.map(|report| self.place(report.span().range.clone()));
        let path = at.as_ref().and_then(|at| self.path_at(at.start));
        let span = path.map(|path| path.span.clone()).or(at).unwrap_or(self.lead..self.lead);
        let whole = self.whole();
        let text = whole.get(span.clone()).unwrap_or("it");
        let (message, span, help) = match (stop, path) {
            (Stop::Undefined, Some(path)) => {
                let (message, span) = self.undefined(path, json);
                (message, span, None)
            }
            (Stop::Undefined, None) => (format!("`{text}` is not defined"), span, None),
            (Stop::Null, _) => {
                let help = format!("say what stands in its place: `{{{{ {text} or \"…\" }}}}`");
                (format!("`{text}` is null, which has no text"), span, Some(help))
            }
        };
        Fault { span: clamp(&span, self.lead, self.text.len()), message, help }
    }

    /// Tera's own finding.
    pub(super) fn fault<'j>(&self, error: &tera::Error, json: &dyn Fn(&str) -> Option<&'j Json>) -> Fault {
        if matches!(error.kind(), ErrorKind::Io(_)) {
            let message = format!("the result is larger than {} MiB", LONGEST_RESULT >> 20);
            return Fault { span: 0..self.text.len(), message, help: None };
        }
        let Some(report) = report(error) else {
            return Fault { span: 0..self.text.len(), message: first_line(&error.to_string()), help: None };
        };
        let span = self.place(report.span().range.clone());
        let (message, span) = match self.path_at(span.start) {
            Some(path) if report.message().contains("not defined") || report.message().contains("undefined") => {
                self.undefined(path, json)
            }
            _ => (plain(report.message()), span),
        };
        Fault { span: clamp(&span, self.lead, self.text.len()), message, help: None }
    }

    /// "`customer.idd` is not defined; it has: id, name", and where that stands.
    fn undefined<'j>(&self, path: &Path, json: &dyn Fn(&str) -> Option<&'j Json>) -> (String, Range<usize>) {
        let whole = self.whole();
        let text = &whole[path.span.clone()];
        let unknown = || (format!("`{text}` is not defined"), path.span.clone());
        if path.bound {
            return unknown();
        }
        let Some(mut value) = json(&path.root) else {
            return (format!("`{}` is not defined", path.root), path.root_span.clone());
        };
        let mut known = path.root_span.end;
        for segment in &path.segments {
            let here = &whole[path.root_span.start..known];
            let next = match (&segment.key, value) {
                (Key::Name(name), Json::Object(map)) => map.get(name),
                (Key::Index(index), Json::Array(items)) => items.get(*index),
                (Key::Computed, _) => return unknown(),
                _ => None,
            };
            let Some(next) = next else {
                let wrong = path.root_span.start..segment.end;
                return (format!("`{}` is not defined; {}", &whole[wrong.clone()], contents(here, value)), wrong);
            };
            value = next;
            known = segment.end;
        }
        unknown()
    }

    fn whole(&self) -> String {
        if self.lead == 0 { self.text.clone() } else { format!("{{{{ {} }}}}", self.text) }
    }

    /// The innermost path that covers a byte.
    fn path_at(&self, at: usize) -> Option<&Path> {
        self.analysis.paths.iter().filter(|path| path.span.contains(&at)).max_by_key(|path| path.root_span.start)
    }

    /// Bytes of the rewritten text as bytes of the text before the rewriting.
    fn place(&self, span: Range<usize>) -> Range<usize> {
        let start = match self.back(span.start) {
            // Behind a path stands what checks it: the path is meant.
            (at, Some(edit)) if edit.text.starts_with('|') => {
                let before = self.analysis.paths.iter().filter(|path| path.span.end == at);
                before.map(|path| path.span.start).min().unwrap_or(at)
            }
            (at, _) => at,
        };
        let end = match span.end.checked_sub(1).map(|last| self.back(last)) {
            Some((at, None)) if !span.is_empty() => at + 1,
            Some((at, _)) => at,
            None => start,
        };
        start..end.max(start)
    }

    /// One byte of the rewritten text; the edit that it lies in, and then the byte where that was put in.
    fn back(&self, at: usize) -> (usize, Option<&Edit>) {
        let mut shift = 0;
        for edit in &self.edits {
            if edit.at + shift > at {
                break;
            }
            if edit.at + shift + edit.text.len() > at {
                return (edit.at, Some(edit));
            }
            shift += edit.text.len();
        }
        (at - shift, None)
    }
}

/// What can be said of where a path ended.
fn contents(here: &str, value: &Json) -> String {
    match value {
        Json::Object(map) if map.is_empty() => format!("`{here}` is an empty object"),
        Json::Object(map) => {
            let keys: Vec<&str> = map.keys().take(20).map(String::as_str).collect();
            let more = if map.len() > keys.len() { ", …" } else { "" };
            format!("it has: {}{more}", keys.join(", "))
        }
        Json::Array(items) => format!("`{here}` is a list of {}", items.len()),
        other => format!("`{here}` is {}", crate::value::shape_of(other)),
    }
}

pub fn clamp(span: &Range<usize>, lead: usize, length: usize) -> Range<usize> {
    let start = span.start.saturating_sub(lead).min(length);
    start..span.end.saturating_sub(lead).clamp(start, length)
}

pub fn report(error: &tera::Error) -> Option<&tera::ReportError> {
    match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => Some(report),
        _ => None,
    }
}

pub fn first_line(text: &str) -> String {
    plain(text.lines().next().unwrap_or_default().trim_start_matches("error: "))
}

/// Tera's words with the names of Rust's types put into an author's.
pub fn plain(message: &str) -> String {
    let mut message = message.trim_end_matches('.').replace("`&str`", "a string");
    message = message.replace("`&[Value]`", "a list").replace("`&Map`", "an object");
    // Tera lists every token that may begin a value.
    if let Some((found, _)) = message.split_once(" but expected one of: integer, float, string") {
        message = format!("{found} where a value should stand");
    }
    let mut chars = message.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => message,
    }
}
