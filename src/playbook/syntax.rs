//! Owns what is said about a text that is no YAML, or that is YAML by accident: templates without quotes, tabs, `*` …
//! Deliberately reads only the lines concerned.

use super::gate::mistake;
use crate::diagnostic::Diagnostic;
use crate::source::{Part, Source, Span};
use std::sync::Arc;

/// A mistake, and the value it is about where leaving that out would make the rest readable.
pub struct Explained {
    pub told: Diagnostic,
    pub value: Option<Span>,
}

/// What a parser's complaint at a byte most likely means, and the edit that mends it.
///
/// `text` is the source's, or that with some values blanked out; `open` is where the maps and lists around it begin.
pub fn explain(source: &Arc<Source>, text: &str, at: usize, complaint: &str, open: &[usize]) -> Explained {
    let line = Line::at(source, text, at);
    let (here, first) = (at - line.start, line.indentation());
    // Many a complaint is about the line before: the parser was still waiting for that one to end.
    let before = (here <= first).then(|| line.before(source, text)).flatten();
    if let Some(start) = [Some(&line), before.as_ref()].into_iter().flatten().find_map(Line::unquoted_template) {
        return unquoted(source, text, start);
    }
    if let Some(told) = unquotable(source, &line, at, complaint) {
        return told;
    }
    Explained { told: structure(source, &line, before, at, complaint, open), value: None }
}

/// A value that YAML reads once it has quotes.
fn unquotable(source: &Arc<Source>, line: &Line, at: usize, complaint: &str) -> Option<Explained> {
    let says = |words: &str| complaint.contains(words);
    let here = at - line.start;
    let whole = |from: usize| Span::new(line.start + from, line.start + line.end_of_value(from));
    let (code, message, from) = match line.text[here..].chars().next() {
        Some(c @ ('@' | '`' | '%')) if here >= line.value() => {
            ("yaml-syntax", format!("a text that begins with `{c}` needs quotes"), here)
        }
        Some(c @ ('*' | '&')) if says("anchor") || says("alias") => {
            ("yaml-alias", format!("a text that begins with `{c}` needs quotes"), here)
        }
        Some('!') if says("tag") || says("handle") => {
            ("yaml-tag", "a text that begins with `!` needs quotes".to_string(), here)
        }
        _ if says("mapping values are not allowed") && here > line.value() => {
            ("yaml-syntax", "a text with `: ` in it needs quotes".to_string(), line.value())
        }
        _ if says("trailing content after double-quoted") => {
            ("yaml-syntax", "text follows the closing quote".to_string(), line.value())
        }
        _ if says("escape character") || says("hexadecimal") || says("character escape") => {
            let told = "a backslash in double quotes begins an escape, and this is none that YAML knows";
            let told = mistake(source, "yaml-syntax", told, whole(here));
            let value = Some(whole(here)).filter(|value| source.text[value.start..value.end].ends_with('"'));
            return Some(Explained { told: told.help("in single quotes a backslash is only a backslash"), value });
        }
        _ => return None,
    };
    let pointed = if from == here { whole(here) } else { Span::new(at, at + 1) };
    let told = mistake(source, code, message, pointed).help(line.quoted(from));
    let told = match code {
        "yaml-alias" => told.note("without quotes it is an alias or an anchor, which are not part of a playbook"),
        "yaml-tag" => told.note("without quotes it is a tag, which is not part of a playbook"),
        _ => told,
    };
    Some(Explained { told, value: Some(whole(from)) })
}

/// Indentation, brackets, quotes: what the text around stands and falls with.
fn structure(
    source: &Arc<Source>,
    line: &Line,
    before: Option<Line>,
    at: usize,
    complaint: &str,
    open: &[usize],
) -> Diagnostic {
    let says = |words: &str| complaint.contains(words);
    let tell = |message: &str, span: Span| mistake(source, "yaml-syntax", message, span);
    let first = line.indentation();
    let rest = Span::new(at, (line.start + line.text.trim_end().len()).max(at));
    if line.text[..first].contains('\t') {
        let tab = line.start + line.text.find('\t').unwrap_or_default();
        return tell("a tab may not indent a line", Span::new(tab, tab + 1))
            .saying("a tab")
            .help("replace each tab by spaces: YAML counts spaces only");
    }
    if says("mapping values are not allowed") {
        return tell("a key stands below a value", line.written())
            .saying("indented deeper than the line above, which has a value already")
            .help("give it the indentation of the keys it belongs to, or take the value above away");
    }
    if says("simple key expect") || says("could not find expected ':'") {
        return tell("this line is neither a key nor a list item", before.as_ref().unwrap_or(line).written())
            .help("a key is followed by a colon and a space, a list item begins with a hyphen and a space");
    }
    let outside = !says("scalar") && !says("flow");
    if says("did not find expected key") || says("expected '-' indicator") || says("invalid indentation") && outside {
        let column = |start: usize| start - source.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let among_keys = open.iter().any(|start| column(*start) == first);
        return match line.text[first..].starts_with("- ") && among_keys {
            true => tell("a list item stands where a key was expected", line.written()),
            false => tell("the indentation of this line fits none of the lines above", line.written()),
        }
        .help("keys of one map, and items of one list, begin in the same column");
    }
    if says("quoted scalar") && (says("indentation") || says("end of stream") || says("document indicator")) {
        return tell("this quote is not closed", Span::new(at, at + 1));
    }
    if says("block sequence entries are not allowed") {
        return tell("a list begins on a line of its own, below its key", rest);
    }
    if says("found unexpected ':'") {
        return tell("a colon needs a space after it here", Span::new(at, at + 1));
    }
    if says("flow") || says("expected ',' or") || says("placement of ':'") {
        let told = tell("a bracket is not closed before this, or a comma is missing", rest);
        return match open.iter().rev().find(|start| source.text[**start..].starts_with(['[', '{'])) {
            Some(start) => {
                let place = told.labels[0].place.clone();
                told.label(&place, Part::Bytes(Span::new(*start, start + 1)), "opened here")
            }
            None => told,
        };
    }
    tell(&format!("this is no YAML: {complaint}"), rest)
}

