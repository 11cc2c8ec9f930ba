//! Owns making a filter of a query's text: parsing, refusing what a playbook may not do, and finding what it reads.
//! Deliberately runs nothing.
//!
//! Compiling jq's whole library costs more than all else, so only what the text needs of it goes along.

use super::super::QueryError;
use super::natives::natives;
use super::plain::is_plain;
use super::val::V;
use super::walk::{Found, walk, walk_defs};
use crate::diagnostic::nearest;
use jaq_core::data::JustLut;
use jaq_core::load::lex::Lexer;
use jaq_core::load::parse::{Def, Parser};
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, compile::Undefined};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{LazyLock, Mutex, PoisonError};

pub type Data = JustLut<V>;
pub type Filter = jaq_core::Filter<Data>;

/// Longer texts are refused.
const LONGEST: usize = 64 << 10;

/// Filters that a query may not call, and why.
const REFUSED: [(&str, &str); 9] = [
    ("env", "a query sees no environment: give the value in an input with `env:`"),
    ("halt", "a query cannot end the program: use `error`"),
    ("halt_error", "a query cannot end the program: use `error`"),
    ("input", "there is one input, and it is `.`"),
    ("inputs", "there is one input, and it is `.`"),
    ("input_filename", "there is no file behind the input"),
    ("input_line_number", "there is no file behind the input"),
    ("get_search_list", "a query stands alone"),
    ("modulemeta", "a query stands alone"),
];

/// jq's library as far as it is written in jq: jaq's, ours, and what must not write anywhere.
struct Library {
    defs: Vec<Def<&'static str>>,
    /// For each name, the places of its definitions.
    places: HashMap<&'static str, Vec<usize>>,
    /// For each definition, the names that it calls.
    calls: Vec<Vec<&'static str>>,
    /// Every filter's name and arity, those written in Rust included.
    signatures: HashSet<(&'static str, usize)>,
}

static LIBRARY: LazyLock<Library> = LazyLock::new(|| {
    const SILENT: &str = "def debug: .; def debug(m): .; def stderr: .;";
    let ours = [include_str!("extra.jq"), SILENT];
    let ours = ours.iter().flat_map(|text| load::parse(text, |parser| parser.defs()).unwrap_or_default());
    let defs: Vec<Def<&'static str>> =
        jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).chain(ours).collect();
    let mut places: HashMap<&'static str, Vec<usize>> = HashMap::new();
    let mut signatures = HashSet::new();
    let mut calls = Vec::new();
    for (place, def) in defs.iter().enumerate() {
        places.entry(def.name).or_default().push(place);
        signatures.insert((def.name, def.args.len()));
        calls.push(called(|found| walk_defs(std::slice::from_ref(def), found)));
    }
    signatures.extend(natives(true).map(|(name, args, _)| (name, args.len())));
    Library { defs, places, calls, signatures }
});

impl Library {
    /// The definitions that these names need, in the library's order.
    fn needed(&self, names: impl IntoIterator<Item = impl AsRef<str>>) -> impl Iterator<Item = Def<&'static str>> {
        let mut wanted = HashSet::new();
        let place = |name: &str| self.places.get(name).into_iter().flatten().copied();
        let mut open: Vec<usize> =
            names.into_iter().flat_map(|name| place(name.as_ref()).collect::<Vec<_>>()).collect();
        while let Some(next) = open.pop() {
            if wanted.insert(next) {
                open.extend(self.calls[next].iter().flat_map(|name| place(name)));
            }
        }
        let mut wanted: Vec<usize> = wanted.into_iter().collect();
        wanted.sort_unstable();
        wanted.into_iter().map(|place| self.defs[place].clone())
    }
}

fn called<'s>(walk: impl FnOnce(&mut dyn FnMut(Found<'s>))) -> Vec<&'s str> {
    let mut names = Vec::new();
    walk(&mut |found| match found {
        Found::Call { name, .. } | Found::Recursion { name } => names.push(name),
    });
    names.sort_unstable();
    names.dedup();
    names
}

