//! Owns walking forms byte by byte: what ends here, and how much of what was read last may be the start of one.
//! Deliberately knows nothing of where a walk has to begin.

use super::forms::{Form, is_encoding};
use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use std::collections::VecDeque;

/// Encoders break lines at 60 columns and more. A break after fewer letters is a line's end.
pub const SHORTEST_LINE: usize = 32;
/// Line ends and indentation in a row, beyond which no encoded text goes on.
const LONGEST_GAP: usize = 64;

/// Some of the forms, sought at once.
pub struct Automaton {
    /// `None` where it could not be built: then everything is hidden.
    nfa: Option<NFA>,
    /// By a state's number, of which no two are neighbours: how many bytes led to it.
    depths: Vec<u32>,
    start: StateID,
    /// Its forms go on over line breaks.
    broken: bool,
    pub forms: Vec<Form>,
}

impl Automaton {
    pub fn new(forms: Vec<Form>, broken: bool) -> Automaton {
        // Every match is wanted, also those that overlap: the run that they cover together is hidden.
        let patterns = forms.iter().map(|form| form.as_slice());
        let nfa = NFA::builder().match_kind(MatchKind::Standard).prefilter(false).build(patterns).ok();
        let start = nfa.as_ref().and_then(|nfa| nfa.start_state(Anchored::No).ok()).unwrap_or_default();
        let mut depths: Vec<u32> = Vec::new();
        if let Some(nfa) = &nfa {
            for form in &forms {
                let mut state = start;
                for (index, byte) in form.iter().enumerate() {
                    state = nfa.next_state(Anchored::No, state, *byte);
                    let place = state.as_usize() / 2;
                    if depths.len() <= place {
                        depths.resize(place + 1, 0);
                    }
                    // A form is no longer than some 100 KiB.
                    depths[place] = u32::try_from(index + 1).unwrap_or(u32::MAX);
                }
            }
        }
        Automaton { nfa, depths, start, broken, forms }
    }

    pub fn size(&self) -> usize {
        self.forms.iter().map(|form| form.len()).sum()
    }

    pub fn is_broken(&self) -> bool {
        self.broken
    }

    pub fn is_whole(&self) -> bool {
        self.nfa.is_some()
    }

    fn depth(&self, state: StateID) -> usize {
        match state == self.start {
            true => 0,
            false => self.depths.get(state.as_usize() / 2).map_or(0, |depth| *depth as usize),
        }
    }

    /// Bytes of the longest form that ends here.
    fn ends(&self, nfa: &NFA, state: StateID) -> Option<usize> {
        if !nfa.is_special(state) || !nfa.is_match(state) {
            return None;
        }
        (0..nfa.match_len(state)).map(|index| nfa.pattern_len(nfa.match_pattern(state, index))).max()
    }
}

/// How far one automaton has come.
#[derive(Clone, Default)]
pub struct Walker {
    /// `None` where nothing that may be the start of a form was read last.
    state: Option<StateID>,
    depth: usize,
    /// Bytes read that were no part of a gap.
    count: usize,
    /// Line breaks that are passed over: after which byte, and how many bytes long.
    gaps: VecDeque<(usize, usize)>,
    within: Within,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Within {
    #[default]
    Text,
    Gap,
    /// A backslash: `\n` as JSON writes it, or the end of what went before.
    Backslash,
}

impl Walker {
    /// How many of the bytes read last may be the start of a form.
    pub fn reach(&self) -> usize {
        self.raw(self.depth)
    }

    /// The same without the line breaks within.
    pub fn depth(&self) -> usize {
        self.depth
    }

    pub fn forget(&mut self) {
        self.state = None;
        self.depth = 0;
        self.gaps.clear();
        self.within = Within::Text;
    }

    /// As many bytes of the outputs as the last `length` that were walked take up.
    fn raw(&self, length: usize) -> usize {
        if length == 0 {
            return 0;
        }
        let from = self.count - length;
        length + self.gaps.iter().filter(|(after, _)| *after > from).map(|(_, width)| width).sum::<usize>()
    }

    /// Takes a byte; gives how many of the bytes read last are a form. `after_line` tells whether an encoder may
    /// have broken its line here.
    pub fn step(&mut self, automaton: &Automaton, byte: u8, after_line: impl Fn() -> bool) -> Option<usize> {
        let nfa = automaton.nfa.as_ref()?;
        if automaton.broken && self.depth > 0 && (self.within == Within::Backslash || !is_encoding(byte)) {
            if self.passes_over(byte, after_line) {
                return None;
            }
            self.forget();
        }
        self.within = Within::Text;
        self.count += 1;
        let state = nfa.next_state(Anchored::No, self.state.unwrap_or(automaton.start), byte);
        self.state = Some(state);
        self.depth = automaton.depth(state);
        if !self.gaps.is_empty() {
            let from = self.count - self.depth;
            while self.gaps.front().is_some_and(|(after, _)| *after <= from) {
                self.gaps.pop_front();
            }
        }
        automaton.ends(nfa, state).map(|length| self.raw(length))
    }

    /// Whether this byte belongs to a break in an encoded text.
    fn passes_over(&mut self, byte: u8, after_line: impl Fn() -> bool) -> bool {
        self.within = match (self.within, byte) {
            (Within::Text, b'\r' | b'\n') if after_line() => Within::Gap,
            (Within::Text, b'\\') if after_line() => Within::Backslash,
            (Within::Gap, b'\r' | b'\n' | b' ' | b'\t') | (Within::Backslash, b'n' | b'r') => Within::Gap,
            (Within::Gap, b'\\') => Within::Backslash,
            _ => return false,
        };
        match self.gaps.back_mut() {
            Some((after, width)) if *after == self.count => {
                *width += 1;
                *width <= LONGEST_GAP
            }
            _ => {
                self.gaps.push_back((self.count, 1));
                true
            }
        }
    }
}
