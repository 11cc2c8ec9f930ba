//! Owns the corners of YAML in which parsers see different things in the same text: odd characters, odd numbers.
//! Deliberately names no parser; `agreement` tests that nothing else is left.

use super::gate::{MISTAKES, mistake};
use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};
use std::sync::Arc;

/// Characters that one of the two parsers takes for a line break and the other does not, and the like; and those that
/// show whoever reviews the file another order of its text than there is.
pub fn characters(source: &Arc<Source>) -> Vec<Diagnostic> {
    let bad = |c: char| match c {
        '\t' | '\n' | '\r' => false,
        '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => true,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'),
    };
    let tell = |(at, c): (usize, &str)| {
        let name = format!("U+{:04X}", c.chars().next().unwrap_or_default() as u32);
        let message = format!("the character {name} may not stand in a playbook as it is");
        let help = format!("where it is meant, write it as an escape in double quotes: \"\\u{}\"", &name[2..]);
        mistake(source, "yaml-character", message, Span::new(at, at + c.len())).help(help)
    };
    source.text.match_indices(bad).take(MISTAKES).map(tell).collect()
}

/// Whether a plain text is no number, or one that stays what it is: infinities would become `null`, long numbers rounded.
pub fn is_exact(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let whole = |digits: &str, radix: u32| {
        let number = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
        !number || u64::from_str_radix(digits, radix).is_ok_and(|n| !text.starts_with('-') || n <= 1 << 63)
    };
    match digits.get(..2) {
        Some("0x") => whole(&digits[2..], 16),
        Some("0o") => whole(&digits[2..], 8),
        Some("0b") => whole(&digits[2..], 2),
        _ if digits.starts_with('0') => true,
        _ => whole(digits, 10) && !matches!(digits, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN"),
    }
}
