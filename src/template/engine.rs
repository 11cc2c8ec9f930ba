//! Owns one template's way through Tera: judged, compiled once per distinct text, rendered under limits, its errors
//! put into the author's words and places.
//! Deliberately knows nothing of trees of templates, nor of where values come from.

use super::analyse::{Analysis, Edit, Fault, Need};
use super::convert;
use super::filters;
use super::grow::{self, Bounded};
use super::lex::{Kind, Token, tokens};
use super::tell::{clamp, first_line, plain, report};
use super::walk::{Known, analyse};
use crate::value::Value;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use tera::{Context, Tera};

/// Longer templates are refused.
const LONGEST: usize = 64 << 10;
/// A longer result is refused.
pub const LONGEST_RESULT: usize = 10 << 20;
/// More `elif`s are refused: Tera's parser goes down the stack for each.
const MOST_ELIFS: usize = 100;
/// Templates kept compiled by text; beyond it the cache starts anew.
const CACHED: usize = 4096;
/// How many are kept ready to be rendered; beyond it they are made anew.
const KEPT_READY: usize = 128;
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
    pub(super) text: String,
    /// What stands before the author's text in `rewritten`, before any edit.
    pub(super) lead: usize,
    single: bool,
    pub(super) analysis: Analysis,
    /// What is wanted of each of `reads`, in the same order.
    needs: Vec<Need>,
    reads: Vec<(String, Range<usize>, bool)>,
    rewritten: String,
    pub(super) edits: Vec<Edit>,
}

static BASE: LazyLock<Tera> = LazyLock::new(|| {
    let mut tera = Tera::new();
    tera.autoescape_on([""; 0]);
    filters::register(&mut tera);
    tera
});

type Cache = HashMap<(Form, String), Arc<Compiled>>;
static CACHE: LazyLock<Mutex<Cache>> = LazyLock::new(Mutex::default);
/// By the rewritten text.
static READY: LazyLock<Mutex<HashMap<String, Arc<Tera>>>> = LazyLock::new(Mutex::default);

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
        if let Err((mut fault, true)) = judged {
            // The braces are ours; the author sees the end.
            if form == Form::Expression {
                fault.message = fault.message.replace("found `}}` where", "it ends where");
            }
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
        for (print, counted) in &analysis.prints {
            edits.push(Edit { at: print.start, text: "(" });
            let text = match (single, counted) {
                (true, _) => ")|__take",
                (false, true) => ")|__text|__done",
                (false, false) => ")|__text",
            };
            edits.push(Edit { at: print.end, text });
        }
        edits.sort_by_key(|edit| edit.at);
        let reads = analysis.reads();
        let needs = reads.iter().map(|(name, ..)| analysis.need(name)).collect();
        let reads = reads.into_iter().map(|(name, span, guarded)| (name, local(&span), guarded)).collect();
        let rewritten = apply(&whole, &edits);
        let compiled = Compiled { text: text.into(), lead, single, analysis, needs, reads, rewritten, edits };
        // The hidden filters make expressions a little deeper; where that is too deep, better now than in a run.
        scratch(&compiled.rewritten).map_err(|error| compiled.fault(&error, &|_| None))?;
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

    /// What Tera runs. It holds all filters each time, some kilobytes, so that only those in use are kept.
    fn tera(&self) -> Result<Arc<Tera>, Fault> {
        let ready = || READY.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tera) = ready().get(&self.rewritten) {
            return Ok(tera.clone());
        }
        let mut tera = BASE.clone();
        tera.add_raw_template(NAME, &self.rewritten).map_err(|error| self.fault(&error, &|_| None))?;
        let tera = Arc::new(tera);
        let mut ready = ready();
        if ready.len() >= KEPT_READY {
            ready.clear();
        }
        ready.insert(self.rewritten.clone(), tera.clone());
        Ok(tera)
    }

    /// The result: text, or for a single expression the value with its own type.
    /// `lookup` gives the values of `reads`.
    pub fn render<'v>(&self, lookup: impl Fn(&str) -> Option<&'v Value>) -> Result<Json, Fault> {
        let tera = self.tera()?;
        let mut context = Context::new();
        for ((name, ..), need) in self.reads.iter().zip(&self.needs) {
            if let Some(value) = lookup(name) {
                context.insert_value(name.clone(), convert::into_tera(value.expose(), need));
            }
        }
        let mut out = Bounded { bytes: Vec::new(), most: LONGEST_RESULT };
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
            let value = run.taken.ok_or_else(|| Fault { message: "it gives no value".into(), ..whole() })?;
            grow::is_little_more(&value, || self.size_of_reads(&lookup))
                .map_err(|message| Fault { message, ..whole() })?;
            convert::into_json(&value).map_err(|message| Fault { message, ..whole() })
        } else {
            String::from_utf8(out.bytes).map(Json::String).map_err(|_| Fault { message: "not UTF-8".into(), ..whole() })
        }
    }

    fn size_of_reads<'v>(&self, lookup: impl Fn(&str) -> Option<&'v Value>) -> usize {
        let values = self.reads.iter().zip(&self.needs).filter_map(|((name, ..), need)| Some((lookup(name)?, need)));
        let sizes = values.map(|(value, need)| convert::size(&convert::into_tera(value.expose(), need), usize::MAX));
        sizes.filter_map(Result::ok).fold(0, usize::saturating_add)
    }
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

/// Whether Tera takes a text.
fn scratch(text: &str) -> tera::TeraResult<()> {
    thread_local! {
        // One instance for all: a clone costs more than the parsing.
        static SCRATCH: std::cell::RefCell<Tera> = std::cell::RefCell::new(BASE.clone());
    }
    SCRATCH.with_borrow_mut(|tera| tera.add_raw_template(NAME, text))
}

/// Lets Tera judge the author's own text. The flag: it is a syntax error, with a place that is to be trusted.
fn judge(whole: &str, local: &dyn Fn(&Range<usize>) -> Range<usize>) -> Result<(), (Fault, bool)> {
    scratch(whole).map_err(|error| match report(&error) {
        Some(report) => {
            let range = report.span().range.clone();
            // "Unexpected end of input" spans the last token; the end is meant.
            let range = if report.message().contains("end of input") { range.end..range.end } else { range };
            let help = report.message().contains("end of input").then(|| unclosed(whole)).flatten();
            (Fault { span: local(&range), message: plain(report.message()), help }, true)
        }
        None => (Fault { span: local(&(0..whole.len())), message: first_line(&error.to_string()), help: None }, false),
    })
}

/// What is missing where a template ends too early.
fn unclosed(whole: &str) -> Option<String> {
    for (open, close) in [("{{", "}}"), ("{%", "%}")] {
        if whole.matches(open).count() > whole.matches(close).count() {
            return Some(format!("close the `{open}` with `{close}`"));
        }
    }
    for (open, close) in [("if", "endif"), ("for", "endfor")] {
        let tags = |word: &str| {
            let tags = whole.split("{%").skip(1);
            tags.filter(|tag| tag.trim_start_matches(['-', ' ']).starts_with(word)).count()
        };
        if tags(open) > tags(close) {
            return Some(format!("close the `{{% {open} … %}}` with `{{% {close} %}}`"));
        }
    }
    None
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
