//! Owns reading a template's tokens: its tags, and which names they bind. Expressions are read in `expression`.
//! Deliberately trusts that Tera has found the text valid; what it does not understand is a fault all the same.
//!
//! On the way it notes where hidden filters (`__…`) are to be put in, where Tera is laxer than a playbook may be: an
//! undefined operand is an error wherever it stands (Tera lets `x.typo == 1` be false), null is no text, and loops are
//! counted.

use super::analyse::{Analysis, Edit, Fault};
use super::lex::{Kind, Token};
use std::ops::Range;

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
        makers: 0,
        counted: false,
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
pub const WORDS: [&str; 9] = ["if", "else", "elif", "for", "in", "is", "not", "and", "or"];
pub const LITERALS: [&str; 7] = ["true", "True", "false", "False", "none", "None", "null"];

#[derive(PartialEq)]
pub enum Block {
    If,
    /// A loop, and whether its own scope is still open (it is not in its `else`).
    For(bool),
}

pub struct Walk<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: &'a [Token],
    pub(super) known: &'a Known<'a>,
    pub(super) at: usize,
    /// Names bound by the template; the first scope is the template's own.
    pub(super) scopes: Vec<Vec<String>>,
    pub(super) blocks: Vec<Block>,
    /// How many loops' bodies are open: `loop` is a name there.
    pub(super) loops: usize,
    /// What of the expression at hand may make something large: filters, calls, slices.
    pub(super) makers: usize,
    /// Whether what it makes is counted.
    pub(super) counted: bool,
    pub(super) out: Analysis,
}

/// So much may be made uncounted in one expression: most make nothing large, and counting takes time.
const UNCOUNTED: usize = 3;

impl<'a> Walk<'a> {
    pub(super) fn peek(&self) -> Option<(Kind, &'a str)> {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Option<(Kind, &'a str)> {
        self.tokens.get(self.at + ahead).map(|token| (token.kind, &self.text[token.span.clone()]))
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.tokens.get(self.at).map_or(self.text.len()..self.text.len(), |token| token.span.clone())
    }

    /// Where the token before this one ended.
    pub(super) fn end(&self) -> usize {
        self.at.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(0, |token| token.span.end)
    }

    pub(super) fn sign(&self, sign: &str) -> bool {
        self.peek() == Some((Kind::Sign, sign))
    }

    pub(super) fn word(&self, word: &str) -> bool {
        self.peek() == Some((Kind::Name, word))
    }

    pub(super) fn eat(&mut self, sign: &str) -> bool {
        let found = self.sign(sign);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, sign: &str) -> Option<()> {
        self.eat(sign).then_some(())
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Option<()> {
        let found = self.word(word);
        self.at += usize::from(found);
        found.then_some(())
    }

    pub(super) fn name(&mut self) -> Option<(&'a str, Range<usize>)> {
        let (kind, text) = self.peek()?;
        let span = self.span();
        (kind == Kind::Name).then(|| {
            self.at += 1;
            (text, span)
        })
    }

    pub(super) fn fault(&mut self, span: Range<usize>, message: String, help: Option<String>) {
        self.out.faults.push(Fault { span, message, help });
    }

    pub(super) fn edit(&mut self, at: usize, text: &'static str) {
        self.out.edits.push(Edit { at, text });
    }

    pub(super) fn wrap(&mut self, span: Range<usize>, after: &'static str) {
        self.edit(span.start, "(");
        self.edit(span.end, after);
    }

    /// A value was made that ends here.
    pub(super) fn made(&mut self) {
        self.makers += 1;
        if self.makers > UNCOUNTED {
            self.count();
        }
    }

    /// The value that ends here is counted.
    pub(super) fn count(&mut self) {
        self.counted = true;
        let end = self.end();
        match self.out.edits.last_mut() {
            // One filter for both: Tera takes only so many in an expression.
            Some(edit) if edit.at == end && edit.text == "|__def" => edit.text = "|__part",
            Some(edit) if edit.at == end && matches!(edit.text, "|__part" | "|__made") => {}
            _ => self.edit(end, "|__made"),
        }
    }

    /// The expression of a tag or of braces.
    fn whole_expression(&mut self) -> Option<Range<usize>> {
        (self.makers, self.counted) = (0, false);
        let start = self.span().start;
        self.expression(true)?;
        Some(start..self.end())
    }

    /// That of an `if`: nothing of it is kept.
    fn condition(&mut self) -> Option<()> {
        let span = self.whole_expression()?;
        if self.counted {
            self.wrap(span, ")|__done");
        }
        Some(())
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
                let span = self.whole_expression()?;
                self.out.prints.push((span, self.counted));
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
                self.condition()
            }
            "elif" => self.condition(),
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
                let span = self.whole_expression()?;
                self.wrap(span, if self.counted { ")|__keep|__done" } else { ")|__keep" });
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
    pub(super) fn refuse(&mut self, span: Range<usize>, what: &str, help: &str) -> Option<()> {
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
        let span = self.whole_expression()?;
        // What was made for the loop is there until it ends, and further loops may stand within.
        self.wrap(
            span,
            match (self.counted, self.makers) {
                (true, _) => ")|__keep|__loop|__done",
                (false, 0) => ")|__loop",
                (false, _) => ")|__keep|__loop",
            },
        );
        for (name, span) in &names {
            self.reserved(name, span.clone());
        }
        self.scopes.push(names.into_iter().map(|(name, _)| name.into()).collect());
        self.blocks.push(Block::For(true));
        self.loops += 1;
        Some(())
    }

    pub(super) fn reserved(&mut self, name: &str, span: Range<usize>) {
        if WORDS.contains(&name) {
            self.fault(span, format!("`{name}` is a word of the language, not a name"), None);
        } else if name.starts_with("__") {
            self.fault(span, format!("`{name}`: names with two underscores at the start are not available"), None);
        }
    }
}
