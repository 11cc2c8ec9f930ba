//! Owns the guises in which a secret turns up in outputs: escaped, encoded, quoted, line by line.
//! Deliberately knows nothing of searching.

use super::SHORTEST_SECRET;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use std::fmt::Write;
use zeroize::Zeroizing;

pub type Form = Zeroizing<Vec<u8>>;

/// Up to here a secret is sought in every form. Longer ones are sought as they are, in pieces: a form for each would
/// make an automaton larger than the outputs.
const LONGEST: usize = 16 << 10;
const PIECE: usize = 1 << 10;
/// What lies beyond is not sought.
const SOUGHT: usize = 1 << 20;

/// Every form of a secret, each once, the shortest at least as long as a secret.
pub fn forms(text: &str) -> Vec<Form> {
    let mut forms = Forms(Vec::new());
    if text.len() > LONGEST {
        for piece in pieces(text) {
            forms.add(piece.to_string());
        }
        return forms.0;
    }
    forms.written(text);
    forms.encoded(text.as_bytes());
    if text.contains('\n') {
        forms.encoded(text.trim_end().as_bytes());
        // A secret of several lines is shown line by line, each with something before it.
        for line in text.lines().map(str::trim).filter(|line| line.contains(char::is_alphanumeric)) {
            forms.written(line);
        }
    }
    forms.0
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

struct Forms(Vec<Form>);

impl Forms {
    fn add(&mut self, form: impl Into<Vec<u8>>) {
        let form = Zeroizing::new(form.into());
        if form.len() >= SHORTEST_SECRET && !self.0.contains(&form) {
            self.0.push(form);
        }
    }

    /// As it is, and as languages and shells write it between quotes.
    fn written(&mut self, text: &str) {
        self.add(text.to_string());
        let json = json(text);
        self.add(json.replace('/', "\\/"));
        self.add(json_ascii(text, false));
        self.add(json_ascii(text, true));
        // JSON within JSON.
        self.add(self::json(&json));
        self.add(json);
        self.add(text.escape_debug().to_string());
        self.add(text.escape_default().to_string());
        self.add(text.replace('\'', "'\\''"));
        self.add(text.replace('\'', "'\"'\"'"));
        self.add(backslashed(text));
        for (apostrophe, quote) in [("&#39;", "&quot;"), ("&#x27;", "&quot;"), ("&apos;", "&quot;"), ("'", "\"")] {
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            self.add(text.replace('\'', apostrophe).replace('"', quote));
        }
        // What encoders leave alone differs: everything that RFC 3986 reserves, JavaScript's `encodeURIComponent`,
        // forms, and URL libraries that know which part of a URL they are in.
        for upper in [true, false] {
            self.add(percent(text, "-._~", upper, false));
            self.add(percent(text, "-._~!*'()", upper, false));
            self.add(percent(text, "-._*", upper, true));
            self.add(percent(text, "-._~!$&'()*+,;=:@", upper, false));
            self.add(percent(text, "-._~!$&'()*+,;=:@/?", upper, false));
        }
    }

    fn encoded(&mut self, bytes: &[u8]) {
        let mut hex = String::new();
        for byte in bytes {
            let _ = write!(hex, "{byte:02x}");
        }
        self.add(hex.to_ascii_uppercase());
        self.add(hex);
        // In base64 the characters at both ends also depend on what stands beside the secret; where it ends, they
        // are followed by padding.
        for offset in 0..3 {
            let mut shifted = vec![0; offset];
            shifted.extend_from_slice(bytes);
            let from = [0, 2, 3][offset];
            for encoded in [STANDARD.encode(&shifted), URL_SAFE.encode(&shifted)] {
                let bare = encoded.trim_end_matches('=');
                let inner = bare.len() - usize::from(shifted.len() % 3 != 0);
                for form in [&encoded[..], bare, &encoded[..inner]] {
                    self.add(form.get(from..).unwrap_or_default());
                }
            }
        }
    }
}

fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_string()
}

/// As writers do that keep to ASCII.
fn json_ascii(text: &str, upper: bool) -> String {
    let mut out = String::new();
    for c in json(text).chars() {
        if c.is_ascii() {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = if upper { write!(out, "\\u{unit:04X}") } else { write!(out, "\\u{unit:04x}") };
        }
    }
    out
}

/// As `printf %q` and completions do.
fn backslashed(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() && !"@%+=:,./-_".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn percent(text: &str, left_alone: &str, upper: bool, form: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || left_alone.contains(c) {
            out.push(c);
        } else if form && byte == b' ' {
            out.push('+');
        } else {
            let _ = if upper { write!(out, "%{byte:02X}") } else { write!(out, "%{byte:02x}") };
        }
    }
    out
}