/// A filter and the variables that it wants, in this order, with their first mention.
pub struct Made {
    pub filter: Filter,
    /// It surely ends soon.
    pub plain: bool,
    pub reads: Vec<(String, Range<usize>)>,
}

/// A query: its free variables become what it reads.
pub fn query(text: &str) -> Result<Made, Vec<QueryError>> {
    let term = parse(text, |parser| parser.term())?;
    let mut errors = Vec::new();
    let names = judge(text, &HashSet::new(), |found| walk(&term, found), &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let plain = is_plain(text, &term);
    let missing = match compile(text, "", &[], &names, &[], false) {
        Ok(filter) => return Ok(Made { filter, plain, reads: Vec::new() }),
        Err(missing) => missing,
    };
    let mut reads: Vec<(String, Range<usize>)> = Vec::new();
    for Missing { name, what, span, .. } in missing {
        match what {
            Undefined::Var => match refused_variable(&name) {
                Some(help) => errors.push(error(span, format!("`{name}` is not available"), Some(help.into()))),
                None => match reads.iter_mut().find(|(known, _)| known == &name[1..]) {
                    Some((_, first)) if span.start < first.start => *first = span,
                    Some(_) => {}
                    None => reads.push((name[1..].into(), span)),
                },
            },
            other => errors.push(undefined_error(&name, &other, span)),
        }
    }
    if !errors.is_empty() {
        errors.sort_by_key(|error| error.span.start);
        return Err(errors);
    }
    reads.sort_by_key(|(_, span)| span.start);
    let globals: Vec<&str> = reads.iter().map(|(_, span)| &text[span.clone()]).collect();
    match compile(text, "", &[], &names, &globals, false) {
        Ok(filter) => Ok(Made { filter, plain, reads }),
        Err(missing) => Err(missing.into_iter().map(Missing::tell).collect()),
    }
}

/// A program of a world: `definitions` may be called by `text`; there are no variables from outside.
pub fn program(definitions: &str, text: &str) -> Result<Filter, Vec<QueryError>> {
    let definitions = Definitions::of(definitions)?;
    let term = parse(text, |parser| parser.term())?;
    let mut errors = Vec::new();
    let mut names = judge(text, &definitions.signatures, |found| walk(&term, found), &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let (defs, calls) = definitions.needed(called(|found| walk(&term, found)));
    names.extend(calls);
    compile(text, definitions.text, &defs, &names, &[], true).map_err(|missing| {
        let (mine, theirs): (Vec<_>, Vec<_>) = missing.into_iter().partition(|missing| missing.in_text);
        let mut errors = in_definitions(definitions.text, theirs.into_iter().map(Missing::tell).collect());
        errors.extend(mine.into_iter().map(Missing::tell));
        errors
    })
}

/// The definitions of a world, of which it has many, and each of its many texts calls few.
struct Definitions {
    text: &'static str,
    defs: Vec<Def<&'static str>>,
    /// For each definition, the names that it calls.
    calls: Vec<Vec<&'static str>>,
    signatures: HashSet<(&'static str, usize)>,
}

impl Definitions {
    /// Read once, and kept as long as the program runs, since what is parsed borrows its text.
    fn of(text: &str) -> Result<&'static Definitions, Vec<QueryError>> {
        static READ: Mutex<Vec<&'static Definitions>> = Mutex::new(Vec::new());
        let read = || READ.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = read().iter().find(|known| known.text == text) {
            return Ok(known);
        }
        // Nothing is kept of a text with mistakes.
        Definitions::judged(text)?;
        let text: &'static str = Box::leak(text.into());
        let defs = parse(text, |parser| parser.defs())?;
        let calls = |def| called(|found| walk_defs(std::slice::from_ref(def), found));
        let (calls, signatures) =
            (defs.iter().map(calls).collect(), defs.iter().map(|def| (def.name, def.args.len())).collect());
        let definitions: &'static Definitions = Box::leak(Box::new(Definitions { text, defs, calls, signatures }));
        read().push(definitions);
        Ok(definitions)
    }

    fn judged(text: &str) -> Result<(), Vec<QueryError>> {
        let tell = |errors| in_definitions(text, errors);
        let defs = parse(text, |parser| parser.defs()).map_err(tell)?;
        let mut errors = Vec::new();
        judge(text, &HashSet::new(), |found| walk_defs(&defs, found), &mut errors);
        if errors.is_empty() { Ok(()) } else { Err(tell(errors)) }
    }

    /// Those that these names need, directly or not, and what they call.
    fn needed<'s>(&'s self, names: Vec<&'s str>) -> (Vec<Def<&'s str>>, Vec<&'s str>) {
        let mut wanted: HashSet<&str> = names.into_iter().collect();
        let mut kept: Vec<Def<&str>> = Vec::new();
        // Each knows only those before it: backwards, every caller comes before what it calls.
        for (def, calls) in self.defs.iter().zip(&self.calls).rev() {
            if wanted.contains(def.name) {
                wanted.extend(calls);
                kept.push(def.clone());
            }
        }
        kept.reverse();
        (kept, wanted.into_iter().collect())
    }
}

/// A mistake in the definitions has no place in the text.
fn in_definitions(definitions: &str, errors: Vec<QueryError>) -> Vec<QueryError> {
    let tell = |error: QueryError| {
        let before = &definitions[..error.span.start.min(definitions.len())];
        let line = before.matches('\n').count() + 1;
        QueryError { span: 0..0, message: format!("in the definitions, line {line}: {}", error.message), ..error }
    };
    errors.into_iter().map(tell).collect()
}

/// Something that a text mentions and nobody defines.
struct Missing {
    name: String,
    what: Undefined,
    /// In the text, or in the definitions before it.
    in_text: bool,
    span: Range<usize>,
}

impl Missing {
    fn tell(self) -> QueryError {
        undefined_error(&self.name, &self.what, self.span)
    }
}

/// The names that the text needs of the library; what it may not do goes to `errors`.
fn judge<'s>(
    text: &str,
    own: &HashSet<(&str, usize)>,
    walk: impl FnOnce(&mut dyn FnMut(Found<'s>)),
    errors: &mut Vec<QueryError>,
) -> Vec<&'s str> {
    let mut names = Vec::new();
    walk(&mut |found| match found {
        Found::Recursion { name } => errors.push(error(
            span_in(text, name),
            format!("`{name}` calls itself: recursive definitions are not available"),
            Some("use `recurse`, `until`, `while`, `reduce` or `foreach`".into()),
        )),
        Found::Call { name, arity } if own.contains(&(name, arity)) => {}
        Found::Call { name, .. } => {
            if let Some((_, help)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
                let message = format!("`{name}` is not available");
                errors.push(error(span_in(text, name), message, Some((*help).into())));
            }
            names.push(name);
        }
    });
    names
}

fn refused_variable(name: &str) -> Option<&'static str> {
    match name {
        "$ENV" => Some(REFUSED[0].1),
        "$__loc__" | "$__prog_args" => Some("a query stands alone"),
        _ => None,
    }
}

