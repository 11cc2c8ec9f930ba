//! Owns what a template reads: names, paths below them, step outputs; and where it is rewritten before it is run.
//! Deliberately knows nothing of values. It trusts that Tera has found the text valid.
//!
//! The rewriting puts hidden filters (`__…`) where Tera is laxer than a playbook may be: an undefined operand is an
//! error wherever it stands (Tera lets `x.typo == 1` be false), null is no text, and loops are counted.

use super::lex::{Kind, Token};
use std::ops::Range;

/// A mention of a variable with all that follows it: `a.b[0].c`.
#[derive(Clone, Debug)]
pub struct Path {
    pub root: String,
    /// Bytes of the root name.
    pub root_span: Range<usize>,
    /// Bytes of the whole path.
    pub span: Range<usize>,
    pub segments: Vec<Segment>,
    /// Bound by a `for` or `set` of the template itself.
    pub bound: bool,
    /// Whether this mention has a way out where the *root* is undefined.
    pub guarded: bool,
}

/// A step below a value, with the byte where it ends.
#[derive(Clone, Debug)]
pub struct Segment {
    pub key: Key,
    pub end: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Name(String),
    Index(usize),
    /// Only known when it is run.
    Computed,
}

/// A text to put in at a byte of the author's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub at: usize,
    pub text: &'static str,
}

/// What is wrong, beyond what Tera finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub span: Range<usize>,
    pub message: String,
    pub help: Option<String>,
}

#[derive(Debug, Default)]
pub struct Analysis {
    pub paths: Vec<Path>,
    pub edits: Vec<Edit>,
    pub faults: Vec<Fault>,
    /// Names with an `is defined` or `is undefined` somewhere in the text.
    tested: Vec<String>,
    /// Byte ranges that hold an expression inside `{{ }}`.
    pub prints: Vec<Range<usize>>,
}

impl Analysis {
    /// Free names in the order of their first mention, with that mention and whether every mention is guarded.
    pub fn reads(&self) -> Vec<(String, Range<usize>, bool)> {
        let mut reads: Vec<(String, Range<usize>, bool)> = Vec::new();
        for path in self.paths.iter().filter(|path| !path.bound) {
            let guarded = path.guarded || self.tested.contains(&path.root);
            match reads.iter_mut().find(|(name, ..)| *name == path.root) {
                Some((_, first, all)) => {
                    *all &= guarded;
                    if path.root_span.start < first.start {
                        *first = path.root_span.clone();
                    }
                }
                None => reads.push((path.root.clone(), path.root_span.clone(), guarded)),
            }
        }
        reads.sort_by_key(|(_, span, _)| span.start);
        reads
    }

    /// The steps whose outputs are read; `None` where that depends on a value.
    pub fn outputs(&self) -> Option<Vec<String>> {
        let mut ids: Vec<String> = Vec::new();
        for path in self.paths.iter().filter(|path| !path.bound && path.root == "steps") {
            match path.segments.first().map(|segment| &segment.key) {
                Some(Key::Name(id)) if !ids.contains(id) => ids.push(id.clone()),
                Some(Key::Name(_)) => {}
                _ => return None,
            }
        }
        Some(ids)
    }
}

/// Which names exist, so that wrong ones are found with their place.
pub struct Known<'a> {
    pub filters: &'a [&'a str],
    pub tests: &'a [&'a str],
    pub functions: &'a [&'a str],
}

pub fn analyse(text: &str, tokens: &[Token], known: &Known) -> Analysis {
    let mut walk = Walk {
        text,
        tokens,
        known,
        at: 0,
        scopes: vec![Vec::new()],
        blocks: Vec::new(),
        loops: 0,
        out: Analysis::default(),
    };
    while walk.at < tokens.len() {
        if walk.piece().is_none() {
            let span = walk.tokens.get(walk.at).map_or(text.len()..text.len(), |token| token.span.clone());
            walk.fault(span, "this is not understood here".into(), None);
            break;
        }
    }
    walk.out.edits.sort_by_key(|edit| edit.at);
    walk.out
}

/// Words of the language: as a variable's name they would be read as one or the other, depending on the place.
const WORDS: [&str; 9] = ["if", "else", "elif", "for", "in", "is", "not", "and", "or"];
const LITERALS: [&str; 7] = ["true", "True", "false", "False", "none", "None", "null"];

#[derive(PartialEq)]
enum Block {
    If,
    /// A loop, and whether its own scope is still open (it is not in its `else`).
    For(bool),
}

