//! Owns one template's way through Tera: judged, compiled once per distinct text, rendered under limits, its errors
//! put into the author's words and places.
//! Deliberately knows nothing of trees of templates, nor of where values come from.

use super::analyse::{Analysis, Edit, Fault, Key, Known, Path, analyse};
use super::convert;
use super::filters::{self, Stop};
use super::lex::{Kind, Token, tokens};
use crate::value::Value;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use tera::{Context, ErrorKind, Tera};

/// Longer templates are refused.
const LONGEST: usize = 64 << 10;
/// A longer result is refused.
const LONGEST_RESULT: usize = 10 << 20;
/// More `elif`s are refused: Tera's parser goes down the stack for each.
const MOST_ELIFS: usize = 100;
/// Templates kept compiled by text; beyond it the cache starts anew.
const CACHED: usize = 4096;
const NAME: &str = "template";

/// How a text is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// A text with or without tags.
    Text,
    /// A bare expression, as in `when`.
    Expression,
}

/// A template that was found good. Holds the author's text; what Tera runs is made when it is first rendered.
pub struct Compiled {
    text: String,
    /// What stands before the author's text in `rewritten`, before any edit.
    lead: usize,
    single: bool,
    analysis: Analysis,
    reads: Vec<(String, Range<usize>, bool)>,
    rewritten: String,
    edits: Vec<Edit>,
    tera: OnceLock<Result<Tera, Fault>>,
}

static BASE: LazyLock<Tera> = LazyLock::new(|| {
    let mut tera = Tera::new();
    tera.autoescape_on([""; 0]);
    filters::register(&mut tera);
    tera
});

type Cache = HashMap<(Form, String), Arc<Compiled>>;
static CACHE: LazyLock<Mutex<Cache>> = LazyLock::new(Mutex::default);

impl Compiled {
    /// `None` where the text holds no tag at all.
    pub fn parse(form: Form, text: &str) -> Result<Option<Arc<Compiled>>, Fault> {
        if form == Form::Text && !["{{", "{%", "{#"].iter().any(|open| text.contains(open)) {
            return Ok(None);
        }
        if text.len() > LONGEST {
            let message = format!("the template is longer than {} KiB", LONGEST >> 10);
            return Err(Fault { span: 0..0, message, help: None });
        }
        let key = (form, text.to_string());
        let cache = || CACHE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = cache().get(&key) {
            return Ok(Some(known.clone()));
        }
        let compiled = Arc::new(Compiled::new(form, text)?);
        let mut cache = cache();
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(key, compiled.clone());
        Ok(Some(compiled))
    }

    fn new(form: Form, text: &str) -> Result<Compiled, Fault> {
        let (lead, whole) = match form {
            Form::Text => (0, text.to_string()),
            Form::Expression => (3, format!("{{{{ {text} }}}}")),
        };
        let local = |span: &Range<usize>| clamp(span, lead, text.len());
        let (tokens, complete) = tokens(&whole);
        let mut elifs = tokens.windows(2).filter(|pair| {
            pair[0].kind == Kind::OpenTag && pair[1].kind == Kind::Name && &whole[pair[1].span.clone()] == "elif"
        });
        if let Some(pair) = elifs.nth(MOST_ELIFS) {
            let message = format!("more than {MOST_ELIFS} `elif`");
            return Err(Fault { span: local(&pair[1].span), message, help: None });
        }
        if form == Form::Expression {
            one_expression(text, &tokens, &local)?;
        }
        let judged = judge(&whole, &local);
        if let Err((fault, true)) = judged {
            return Err(fault);
        }
        let known = Known { filters: &filters::FILTERS, tests: &filters::TESTS, functions: &filters::FUNCTIONS };
        let mut analysis = if complete { analyse(&whole, &tokens, &known) } else { Analysis::default() };
        if let Some(fault) = analysis.faults.first() {
            return Err(Fault { span: local(&fault.span), ..fault.clone() });
        }
        if let Err((fault, _)) = judged {
            return Err(fault);
        }
        let single = form == Form::Expression || is_single(&whole, &tokens);
        let mut edits = std::mem::take(&mut analysis.edits);
        for print in &analysis.prints {
            edits.push(Edit { at: print.start, text: "(" });
            edits.push(Edit { at: print.end, text: if single { ")|__take" } else { ")|__text" } });
        }
        edits.sort_by_key(|edit| edit.at);
        let reads = analysis.reads().into_iter().map(|(name, span, guarded)| (name, local(&span), guarded)).collect();
        let rewritten = apply(&whole, &edits);
        let compiled =
            Compiled { text: text.into(), lead, single, analysis, reads, rewritten, edits, tera: OnceLock::new() };
        // The hidden filters make expressions a little deeper; where that is too deep, better now than in a run.
        compiled.tera().map(|_| ()).map_err(|fault| fault.clone())?;
        Ok(compiled)
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Free names in order, the bytes of their first mention, and whether each mention has a way out.
    pub fn reads(&self) -> &[(String, Range<usize>, bool)] {
        &self.reads
    }

    pub fn outputs(&self) -> Option<Vec<String>> {
        self.analysis.outputs()
    }

    /// The text before the first tag.
    pub fn prefix(&self) -> &str {
        let at = ["{{", "{%", "{#"].iter().filter_map(|open| self.text.find(open)).min();
        &self.text[..at.unwrap_or(self.text.len())]
    }

    fn tera(&self) -> Result<&Tera, &Fault> {
        self.tera
            .get_or_init(|| {
                let mut tera = BASE.clone();
                tera.add_raw_template(NAME, &self.rewritten)
                    .map(|()| tera)
                    .map_err(|error| self.fault(&error, &|_| None))
            })
            .as_ref()
    }

    /// The result: text, or for a single expression the value with its own type.
    /// `lookup` gives the values of `reads`.
    pub fn render<'v>(&self, lookup: impl Fn(&str) -> Option<&'v Value>) -> Result<Json, Fault> {
        let tera = self.tera().map_err(Fault::clone)?;
        let mut context = Context::new();
        for (name, ..) in &self.reads {
            if let Some(value) = lookup(name) {
                context.insert_value(name.clone(), convert::into_tera(value.expose()));
            }
        }
        let mut out = Bounded::default();
        let (result, run) = filters::run(|| tera.render_to(NAME, &context, &mut out));
        if let Err(error) = result {
            let json = |name: &str| lookup(name).map(Value::expose);
            return Err(match run.stopped {
                Some(stop) => self.stopped(stop, &error, &json),
                None => self.fault(&error, &json),
            });
        }
        let whole = || Fault { span: 0..self.text.len(), message: String::new(), help: None };
        if self.single {
            // Nothing is taken where a single expression stands in a branch that was not reached: there is none.
            let value = run.taken.ok_or_else(|| Fault { message: "it gives no value".into(), ..whole() })?;
            convert::into_json(&value).map_err(|message| Fault { message, ..whole() })
        } else {
            String::from_utf8(out.bytes).map(Json::String).map_err(|_| Fault { message: "not UTF-8".into(), ..whole() })
        }
    }

