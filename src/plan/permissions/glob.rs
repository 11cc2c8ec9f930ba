//! Owns globs over paths: `*` within a segment, `**` for any number of segments, matching and covering.
//! Deliberately knows nothing of URLs, files or what a segment's bytes were before.

/// A glob over the segments of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// `**`: any number of segments, also none.
    Any,
    Like(Vec<Token>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Byte(u8),
    /// `*`: any bytes, also none; alone in a segment at least one, so that `/items/*` is not `/items/`.
    Star,
    /// `?`: one byte.
    One,
}

impl Glob {
    pub(super) fn new(segments: Vec<Segment>) -> Glob {
        Glob(segments)
    }

    /// Whether it fits every path.
    pub(super) fn is_everything(&self) -> bool {
        self.0 == [Segment::Any]
    }

    pub(super) fn fits<S: AsRef<[u8]>>(&self, path: &[S]) -> bool {
        align(
            &self.0,
            path,
            |_| false,
            |segment, part| match segment {
                Segment::Any => true,
                Segment::Like(tokens) => segment_fits(tokens, part.as_ref()),
            },
        )
    }

    /// Whether every path that fits `other` fits this one too. Errs on the side of no.
    pub(super) fn covers(&self, other: &Glob) -> bool {
        align(
            &self.0,
            &other.0,
            |part| *part == Segment::Any,
            |segment, part| match (segment, part) {
                (Segment::Any, _) => true,
                (Segment::Like(tokens), Segment::Like(others)) => segment_covers(tokens, others),
                (Segment::Like(_), Segment::Any) => false,
            },
        )
    }
}

/// Whether the pattern, whose `Any` takes up any number of parts, uses up all parts. Rows of a table instead of
/// recursion: no pattern makes it slow.
fn align<P>(
    pattern: &[Segment],
    parts: &[P],
    only_any_takes: impl Fn(&P) -> bool,
    takes: impl Fn(&Segment, &P) -> bool,
) -> bool {
    let mut reached = vec![false; parts.len() + 1];
    reached[0] = true;
    for segment in pattern {
        let is_any = *segment == Segment::Any;
        let mut next = vec![false; parts.len() + 1];
        next[0] = is_any && reached[0];
        for (index, part) in parts.iter().enumerate() {
            next[index + 1] = if is_any {
                reached[index + 1] || next[index]
            } else {
                reached[index] && !only_any_takes(part) && takes(segment, part)
            };
        }
        reached = next;
    }
    reached[parts.len()]
}

fn segment_fits(tokens: &[Token], text: &[u8]) -> bool {
    if tokens == [Token::Star] {
        return !text.is_empty();
    }
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for token in tokens {
        let mut next = vec![false; text.len() + 1];
        next[0] = *token == Token::Star && reached[0];
        for (index, byte) in text.iter().enumerate() {
            next[index + 1] = match token {
                Token::Star => reached[index + 1] || next[index],
                Token::One => reached[index],
                Token::Byte(wanted) => reached[index] && wanted == byte,
            };
        }
        reached = next;
    }
    reached[text.len()]
}

/// The same table over the other pattern's tokens: its star can only be taken up by a star.
fn segment_covers(tokens: &[Token], others: &[Token]) -> bool {
    if tokens == [Token::Star] {
        // Several stars fit an empty segment, which one alone does not.
        return others == [Token::Star] || others.iter().any(|token| *token != Token::Star);
    }
    let mut reached = vec![false; others.len() + 1];
    reached[0] = true;
    for token in tokens {
        let mut next = vec![false; others.len() + 1];
        next[0] = *token == Token::Star && reached[0];
        for (index, other) in others.iter().enumerate() {
            next[index + 1] = match token {
                Token::Star => reached[index + 1] || next[index],
                Token::One => reached[index] && *other != Token::Star,
                Token::Byte(_) => reached[index] && token == other,
            };
        }
        reached = next;
    }
    reached[others.len()]
}

/// Whether every name that fits `other` fits `rule` too. Errs on the side of no.
pub fn name_covers(rule: &str, other: &str) -> bool {
    segment_covers(&name_tokens(rule), &name_tokens(other))
}

fn name_tokens(rule: &str) -> Vec<Token> {
    rule.bytes().map(|byte| if byte == b'*' { Token::Star } else { Token::Byte(byte) }).collect()
}

/// Whether a name fits a rule in which `*` stands for any characters.
pub(super) fn name_fits(rule: &str, name: &str) -> bool {
    segment_fits(&name_tokens(rule), name.as_bytes())
}
