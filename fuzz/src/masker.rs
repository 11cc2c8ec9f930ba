//! Up to four secrets, and a text in which they stand in every form that the masker knows, taken in pieces.
//! Oracle: a naive masker of its own forms; what that one hides is hidden, nothing else of the text is lost, and the
//! pieces make no difference.

use runbook::secret::{Masker, Secret};

/// Between the cuts, the secrets and the text; no UTF-8 has this byte.
const NEXT: u8 = 0xff;
/// In the text, followed by two bytes: here stands a secret (which), in a form (which).
const HERE: u8 = 0xfe;
/// As the masker has it: what is shorter is not sought.
const SHORTEST: usize = 6;

pub fn run(bytes: &[u8]) {
    // Stars of the text's own would make it doubtful what the masker's stand for.
    let bytes: Vec<u8> = bytes.iter().map(|byte| if *byte == b'*' { b'+' } else { *byte }).collect();
    let mut parts = bytes.split(|byte| *byte == NEXT);
    let cuts = parts.next().unwrap_or_default();
    let rest: Vec<&[u8]> = parts.collect();
    let Some((template, secrets)) = rest.split_last() else { return };
    let masker = Masker::default();
    let mut known: Vec<String> = Vec::new();
    for secret in secrets.iter().take(4) {
        let secret: String = String::from_utf8_lossy(secret).chars().take(80).collect();
        // One in which another stands is hidden with it, and not sought for itself.
        let overlaps = known.iter().any(|other| secret.contains(other.as_str()) || other.contains(&secret));
        if Secret::new(secret.clone()).fault().is_none() && !overlaps {
            masker.learn(&secret);
            known.push(secret);
        }
    }
    let text = filled(template, &known);
    let whole = masker.mask(&text).into_owned();
    let must = covered(text.as_bytes(), &known);
    assert!(explains(text.as_bytes(), whole.as_bytes(), &must), "{known:?}\n{text:?}\n{whole:?}");
    assert_eq!(masker.contains_secret(text.as_bytes()), whole != text);
    for piece in whole.split("***") {
        assert!(!masker.contains_secret(piece.as_bytes()), "{known:?}: {piece:?} is still there");
    }
    assert_eq!(in_pieces(&masker, text.as_bytes(), cuts), whole.as_bytes(), "{known:?}\n{text:?}, cut by {cuts:?}");
}

fn in_pieces(masker: &Masker, text: &[u8], cuts: &[u8]) -> Vec<u8> {
    let mut stream = masker.stream();
    let mut out = Vec::new();
    let mut rest = text;
    let cuts = if cuts.is_empty() { &[200][..] } else { cuts };
    for cut in cuts.iter().cycle() {
        let (piece, after) = rest.split_at(usize::from(*cut).max(1).min(rest.len()));
        out.extend(stream.push(piece));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    out.extend(stream.finish());
    out
}

/// The template with secrets in their forms.
fn filled(template: &[u8], secrets: &[String]) -> String {
    let mut out = Vec::new();
    let mut bytes = template.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != HERE || secrets.is_empty() {
            out.push(byte);
            continue;
        }
        let (which, form) = (bytes.next().unwrap_or(0), bytes.next().unwrap_or(0));
        let secret = &secrets[usize::from(which) % secrets.len()];
        let forms = forms(secret);
        match usize::from(form) % (forms.len() + 2) {
            // Within a longer text that is encoded as a whole, as in `user:secret`.
            0 => out.extend(base64(&[&out[out.len().saturating_sub(2)..], secret.as_bytes(), b"\n"].concat(), b"+/")),
            1 => out.extend(base64(&[b"u:", secret.as_bytes()].concat(), b"-_")),
            form => out.extend_from_slice(forms[form - 2].as_bytes()),
        }
    }
    String::from_utf8_lossy(&out).replace('*', "+")
}

/// Every form of a secret that issue 4 names.
fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let hex = |upper: bool| -> String {
        bytes.iter().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") }).collect()
    };
    let quoted = serde_json::Value::from(secret).to_string();
    let json = quoted[1..quoted.len() - 1].to_string();
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut forms = vec![
        secret.to_string(),
        json.replace('/', "\\/"),
        json,
        percent(secret, "-._~", true, "%20"),
        percent(secret, "-._~", false, "%20"),
        percent(secret, "-._*", true, "+"),
        percent(secret, "-._~!*'()", true, "%20"),
        hex(true),
        hex(false),
        secret.replace('\'', "'\\''"),
        html.replace('"', "&quot;").replace('\'', "&#39;"),
        html.replace('"', "&quot;").replace('\'', "&#x27;"),
        html,
    ];
    for alphabet in [b"+/", b"-_"] {
        for before in 0..3 {
            // The digits that the secret alone decides: six bits each, none of them of what stands around it.
            let digits = base64(&[&vec![0; before], bytes].concat(), alphabet);
            let from = (before * 8).div_ceil(6);
            let to = (before + bytes.len()) * 8 / 6;
            forms.push(digits[from..to].iter().map(|digit| char::from(*digit)).collect());
        }
    }
    forms
}

fn percent(text: &str, left_alone: &str, upper: bool, space: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match char::from(byte) {
            c if c.is_ascii_alphanumeric() || left_alone.contains(c) => out.push(c),
            ' ' => out.push_str(space),
            _ if upper => out.push_str(&format!("%{byte:02X}")),
            _ => out.push_str(&format!("%{byte:02x}")),
        }
    }
    out
}

/// Bit by bit, without padding.
fn base64(bytes: &[u8], last_two: &[u8; 2]) -> Vec<u8> {
    let mut alphabet: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').collect();
    alphabet.extend(last_two);
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let digit = |bits: &[u8]| (0..6).fold(0, |sum, at| sum * 2 + usize::from(*bits.get(at).unwrap_or(&0)));
    bits.chunks(6).map(|bits| alphabet[digit(bits)]).collect()
}

/// Which bytes are to be hidden: those of every form, wherever it stands.
fn covered(text: &[u8], secrets: &[String]) -> Vec<bool> {
    let mut covered = vec![false; text.len()];
    for form in secrets.iter().flat_map(|secret| forms(secret)).filter(|form| form.len() >= SHORTEST) {
        for start in 0..text.len() {
            if text[start..].starts_with(form.as_bytes()) {
                covered[start..start + form.len()].fill(true);
            }
        }
    }
    covered
}

/// Whether `masked` is `text` with some runs of bytes made three stars, those that must be among them.
fn explains(text: &[u8], masked: &[u8], must: &[bool]) -> bool {
    // Where in what is masked one may be, and whether within stars.
    let mut ways = vec![(0, false)];
    for (byte, must) in text.iter().zip(must) {
        let mut next = Vec::new();
        let mut add = |way| {
            if !next.contains(&way) {
                next.push(way)
            }
        };
        for (at, hidden) in ways {
            if !must && masked.get(at) == Some(byte) {
                add((at + 1, false));
            }
            if hidden {
                add((at, true));
            } else if masked[at..].starts_with(b"***") {
                add((at + 3, true));
            }
        }
        ways = next;
    }
    ways.iter().any(|(at, _)| *at == masked.len())
}
