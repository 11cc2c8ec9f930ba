//! Owns the strict pass over a YAML text before it is read: what YAML allows and a playbook does not.
//! Deliberately knows nothing of keys and their meaning.
//!
//! Two parsers look at every file, saphyr here and libyaml in `serde_yaml`. Only the plain subset in which both see
//! the same document gets through, so that what is checked here is what is run.

use super::spans::Offsets;
use super::{subset, syntax};
use crate::diagnostic::Diagnostic;
use crate::source::{Part, Place, Route, Source, Span};
use saphyr_parser::{Event, Parser, ScalarStyle};
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// How deep maps and lists may be nested.
pub const DEPTH: usize = 64;
/// How large a file may be.
pub const SIZE: usize = 8 * 1024 * 1024;
/// How many keys and values a file may have. 20,000 steps of 12 lines have about as many.
const NODES: usize = 500_000;
/// How often a file is looked at again after a value that is no YAML, and how large it may be for that.
const ROUNDS: usize = 20;
const ROUNDS_SIZE: usize = 1024 * 1024;
/// How many mistakes are told; a file with more of them is probably none of ours.
pub const MISTAKES: usize = 100;

/// What the gate has seen in a file it lets through.
#[derive(Debug, Default)]
pub struct Passed {
    /// There is nothing but comments.
    pub empty: bool,
}

/// Judges a text; every mistake is told as far as it can be read.
pub fn check(source: &Arc<Source>) -> Result<Passed, Vec<Diagnostic>> {
    let strange = subset::characters(source);
    if !strange.is_empty() {
        return Err(strange);
    }
    let mut text = Cow::Borrowed(source.text.as_str());
    let mut told = Vec::new();
    let (passed, mistakes) = loop {
        let mut gate = Gate::new(source, &text);
        let Some(stopped) = gate.read() else {
            gate.passed.empty = gate.nodes == 0;
            break (gate.passed, gate.mistakes);
        };
        // Where one value is what the parser cannot read, it is blanked out, and the rest is looked at all the same.
        let rest = stopped.value.and_then(|value| blanked(&text, value));
        let mistakes = gate.mistakes;
        told.push(stopped.told);
        match rest {
            Some(rest) if told.len() < ROUNDS && rest.len() <= ROUNDS_SIZE => text = Cow::Owned(rest),
            _ => break (Passed::default(), mistakes),
        }
    };
    told.extend(mistakes);
    told.sort_by_key(|told| told.labels[0].place.span(&told.labels[0].part));
    // The rest of a line with a template without quotes is often no YAML either: that is one mistake, not two.
    told.dedup_by(|two, one| one.code == two.code && one.labels[0].part == two.labels[0].part);
    if told.is_empty() { Ok(passed) } else { Err(told) }
}

/// The text with a value made a word of the same length; `None` where that changes nothing.
fn blanked(text: &str, value: Span) -> Option<String> {
    let old = text.get(value.start..value.end)?;
    let new: String = old.chars().map(|c| if c.is_ascii() && c != '\n' && c != '\r' { 'x' } else { c }).collect();
    (new != old).then(|| format!("{}{new}{}", &text[..value.start], &text[value.end..]))
}

/// An error at bytes of the text, for what has no route.
pub fn mistake(source: &Arc<Source>, code: &'static str, message: impl Into<String>, span: Span) -> Diagnostic {
    let place = Place { source: source.clone(), route: Route::root() };
    // Who points at one byte means the character that it begins.
    let end = (span.end..source.text.len()).find(|at| source.text.is_char_boundary(*at)).unwrap_or(span.end);
    Diagnostic::error(code, message, &place).at(Part::Bytes(Span::new(span.start, end)))
}

enum Frame<'a> {
    /// The keys so far; whether the next node is a key.
    Map {
        start: usize,
        keys: HashMap<Cow<'a, str>, Span>,
        at_key: bool,
    },
    List {
        start: usize,
    },
}

impl Frame<'_> {
    fn start(&self) -> usize {
        match self {
            Frame::Map { start, .. } | Frame::List { start } => *start,
        }
    }
}

