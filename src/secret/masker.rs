//! Owns the secrets of a process and finding them, in all their forms, in whatever leaves it.
//! Deliberately knows nothing of where a secret came from or where a text goes.

use super::SHORTEST_SECRET;
use super::forms::{Form, forms};
use super::stream::{MaskStream, MaskWriter};
use aho_corasick::automaton::Automaton as _;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroizing;

pub use aho_corasick::automaton::StateID as State;

/// What stands for a run of bytes that belong to secrets.
pub const STARS: &[u8] = b"***";

/// Knows secrets and hides them. A clone knows the same secrets; all of them learn at once.
#[derive(Clone, Default)]
pub struct Masker(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    texts: Vec<Zeroizing<String>>,
    forms: Vec<Form>,
    /// Made of `forms` when it is next needed: most secrets come together, at the start.
    automaton: Option<Arc<Automaton>>,
}

impl Masker {
    /// Hides `text` from now on, in all its forms. Too short texts are ignored (`Secret::fault` refuses them).
    ///
    /// So is a text in which a known secret stands by itself, as in `Bearer …` or a JSON document: its secret part is
    /// hidden already, and the automaton would grow with every request. A known secret that is only a part of a longer
    /// word does not count, or `hunter` would keep `hunter2-prod` from being learned.
    pub fn learn(&self, text: &str) {
        let text = text.trim();
        if text.chars().count() < SHORTEST_SECRET || self.read(|known| known.hides(text)) {
            return;
        }
        let new = forms(text);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.hides(text) {
            return;
        }
        known.texts.push(Zeroizing::new(text.to_string()));
        for form in new {
            if !known.forms.contains(&form) {
                known.forms.push(form);
            }
        }
        known.automaton = None;
    }

    /// The text with three stars for every run of bytes that belong to secrets.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(automaton) = self.automaton() else { return Cow::Borrowed(text) };
        if !automaton.finds(text.as_bytes()) {
            return Cow::Borrowed(text);
        }
        let mut stream = self.stream();
        let mut out = stream.push(text.as_bytes());
        out.append(&mut stream.finish());
        // Forms begin and end where characters do.
        Cow::Owned(
            String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        )
    }

    /// Whether anything is to be hidden.
    pub fn knows_any(&self) -> bool {
        self.read(|known| !known.texts.is_empty())
    }

    pub fn contains_secret(&self, bytes: &[u8]) -> bool {
        self.automaton().is_some_and(|automaton| automaton.finds(bytes))
    }

    /// Masks what goes through it.
    pub fn writer<W: Write>(&self, inner: W) -> MaskWriter<W> {
        MaskWriter::new(self.stream(), inner)
    }

    /// Masks a stream of bytes that comes in pieces.
    pub fn stream(&self) -> MaskStream {
        MaskStream::new(self.clone())
    }

    pub(super) fn automaton(&self) -> Option<Arc<Automaton>> {
        let ready = self.read(|known| match &known.automaton {
            None if known.forms.is_empty() => Some(None),
            None => None,
            Some(automaton) => Some(Some(automaton.clone())),
        });
        ready.unwrap_or_else(|| {
            let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
            let Known { forms, automaton, .. } = &mut *known;
            Some(automaton.get_or_insert_with(|| Arc::new(Automaton::new(forms))).clone())
        })
    }

    fn read<T>(&self, read: impl FnOnce(&Known) -> T) -> T {
        read(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masker({} secrets)", self.read(|known| known.texts.len()))
    }
}

impl Known {
    /// Whether a known secret stands by itself in `text`.
    fn hides(&self, text: &str) -> bool {
        let apart = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || "\"'`:=,;&?()[]{}<>|@\\".contains(c));
        self.texts.iter().any(|secret| {
            text.match_indices(secret.as_str()).any(|(start, found)| {
                apart(text[..start].chars().next_back()) && apart(text[start + found.len()..].chars().next())
            })
        })
    }
}

/// All forms of all secrets, sought at once, byte by byte.
pub struct Automaton {
    /// `None` where it could not be built: then everything is hidden.
    nfa: Option<NFA>,
    /// How many bytes led to a state: as many may be the start of a secret.
    depths: HashMap<State, usize>,
}

impl Automaton {
    fn new(forms: &[Form]) -> Automaton {
        // Every match is wanted, also those that overlap: the run that they cover together is hidden.
        let patterns = forms.iter().map(|form| form.as_slice());
        let nfa = NFA::builder().match_kind(MatchKind::Standard).prefilter(false).build(patterns).ok();
        let mut automaton = Automaton { nfa, depths: HashMap::new() };
        let mut depths = HashMap::new();
        for form in forms {
            let mut state = automaton.start();
            for (index, byte) in form.iter().enumerate() {
                state = automaton.step(state, *byte);
                depths.insert(state, index + 1);
            }
        }
        automaton.depths = depths;
        automaton
    }

    pub fn start(&self) -> State {
        self.nfa.as_ref().and_then(|nfa| nfa.start_state(Anchored::No).ok()).unwrap_or_default()
    }

    pub fn step(&self, state: State, byte: u8) -> State {
        self.nfa.as_ref().map_or(state, |nfa| nfa.next_state(Anchored::No, state, byte))
    }

