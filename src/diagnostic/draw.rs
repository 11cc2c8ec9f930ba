//! Owns how diagnostics look: an excerpt of the source with labels, then notes and help. The only file that names
//! `annotate_snippets`.
//! Deliberately trusts nothing it is given: spans are clamped, control characters shown as signs, long lines cut.

use super::{Diagnostic, Label, Severity};
use crate::source::{Source, Span};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::ops::Range;
use std::sync::Arc;

/// How wide an excerpt is drawn where nobody says otherwise.
const WIDTH: usize = 120;
/// Labels on lines farther apart than this are drawn as two excerpts.
const APART: usize = 200;

/// All diagnostics in the order given, an empty line between them.
pub fn draw(diagnostics: &[Diagnostic], colour: bool) -> String {
    draw_within(diagnostics, colour, WIDTH)
}

/// As [`draw`], for a terminal of `width` columns.
pub fn draw_within(diagnostics: &[Diagnostic], colour: bool, width: usize) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let width = width.max(60);
    // The renderer counts wide characters and the gutter; the excerpts are cut before they reach it.
    let renderer = renderer.term_width(width * 2 + 40);
    let drawn: Vec<String> =
        diagnostics.iter().map(|diagnostic| one(diagnostic, &renderer, width - 20) + "\n").collect();
    drawn.join("\n")
}

/// `file:line:column: error[code]: message`.
pub fn one_line(diagnostic: &Diagnostic) -> String {
    let (severity, code, message) = (word(diagnostic.severity), diagnostic.code, clean(&diagnostic.message));
    match diagnostic.labels.first() {
        Some(label) => format!("{}: {severity}[{code}]: {message}", shown(label)),
        None => format!("{severity}[{code}]: {message}"),
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// `file:line:column`; the file alone where nothing of it could be read.
fn shown(label: &Label) -> String {
    let (source, span) = (&label.place.source, label.place.span(&label.part));
    match source.text.is_empty() {
        true => clean(&source.name),
        false => {
            let (line, column) = source.line_column(span.start);
            format!("{}:{line}:{column}", clean(&source.name))
        }
    }
}

fn one(diagnostic: &Diagnostic, renderer: &Renderer, width: usize) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(clean(&diagnostic.message)).id(diagnostic.code));
    for excerpt in excerpts(&diagnostic.labels, width) {
        group = group.element(excerpt.origin);
        if let Some(snippet) = excerpt.snippet {
            group = group.element(snippet);
        }
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(clean_lines(note)));
    }
    for help in &diagnostic.help {
        group = group.element(Level::HELP.message(clean_lines(help)));
    }
    // An excerpt without a path of its own is announced by an empty `:::`, since its path stands in `Origin`: only there
    // can the column be told when the line's beginning is cut off.
    let drawn = renderer.render(&[group]);
    let empty = |line: &str| line.trim_start() == "::: " || line.ends_with("::: \u{1b}[0m");
    drawn.split('\n').filter(|line| !empty(line)).map(str::trim_end).collect::<Vec<_>>().join("\n")
}

struct Excerpt {
    origin: Origin<'static>,
    snippet: Option<Snippet<'static, annotate_snippets::Annotation<'static>>>,
}

/// A label's place in the text: 0-based line, and bytes within it.
struct Mark<'a> {
    source: &'a Arc<Source>,
    line: usize,
    bytes: Range<usize>,
    text: String,
    primary: bool,
}

/// One excerpt for all labels that stand near each other in the same file; the primary one's comes first.
fn excerpts(labels: &[Label], width: usize) -> Vec<Excerpt> {
    let marks = labels.iter().enumerate().map(|(index, label)| mark(label, index == 0));
    let mut groups: Vec<Vec<Mark>> = Vec::new();
    for mark in marks {
        let near = |group: &&mut Vec<Mark>| {
            group.iter().all(|other| Arc::ptr_eq(other.source, mark.source) && other.line.abs_diff(mark.line) < APART)
        };
        match groups.iter_mut().find(near) {
            Some(group) => group.push(mark),
            None => groups.push(vec![mark]),
        }
    }
    groups.into_iter().map(|group| excerpt(&group, width)).collect()
}

fn mark(label: &Label, primary: bool) -> Mark<'_> {
    let source = &label.place.source;
    let text = source.text.as_str();
    let span = clamp(text, label.place.span(&label.part));
    let (line, _) = source.line_column(span.start);
    let start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[span.start..].find('\n').map_or(text.len(), |at| span.start + at);
    // A label covers one line: more would be drawn as a frame around it all, which helps nobody.
    let shown = text[span.start..span.end.min(end)].trim_end_matches(['\r', ' ', '\t']).len();
    Mark {
        source,
        line: line - 1,
        bytes: span.start - start..span.start - start + shown,
        text: clean(&label.text),
        primary,
    }
}

