//! Owns the text of a file as it was read, and places in it: byte spans, lines, routes into the YAML.
//! Deliberately knows nothing of what the text means, and of YAML only how a scalar's text stands in the file.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Whether a character steers a terminal, or turns the direction of the text around it: none is ever shown as it is.
/// Line breaks and tabs are among them, for whoever has no place for them.
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One file's text with the name under which it is shown.
pub struct Source {
    /// As shown in messages: relative to the working directory where it can be.
    pub name: String,
    /// Absolute path of the file; empty for texts that came from no file.
    pub path: PathBuf,
    pub text: String,
    line_starts: OnceLock<Vec<usize>>,
    index: fn(&str) -> SpanIndex,
    spans: OnceLock<SpanIndex>,
}

/// Where each route of a document stands: (its key, its value). A list item has no key; its span is the value's.
pub type SpanIndex = HashMap<String, (Span, Span)>;

/// Which part of a place a message points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Key,
    Value,
    /// Bytes within the value's text, as it is after YAML's quoting has been taken off.
    Within(std::ops::Range<usize>),
    /// Bytes of the file, for what has no route: the place does not matter but for its source.
    Bytes(Span),
}

impl Source {
    /// `index` finds where things stand in the text; it is only called when a message needs it.
    pub fn new(path: &Path, text: String, index: fn(&str) -> SpanIndex) -> Arc<Source> {
        let shown = std::env::current_dir()
            .ok()
            .and_then(|dir| path.strip_prefix(dir).ok().map(Path::to_path_buf))
            .unwrap_or_else(|| path.to_path_buf());
        let shown = if shown.as_os_str().is_empty() { PathBuf::from(".") } else { shown };
        Arc::new(Source {
            name: shown.display().to_string(),
            path: path.to_path_buf(),
            text,
            line_starts: OnceLock::new(),
            index,
            spans: OnceLock::new(),
        })
    }

    /// The span of a route's key and value; of the nearest enclosing route where that one is not written.
    pub fn spans_of(&self, route: &Route) -> (Span, Span) {
        let spans = self.spans.get_or_init(|| (self.index)(&self.text));
        let mut at = route.clone();
        loop {
            if let Some(found) = spans.get(at.as_str()) {
                return *found;
            }
            match at.parent() {
                Some(parent) => at = parent,
                None => return (Span::new(0, 0), Span::new(0, 0)),
            }
        }
    }

    /// Whether the document has anything at this route.
    pub fn says(&self, route: &Route) -> bool {
        self.spans.get_or_init(|| (self.index)(&self.text)).contains_key(route.as_str())
    }

    /// 1-based line and column (in characters) of a byte offset; offsets past the end give the end.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let starts = self
            .line_starts
            .get_or_init(|| std::iter::once(0).chain(self.text.match_indices('\n').map(|(at, _)| at + 1)).collect());
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = starts.partition_point(|start| *start <= offset).max(1) - 1;
        (line + 1, self.text[starts[line]..offset].chars().count() + 1)
    }

    /// The folder that paths written in this file are relative to.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.name)
    }
}

/// Half-open range of bytes in a [`Source`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Span {
        Span { start, end: end.max(start) }
    }
}

/// Key path into a YAML document, written as a JSON Pointer (RFC 6901): `/steps/3/http/url`; the root is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Route(Arc<str>);

impl Route {
    pub fn root() -> Route {
        Route::default()
    }

    pub fn key(&self, key: &str) -> Route {
        Route(format!("{}/{}", self.0, key.replace('~', "~0").replace('/', "~1")).into())
    }

    pub fn index(&self, index: usize) -> Route {
        Route(format!("{}/{index}", self.0).into())
    }

