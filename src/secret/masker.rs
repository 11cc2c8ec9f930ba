//! Owns the secrets of a process and hiding them, in all their forms, in whatever leaves it.
//! Deliberately knows nothing of where a secret came from or where a text goes.

use super::SHORTEST_SECRET;
use super::forms::{Forms, forms};
use super::remains::{remains, stands_apart};
use super::search::Search;
use super::stream::{Covers, MaskStream, MaskWriter};
use std::borrow::{Borrow, Cow};
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroizing;

/// What stands for a run of bytes that belong to secrets.
pub const STARS: &[u8] = b"***";

/// Knows secrets and hides them. A clone knows the same secrets; all of them learn at once.
#[derive(Clone, Default)]
pub struct Masker(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    texts: HashSet<Text>,
    /// Those of the texts that are secrets as a whole.
    declared: HashSet<Text>,
    /// What `search` does not know yet: most secrets come together, at the start.
    waiting: Forms,
    search: Option<Arc<Search>>,
}

impl Masker {
    /// Hides `text` from now on, in all its forms: it was declared to be a secret, as a whole. Too short texts are
    /// ignored (`Secret::fault` refuses them).
    ///
    /// Where another secret stands by itself in it, what remains beside that is hidden too: of `user:password`, a program
    /// says `user` here and `password` there.
    pub fn learn(&self, text: &str) {
        let text = text.trim();
        if text.chars().count() < SHORTEST_SECRET || self.read(|known| known.declared.contains(text)) {
            return;
        }
        let new = forms(text);
        let mut known = self.write();
        known.add(text, new);
        known.declared.insert(Text::new(text));
        for part in known.parts_with(text) {
            if !known.texts.contains(part.as_str()) {
                known.add(&part, forms(&part));
            }
        }
    }

    /// Hides `text`, which was made of secrets, unless nothing would be gained.
    ///
    /// So it is where a known secret stands by itself in it, as in `Bearer …` or a JSON document: its secret part is
    /// hidden already, and there would be more to seek with every request. A known secret that is only a part of a longer
    /// word does not count, or `hunter` would keep `hunter2-prod` from being learned.
    pub fn learn_derived(&self, text: &str) {
        let text = text.trim();
        if text.chars().count() < SHORTEST_SECRET || self.read(|known| known.texts.contains(text)) || self.hides(text) {
            return;
        }
        let new = forms(text);
        self.write().add(text, new);
    }

    /// The text with three stars for every run of bytes that belong to secrets.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        starred(text, &covers_of(self.search().as_deref(), text.as_bytes()))
    }

    /// The same, but `None` where someone is about to teach it, or fell over that: for one who may be that someone.
    pub fn mask_at_once(&self, text: &str) -> Option<String> {
        let search = {
            let known = self.0.try_read().ok()?;
            known.waiting.is_empty().then(|| known.search.clone())
        };
        let search = match search {
            Some(search) => search,
            None => self.0.try_write().ok()?.search(),
        };
        Some(starred(text, &covers_of(search.as_deref(), text.as_bytes())).into_owned())
    }

    /// Keeps everyone from it.
    #[cfg(test)]
    pub fn hold(&self) -> impl Drop {
        struct Held<'m>(#[allow(dead_code)] std::sync::RwLockWriteGuard<'m, Known>);
        impl Drop for Held<'_> {
            fn drop(&mut self) {}
        }
        Held(self.write())
    }

    /// Whether anything is to be hidden.
    pub fn knows_any(&self) -> bool {
        self.read(|known| !known.texts.is_empty())
    }

    pub fn contains_secret(&self, bytes: &[u8]) -> bool {
        let Some(search) = self.search() else { return false };
        search.read(&mut search.begin(), bytes, 0, &mut |_, _| ControlFlow::Break(())).is_break()
    }

    /// Masks what goes through it.
    pub fn writer<W: Write>(&self, inner: W) -> MaskWriter<W> {
        MaskWriter::new(self.stream(), inner)
    }

    /// Masks a stream of bytes that comes in pieces.
    pub fn stream(&self) -> MaskStream {
        MaskStream::new(self.clone())
    }

    /// `None` where nothing is to be hidden.
    pub(super) fn search(&self) -> Option<Arc<Search>> {
        let ready = self.read(|known| known.waiting.is_empty().then(|| known.search.clone()));
        ready.unwrap_or_else(|| self.write().search())
    }

    #[cfg(test)]
    pub(super) fn texts(&self) -> Vec<String> {
        self.read(|known| known.texts.iter().map(|text| text.as_str().to_string()).collect())
    }

    fn covers(&self, text: &[u8]) -> Covers {
        covers_of(self.search().as_deref(), text)
    }

    /// Whether all of a derived text that is secret would be hidden.
    fn hides(&self, text: &str) -> bool {
        let covers = self.covers(text.as_bytes());
        match covers.runs() {
            [] => false,
            [(0, end)] if *end == text.len() => true,
            _ => self.read(|known| known.texts.iter().any(|secret| stands_apart(secret.as_str(), text))),
        }
    }

    fn read<T>(&self, read: impl FnOnce(&Known) -> T) -> T {
        read(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masker({} secrets)", self.read(|known| known.texts.len()))
    }
}

/// The text with stars over all that is covered.
fn starred<'t>(text: &'t str, covers: &Covers) -> Cow<'t, str> {
    if covers.runs().is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for (start, end) in covers.runs() {
        out.extend_from_slice(&text.as_bytes()[at..*start]);
        out.extend_from_slice(STARS);
        at = *end;
    }
    out.extend_from_slice(&text.as_bytes()[at..]);
    // Forms begin and end where characters do.
    Cow::Owned(String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn covers_of(search: Option<&Search>, text: &[u8]) -> Covers {
    let mut covers = Covers::default();
    if let Some(search) = search {
        let _ = search.read(&mut search.begin(), text, 0, &mut |start, end| covers.add(start, end));
    }
    covers
}

impl Known {
    /// With all that was waiting.
    fn search(&mut self) -> Option<Arc<Search>> {
        let waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty() {
            self.search = Some(Arc::new(self.search.as_deref().cloned().unwrap_or_default().with(waiting)));
        }
        self.search.clone()
    }

    fn add(&mut self, text: &str, forms: Forms) {
        if self.texts.insert(Text::new(text)) {
            self.waiting.add(forms);
        }
    }

    /// What else is to be hidden now that `new` is known: what remains of it beside the others, and of the others beside
    /// it.
    fn parts_with(&self, new: &str) -> Vec<Zeroizing<String>> {
        let others = || self.declared.iter().map(Text::as_str).filter(|other| *other != new);
        let known: Vec<&str> = others().filter(|other| stands_apart(other, new)).collect();
        let mut parts = remains(new, &known);
        for other in others().filter(|other| stands_apart(new, other)) {
            let known: Vec<&str> = self.declared.iter().map(Text::as_str).filter(|text| *text != other).collect();
            parts.append(&mut remains(other, &known));
        }
        parts
    }
}

/// A text that is known, wiped when it is dropped.
#[derive(PartialEq, Eq)]
struct Text(Zeroizing<String>);

impl Text {
    fn new(text: &str) -> Text {
        Text(Zeroizing::new(text.to_string()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
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
        let masker = knowing(&["hunter", "short"]);
        for made in ["Bearer hunter", "{\"token\":\"hunter\"}", "user:hunter", "68756e746572", "aHVudGVy"] {
            masker.learn_derived(made);
        }
        assert_eq!(count(&masker), 1);
        masker.learn_derived("hunter2-production");
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