/// The span within the text, on the boundaries of its characters.
fn clamp(text: &str, span: Span) -> Span {
    let boundary = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    Span::new(boundary(span.start), boundary(span.end))
}

fn excerpt(marks: &[Mark], width: usize) -> Excerpt {
    let (source, first) = (marks[0].source, &marks[0]);
    let mut origin = Origin::path(clean(&source.name));
    if source.text.is_empty() {
        return Excerpt { origin, snippet: None };
    }
    let from = marks.iter().map(|mark| mark.line).min().unwrap_or_default();
    let to = marks.iter().map(|mark| mark.line).max().unwrap_or_default();
    let mut drawn = String::new();
    let mut annotations = Vec::new();
    for (line, text) in (from..=to).zip(source.text[line_start(source, from)..].split('\n')) {
        let here: Vec<&Mark> = marks.iter().filter(|mark| mark.line == line).collect();
        if std::ptr::eq(here.first().copied().unwrap_or(first), first) && line == first.line {
            let column = text.get(..first.bytes.start).map_or(1, |before| before.chars().count() + 1);
            origin = origin.line(line + 1).char_column(column);
        }
        let base = drawn.len();
        let (cut, spans) = cut(text, &here.iter().map(|mark| mark.bytes.clone()).collect::<Vec<_>>(), width);
        drawn.push_str(&cut);
        drawn.push('\n');
        for (mark, span) in here.iter().zip(spans) {
            let kind = if mark.primary { AnnotationKind::Primary } else { AnnotationKind::Context };
            let annotation = kind.span(base + span.start..base + span.end);
            annotations.push(if mark.text.is_empty() { annotation } else { annotation.label(mark.text.clone()) });
        }
    }
    let snippet = Snippet::source(drawn).line_start(from + 1).annotations(annotations);
    Excerpt { origin, snippet: Some(snippet) }
}

fn line_start(source: &Source, line: usize) -> usize {
    match line {
        0 => 0,
        _ => source.text.match_indices('\n').nth(line - 1).map_or(source.text.len(), |(at, _)| at + 1),
    }
}

/// A line as it is drawn: signs for control characters, and no longer than `width` around what is marked.
fn cut(line: &str, marked: &[Range<usize>], width: usize) -> (String, Vec<Range<usize>>) {
    let first = marked.iter().map(|span| span.start).min().unwrap_or(0);
    let last = marked.iter().map(|span| span.end).max().unwrap_or(0);
    // Enough before the mark to see what it belongs to; the rest after it.
    let (from, to) = match line.len() <= width || line.chars().nth(width).is_none() {
        true => (0, line.len()),
        false => {
            let whole = line[..last.min(line.len())].chars().nth(width * 3 / 4).is_none();
            let from = if whole { 0 } else { back(line, first, width / 4) };
            let to = line[from..].char_indices().nth(width).map_or(line.len(), |(at, _)| from + at);
            (from, to)
        }
    };
    let mut drawn = String::new();
    let mut places = Vec::new(); // (byte in the line, byte in what is drawn)
    if from > 0 {
        drawn.push('…');
    }
    for (at, c) in line[from..to].char_indices() {
        places.push((from + at, drawn.len()));
        match c {
            '\t' => drawn.push(' '),
            '\r' => {}
            _ => drawn.push(sign(c)),
        }
    }
    places.push((to, drawn.len()));
    if to < line.len() {
        drawn.push('…');
    }
    let place = |byte: usize| {
        let index = places.partition_point(|(at, _)| *at < byte).min(places.len() - 1);
        places[index].1
    };
    let spans = marked.iter().map(|span| place(span.start)..place(span.end).max(place(span.start))).collect();
    (drawn, spans)
}

/// The byte `count` characters before `at`.
fn back(line: &str, at: usize, count: usize) -> usize {
    line[..at.min(line.len())].char_indices().rev().nth(count.saturating_sub(1)).map_or(0, |(at, _)| at)
}

/// A character as it may be shown: no control characters, nothing that turns the direction of writing.
fn sign(c: char) -> char {
    match c {
        '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' => '\u{fffd}',
        _ => c,
    }
}

/// Text that stays on one line.
fn clean(text: &str) -> String {
    text.chars().map(sign).collect()
}