    pub fn parent(&self) -> Option<Route> {
        self.0.rfind('/').map(|at| Route(self.0[..at].into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Route {
    fn from(pointer: String) -> Route {
        Route(pointer.into())
    }
}

/// A place that can be shown: a route in a source, resolved to a span only when a message needs it.
#[derive(Clone, Debug)]
pub struct Place {
    pub source: Arc<Source>,
    pub route: Route,
}

impl Place {
    /// The bytes of the source that a message about this part of the place points at.
    pub fn span(&self, part: &Part) -> Span {
        if let Part::Bytes(span) = part {
            return *span; // Without an index: the file may be no YAML at all.
        }
        let (key, value) = self.source.spans_of(&self.route);
        match part {
            Part::Key => key,
            Part::Value => value,
            Part::Within(range) => within(&self.source.text, value, range),
            Part::Bytes(span) => *span,
        }
    }

    /// `file:line:column` of the value, for messages in running text.
    pub fn shown(&self) -> String {
        let (line, column) = self.source.line_column(self.span(&Part::Value).start);
        format!("{}:{line}:{column}", self.source.name)
    }

    pub fn key(&self, key: &str) -> Place {
        Place { source: self.source.clone(), route: self.route.key(key) }
    }

    /// The place that a JSON Pointer leads to from here.
    pub fn pointer(&self, pointer: &str) -> Place {
        Place { source: self.source.clone(), route: Route::from(format!("{}{pointer}", self.route.as_str())) }
    }

    pub fn index(&self, index: usize) -> Place {
        Place { source: self.source.clone(), route: self.route.index(index) }
    }
}

/// Bytes `range` of a scalar's text, where the scalar stands in the source at `value`.
///
/// Exact for plain and single-line quoted scalars without escapes, and for block scalars; for others the scalar as a whole.
fn within(text: &str, value: Span, range: &std::ops::Range<usize>) -> Span {
    let Some(raw) = text.get(value.start..value.end) else { return value };
    if let Some(lines) = block(text, value.start) {
        return lines.find(raw, value.start, range).unwrap_or(value);
    }
    let quoted = usize::from(raw.starts_with(['"', '\'']));
    if raw.contains('\n')
        || (quoted == 1 && (raw.contains('\\') || raw.get(1..raw.len() - 1).is_some_and(|inner| inner.contains("''"))))
    {
        return value;
    }
    let (start, end) = (value.start + quoted + range.start, value.start + quoted + range.end.max(range.start + 1));
    if end > value.end || !text.is_char_boundary(start) || !text.is_char_boundary(end) {
        value
    } else {
        Span::new(start, end)
    }
}

/// A block scalar (`|` or `>`): its lines stand in the source with their indentation.
struct Block {
    indentation: usize,
    /// Empty lines before the first that says something: its span begins after them.
    blank: usize,
    folded: bool,
}

/// The block scalar whose first words stand at `start`, if it is one.
fn block(text: &str, start: usize) -> Option<Block> {
    let mut before = text[..start].rsplit('\n');
    let margin = before.next().filter(|margin| margin.chars().all(|c| c == ' '))?;
    let mut blank = 0;
    let header = loop {
        match before.next()?.trim() {
            "" => blank += 1,
            line => break line,
        }
    };
    let header = header.split(" #").next().unwrap_or_default().trim_end().trim_end_matches(['-', '+']);
    let folded = header.ends_with('>');
    let after = header.strip_suffix(['|', '>'])?;
    (after.is_empty() || after.ends_with([' ', '\t'])).then_some(Block { indentation: margin.len(), blank, folded })
}

impl Block {
    /// Where `range` of the scalar's text stands; `None` where folding has moved things about.
    fn find(&self, raw: &str, at: usize, range: &std::ops::Range<usize>) -> Option<Span> {
        let mut said = self.blank; // Bytes of the scalar's text before the line.
        let mut offset = 0; // Bytes of the source before it.
        for (number, line) in raw.split_inclusive('\n').enumerate() {
            let margin = match number {
                0 => 0,
                _ => line.len() - line.trim_start_matches(' ').len(),
            };
            let margin = margin.min(self.indentation);
            let words = line[margin..].trim_end_matches(['\n', '\r']);
            if self.folded && (words.is_empty() || words.starts_with(' ')) {
                return None;
            }
            if range.start <= said + words.len() {
                let start = offset + margin + range.start.checked_sub(said)?;
                let end = offset + margin + (range.end.max(range.start + 1) - said).min(words.len());
                let exact = raw.is_char_boundary(start) && raw.is_char_boundary(end);
                return exact.then(|| Span::new(at + start, at + end));
            }
            said += words.len() + 1;
            offset += line.len();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a range of the scalar that `needle` begins is shown as.
    fn shown<'a>(text: &'a str, scalar: &str, range: std::ops::Range<usize>) -> &'a str {
        let start = text.find(scalar).unwrap();
        let end = start + text[start..].trim_end().len();
        let span = within(text, Span::new(start, end), &range);
        &text[span.start..span.end]
    }

    #[test]
    fn a_range_within_a_scalar_is_found_in_the_source() {
        assert_eq!(shown("a: one two", "one", 4..7), "two");
        assert_eq!(shown("a: \"one two\"", "\"one", 4..7), "two");
        assert_eq!(shown("a: 'it''s'", "'it", 0..2), "'it''s'");
        assert_eq!(shown("a: |\n  é one\n    two\n\n  three\n", "é", 9..12), "two");
        assert_eq!(shown("a: |\n  é one\n    two\n\n  three\n", "é", 14..19), "three");
        assert_eq!(shown("a: |- # why\r\n\r\n  one\r\n  two\r\n", "one", 5..8), "two");
        assert_eq!(shown("- >\n  one\n  two three\n", "one", 8..13), "three");
        assert_eq!(shown("- >\n  one\n\n  two\n", "one", 4..7), "one\n\n  two");
        assert_eq!(shown("a: one\n  two\n", "one", 4..7), "one\n  two");
        assert_eq!(shown("a: |\n  one\n", "one", 400..700), "one");
        assert_eq!(shown("a: b >\n", "b", 0..1), "b");
    }

    proptest::proptest! {
        #[test]
        fn any_range_is_within_the_text(text in "(?s)[ab|>é \\n\"'-]{0,60}", spans in [0usize..80, 0usize..80, 0usize..80, 0usize..80]) {
            let mut at = spans;
            at[..2].sort();
            let text = text.as_str();
            let clamp = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let span = within(text, Span::new(clamp(at[0]), clamp(at[1])), &(at[2]..at[3]));
            proptest::prop_assert!(text.get(span.start..span.end).is_some());
        }
    }
}
