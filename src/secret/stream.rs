//! Owns masking of what comes in pieces: a secret may be cut by the pieces' borders.
//! Deliberately knows nothing of forms, nor of what is behind the writer.
//!
//! Held back is only what may be the start of a secret, so that a prompt without a line end is seen at once. What need
//! not be held is not copied.

use super::masker::{Masker, STARS};
use super::search::{Reading, Search, run_before};
use std::convert::Infallible;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

/// A held tail up to this long goes out at a flush: so few characters tell nothing, and a prompt may end in them.
const HARMLESS: usize = 3;

/// Masks bytes that come in pieces; what comes out is the same however they are cut.
pub struct MaskStream {
    masker: Masker,
    /// `None` while nothing is to be hidden.
    search: Option<Arc<Search>>,
    reading: Reading,
    /// Not given out yet.
    held: Vec<u8>,
    covers: Covers,
    /// The last that went out were stars, and they stand for what follows too if that is covered from its start.
    open: bool,
}

impl MaskStream {
    pub(super) fn new(masker: Masker) -> MaskStream {
        let mut stream = MaskStream {
            masker,
            search: None,
            reading: Reading::default(),
            held: Vec::new(),
            covers: Covers::default(),
            open: false,
        };
        stream.refresh();
        stream
    }

    /// Takes a piece; gives what can be told of it and of what was held before.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.held.len() + piece.len());
        self.take(piece, &mut |bytes| out.extend_from_slice(bytes));
        out
    }

    /// What is still held: nothing follows.
    pub fn finish(&mut self) -> Vec<u8> {
        let rest = self.all();
        self.reading = self.search.as_ref().map(|search| search.begin()).unwrap_or_default();
        self.open = false;
        rest
    }

    /// What may go out although it may be the start of a secret: a whole line (secrets of several lines are also known
    /// line by line), or a few characters. Should a secret go on from there, the rest of it is still hidden.
    pub fn flush(&mut self) -> Vec<u8> {
        let encoded = self.search.as_ref().map_or(0, |search| search.encoded(&self.reading));
        let safe = self.held.len() <= HARMLESS || self.held.ends_with(b"\n") && encoded <= HARMLESS;
        if safe { self.all() } else { Vec::new() }
    }

    fn all(&mut self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.held.len());
        let held = std::mem::take(&mut self.held);
        self.give(&held, held.len(), &mut |bytes| out.extend_from_slice(bytes));
        out
    }

    /// Secrets may have been learned since the last piece.
    fn refresh(&mut self) {
        let current = self.masker.search();
        let same = match (&self.search, &current) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (None, None) => true,
            _ => false,
        };
        if !same {
            self.search = current;
            if let Some(search) = self.search.clone() {
                let run = self.reading.run;
                self.reading = search.begin();
                self.reading.run = run;
                let _ = search.read(&mut self.reading, &self.held, 0, &mut |start, end| self.covers.add(start, end));
            }
        }
    }

    fn take(&mut self, piece: &[u8], out: &mut impl FnMut(&[u8])) {
        self.refresh();
        let Some(search) = self.search.clone() else {
            if !piece.is_empty() {
                out(piece);
            }
            return;
        };
        // What is held is read on with no more of the piece than what may belong to it.
        let mut taken = 0;
        if !self.held.is_empty() {
            while taken < piece.len() && search.reach(&self.reading) > taken {
                self.held.push(piece[taken]);
                taken += 1;
                let at = self.held.len() - 1;
                let covers = &mut self.covers;
                let _ = search.step(&mut self.reading, &self.held, at, &mut |start, end| covers.add(start, end));
            }
            let keep = if taken < piece.len() { taken } else { search.reach(&self.reading) };
            let settled = self.held.len().saturating_sub(keep);
            let mut held = std::mem::take(&mut self.held);
            self.give(&held, settled, out);
            if taken == piece.len() {
                held.drain(..settled);
                self.held = held;
                return;
            }
        }
        let covers = &mut self.covers;
        let _ = search.read(&mut self.reading, piece, taken, &mut |start, end| covers.add(start, end));
        let settled = piece.len().saturating_sub(search.reach(&self.reading));
        self.give(piece, settled, out);
        self.held.extend_from_slice(&piece[settled..]);
    }

    /// Gives out the first bytes of `text`, which holds what comes next.
    fn give(&mut self, text: &[u8], upto: usize, out: &mut impl FnMut(&[u8])) {
        let mut at = 0;
        for (start, end) in self.covers.until(upto) {
            if start > at {
                out(&text[at..start]);
                self.open = false;
            }
            if !self.open {
                out(STARS);
                self.open = true;
            }
            at = end;
        }
        if at < upto {
            out(&text[at..upto]);
            self.open = false;
        }
        self.reading.run = run_before(text, upto, self.reading.run);
    }
}

/// Runs of bytes that belong to secrets, in order, not touching each other.
#[derive(Default)]
pub struct Covers(Vec<(usize, usize)>);

impl Covers {
    /// Runs may overlap those before, but end no earlier than they do.
    pub fn add(&mut self, mut start: usize, mut end: usize) -> ControlFlow<Infallible> {
        while let Some((before, until)) = self.0.last().copied().filter(|(_, until)| *until >= start) {
            start = start.min(before);
            end = end.max(until);
            self.0.pop();
        }
        self.0.push((start, end));
        ControlFlow::Continue(())
    }

    /// The runs before a place, which is where the rest is counted from afterwards.
    fn until(&mut self, place: usize) -> Vec<(usize, usize)> {
        let mut before = Vec::new();
        let mut after = Vec::new();
        for (start, end) in self.0.drain(..) {
            if start < place {
                before.push((start, end.min(place)));
            }
            if end > place {
                after.push((start.max(place) - place, end - place));
            }
        }
        self.0 = after;
        before
    }

    pub fn runs(&self) -> &[(usize, usize)] {
        &self.0
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
        let mut done = Ok(());
        if let Some(inner) = &mut self.inner {
            self.stream.take(bytes, &mut |part| {
                if done.is_ok() {
                    done = inner.write_all(part);
                }
            });
        }
        done.map(|()| bytes.len())
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
