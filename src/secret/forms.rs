//! Owns the guises in which a secret turns up in outputs: escaped, encoded, quoted, line by line.
//! Deliberately knows nothing of searching, nor how each spelling is made.

use super::SHORTEST_SECRET;
use super::spelling::{
    self, Beyond, backslashed, entities, escaped, hex, json, json_escaped, percent, quoted_printable, separated,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use std::collections::HashSet;
use zeroize::Zeroizing;

pub type Form = Zeroizing<Vec<u8>>;

/// Up to here a secret is sought in every form. Longer ones are sought as they are, in pieces: a form for each would
/// make an automaton larger than the outputs.
const LONGEST: usize = 16 << 10;
const PIECE: usize = 1 << 10;
/// What lies beyond is not sought.
const SOUGHT: usize = 1 << 20;

/// Every form of a secret, each once, the shortest at least as long as a secret.
#[derive(Default)]
pub struct Forms {
    /// What stands in an output byte by byte.
    pub written: Vec<Form>,
    /// Base64 and hex: letters, digits and `+/-_=`, which encoders break over several lines.
    pub encoded: Vec<Form>,
}

impl Forms {
    pub fn is_empty(&self) -> bool {
        self.written.is_empty() && self.encoded.is_empty()
    }

    pub fn add(&mut self, mut more: Forms) {
        self.written.append(&mut more.written);
        self.encoded.append(&mut more.encoded);
    }
}

/// Whether a byte may stand in what `Forms::encoded` holds.
pub const fn is_encoding(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=')
}

pub fn forms(text: &str) -> Forms {
    let mut all = Collected { forms: Forms::default(), seen: HashSet::new() };
    if text.len() > LONGEST {
        pieces(text).for_each(|piece| all.add(piece));
        return std::mem::take(&mut all.forms);
    }
    all.written(text);
    all.encoded(text.as_bytes());
    // A JSON document that is sent encoded as a whole, with the secret in it.
    all.base64(json(text).as_bytes());
    if text.contains('\n') {
        all.encoded(text.trim_end().as_bytes());
        // A secret of several lines is shown line by line, each with something before it.
        for line in text.lines().map(str::trim).filter(|line| line.contains(char::is_alphanumeric)) {
            all.written(line);
        }
    }
    std::mem::take(&mut all.forms)
}

fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() || text.len() - rest.len() >= SOUGHT {
            return None;
        }
        let mut end = PIECE.min(rest.len());
        while !rest.is_char_boundary(end) {
            end += 1;
        }
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

/// What stands in base64 wherever the bytes stand in what is encoded.
fn between(bytes: &[u8]) -> impl Iterator<Item = Zeroizing<String>> {
    (0..3).map(|offset| {
        let mut shifted = Zeroizing::new(vec![0; offset]);
        shifted.extend_from_slice(bytes);
        let encoded = Zeroizing::new(STANDARD.encode(&shifted));
        // Six bits a character; those that are whole.
        let end = shifted.len() * 8 / 6;
        Zeroizing::new(encoded.get([0, 2, 3][offset]..end).unwrap_or_default().to_string())
    })
}

struct Collected {
    forms: Forms,
    seen: HashSet<Vec<u8>>,
}

impl Drop for Collected {
    fn drop(&mut self) {
        self.seen.drain().for_each(|form| drop(Zeroizing::new(form)));
    }
}

impl Collected {
    fn add(&mut self, form: impl Into<Vec<u8>>) {
        let form = form.into();
        if form.len() >= SHORTEST_SECRET && self.seen.insert(form.clone()) {
            self.forms.written.push(Zeroizing::new(form));
        }
    }

    fn add_encoded(&mut self, form: impl Into<Vec<u8>>) {
        let form = form.into();
        if form.len() >= SHORTEST_SECRET && self.seen.insert(form.clone()) {
            self.forms.encoded.push(Zeroizing::new(form));
        }
    }

    /// As it is, and as languages and tools write it.
    fn written(&mut self, text: &str) {
        self.add(text);
        // A token in another case is that token to many who take one; a word in another case is any word.
        if text.contains(|c: char| c.is_ascii_digit()) {
            self.add(text.to_uppercase());
            self.add(text.to_lowercase());
        }
        self.in_json(text);
        self.in_code(text);
        self.in_markup(text);
        self.in_urls(text);
        let hex = hex(text.as_bytes());
        self.add(separated(&hex, ':'));
        self.add(separated(&hex.to_ascii_uppercase(), ':'));
        self.add(separated(&hex, ' '));
        self.add(separated(&hex.to_ascii_uppercase(), ' '));
    }

    fn in_json(&mut self, text: &str) {
        let json = json(text);
        self.add(json.replace('/', "\\/"));
        // Python, jq -a; PHP, which escapes the slash too; Go and Rails; Gson; .NET.
        self.add(json_escaped(&json, |c| !c.is_ascii(), false));
        self.add(json_escaped(&json, |c| !c.is_ascii(), true));
        self.add(json_escaped(&json, |c| !c.is_ascii(), false).replace('/', "\\/"));
        self.add(json_escaped(&json, |c| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}'), false));
        self.add(json_escaped(&json, |c| matches!(c, '<' | '>' | '&' | '=' | '\''), false));
        let net = json.replace("\\\"", "\\u0022");
        self.add(json_escaped(&net, |c| !c.is_ascii() || "<>&'+`".contains(c), true));
        // JSON within JSON.
        self.add(self::json(&json));
        self.add(json);
    }

    /// Between the quotes of languages, shells, YAML and CSV, and without them.
    fn in_code(&mut self, text: &str) {
        self.add(text.escape_debug().to_string());
        self.add(text.escape_default().to_string());
        for signs in ["\\", "\\'", "\\\"", "\\\"$`"] {
            for beyond in [
                Beyond::Kept,
                Beyond::CodePoint { upper: false },
                Beyond::CodePoint { upper: true },
                Beyond::Byte,
                Beyond::Octal,
            ] {
                self.add(escaped(text, signs, beyond));
            }
        }
        self.add(text.replace('\'', "'\\''"));
        self.add(text.replace('\'', "'\"'\"'"));
        self.add(text.replace('\'', "''"));
        self.add(text.replace('"', "\"\""));
        self.add(text.replace('$', "$$"));
        // As completions do, and `printf %q`.
        self.add(backslashed(text, "@%+=:,./-_"));
        self.add(backslashed(text, "@%+=:./-_~#"));
    }

    fn in_markup(&mut self, text: &str) {
        // Python, browsers, XML, PHP, Go; then those that write more than they must: Tera, Mustache, Go's templates.
        for (apostrophe, quote) in [
            ("&#39;", "&quot;"),
            ("&#x27;", "&quot;"),
            ("&apos;", "&quot;"),
            ("'", "\""),
            ("'", "&quot;"),
            ("&#39;", "&#34;"),
        ] {
            let signs = [("'", apostrophe), ("\"", quote)];
            let html = entities(text, &signs);
            self.add(spelling::references(&html, false));
            self.add(spelling::references(&html, true));
            self.add(html);
        }
        self.add(entities(text, &[("'", "&#x27;"), ("\"", "&quot;"), ("/", "&#x2F;")]));
        self.add(entities(
            text,
            &[("'", "&#39;"), ("\"", "&quot;"), ("/", "&#x2F;"), ("`", "&#x60;"), ("=", "&#x3D;")],
        ));
        self.add(entities(text, &[("'", "&#x27;"), ("\"", "&quot;"), ("`", "&#x60;"), ("=", "&#x3D;")]));
        self.add(entities(text, &[("'", "&#39;"), ("\"", "&#34;"), ("+", "&#43;")]));
    }

    fn in_urls(&mut self, text: &str) {
        // What encoders leave alone differs: everything that RFC 3986 reserves, Python, JavaScript's two, forms of
        // several languages, and URL libraries that know which part of a URL they are in.
        for upper in [true, false] {
            for left_alone in [
                "-._~",
                "-._~/",
                "-._~!*'()",
                "-._~!*'();/?:@&=+$,#",
                "-._~$&+=:@",
                "-._~!$&'()*+,;=:@",
                "-._~!$&'()*+,;=:@/?",
            ] {
                self.add(percent(text, left_alone, upper, false));
            }
            for left_alone in ["-._*", "-._~", "-._"] {
                self.add(percent(text, left_alone, upper, true));
            }
        }
        // Browsers, in a query, a path and a fragment.
        for left_alone in [
            "!$%&()*+,-./:;=?@[\\]^_`{|}~'",
            "!$%&()*+,-./:;=@[\\]^_|~'",
            "!#$%&()*+,-./:;=?@[\\]^_{|}~'",
            "!$%&()*+,-./:;=?@[\\]^_`{|}~",
        ] {
            self.add(percent(text, left_alone, true, false));
        }
        // A URL within a URL.
        self.add(percent(&percent(text, "-._~", true, false), "-._~", true, false));
        self.add(quoted_printable(text));
    }

    fn encoded(&mut self, bytes: &[u8]) {
        let hex = hex(bytes);
        self.add_encoded(hex.to_ascii_uppercase());
        self.add_encoded(hex);
        self.base64(bytes);
        self.base64_twice(bytes);
    }

    /// What was encoded and is sent encoded as a whole, as the `auth` in a `.dockerconfigjson` is. Of the common alphabet
    /// alone, and without the characters that depend on what stands beside it: each form is sought in every output.
    fn base64_twice(&mut self, bytes: &[u8]) {
        for inner in between(bytes) {
            for outer in between(inner.as_bytes()) {
                self.add_encoded(outer.as_bytes());
            }
        }
    }

    /// The characters at both ends also depend on what stands beside the secret; where it ends, they are followed by
    /// padding.
    fn base64(&mut self, bytes: &[u8]) {
        for offset in 0..3 {
            let mut shifted = Zeroizing::new(vec![0; offset]);
            shifted.extend_from_slice(bytes);
            let from = [0, 2, 3][offset];
            let standard = STANDARD.encode(&shifted);
            for (encoded, in_url) in [(standard, true), (URL_SAFE.encode(&shifted), false)] {
                let bare = encoded.trim_end_matches('=');
                let inner = bare.len() - usize::from(shifted.len() % 3 != 0);
                for form in [&encoded[..], bare, &encoded[..inner]] {
                    let form = form.get(from..).unwrap_or_default();
                    self.add_encoded(form);
                    if in_url && form.contains(['+', '/', '=']) {
                        self.add(percent(form, "", true, false));
                    }
                }
            }
        }
    }
}
