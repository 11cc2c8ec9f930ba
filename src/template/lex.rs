//! Owns cutting a template into tokens with their places.
//! Deliberately judges nothing: Tera says what is valid; this only has to see valid templates as Tera does.

use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text between tags; also the inside of `{% raw %}`.
    Text,
    Comment,
    /// `{{` or `{{-`.
    OpenPrint,
    /// `}}` or `-}}`.
    ClosePrint,
    /// `{%` or `{%-`.
    OpenTag,
    /// `%}` or `-%}`.
    CloseTag,
    Name,
    Str,
    Number,
    /// Anything else, one or two characters (or `...`).
    Sign,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub span: Range<usize>,
}

/// The tokens of a template, and whether it could be read to its end.
pub fn tokens(text: &str) -> (Vec<Token>, bool) {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new() };
    let complete = lexer.template().is_some();
    (lexer.tokens, complete)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
}

const TWO: [&str; 9] = ["//", "**", "==", "!=", ">=", "<=", "</", "?.", "?["];

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn push(&mut self, kind: Kind, length: usize) {
        self.tokens.push(Token { kind, span: self.at..self.at + length });
        self.at += length;
    }

    /// A tag's opening with or without the minus that eats white space.
    fn open(&mut self, kind: Kind) {
        let length = if self.rest().as_bytes().get(2) == Some(&b'-') { 3 } else { 2 };
        self.push(kind, length);
    }

    fn template(&mut self) -> Option<()> {
        while !self.rest().is_empty() {
            if self.rest().starts_with("{{") {
                self.open(Kind::OpenPrint);
                self.inside("}}", Kind::ClosePrint)?;
            } else if self.rest().starts_with("{#") {
                let length = self.rest()[2..].find("#}")? + 4;
                self.push(Kind::Comment, length);
            } else if self.rest().starts_with("{%") {
                match raw_length(self.rest()) {
                    Raw::Closed(length) => self.push(Kind::Text, length),
                    Raw::Open => return None,
                    Raw::No => {
                        self.open(Kind::OpenTag);
                        self.inside("%}", Kind::CloseTag)?;
                    }
                }
            } else {
                let rest = self.rest();
                let length = ["{{", "{%", "{#"].iter().filter_map(|open| rest.find(open)).min();
                let length = length.unwrap_or(rest.len());
                self.push(Kind::Text, length);
            }
        }
        Some(())
    }

    fn inside(&mut self, close: &str, kind: Kind) -> Option<()> {
        loop {
            let skipped = self.rest().bytes().take_while(u8::is_ascii_whitespace).count();
            self.at += skipped;
            let rest = self.rest();
            let bytes = rest.as_bytes();
            let first = *bytes.first()?;
            if rest.starts_with(close) {
                self.push(kind, 2);
                return Some(());
            }
            if first == b'-' && rest[1..].starts_with(close) {
                self.push(kind, 3);
                return Some(());
            }
            if rest.starts_with("...") {
                self.push(Kind::Sign, 3);
            } else if TWO.iter().any(|two| rest.starts_with(two)) {
                self.push(Kind::Sign, 2);
            } else if matches!(first, b'\'' | b'"' | b'`') {
                let length = string_length(bytes)?;
                self.push(Kind::Str, length);
            } else if first.is_ascii_digit() {
                let mut dots = 0;
                let length = bytes
                    .iter()
                    .take_while(|byte| {
                        dots += usize::from(**byte == b'.');
                        byte.is_ascii_digit() || (**byte == b'.' && dots == 1)
                    })
                    .count();
                self.push(Kind::Number, length);
            } else if first == b'_' || first.is_ascii_alphabetic() {
                let length = bytes.iter().take_while(|byte| **byte == b'_' || byte.is_ascii_alphanumeric()).count();
                self.push(Kind::Name, length);
            } else if first.is_ascii_punctuation() {
                self.push(Kind::Sign, 1);
            } else {
                return None;
            }
        }
    }
}

/// Length of a quoted string with its quotes.
fn string_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match *bytes.get(at)? {
            b'\\' => at += 2,
            byte if byte == bytes[0] => return Some(at + 1),
            _ => at += 1,
        }
    }
}

enum Raw {
    No,
    Open,
    /// Length of the whole block, tags included.
    Closed(usize),
}

fn raw_length(rest: &str) -> Raw {
    // The minus that eats white space belongs to the opening; Tera takes one more in `skip_tag`, so does this.
    let start = if rest.as_bytes().get(2) == Some(&b'-') { 3 } else { 2 };
    let Some(mut at) = named_tag(&rest[start..], "raw").map(|length| start + length) else { return Raw::No };
    while let Some(found) = rest[at..].find("{%") {
        at += found + 2;
        if let Some(length) = named_tag(&rest[at..], "endraw") {
            return Raw::Closed(at + length);
        }
    }
    Raw::Open
}

/// Length of ` NAME %}` where `rest` starts with it.
fn named_tag(rest: &str, name: &str) -> Option<usize> {
    let white = |c: char| c.is_ascii_whitespace();
    let after = rest.strip_prefix('-').unwrap_or(rest).trim_start_matches(white).strip_prefix(name)?;
    let after = after.trim_start_matches(white);
    let after = after.strip_prefix('-').unwrap_or(after).strip_prefix("%}")?;
    Some(rest.len() - after.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        tokens(text).0.into_iter().map(|token| (token.kind, &text[token.span])).collect()
    }

    #[test]
    fn brackets_in_strings_do_not_close_a_tag() {
        assert_eq!(
            kinds("a{{- 'x}}' ~ y -}}b"),
            vec![
                (Kind::Text, "a"),
                (Kind::OpenPrint, "{{-"),
                (Kind::Str, "'x}}'"),
                (Kind::Sign, "~"),
                (Kind::Name, "y"),
                (Kind::ClosePrint, "-}}"),
                (Kind::Text, "b"),
            ]
        );
    }

    #[test]
    fn raw_and_comments_hold_no_tokens() {
        assert_eq!(
            kinds("{# {{ a }} #}{% raw %}{{ b }}{% endraw %}{{ c }}").iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
            vec![Kind::Comment, Kind::Text, Kind::OpenPrint, Kind::Name, Kind::ClosePrint]
        );
    }

    #[test]
    fn what_is_not_closed_is_not_complete() {
        for text in ["{{ a", "{{ 'a }}", "{# a", "{% raw %}", "{{ ü }}"] {
            assert!(!tokens(text).1, "{text}");
        }
        assert!(tokens("a { b } {").1);
    }
}
