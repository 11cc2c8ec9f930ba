//! Owns masking of what comes in pieces: a secret may be cut by the pieces' borders.
//! Deliberately knows nothing of forms, nor of what is behind the writer.
//!
//! Held back is only what may be the start of a secret, so that a prompt without a line end is seen at once.

use super::masker::{Automaton, Masker, STARS, State};
use std::io::{self, Write};
use std::sync::Arc;

/// A held tail up to this long goes out at a flush: so few characters tell nothing, and a prompt may end in them.
const HARMLESS: usize = 3;

/// Masks bytes that come in pieces; what comes out is the same however they are cut.
pub struct MaskStream {
    masker: Masker,
    automaton: Option<Arc<Automaton>>,
    state: State,
    /// Not given out yet.
    held: Vec<u8>,
    /// Runs of `held` that belong to secrets, in order, not touching each other.
    covered: Vec<(usize, usize)>,
    /// The last that went out were stars, and they stand for what follows too if that is covered from its start.
    open: bool,
}

impl MaskStream {
    pub(super) fn new(masker: Masker) -> MaskStream {
        let mut stream = MaskStream {
            masker,
            automaton: None,
            state: State::default(),
            held: Vec::new(),
            covered: Vec::new(),
            open: false,
        };
        stream.refresh();
        stream
    }

    /// Takes a piece; gives what can be told of it and of what was held before.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        self.refresh();
        let Some(automaton) = self.automaton.clone() else { return piece.to_vec() };
        let from = self.held.len();
        self.held.extend_from_slice(piece);
        self.scan(&automaton, from);
        let keep = automaton.depth(self.state).min(self.held.len());
        self.give(self.held.len() - keep)
    }

    /// What is still held: nothing follows.
    pub fn finish(&mut self) -> Vec<u8> {
        let rest = self.give(self.held.len());
        self.state = self.automaton.as_ref().map(|automaton| automaton.start()).unwrap_or_default();
        self.open = false;
        rest
    }

    /// What may go out although it may be the start of a secret: a whole line (secrets of several lines are also known
    /// line by line), or a few characters. Should a secret go on from there, the rest of it is still hidden.
    pub fn flush(&mut self) -> Vec<u8> {
        let safe = self.held.ends_with(b"\n") || self.held.len() <= HARMLESS;
        self.give(if safe { self.held.len() } else { 0 })
    }

    /// Secrets may have been learned since the last piece.
    fn refresh(&mut self) {
        let current = self.masker.automaton();
        let same = match (&self.automaton, &current) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (None, None) => true,
            _ => false,
        };
        if !same {
            self.automaton = current;
            if let Some(automaton) = self.automaton.clone() {
                self.state = automaton.start();
                self.scan(&automaton, 0);
            }
        }
    }

    fn scan(&mut self, automaton: &Automaton, from: usize) {
        for index in from..self.held.len() {
            self.state = automaton.step(self.state, self.held[index]);
            if let Some(length) = automaton.ends(self.state) {
                // What went out at a flush is gone; the rest of that secret is not.
                self.cover((index + 1).saturating_sub(length), index + 1);
            }
        }
    }

    fn cover(&mut self, mut start: usize, mut end: usize) {
        while let Some((before, until)) = self.covered.last().copied().filter(|(_, until)| *until >= start) {
            start = start.min(before);
            end = end.max(until);
            self.covered.pop();
        }
        self.covered.push((start, end));
    }

    /// Gives out the first bytes of what is held.
    fn give(&mut self, upto: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(upto);
        let mut at = 0;
        for (start, end) in std::mem::take(&mut self.covered) {
            if start >= upto {
                self.covered.push((start - upto, end - upto));
                continue;
            }
            if start > at {
                out.extend_from_slice(&self.held[at..start]);
                self.open = false;
            }
            if !self.open {
                out.extend_from_slice(STARS);
                self.open = true;
            }
            at = end.min(upto);
            if end > upto {
                self.covered.push((0, end - upto));
            }
        }
        if at < upto {
            out.extend_from_slice(&self.held[at..upto]);
            self.open = false;
        }
        self.held.drain(..upto);
        out
    }
}

/// Masks what is written through it.
pub struct MaskWriter<W: Write> {
    stream: MaskStream,
    /// `None` once it was given back.
    inner: Option<W>,
}