struct Walk<'a> {
    text: &'a str,
    tokens: &'a [Token],
    known: &'a Known<'a>,
    at: usize,
    /// Names bound by the template; the first scope is the template's own.
    scopes: Vec<Vec<String>>,
    blocks: Vec<Block>,
    /// How many loops' bodies are open: `loop` is a name there.
    loops: usize,
    out: Analysis,
}

impl<'a> Walk<'a> {
    fn peek(&self) -> Option<(Kind, &'a str)> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Option<(Kind, &'a str)> {
        self.tokens.get(self.at + ahead).map(|token| (token.kind, &self.text[token.span.clone()]))
    }

    fn span(&self) -> Range<usize> {
        self.tokens.get(self.at).map_or(self.text.len()..self.text.len(), |token| token.span.clone())
    }

    /// Where the token before this one ended.
    fn end(&self) -> usize {
        self.at.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(0, |token| token.span.end)
    }

    fn sign(&self, sign: &str) -> bool {
        self.peek() == Some((Kind::Sign, sign))
    }

    fn word(&self, word: &str) -> bool {
        self.peek() == Some((Kind::Name, word))
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = self.sign(sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Option<()> {
        self.eat(sign).then_some(())
    }

    fn expect_word(&mut self, word: &str) -> Option<()> {
        let found = self.word(word);
        self.at += usize::from(found);
        found.then_some(())
    }

    fn name(&mut self) -> Option<(&'a str, Range<usize>)> {
        let (kind, text) = self.peek()?;
        let span = self.span();
        (kind == Kind::Name).then(|| {
            self.at += 1;
            (text, span)
        })
    }

    fn fault(&mut self, span: Range<usize>, message: String, help: Option<String>) {
        self.out.faults.push(Fault { span, message, help });
    }

    fn edit(&mut self, at: usize, text: &'static str) {
        self.out.edits.push(Edit { at, text });
    }

    fn wrap(&mut self, span: Range<usize>, after: &'static str) {
        self.edit(span.start, "(");
        self.edit(span.end, after);
    }

    fn bind(&mut self, name: &str) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(name.into());
        }
    }

    /// Text, a comment, a print or a tag.
    fn piece(&mut self) -> Option<()> {
        match self.peek()?.0 {
            Kind::OpenPrint => {
                self.at += 1;
                let start = self.span().start;
                self.expression(true)?;
                let end = self.end();
                self.out.prints.push(start..end);
                (self.peek()?.0 == Kind::ClosePrint).then(|| self.at += 1)
            }
            Kind::OpenTag => {
                self.at += 1;
                self.tag()?;
                (self.peek()?.0 == Kind::CloseTag).then(|| self.at += 1)
            }
            _ => {
                self.at += 1;
                Some(())
            }
        }
    }

    fn tag(&mut self) -> Option<()> {
        let (name, span) = match self.peek()? {
            (Kind::Name, _) => self.name()?,
            _ => ("<", self.span()),
        };
        match name {
            "if" => {
                self.blocks.push(Block::If);
                self.expression(true)
            }
            "elif" => self.expression(true),
            "else" => {
                if let Some(Block::For(open @ true)) = self.blocks.last_mut() {
                    *open = false;
                    self.scopes.pop();
                    self.loops -= 1;
                }
                Some(())
            }
            "endif" => (self.blocks.pop()? == Block::If).then_some(()),
            "for" => self.for_tag(),
            "endfor" => {
                if self.blocks.pop()? == Block::For(true) {
                    self.scopes.pop();
                    self.loops -= 1;
                }
                Some(())
            }
            "break" | "continue" => Some(()),
            "set" | "set_global" => {
                let (variable, place) = self.name()?;
                self.reserved(variable, place);
                if !self.eat("=") {
                    return self.refuse(span, "a `set` block", "write `{% set name = … %}`");
                }
                let start = self.span().start;
                self.expression(true)?;
                let end = self.end();
                self.wrap(start..end, ")|__keep");
                if name == "set_global" {
                    self.scopes.first_mut()?.push(variable.into());
                } else {
                    self.bind(variable);
                }
                Some(())
            }
            "filter" => self.refuse(span, "a `filter` section", "put the filter behind the expression: `{{ x | … }}`"),
            "<" | "component" | "endcomponent" => self.refuse(span, "a component", "write the text out"),
            other => {
                let what = format!("`{{% {other} %}}`");
                self.refuse(span, &what, "a template stands alone: it has `if`, `for`, `set` and `raw`")
            }
        }
    }

    /// Not available; the rest of the tag is skipped.
    fn refuse(&mut self, span: Range<usize>, what: &str, help: &str) -> Option<()> {
        self.fault(span, format!("{what} is not available here"), Some(help.into()));
        // What follows may belong to it; one finding is enough.
        self.at = self.tokens.len();
        None
    }