struct Gate<'a> {
    source: &'a Arc<Source>,
    /// The source's text, or that with some values blanked out.
    text: &'a str,
    offsets: Offsets<'a>,
    frames: Vec<Frame<'a>>,
    /// Nothing is judged until there are fewer frames than this: they belong to a mistake that has been told.
    ignored: Option<usize>,
    nodes: usize,
    documents: usize,
    passed: Passed,
    mistakes: Vec<Diagnostic>,
}

impl<'a> Gate<'a> {
    fn new(source: &'a Arc<Source>, text: &'a str) -> Gate<'a> {
        Gate {
            source,
            text,
            offsets: Offsets::new(text),
            frames: Vec::new(),
            ignored: None,
            nodes: 0,
            documents: 0,
            passed: Passed::default(),
            mistakes: Vec::new(),
        }
    }

    /// Reads to the end, or to what is no YAML.
    fn read(&mut self) -> Option<syntax::Explained> {
        for event in Parser::new_from_str(self.text) {
            match event {
                Ok((event, span)) => {
                    let span = self.offsets.span(&span.start, &span.end);
                    if !self.event(event, span) || self.mistakes.len() >= MISTAKES {
                        return None;
                    }
                }
                // The parser would go on giving the same error for ever.
                Err(error) => {
                    let at = self.offsets.byte(error.marker().index());
                    if error.info().contains("recursion limit") {
                        self.too_deep(Span::new(at, at + 1)); // saphyr reads far ahead, and has a limit of its own.
                        return None;
                    }
                    let open: Vec<usize> = self.frames.iter().map(Frame::start).collect();
                    return Some(syntax::explain(self.source, self.text, at, error.info(), &open));
                }
            }
        }
        None
    }

    fn tell(&mut self, code: &'static str, message: impl Into<String>, span: Span, help: &str) {
        self.mistakes.push(mistake(self.source, code, message, span).help(help));
    }

    fn also(&mut self, help: String) {
        if let Some(told) = self.mistakes.last_mut() {
            told.help.push(help);
        }
    }

    /// Judges one event; `false` when it makes no sense to read on.
    fn event(&mut self, event: Event<'a>, span: Span) -> bool {
        if let Some(least) = self.ignored {
            match event {
                Event::MappingStart(..) | Event::SequenceStart(..) => {
                    self.frames.push(Frame::List { start: span.start })
                }
                Event::MappingEnd | Event::SequenceEnd => {
                    self.frames.pop();
                }
                _ => {}
            }
            if self.frames.len() < least {
                self.ignored = None;
            }
            return self.deep_enough(span);
        }
        match event {
            Event::DocumentStart(explicit) => {
                self.documents += 1;
                if explicit && self.documents == 1 {
                    self.directives(span);
                }
                if self.documents > 1 {
                    let help = "one file is one document: move the second one to a file of its own";
                    self.tell("yaml-documents", "a second document begins here", span, help);
                    return false;
                }
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.frames.pop();
            }
            Event::Alias(_) => {
                self.node(None, span);
                self.alias(span);
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.properties(anchor, tag.is_some(), span);
                let plain = style == ScalarStyle::Plain;
                let at_key = self.node(Some((text.clone(), plain)), span);
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                if block && (at_key || self.frames.is_empty()) {
                    let help = "a block of text is the value of a key, or an item of a list";
                    self.tell("yaml-key", "a block of text may not stand here", span, help);
                }
                if plain && text.starts_with('?') {
                    let quote = syntax::quote(self.source, span.start);
                    self.tell("yaml-syntax", "a text that begins with `?` needs quotes", span, &quote);
                }
                if plain && !at_key && !subset::is_exact(&text) {
                    let quote = syntax::quote(self.source, span.start);
                    self.tell(
                        "yaml-number",
                        format!("the number `{text}` cannot be kept as it is written"),
                        span,
                        &quote,
                    );
                }
            }
            Event::SequenceStart(anchor, tag) => {
                self.properties(anchor, tag.is_some(), span);
                if self.node(None, span) {
                    self.key_is_no_text(span);
                }
                self.frames.push(Frame::List { start: span.start });
            }
            Event::MappingStart(anchor, tag) => {
                self.properties(anchor, tag.is_some(), span);
                if self.node(None, span) {
                    self.key_is_no_text(span);
                }
                self.frames.push(Frame::Map { start: span.start, keys: HashMap::new(), at_key: true });
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        if self.nodes > NODES {
            let help = "split the file: `use:` runs another playbook as a step";
            self.tell("file-too-large", format!("more than {NODES} keys and values"), span, help);
            return false;
        }
        self.deep_enough(span)
    }

    fn deep_enough(&mut self, span: Span) -> bool {
        if self.frames.len() > DEPTH {
            self.too_deep(span);
        }
        self.frames.len() <= DEPTH
    }

    fn too_deep(&mut self, span: Span) {
        let help = "move inner parts to `vars`, or to a playbook of their own";
        self.tell("yaml-depth", format!("nested deeper than {DEPTH} levels"), span, help);
    }

    /// Takes note of a node in the map or list it stands in; says whether it stands where a key does.
    fn node(&mut self, scalar: Option<(Cow<'a, str>, bool)>, span: Span) -> bool {
        self.nodes += 1;
        let Some(Frame::Map { keys, at_key, .. }) = self.frames.last_mut() else { return false };
        if !*at_key {
            *at_key = true;
            return false;
        }
        *at_key = false;
        let Some((name, plain)) = scalar else { return true };
        if plain && name == "<<" {
            let help = "write the keys out, or put what is shared into `vars` or `defaults`";
            self.tell("yaml-merge", "merge keys (`<<`) are not part of a playbook", span, help);
            return true;
        }
        match keys.entry(name) {
            Entry::Occupied(first) => {
                let (first, name) = (*first.get(), first.key().clone());
                let place = Place { source: self.source.clone(), route: Route::root() };
                let told = mistake(self.source, "duplicate-key", format!("the key `{name}` is written twice"), span)
                    .saying("a second time here")
                    .label(&place, Part::Bytes(first), "first here")
                    .help("keep one of the two");
                self.mistakes.push(told);
            }
            Entry::Vacant(free) => {
                free.insert(span);
            }
        }
        true
    }

    /// Anchors and tags, which any node may carry.
    fn properties(&mut self, anchor: usize, tagged: bool, span: Span) {
        if anchor != 0 {
            let help = "write the value out where it is used, or put it into `vars`";
            self.tell("yaml-alias", "anchors (`&name`) are not part of a playbook", span, help);
            self.also(format!("if it is meant as text, {}", syntax::quote(self.source, span.start)));
        }
        if tagged {
            let help =
                format!("leave the tag away; if it is meant as text, {}", syntax::quote(self.source, span.start));
            self.tell("yaml-tag", "tags (`!name`) are not part of a playbook", span, &help);
        }
    }

    fn alias(&mut self, span: Span) {
        let quote = syntax::quote(self.source, span.start);
        self.tell(
            "yaml-alias",
            "aliases (`*name`) are not part of a playbook",
            span,
            "write the value out here, or put it into `vars`",
        );
        self.also(format!("if it is meant as text, {quote}"));
    }

    fn directives(&mut self, span: Span) {
        let before = &self.source.text[..span.start];
        let Some(line) = before.lines().find(|line| line.starts_with('%')) else { return };
        let at = line.as_ptr() as usize - before.as_ptr() as usize;
        let help = "leave the line away";
        self.tell("yaml-directive", "directives are not part of a playbook", Span::new(at, at + line.len()), help);
    }

    /// A map or list where a key should be: nearly always a template without quotes, `url: {{ x }}`.
    fn key_is_no_text(&mut self, span: Span) {
        self.ignored = Some(self.frames.len());
        let outer = match self.frames.last() {
            Some(frame) => frame.start(),
            None => span.start,
        };
        if self.text[outer..].starts_with("{{") {
            self.mistakes.push(syntax::unquoted(self.source, self.text, outer).told);
        } else {
            self.tell("yaml-key", "a key must be a text", span, "write the key as a word, in quotes where needed");
        }
    }
}