impl<W: Write> MaskWriter<W> {
    pub(super) fn new(stream: MaskStream, inner: W) -> MaskWriter<W> {
        MaskWriter { stream, inner: Some(inner) }
    }

    /// Writes what is still held, and gives the writer back.
    pub fn finish(mut self) -> io::Result<W> {
        let rest = self.stream.finish();
        let mut inner = self.inner.take().ok_or_else(|| io::Error::other("the writer is gone"))?;
        inner.write_all(&rest)?;
        inner.flush()?;
        Ok(inner)
    }

    fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.inner {
            Some(inner) if !bytes.is_empty() => inner.write_all(bytes),
            _ => Ok(()),
        }
    }
}

impl<W: Write> Write for MaskWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let out = self.stream.push(bytes);
        self.pass(&out)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let out = self.stream.flush();
        self.pass(&out)?;
        self.inner.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl<W: Write> Drop for MaskWriter<W> {
    fn drop(&mut self) {
        let rest = self.stream.finish();
        let _ = self.pass(&rest);
        let _ = self.inner.as_mut().map_or(Ok(()), Write::flush);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn knowing(secrets: &[&str]) -> Masker {
        let masker = Masker::default();
        secrets.iter().for_each(|secret| masker.learn(secret));
        masker
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn only_the_start_of_a_secret_is_held() {
        let mut stream = knowing(&["s3cr3t-token"]).stream();
        assert_eq!(text(stream.push(b"Password: ")), "Password: ");
        assert_eq!(text(stream.push(b"is s3cr")), "is ");
        assert_eq!(text(stream.push(b"3t-to")), "");
        assert_eq!(text(stream.push(b"ken!")), "***!");
        assert_eq!(text(stream.push(b"s3cret")), "s3cret");
        assert_eq!(text(stream.push(b" s3")), " ");
        assert_eq!(text(stream.finish()), "s3");
    }

    #[test]
    fn a_flush_lets_a_prompt_go() {
        let mut out = Vec::new();
        let mut writer = knowing(&["s3cr3t-token"]).writer(&mut out);
        write!(writer, "Token for s").unwrap();
        writer.flush().unwrap();
        assert_eq!(writer.inner.as_ref().unwrap().as_slice(), b"Token for s");
        // Should it be a secret after all, its rest is hidden.
        write!(writer, "3cr3t-token\nxs3cr3t-").unwrap();
        writer.flush().unwrap();
        assert_eq!(writer.inner.as_ref().unwrap().as_slice(), b"Token for s***\nx");
        drop(writer);
        assert_eq!(text(out), "Token for s***\nxs3cr3t-");
    }

    #[test]
    fn secrets_learned_on_the_way_count() {
        let masker = Masker::default();
        let mut stream = masker.stream();
        assert_eq!(text(stream.push(b"a s3cr3t ")), "a s3cr3t ");
        masker.learn("s3cr3t");
        assert_eq!(text(stream.push(b"b s3c")), "b ");
        masker.learn("s3c-other");
        assert_eq!(text(stream.push(b"r3t !")), "*** !");
        assert_eq!(text(masker.writer(Vec::new()).finish().unwrap()), "");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn the_cuts_make_no_difference(
            secrets in proptest::collection::vec("[abc]{6,9}", 0..6),
            whole in "[abc]{0,60}",
            cuts in proptest::collection::vec(1_usize..9, 1..40),
        ) {
            let masker = knowing(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
            let mut stream = masker.stream();
            let mut out = Vec::new();
            let mut rest = whole.as_bytes();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                out.append(&mut stream.push(piece));
                rest = after;
            }
            out.append(&mut stream.finish());
            prop_assert_eq!(text(out), masker.mask(&whole).into_owned());
            // And what is hidden is what the secrets cover, no more and no less.
            let mut covered = vec![false; whole.len()];
            for secret in &secrets {
                for start in 0..whole.len() {
                    if whole[start..].starts_with(secret.as_str()) {
                        covered[start..start + secret.len()].fill(true);
                    }
                }
            }
            let mut want = String::new();
            for (index, c) in whole.char_indices() {
                match (covered[index], index > 0 && covered[index - 1]) {
                    (false, _) => want.push(c),
                    (true, false) => want.push_str("***"),
                    (true, true) => {}
                }
            }
            prop_assert_eq!(masker.mask(&whole).into_owned(), want);
        }
    }
}