    fn for_tag(&mut self) -> Option<()> {
        let mut names = vec![self.name()?];
        if self.eat(",") {
            names.push(self.name()?);
        }
        self.expect_word("in")?;
        let start = self.span().start;
        self.expression(true)?;
        let end = self.end();
        self.wrap(start..end, ")|__loop");
        for (name, span) in &names {
            self.reserved(name, span.clone());
        }
        self.scopes.push(names.into_iter().map(|(name, _)| name.into()).collect());
        self.blocks.push(Block::For(true));
        self.loops += 1;
        Some(())
    }

    fn reserved(&mut self, name: &str, span: Range<usize>) {
        if WORDS.contains(&name) {
            self.fault(span, format!("`{name}` is a word of the language, not a name"), None);
        } else if name.starts_with("__") {
            self.fault(span, format!("`{name}`: names with two underscores at the start are not available"), None);
        }
    }

    /// Operands with operators between them. Without `ternary`, an `if` after it belongs to someone else.
    fn expression(&mut self, ternary: bool) -> Option<()> {
        let mut before = "";
        loop {
            self.operand(before)?;
            loop {
                if self.eat("|") {
                    self.filter()?;
                } else if self.sign("[") {
                    self.subscript()?;
                } else if self.word("is") {
                    self.at += 1;
                    if self.word("not") {
                        self.at += 1;
                    }
                    let (name, span) = self.name()?;
                    let known = self.known.tests;
                    self.known_name("test", name, span, known);
                    self.arguments()?;
                } else {
                    break;
                }
            }
            match self.peek() {
                Some((Kind::Name, word @ ("and" | "or" | "in"))) => {
                    before = word;
                    self.at += 1;
                }
                Some((Kind::Name, "not")) => {
                    self.at += 1;
                    self.expect_word("in")?;
                    before = "in";
                }
                Some((Kind::Name, "if")) if ternary => {
                    self.at += 1;
                    self.expression(true)?;
                    self.expect_word("else")?;
                    return self.expression(true);
                }
                Some((
                    Kind::Sign,
                    sign @ ("+" | "-" | "*" | "/" | "//" | "%" | "**" | "==" | "!=" | "<" | ">" | "<=" | ">=" | "~"),
                )) => {
                    before = sign;
                    self.at += 1;
                }
                _ => return Some(()),
            }
        }
    }

    fn filter(&mut self) -> Option<()> {
        let (name, span) = self.name()?;
        let known = self.known.filters;
        self.known_name("filter", name, span, known);
        self.arguments()
    }

    fn known_name(&mut self, what: &str, name: &str, span: Range<usize>, known: &[&str]) {
        if !known.contains(&name) {
            let help = crate::diagnostic::nearest(name, known.iter().copied())
                .map(|nearest| format!("did you mean `{nearest}`?"))
                .or_else(|| Some(format!("there are: {}", known.join(", "))));
            self.fault(span, format!("there is no {what} `{name}`"), help);
        }
    }

    /// `(name=expression, …)`, if there is one.
    fn arguments(&mut self) -> Option<()> {
        if !self.eat("(") {
            return Some(());
        }
        while !self.eat(")") {
            if self.eat(",") {
                continue;
            }
            self.name()?;
            self.expect("=")?;
            self.expression(true)?;
        }
        Some(())
    }

    /// `before` is the operator on its left, empty where there is none.
    fn operand(&mut self, before: &str) -> Option<()> {
        match self.peek()? {
            (Kind::Str | Kind::Number, _) => {
                self.at += 1;
                Some(())
            }
            (Kind::Sign, "-") | (Kind::Name, "not") => {
                self.at += 1;
                self.operand("not")
            }
            (Kind::Sign, "(") => {
                self.at += 1;
                self.expression(true)?;
                self.expect(")")
            }
            (Kind::Sign, "[") => self.list(),
            (Kind::Sign, "{") => self.map(),
            (Kind::Sign, "<") => {
                let span = self.span();
                self.refuse(span, "a component", "write the text out")
            }
            (Kind::Name, name) => {
                let span = self.span();
                self.at += 1;
                if self.sign("(") {
                    let known = self.known.functions;
                    self.known_name("function", name, span, known);
                    return self.arguments();
                }
                if LITERALS.contains(&name) {
                    return Some(());
                }
                self.path(name, span, before)
            }
            _ => None,
        }
    }