    /// Length of the longest secret that ends here.
    pub fn ends(&self, state: State) -> Option<usize> {
        let Some(nfa) = &self.nfa else { return Some(1) };
        if !nfa.is_special(state) || !nfa.is_match(state) {
            return None;
        }
        (0..nfa.match_len(state)).map(|index| nfa.pattern_len(nfa.match_pattern(state, index))).max()
    }

    /// How many of the last bytes may be the start of a secret.
    pub fn depth(&self, state: State) -> usize {
        self.depths.get(&state).copied().unwrap_or(0)
    }

    fn finds(&self, bytes: &[u8]) -> bool {
        let mut state = self.start();
        bytes.iter().any(|byte| {
            state = self.step(state, *byte);
            self.ends(state).is_some()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    fn knowing(secrets: &[&str]) -> Masker {
        let masker = Masker::default();
        secrets.iter().for_each(|secret| masker.learn(secret));
        masker
    }

    #[test]
    fn every_form_is_hidden() {
        let secret = "s3cr3t+to/ken=?x'y\"z\\w é<&";
        let masker = knowing(&[secret]);
        let json = serde_json::Value::from(secret).to_string();
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let mut url = url::Url::parse("https://h/").unwrap();
        url.query_pairs_mut().append_pair("k", secret);
        let hex: String = secret.bytes().map(|byte| format!("{byte:02X}")).collect();
        for text in [
            secret.to_string(),
            json.clone(),
            serde_json::Value::from(json).to_string(),
            format!("{secret:?}"),
            form,
            url.to_string(),
            hex.to_ascii_lowercase(),
            hex,
            format!("'{}'", secret.replace('\'', "'\\''")),
            secret.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace('\'', "&#x27;"),
        ] {
            let masked = masker.mask(&text);
            assert!(masked.contains("***"), "{text}");
            for part in ["s3cr3t", "733363", "ken", "6b656e", "6B656E"] {
                assert!(!masked.contains(part), "{text} -> {masked}");
            }
        }
        for before in ["", "u", "us", "user:", "user :"] {
            for after in ["", "z", "zz", "zzz"] {
                let plain = format!("{before}{secret}{after}");
                for text in [STANDARD.encode(&plain), URL_SAFE_NO_PAD.encode(&plain)] {
                    let masked = masker.mask(&text);
                    assert!(masked.len() <= before.len() * 2 + after.len() * 2 + 9, "{text} -> {masked}");
                }
            }
        }
    }

    #[test]
    fn lines_of_a_key_are_hidden_one_by_one() {
        let masker = knowing(&["-----BEGIN KEY-----\nMIIEowIBAAKC\n  abc\nsecondline42\n-----END KEY-----\n"]);
        assert_eq!(masker.mask("  | MIIEowIBAAKC\r\n  | secondline42\n"), "  | ***\r\n  | ***\n");
        assert_eq!(masker.mask("abc"), "abc");
    }

    #[test]
    fn runs_of_overlapping_secrets_are_one() {
        let masker = knowing(&["abcabc", "bcabcd", "xyzxyz"]);
        assert_eq!(masker.mask("1 abcabcd 2 xyzxyzabcabc 3 abcab"), "1 *** 2 *** 3 abcab");
    }

    #[test]
    fn what_is_hidden_already_is_not_learned() {
        let count = |masker: &Masker| masker.read(|known| known.texts.len());
        let masker = knowing(&["hunter", "short", "Bearer hunter", "{\"token\":\"hunter\"}", "user:hunter"]);
        assert_eq!(count(&masker), 1);
        masker.learn("hunter2-production");
        assert_eq!(count(&masker), 2);
        assert_eq!(masker.mask("hunter2-production hunter"), "*** ***");
        assert!(masker.knows_any() && !Masker::default().knows_any());
        assert!(masker.contains_secret(b"xx hunter") && !masker.contains_secret(b"hunte"));
        assert_eq!(format!("{masker:?}"), "Masker(2 secrets)");
    }

    #[test]
    fn a_large_text_is_hidden_without_a_large_automaton() {
        let large: String = (0..200_000)
            .map(|index| char::from(b'a' + u8::try_from(index % 1999 * (index % 1999) % 23).unwrap_or(0)))
            .collect();
        let masker = knowing(&[&large]);
        assert_eq!(masker.mask(&format!("x{large}y")), "x***y");
    }

    proptest! {
        #[test]
        fn nothing_panics_and_nothing_known_remains(
            secrets in proptest::collection::vec(any::<String>(), 0..4),
            texts in proptest::collection::vec("[ab'\"/+é\n]{0,12}", 1..4),
            around in any::<String>(),
        ) {
            let masker = Masker::default();
            for secret in secrets.iter().chain(&texts) {
                masker.learn(secret);
            }
            for secret in secrets.iter().chain(&texts) {
                let masked = masker.mask(&format!("{around}{secret}{around}")).into_owned();
                let secret = secret.trim();
                if secret.chars().count() >= SHORTEST_SECRET && !around.contains(secret) {
                    prop_assert!(!masked.contains(secret) || secret.contains("***") , "{:?}", masked);
                }
            }
        }
    }
}