/// Text that keeps its line breaks.
fn clean_lines(text: &str) -> String {
    text.trim_end().lines().map(|line| clean(line.trim_end())).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Part, Place, Route, SpanIndex};
    use proptest::prelude::*;
    use std::path::Path;

    fn source(name: &str, text: &str) -> Place {
        let source = Source::new(Path::new(name), text.to_string(), |_| SpanIndex::new());
        Place { source, route: Route::root() }
    }

    fn at(start: usize, end: usize) -> Part {
        Part::Bytes(Span::new(start, end))
    }

    fn mark(place: &Place, start: usize, end: usize) -> String {
        draw(&[Diagnostic::error("some-code", "message", place).at(at(start, end)).saying("here")], false)
    }

    #[test]
    fn draws_labels_across_lines_and_files_with_notes_and_help() {
        let place = source("a.yaml", "a: 1\nb: {{ x }}\nc: 3\nd: 4\ne: 5\n");
        let other = source("dir/b.yaml", "x\n\ty: zé zz\n");
        let full = Diagnostic::error("some-code", "the `b` is\nwrong", &place)
            .at(at(8, 15))
            .saying("here")
            .label(&place, at(28, 29), "and here")
            .label(&other, at(6, 9), "and there")
            .note("a note\nof two lines")
            .help("help")
            .help("more help:\n    b: 1");
        let warning = Diagnostic::warning("a-code", "nothing can be read", &source("no.yaml", "")).help("look");
        let expected = r"error[some-code]: the `b` is␊wrong
 --> a.yaml:2:4
  |
2 | b: {{ x }}
  |    ^^^^^^^ here
...
5 | e: 5
  |   - and here
 ::: dir/b.yaml:2:5
  |
2 |  y: zé zz
  |     -- and there
  |
  = note: a note
          of two lines
  = help: help
  = help: more help:
              b: 1

warning[a-code]: nothing can be read
--> no.yaml
 = help: look
";
        assert_eq!(draw(&[full.clone(), warning.clone()], false), expected);
        assert_eq!(one_line(&full), "a.yaml:2:4: error[some-code]: the `b` is␊wrong");
        assert_eq!(one_line(&warning), "no.yaml: warning[a-code]: nothing can be read");
        let coloured = draw(&[full, warning], true);
        let plain = regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap().replace_all(&coloured, "").into_owned();
        let trimmed: Vec<_> = plain.lines().map(str::trim_end).collect();
        assert_eq!(trimmed.join("\n") + "\n", expected);
    }

    #[test]
    fn cuts_long_lines_around_the_mark_and_keeps_the_column() {
        let long = source("l.yaml", &format!("k: {}MARK {}\n", "abc ".repeat(100), "def ".repeat(100)));
        let drawn = mark(&long, 403, 407);
        assert!(drawn.contains(" --> l.yaml:1:404\n"), "{drawn}");
        assert!(drawn.contains("1 | … abc abc abc abc abc abc MARK def def "), "{drawn}");
        assert!(drawn.contains("  |                           ^^^^ here"), "{drawn}");
        let narrow = draw_within(&[Diagnostic::error("c", "m", &long).at(at(0, 1))], false, 60);
        assert_eq!(narrow, "error[c]: m\n --> l.yaml:1:1\n  |\n1 | k: abc abc abc abc abc abc abc abc abc a…\n  | ^\n");
    }

    #[test]
    fn shows_one_line_of_a_long_span_and_survives_spans_outside_the_text() {
        let place = source("a.yaml", "k: |\r\n  one\r\n  two\r\n");
        assert_eq!(mark(&place, 3, 17), "error[some-code]: message\n --> a.yaml:1:4\n  |\n1 | k: |\n  |    ^ here\n");
        assert!(mark(&place, 500, 900).contains("a.yaml:4:1"));
        assert!(mark(&source("é.yaml", "é"), 1, 1).contains("é.yaml:1:1"));
    }

    #[test]
    fn control_characters_are_shown_as_signs() {
        let place = source("\u{1b}[2Ja.yaml", "k: \u{1b}]0;x\u{7}\u{9b}31m\u{202e}z\u{200d}\n");
        let told =
            Diagnostic::error("c", "bad \u{1b}[31m\u{9b}", &place).at(at(0, 1)).saying("\u{1b}").note("a\u{1b}\nb");
        let all = draw(std::slice::from_ref(&told), false) + &one_line(&told);
        assert!(all.chars().all(|c| c == '\n' || !c.is_control()), "{all:?}");
        assert!(all.contains("1 | k: ␛]0;x␇�31m�z�\n"), "{all}");
    }

    proptest! {
        #[test]
        fn never_panics(text in "(?s)[a\t\r\n éあ\u{301}\u{1b}:{]{0,400}", spans in prop::collection::vec((0usize..500, 0usize..500), 1..5), width in 0usize..90) {
            let place = source("p.yaml", &text);
            let mut told = Diagnostic::error("c", text.clone(), &place).at(at(spans[0].0, spans[0].1)).saying(text.clone());
            for (start, end) in &spans[1..] {
                told = told.label(&place, at(*start, *end), "x");
            }
            draw_within(&[told.clone()], true, width);
            one_line(&told);
        }
    }
}