fn parse<'s, T: Default>(
    text: &'s str,
    what: impl for<'t> FnOnce(&mut Parser<'s, 't>) -> load::parse::Result<'s, 't, T>,
) -> Result<T, Vec<QueryError>> {
    if text.len() > LONGEST {
        return Err(vec![error(0..0, format!("the query is longer than {} KiB", LONGEST >> 10), None)]);
    }
    let tokens = Lexer::new(text).lex().map_err(|errors| -> Vec<QueryError> {
        let tell = |(expected, rest): (load::lex::Expect<&str>, &str)| {
            let start = span_in(text, rest).start;
            let next = rest.chars().next();
            let found = next.map_or_else(|| "the query ends".to_string(), |found| format!("found `{found}`"));
            let message = format!("expected {}, but {found}", expected_by_lexer(&expected));
            error(start..start + next.map_or(0, char::len_utf8), message, None)
        };
        errors.into_iter().map(tell).collect()
    })?;
    if let Some(word) =
        tokens.first().map(load::lex::Token::as_str).filter(|word| ["import", "include", "module"].contains(word))
    {
        let message = format!("`{word}` is not available");
        return Err(vec![error(span_in(text, word), message, Some("a query stands alone".into()))]);
    }
    Parser::new(&tokens).parse(what).map_err(|errors| {
        let tell = |(expected, found): load::parse::TError<'_, &str>| {
            let found = load::lex::Token::opt_as_str(found, text);
            let span = span_in(text, found);
            let expected = match expected {
                load::parse::Expect::Just(token) => format!("`{token}`"),
                load::parse::Expect::Nothing => "nothing more".into(),
                other => format!("a {}", other.as_str()),
            };
            let what = match found.chars().next() {
                None => "the query ends".into(),
                Some(_) if found.len() <= 24 => format!("found `{found}`"),
                Some(first) => format!("found `{first}…`"),
            };
            error(span, format!("expected {expected}, but {what}"), None)
        };
        errors.into_iter().map(tell).collect()
    })
}

