//! Owns finding all forms of all secrets in a text that comes in pieces, each byte looked at as briefly as can be.
//! Deliberately hides nothing.

use super::automaton::{Automaton, SHORTEST_LINE, Walker};
use super::forms::{Form, Forms, is_encoding};
use super::sieve::{Sieve, Stop};
use std::ops::ControlFlow;
use std::sync::Arc;

/// A new automaton takes in those that are no more than so many times as large. So that learning one secret after the
/// other builds each of them anew only a few times, and there are few to walk.
const TAKES_IN: usize = 4;

/// All forms of all secrets.
#[derive(Clone, Default)]
pub struct Search {
    automata: Vec<Arc<Automaton>>,
    /// `None` where there are no forms.
    sieve: Option<Sieve>,
    shortest: usize,
}

/// What was read of a text so far, as far as it matters for what follows.
#[derive(Clone, Default)]
pub struct Reading {
    walkers: Vec<Walker>,
    /// Letters of encodings in a row that stand before the text, up to `SHORTEST_LINE`.
    pub run: usize,
}

impl Search {
    /// The same with more forms.
    pub fn with(&self, more: Forms) -> Search {
        let Forms { written, encoded } = more;
        let mut search = self.clone();
        let all = || written.iter().chain(&encoded);
        let count = all().count();
        let Some(shortest) = all().map(|form| form.len()).min() else { return search };
        search.shortest = search.sieve.as_ref().map_or(shortest, |_| self.shortest.min(shortest));
        match &mut search.sieve {
            Some(sieve) if sieve.has_room(shortest, count) => all().for_each(|form| sieve.add(form)),
            _ => {
                let known = || self.automata.iter().flat_map(|automaton| &automaton.forms);
                // With room for as many again.
                let mut sieve = Sieve::new(search.shortest, (known().count() + count) * 2);
                known().chain(all()).for_each(|form| sieve.add(form));
                search.sieve = Some(sieve);
            }
        }
        search.add(written, false);
        search.add(encoded, true);
        search
    }

    fn add(&mut self, mut forms: Vec<Form>, broken: bool) {
        if forms.is_empty() {
            return;
        }
        let mut size: usize = forms.iter().map(|form| form.len()).sum();
        while let Some(last) = self.automata.iter().rposition(|automaton| automaton.is_broken() == broken) {
            if self.automata[last].size() > size * TAKES_IN {
                break;
            }
            let taken = self.automata.remove(last);
            size += taken.size();
            forms.extend_from_slice(&taken.forms);
        }
        self.automata.push(Arc::new(Automaton::new(forms, broken)));
    }

    /// For a text from its start.
    pub fn begin(&self) -> Reading {
        Reading { walkers: vec![Walker::default(); self.automata.len()], run: 0 }
    }

    /// How many of the bytes read last may be the start of a form.
    pub fn reach(&self, reading: &Reading) -> usize {
        reading.walkers.iter().map(Walker::reach).max().unwrap_or(0)
    }

    /// How many letters read last may be the start of an encoded form.
    pub fn encoded(&self, reading: &Reading) -> usize {
        let both = self.automata.iter().zip(&reading.walkers);
        both.filter(|(automaton, _)| automaton.is_broken()).map(|(_, walker)| walker.depth()).max().unwrap_or(0)
    }

    /// Reads one byte of `text`, with no haste. `found` is told where a form begins and ends; one that began before `text`
    /// is told to begin with it.
    pub fn step<B>(
        &self,
        reading: &mut Reading,
        text: &[u8],
        at: usize,
        found: &mut impl FnMut(usize, usize) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let Reading { walkers, run } = reading;
        for (automaton, walker) in self.automata.iter().zip(walkers) {
            let after_line = || ends_line(text, at, *run);
            if let Some(length) = walker.step(automaton, text[at], after_line) {
                found((at + 1).saturating_sub(length), at + 1)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Reads `text` from `from` on. What was read before `from` is in `reading`.
    pub fn read<B>(
        &self,
        reading: &mut Reading,
        text: &[u8],
        from: usize,
        found: &mut impl FnMut(usize, usize) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let Some(sieve) = &self.sieve else { return ControlFlow::Continue(()) };
        if text.len() > from && self.automata.iter().any(|automaton| !automaton.is_whole()) {
            return found(0, text.len());
        }
        let mut breaks = Breaks::default();
        // What is walked goes on until nothing is left that began before the place that made it necessary.
        let (mut at, mut until) = (from, from);
        loop {
            let reach = self.reach(reading);
            let begins_late = at >= until + reach && reach < self.shortest;
            if !begins_late {
                if at == text.len() {
                    return ControlFlow::Continue(());
                }
                self.step(reading, text, at, found)?;
                at += 1;
                continue;
            }
            // What began since is found again: it is shorter than a form.
            let begin = at - reach;
            reading.walkers.iter_mut().for_each(Walker::forget);
            let stop = sieve.next(text, begin);
            // A break may cut a form where the sieve does not see it.
            let near = match stop {
                Stop::At(place) => (place + sieve.sequence).min(text.len()),
                Stop::End(_) => text.len(),
            };
            let broken = breaks.next(text, begin, near, reading.run);
            let cut = broken.map(|place| (place.saturating_sub(sieve.blind()), place + 1));
            let (first, last) = match (cut, stop) {
                (Some(cut), Stop::At(place)) if place < cut.1 => (cut.0.min(sieve.earliest(place)), cut.1),
                (Some(cut), _) => cut,
                (None, Stop::At(place)) => (sieve.earliest(place), place + 1),
                (None, Stop::End(rest)) => (rest, text.len() + 1),
            };
            (at, until) = (first.max(begin), last);
        }
    }
}

/// Letters of encodings in a row right before `at`, up to `SHORTEST_LINE`; `run` of them stand before the text.
pub fn run_before(text: &[u8], at: usize, run: usize) -> usize {
    let from = at.saturating_sub(SHORTEST_LINE);
    let own = text[from..at].iter().rev().take_while(|byte| is_encoding(**byte)).count();
    if own == at { (own + run).min(SHORTEST_LINE) } else { own }
}

/// Whether an encoder may have broken its line at `at`. Most lines show by three of their letters that it did not.
fn ends_line(text: &[u8], at: usize, run: usize) -> bool {
    let hopeless = [1, 9, 20].into_iter().any(|back| at >= back && !is_encoding(text[at - back]));
    !hopeless && run_before(text, at, run) >= SHORTEST_LINE
}

/// Where an encoder may have broken a line.
#[derive(Default)]
struct Breaks {
    /// The next one, where it is known, or that there is none.
    known: Option<Option<usize>>,
}

impl Breaks {
    /// The first at `from` or later, but before `end`.
    fn next(&mut self, text: &[u8], from: usize, end: usize, run: usize) -> Option<usize> {
        let stale = self.known.is_none_or(|known| known.is_some_and(|place| place < from));
        if stale {
            let mut at = from;
            self.known = Some(loop {
                match memchr::memchr3(b'\n', b'\r', b'\\', &text[at..]) {
                    None => break None,
                    Some(offset) if ends_line(text, at + offset, run) => break Some(at + offset),
                    Some(offset) => at += offset + 1,
                }
            });
        }
        self.known.flatten().filter(|place| *place < end)
    }
}
