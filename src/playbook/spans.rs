//! Owns where things stand in a YAML text: the index from routes to byte spans, and saphyr's positions as bytes.
//! Deliberately refuses nothing; `gate` does that. What cannot be read any more is simply not in the index.

use crate::source::{Span, SpanIndex};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

/// Positions counted in characters, as bytes. saphyr (and libyaml) count characters.
pub struct Offsets<'a> {
    text: &'a str,
    /// Byte offset of every [`Offsets::EVERY`]th character; empty for a text of ASCII only, where both are the same.
    marks: Vec<usize>,
}

impl<'a> Offsets<'a> {
    const EVERY: usize = 64;

    pub fn new(text: &'a str) -> Offsets<'a> {
        let marks = match text.is_ascii() {
            true => Vec::new(),
            false => text.char_indices().step_by(Self::EVERY).map(|(at, _)| at).collect(),
        };
        Offsets { text, marks }
    }

    /// The byte offset of a character; of the text's end for one beyond it.
    pub fn byte(&self, character: usize) -> usize {
        if self.marks.is_empty() {
            return character.min(self.text.len());
        }
        let Some(start) = self.marks.get(character / Self::EVERY) else { return self.text.len() };
        let mut rest = self.text[*start..].char_indices();
        rest.nth(character % Self::EVERY).map_or(self.text.len(), |(at, _)| start + at)
    }

    pub fn span(&self, start: &Marker, end: &Marker) -> Span {
        Span::new(self.byte(start.index()), self.byte(end.index()))
    }
}

enum Frame {
    Map { route: String, key: Option<(String, Span)> },
    List { route: String, next: usize },
}

/// Where every route of the document stands. A text that is no YAML gives what stands before the mistake.
pub fn index(text: &str) -> SpanIndex {
    let offsets = Offsets::new(text);
    let mut index = SpanIndex::new();
    let mut frames: Vec<Frame> = Vec::new();
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else { break };
        let span = offsets.span(&span.start, &span.end);
        let value = match &event {
            Event::Scalar(_, style, ..) => scalar(text, span, *style),
            Event::MappingStart(..) | Event::SequenceStart(..) => first_line(text, span.start),
            Event::Alias(_) => span,
            Event::MappingEnd | Event::SequenceEnd => {
                close(text, span.end, frames.pop(), &mut index);
                continue;
            }
            _ => continue,
        };
        let (route, key) = match frames.last_mut() {
            None => (String::new(), value),
            Some(Frame::Map { key: pending @ None, .. }) => {
                match event {
                    Event::Scalar(name, ..) => *pending = Some((name.into_owned(), value)),
                    // A key that is no text has no route; the gate refuses such a file.
                    _ => break,
                }
                continue;
            }
            Some(Frame::Map { route, key }) => {
                let (name, at) = key.take().unwrap_or_default();
                (format!("{route}/{}", name.replace('~', "~0").replace('/', "~1")), at)
            }
            Some(Frame::List { route, next }) => {
                *next += 1;
                (format!("{route}/{}", *next - 1), value)
            }
        };
        // Of two equal keys the first keeps the route: the gate refuses the file, and points at both.
        index.entry(route.clone()).or_insert((key, value));
        match event {
            Event::MappingStart(..) => frames.push(Frame::Map { route, key: None }),
            Event::SequenceStart(..) => frames.push(Frame::List { route, next: 0 }),
            _ => {}
        }
        if frames.len() > super::gate::DEPTH {
            break;
        }
    }
    index
}

/// A map or list in brackets is known in full once it ends, as long as it is on one line.
fn close(text: &str, end: usize, frame: Option<Frame>, index: &mut SpanIndex) {
    let Some(Frame::Map { route, .. } | Frame::List { route, .. }) = frame else { return };
    let Some((key, value)) = index.get_mut(&route) else { return };
    let written = text.get(value.start..end).unwrap_or_default();
    if written.starts_with(['[', '{']) && written.ends_with([']', '}']) && !written.contains('\n') {
        let item = *key == *value;
        value.end = end;
        if item {
            *key = *value;
        }
    }
}

/// A block scalar's span runs into the next line's indentation; white space at its end is none of it.
fn scalar(text: &str, span: Span, style: ScalarStyle) -> Span {
    match style {
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => span,
        _ => Span::new(span.start, span.start + text[span.start..span.end].trim_end().len()),
    }
}

/// From `start` to the end of its line, without a comment: what stands for a whole map or list.
fn first_line(text: &str, start: usize) -> Span {
    let line = text[start..].split(['\n', '\r']).next().unwrap_or_default();
    let line = line.find(" #").map_or(line, |comment| &line[..comment]);
    Span::new(start, start + line.trim_end().len())
}