    fn path(&mut self, name: &str, root_span: Range<usize>, before: &str) -> Option<()> {
        self.reserved(name, root_span.clone());
        if name == "loop" && self.loops > 0 {
            // Tera's own; its fields were checked when it was parsed.
            while self.eat(".") {
                self.at += 1;
            }
            return Some(());
        }
        let bound = self.scopes.iter().any(|scope| scope.iter().any(|known| known == name));
        let slot = self.out.paths.len();
        let span = root_span.clone();
        self.out.paths.push(Path { root: name.into(), root_span, span, segments: Vec::new(), bound, guarded: false });
        let mut optional = false;
        let mut first_optional = false;
        loop {
            let question = self.sign("?.") || self.sign("?[");
            let key = if self.eat(".") || self.eat("?.") {
                Key::Name(self.name()?.0.into())
            } else if self.sign("[") || self.sign("?[") {
                self.subscript()?
            } else {
                break;
            };
            optional |= question;
            first_optional |= question && self.out.paths[slot].segments.is_empty();
            let end = self.end();
            self.out.paths[slot].segments.push(Segment { key, end });
            self.out.paths[slot].span.end = end;
        }
        let bare = self.out.paths[slot].segments.is_empty();
        let way_out = match self.peek() {
            Some((Kind::Name, "or")) => matches!(before, "" | "and" | "or"),
            Some((Kind::Sign, "|")) => self.peek_at(1) == Some((Kind::Name, "default")),
            Some((Kind::Name, "is")) => {
                let ahead = 1 + usize::from(self.peek_at(1) == Some((Kind::Name, "not")));
                matches!(self.peek_at(ahead), Some((Kind::Name, "defined" | "undefined")))
            }
            _ => false,
        };
        if bare && self.word("is") && way_out {
            self.out.tested.push(name.into());
        }
        // The last of several alternatives may be a doubtful name too: that one of them is there is proven when it is read.
        let alternative = before == "or";
        self.out.paths[slot].guarded = (bare && (way_out || alternative)) || first_optional;
        if !way_out && !optional {
            self.edit(self.end(), "|__def");
        }
        Some(())
    }

    /// `[key]` or `[from:to:step]`, or the same behind a question mark.
    fn subscript(&mut self) -> Option<Key> {
        self.at += 1;
        let key = match (self.peek()?, self.peek_at(1)?) {
            ((Kind::Str, text), (Kind::Sign, "]")) if !text.contains('\\') => Key::Name(text[1..text.len() - 1].into()),
            ((Kind::Number, digits), (Kind::Sign, "]")) => digits.parse().map_or(Key::Computed, Key::Index),
            _ => Key::Computed,
        };
        while !self.eat("]") {
            if !self.eat(":") {
                self.expression(true)?;
            }
        }
        Some(key)
    }

    /// A list, or a comprehension: `[x.name for x in xs if x.on]`.
    fn list(&mut self) -> Option<()> {
        self.expect("[")?;
        // A comprehension binds its names before they stand in the text, so look ahead for its `for`.
        let start = self.at;
        let paths = self.out.paths.len();
        let edits = self.out.edits.len();
        let faults = self.out.faults.len();
        if !self.sign("]") && !self.sign("...") {
            self.expression(true)?;
            if self.word("for") {
                let item_end = self.end();
                self.at += 1;
                let mut names = vec![self.name()?];
                if self.eat(",") {
                    names.push(self.name()?);
                }
                self.expect_word("in")?;
                self.out.paths.truncate(paths);
                self.out.edits.truncate(edits);
                self.out.faults.truncate(faults);
                let target = self.span().start;
                self.expression(false)?;
                let target_end = self.end();
                self.wrap(target..target_end, ")|__loop");
                for (name, span) in &names {
                    self.reserved(name, span.clone());
                }
                self.scopes.push(names.into_iter().map(|(name, _)| name.into()).collect());
                if self.word("if") {
                    self.at += 1;
                    self.expression(false)?;
                }
                let close = self.at;
                self.expect("]")?;
                self.at = start;
                let item = self.span().start;
                self.expression(true)?;
                self.wrap(item..item_end, ")|__keep");
                self.scopes.pop();
                self.at = close + 1;
                return Some(());
            }
        }
        while !self.eat("]") {
            if self.eat(",") || self.eat("...") {
                continue;
            }
            self.expression(true)?;
        }
        Some(())
    }

    fn map(&mut self) -> Option<()> {
        self.expect("{")?;
        while !self.eat("}") {
            if self.eat(",") {
                continue;
            }
            if self.eat("...") {
                self.expression(true)?;
                continue;
            }
            self.at += 1;
            self.expect(":")?;
            self.expression(true)?;
        }
        Some(())
    }
}
