//! Owns reading expressions: operators, paths with their ways out, filters, lists and comprehensions.
//! Deliberately knows nothing of tags. Precedence does not matter to what is sought here.

use super::analyse::{Key, Path, Segment};
use super::lex::Kind;
use super::walk::{LITERALS, Walk};
use std::ops::Range;

/// Tera's own filters that make several letters of one.
const SWELLING: [&str; 4] = ["escape", "escape_html", "escape_xml", "newlines_to_br"];

impl<'a> Walk<'a> {
    /// Operands with operators between them. Without `ternary`, an `if` after it belongs to someone else.
    pub(super) fn expression(&mut self, ternary: bool) -> Option<()> {
        let mut before = "";
        loop {
            let (start, literal) = (self.at, matches!(self.peek()?.0, Kind::Str | Kind::Number));
            self.operand(before)?;
            loop {
                if self.eat("|") {
                    self.filter()?;
                } else if self.sign("[") {
                    let sliced = self.subscript()?.is_none();
                    if sliced {
                        self.made();
                    }
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
            // Nothing binds as closely that gives more than a number: its operands stand right beside it.
            if (before == "~" || self.sign("~")) && !(literal && self.at == start + 1) {
                self.count();
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
        let before = self.end() - 1;
        let (name, span) = self.name()?;
        let known = self.known.filters;
        self.known_name("filter", name, span, known);
        if SWELLING.contains(&name) {
            self.edit(before, "|__small");
        }
        self.arguments()?;
        self.made();
        Some(())
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
                    self.arguments()?;
                    self.made();
                    return Some(());
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
        let mut sliced = false;
        loop {
            let question = self.sign("?.") || self.sign("?[");
            let key = if self.eat(".") || self.eat("?.") {
                Key::Name(self.name()?.0.into())
            } else if self.sign("[") || self.sign("?[") {
                let key = self.subscript()?;
                sliced |= key.is_none();
                key.unwrap_or(Key::Computed)
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
        if sliced {
            self.made();
        }
        Some(())
    }

    /// `[key]`, or the same behind a question mark; without a key where it is `[from:to:step]`.
    fn subscript(&mut self) -> Option<Option<Key>> {
        self.at += 1;
        let key = match (self.peek()?, self.peek_at(1)?) {
            ((Kind::Str, text), (Kind::Sign, "]")) if !text.contains('\\') => Key::Name(text[1..text.len() - 1].into()),
            ((Kind::Number, digits), (Kind::Sign, "]")) => digits.parse().map_or(Key::Computed, Key::Index),
            _ => Key::Computed,
        };
        let mut sliced = false;
        while !self.eat("]") {
            if self.eat(":") {
                sliced = true;
            } else {
                self.expression(true)?;
            }
        }
        Some((!sliced).then_some(key))
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