    /// A hidden filter found a value that may not be there.
    fn stopped<'j>(&self, stop: Stop, error: &tera::Error, json: &dyn Fn(&str) -> Option<&'j Json>) -> Fault {
        let report = report(error);
        let at = report.map(|report| self.place(report.span().range.clone()));
        let path = at.as_ref().and_then(|at| self.path_at(at.start));
        let span = path.map(|path| path.span.clone()).or(at).unwrap_or(self.lead..self.lead);
        let text = &self.whole()[span.clone()];
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
    fn fault<'j>(&self, error: &tera::Error, json: &dyn Fn(&str) -> Option<&'j Json>) -> Fault {
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

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.text)
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

/// Lets Tera judge the author's own text. The flag: it is a syntax error, with a place that is to be trusted.
fn judge(whole: &str, local: &dyn Fn(&Range<usize>) -> Range<usize>) -> Result<(), (Fault, bool)> {
    thread_local! {
        // One instance for all: a clone costs more than the parsing.
        static SCRATCH: std::cell::RefCell<Tera> = std::cell::RefCell::new(BASE.clone());
    }
    SCRATCH.with_borrow_mut(|tera| tera.add_raw_template(NAME, whole)).map_err(|error| match report(&error) {
        Some(report) => {
            let range = report.span().range.clone();
            // "Unexpected end of input" spans the last token; the end is meant.
            let range = if report.message().contains("end of input") { range.end..range.end } else { range };
            (Fault { span: local(&range), message: plain(report.message()), help: None }, true)
        }
        None => (Fault { span: local(&(0..whole.len())), message: first_line(&error.to_string()), help: None }, false),
    })
}

/// An expression must not close the braces that are put around it.
fn one_expression(text: &str, tokens: &[Token], local: &dyn Fn(&Range<usize>) -> Range<usize>) -> Result<(), Fault> {
    if text.trim().is_empty() {
        return Err(Fault { span: 0..text.len(), message: "the expression is empty".into(), help: None });
    }
    if text.trim_start().starts_with("{{") {
        let help = Some("write it without braces, as in `mode == \"a\"`".into());
        return Err(Fault { span: 0..text.len(), message: "an expression is meant here, not a template".into(), help });
    }
    match tokens.iter().find(|token| token.kind == Kind::ClosePrint) {
        Some(close) if close.span.end < text.len() + 6 => {
            Err(Fault { span: local(&close.span), message: "`}}` closes nothing here".into(), help: None })
        }
        _ => Ok(()),
    }
}

/// One `{{ … }}` with nothing but white space around it.
fn is_single(text: &str, tokens: &[Token]) -> bool {
    let mut prints = 0;
    tokens.iter().all(|token| match token.kind {
        Kind::OpenPrint => {
            prints += 1;
            prints == 1
        }
        Kind::Text => text[token.span.clone()].trim().is_empty(),
        Kind::Comment | Kind::OpenTag | Kind::CloseTag => false,
        _ => true,
    }) && prints == 1
}

fn apply(text: &str, edits: &[Edit]) -> String {
    let mut out = String::with_capacity(text.len() + edits.len() * 8);
    let mut done = 0;
    for edit in edits {
        out.push_str(&text[done..edit.at]);
        out.push_str(edit.text);
        done = edit.at;
    }
    out.push_str(&text[done..]);
    out
}

fn clamp(span: &Range<usize>, lead: usize, length: usize) -> Range<usize> {
    let start = span.start.saturating_sub(lead).min(length);
    start..span.end.saturating_sub(lead).clamp(start, length)
}

fn report(error: &tera::Error) -> Option<&tera::ReportError> {
    match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => Some(report),
        _ => None,
    }
}

fn first_line(text: &str) -> String {
    plain(text.lines().next().unwrap_or_default().trim_start_matches("error: "))
}

/// Tera's words with the names of Rust's types put into an author's.
fn plain(message: &str) -> String {
    let mut message = message.trim_end_matches('.').replace("`&str`", "a string");
    message = message.replace("`&[Value]`", "a list").replace("`&Map`", "an object");
    let mut chars = message.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => message,
    }
}

#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > LONGEST_RESULT {
            return Err(io::Error::other("too large"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
