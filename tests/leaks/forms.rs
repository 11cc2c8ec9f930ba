//! Owns secrets that are hard to hide, and every form in which one may be written. The list is the test's own: what the
//! library masks by is what is judged.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value as Json;

/// Random numbers that a seed repeats (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn of(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count as u64).unwrap()
    }

    fn pick(&mut self, letters: &str) -> char {
        letters.chars().nth(self.below(letters.chars().count())).unwrap()
    }

    fn shuffle(&mut self, letters: &mut [char]) {
        for index in (1..letters.len()).rev() {
            letters.swap(index, self.below(index + 1));
        }
    }
}

/// The seed of this process: what is asked for, or the time.
pub fn seed() -> u64 {
    static SEED: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *SEED.get_or_init(|| {
        let seed = match std::env::var("RUNBOOK_LEAK_SEED") {
            Ok(text) => text.parse().expect("RUNBOOK_LEAK_SEED is a whole number"),
            Err(_) => {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
                now.as_secs() * 1000 + u64::from(now.subsec_millis())
            }
        };
        println!("RUNBOOK_LEAK_SEED={seed}");
        seed
    })
}

const PLAIN: &str = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// All that languages, shells, URLs and HTML treat specially, but for what divides the parts of a `cookie` header.
const SPECIAL: &str = "%+/$<>&=?#~*!(){}[]|^`@:é日ß 😀";

/// A secret with all of it inside. An apostrophe and a quote or a backslash come so often that no part of it of
/// [`crate::evidence::GRAM`] bytes looks the same in two forms; and it is written differently in every form.
pub fn secret(random: &mut Random) -> String {
    loop {
        let mut middle: Vec<char> = SPECIAL.chars().collect();
        middle.extend((0..72 - middle.len()).map(|_| random.pick(PLAIN)));
        random.shuffle(&mut middle);
        let mut secret: String = (0..3).map(|_| random.pick(PLAIN)).collect();
        for (index, three) in middle.chunks(3).enumerate() {
            secret.push(['\'', '"', '\'', '\\'][index % 4]);
            secret.extend(three);
        }
        secret.extend((0..3).map(|_| random.pick(PLAIN)));
        let mut forms: Vec<Vec<u8>> = forms(&secret).into_iter().map(|form| form.text).collect();
        let count = forms.len();
        forms.sort();
        forms.dedup();
        if forms.len() == count {
            return secret;
        }
    }
}

/// A way of writing a secret.
pub struct Form {
    pub name: &'static str,
    pub text: Vec<u8>,
    /// docs/security.md says that it is found; the others are looked for, but nothing outside writes them.
    pub promised: bool,
}

pub fn forms(secret: &str) -> Vec<Form> {
    let bytes = secret.as_bytes();
    let mut forms: Vec<Form> = Vec::new();
    let mut add = |name, text: Vec<u8>, promised| forms.push(Form { name, text, promised });
    let each = |show: &dyn Fn(u8) -> String| bytes.iter().map(|byte| show(*byte)).collect::<String>().into_bytes();
    add("plain", bytes.to_vec(), true);

    let json = json(secret);
    add("JSON", json.clone().into_bytes(), true);
    add("JSON, with \\/", json.replace('/', "\\/").into_bytes(), true);
    add("JSON, ASCII", ascii(&json, false).into_bytes(), true);
    add("JSON, ASCII in capitals", ascii(&json, true).into_bytes(), true);
    add("JSON in JSON", self::json(&json).into_bytes(), true);

    let percent = |left_alone: &str, lower: bool, space: &str| {
        each(&|byte| match char::from(byte) {
            ' ' => space.to_owned(),
            letter if letter.is_ascii_alphanumeric() || left_alone.contains(letter) => letter.to_string(),
            _ if lower => format!("%{byte:02x}"),
            _ => format!("%{byte:02X}"),
        })
    };
    add("percent", percent("-._~", false, "%20"), true);
    add("percent, small", percent("-._~", true, "%20"), true);
    add("percent, form", percent("-._*", false, "+"), true);
    add("percent, encodeURIComponent", percent("-._~!*'()", false, "%20"), true);

    for (offset, plain, url) in [
        (0, "base64 at 0", "base64url at 0"),
        (1, "base64 at 1", "base64url at 1"),
        (2, "base64 at 2", "base64url at 2"),
    ] {
        // The letters at both ends also depend on what is beside it.
        let shifted = [&b"\0\0"[..offset], bytes].concat();
        let inner = |encoded: String| {
            let from = if offset == 0 { 0 } else { offset + 1 };
            let to = encoded.len() - usize::from(!shifted.len().is_multiple_of(3));
            encoded.as_bytes()[from..to].to_vec()
        };
        add(plain, inner(STANDARD_NO_PAD.encode(&shifted)), true);
        add(url, inner(URL_SAFE_NO_PAD.encode(&shifted)), true);
    }
    add("hex", each(&|byte| format!("{byte:02x}")), true);
    add("hex in capitals", each(&|byte| format!("{byte:02X}")), true);

    add("shell", secret.replace('\'', "'\\''").into_bytes(), true);
    add("shell, with \"", secret.replace('\'', "'\"'\"'").into_bytes(), true);
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    add("HTML", html.replace('\'', "&#39;").into_bytes(), true);
    add("HTML, in hex", html.replace('\'', "&#x27;").into_bytes(), true);
    add("HTML, by name", html.replace('\'', "&apos;").into_bytes(), true);

    add("Rust", secret.escape_default().to_string().into_bytes(), true);
    add("bytes of Rust", bytes.escape_ascii().to_string().into_bytes(), false);
    add("percent, all", each(&|byte| format!("%{byte:02X}")), false);
    add("\\x", each(&|byte| format!("\\x{byte:02x}")), false);
    add("hex, apart", each(&|byte| format!("{byte:02x} ")), false);
    add("numbers", each(&|byte| format!("{byte}, ")), false);
    add("numbers in JSON", each(&|byte| format!("{byte},")), false);
    add("UTF-16", secret.encode_utf16().flat_map(u16::to_le_bytes).collect(), false);
    add("backwards", secret.chars().rev().collect::<String>().into_bytes(), false);
    forms
}

fn json(text: &str) -> String {
    let quoted = Json::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn ascii(text: &str, capitals: bool) -> String {
    let mut out = String::new();
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => out.push(char::from(byte)),
            _ if capitals => out.push_str(&format!("\\u{unit:04X}")),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out
}