/// `Expect::as_str` panics for some.
fn expected_by_lexer(expected: &load::lex::Expect<&str>) -> String {
    use load::lex::Expect;
    match expected {
        Expect::Delim(open) => {
            let close = match *open {
                "(" => ")",
                "[" => "]",
                "{" => "}",
                other => other,
            };
            format!("`{close}` to close `{open}`")
        }
        Expect::Digit | Expect::Ident | Expect::Escape | Expect::Unicode | Expect::Token => {
            format!("a {}", expected.as_str())
        }
        _ => "something else".into(),
    }
}

fn compile(
    text: &str,
    definitions: &str,
    defs: &[Def<&str>],
    names: &[&str],
    globals: &[&str],
    world: bool,
) -> Result<Filter, Vec<Missing>> {
    let arena = Arena::default();
    let mut prelude: Vec<Def<&str>> = LIBRARY.needed(names).collect();
    prelude.extend(defs.iter().cloned());
    // It was parsed before: what can fail here is an import, and those were refused.
    let modules = Loader::new(prelude).load(&arena, File { code: text, path: () }).map_err(|_| Vec::new())?;
    let made = Compiler::default().with_funs(natives(world)).with_global_vars(globals.iter().copied()).compile(modules);
    made.map_err(|files| {
        let errors = files.into_iter().flat_map(|(_, errors)| errors);
        let tell = |(name, what): (&str, Undefined)| {
            let in_text = is_within(text, name);
            let span = span_in(if in_text { text } else { definitions }, name);
            Missing { name: name.into(), what, in_text, span }
        };
        errors.map(tell).collect()
    })
}

fn undefined_error(name: &str, what: &Undefined, span: Range<usize>) -> QueryError {
    match what {
        Undefined::Filter(arity) => {
            let mut others: Vec<usize> =
                LIBRARY.signatures.iter().filter(|(known, _)| *known == name).map(|(_, arity)| *arity).collect();
            others.sort_unstable();
            if !others.is_empty() {
                let others: Vec<String> = others.iter().map(ToString::to_string).collect();
                let message = format!("`{name}` takes {} argument(s), not {arity}", others.join(" or "));
                return error(span, message, None);
            }
            let help = nearest(name, LIBRARY.signatures.iter().map(|(known, _)| *known))
                .map(|nearest| format!("did you mean `{nearest}`?"));
            error(span, format!("there is no filter `{name}`"), help)
        }
        Undefined::Var => error(span, format!("`{name}` is not defined"), None),
        Undefined::Label => error(span, format!("there is no `label {name}` around it"), None),
        _ => error(span, format!("there is no {} `{name}`", what.as_str()), None),
    }
}

fn error(span: Range<usize>, message: String, help: Option<String>) -> QueryError {
    QueryError { span, message, help }
}

fn is_within(whole: &str, part: &str) -> bool {
    let (start, at) = (whole.as_ptr() as usize, part.as_ptr() as usize);
    at >= start && at + part.len() <= start + whole.len()
}

/// Bytes of a slice of the text; empty for a slice of something else.
fn span_in(whole: &str, part: &str) -> Range<usize> {
    if is_within(whole, part) { load::span(whole, part) } else { 0..0 }
}