/// A template that begins a value: YAML takes its braces for maps.
pub fn unquoted(source: &Arc<Source>, text: &str, start: usize) -> Explained {
    let line = Line::at(source, text, start);
    let here = start - line.start;
    let span = Span::new(start, line.start + line.end_of_value(here));
    let told = mistake(source, "unquoted-template", "a template that begins a value needs quotes", span)
        .saying("YAML takes the braces for a map")
        .help(line.quoted(here));
    Explained { told, value: Some(span) }
}

/// How to quote the value that begins at a byte of the text.
pub fn quote(source: &Source, start: usize) -> String {
    let line = Line::at(source, &source.text, start);
    line.quoted(start - line.start)
}

fn begins_template(text: &str) -> bool {
    text.starts_with("{{") || text.starts_with("{%")
}

struct Line<'a> {
    start: usize,
    /// Without its line break; some values may be blanked out.
    text: &'a str,
    /// As it was written.
    written: &'a str,
}

impl<'a> Line<'a> {
    fn at(source: &'a Source, text: &'a str, at: usize) -> Line<'a> {
        let start = text[..at].rfind(['\n', '\r']).map_or(0, |at| at + 1);
        let end = text[at..].find(['\n', '\r']).map_or(text.len(), |end| at + end);
        Line { start, text: &text[start..end], written: &source.text[start..end] }
    }

    fn indentation(&self) -> usize {
        self.text.len() - self.text.trim_start().len()
    }

    /// The nearest line before this one that says something.
    fn before(&self, source: &'a Source, text: &'a str) -> Option<Line<'a>> {
        let end = text[..self.start].trim_end().len();
        (end > 0).then(|| Line::at(source, text, end))
    }

    fn written(&self) -> Span {
        Span::new(self.start + self.indentation(), self.start + self.text.trim_end().len())
    }

    /// Where the value begins, as far as a line can tell: after hyphens, and a key with its colon.
    fn value(&self) -> usize {
        let mut at = self.indentation();
        while let Some(rest) = self.text[at..].strip_prefix("- ") {
            at = self.text.len() - rest.trim_start().len();
        }
        let rest = &self.text[at..];
        let key = match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => rest[1..].find(quote).map(|end| end + 2),
            _ => rest.find([':', '{', '[', '#']),
        };
        match key.and_then(|end| rest[end..].strip_prefix(':')) {
            Some(value) if value.is_empty() || value.starts_with([' ', '\t']) => {
                self.text.len() - value.trim_start().len()
            }
            _ => at,
        }
    }

    /// Where the value that begins at `from` ends: with the line or its comment, or, inside brackets, before what closes it.
    fn end_of_value(&self, from: usize) -> usize {
        let rest = &self.text[from..];
        let end = if from == self.value() {
            rest.find(" #").unwrap_or(rest.len())
        } else {
            let template = rest.starts_with("{{").then(|| rest.find("}}").map(|end| end + 2)).flatten().unwrap_or(0);
            template + rest[template..].find([',', ']', '}']).unwrap_or(rest.len() - template)
        };
        from + rest[..end].trim_end().len()
    }

    /// Where a template begins a value without quotes.
    fn unquoted_template(&self) -> Option<usize> {
        let value = self.value();
        let mut quote = None;
        let mut last = ':';
        for (at, c) in self.text[value..].char_indices() {
            match (quote, c) {
                (Some(open), _) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') if matches!(last, ':' | ',' | '[' | '{') => quote = Some(c),
                (None, '{') if matches!(last, ':' | ',' | '[') && begins_template(&self.text[value + at..]) => {
                    return Some(self.start + value + at);
                }
                _ => {}
            }
            if !c.is_whitespace() {
                // A plain text goes on over `:` and `,`: only a bracket at its very beginning makes them mean something.
                last = if matches!(last, ':' | ',' | '[' | '{') || self.text[value..].starts_with(['[', '{']) {
                    c
                } else {
                    last
                };
            }
        }
        None
    }

    /// The line with quotes around the value that begins at `from`.
    fn quoted(&self, from: usize) -> String {
        let to = self.end_of_value(from);
        let value = &self.written[from..to];
        let quoted = match value.contains(['"', '\\']) {
            true => format!("'{}'", value.replace('\'', "''")),
            false => format!("\"{value}\""),
        };
        if self.written.len() > 200 {
            return "put the whole value in quotes".to_string();
        }
        let mended = format!("{}{quoted}{}", &self.written[..from], &self.written[to..]);
        format!("write `{}`", mended.trim())
    }
}
