//! Owns how single notations spell a text: JSON, code, shells, markup, URLs, hex.
//! Deliberately knows not which of them are sought.

use std::fmt::Write;

/// What is written of a character that is not ASCII.
#[derive(Clone, Copy)]
pub enum Beyond {
    Kept,
    /// `\xe9`, `\u20ac`, `\U0001f600`.
    CodePoint {
        upper: bool,
    },
    /// `\xc3\xa9`.
    Byte,
    /// `\303\251`.
    Octal,
}

/// As JSON has it between its quotes.
pub fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_string()
}

/// What is JSON already, with some characters as `\u…`.
pub fn json_escaped(json: &str, which: impl Fn(char) -> bool, upper: bool) -> String {
    let mut out = String::new();
    for c in json.chars() {
        if !which(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = if upper { write!(out, "\\u{unit:04X}") } else { write!(out, "\\u{unit:04x}") };
        }
    }
    out
}

/// With a backslash before each of `signs`, line ends and tabs by their letters, and what is not ASCII in numbers.
pub fn escaped(text: &str, signs: &str, beyond: Beyond) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match (c, beyond) {
            (c, _) if signs.contains(c) => {
                out.push('\\');
                out.push(c);
            }
            (c, Beyond::Kept) => out.push(c),
            ('\n', _) => out.push_str("\\n"),
            ('\r', _) => out.push_str("\\r"),
            ('\t', _) => out.push_str("\\t"),
            (c, _) if c.is_ascii() => out.push(c),
            (c, Beyond::CodePoint { upper }) => {
                let number = u32::from(c);
                let (letter, digits) = match number {
                    0..0x100 => ('x', 2),
                    0x100..0x1_0000 => ('u', 4),
                    _ => ('U', 8),
                };
                let _ = match upper {
                    true => write!(out, "\\{letter}{number:0digits$X}"),
                    false => write!(out, "\\{letter}{number:0digits$x}"),
                };
            }
            (c, beyond) => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = match beyond {
                        Beyond::Octal => write!(out, "\\{byte:03o}"),
                        _ => write!(out, "\\x{byte:02x}"),
                    };
                }
            }
        }
    }
    out
}

/// With a backslash before every sign but those that are left alone.
pub fn backslashed(text: &str, left_alone: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() && !left_alone.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// For HTML and XML, with more signs than the three that all escape.
pub fn entities(text: &str, signs: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => match signs.iter().find(|(sign, _)| sign.starts_with(c)) {
                Some((_, entity)) => out.push_str(entity),
                None => out.push(c),
            },
        }
    }
    out
}

/// What is not ASCII as `&#233;` or `&#xE9;`.
pub fn references(text: &str, hexadecimal: bool) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let number = u32::from(c);
        let _ = match (c.is_ascii(), hexadecimal) {
            (true, _) => write!(out, "{c}"),
            (false, true) => write!(out, "&#x{number:X};"),
            (false, false) => write!(out, "&#{number};"),
        };
    }
    out
}

pub fn percent(text: &str, left_alone: &str, upper: bool, form: bool) -> String {
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

/// As mails have it, within a line.
pub fn quoted_printable(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let _ = match byte {
            b' '..=b'<' | b'>'..=b'~' => write!(out, "{}", char::from(byte)),
            byte => write!(out, "={byte:02X}"),
        };
    }
    out
}

pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// `61:62:63`.
pub fn separated(hex: &str, separator: char) -> String {
    let mut out = String::with_capacity(hex.len() * 3 / 2);
    for (index, digit) in hex.chars().enumerate() {
        if index > 0 && index % 2 == 0 {
            out.push(separator);
        }
        out.push(digit);
    }
    out
}
