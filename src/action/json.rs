//! Owns reading what came from outside as JSON, up to a depth and a number of values.
//! Deliberately says nothing of what is none: an output has its text all the same.

use serde_json::Value as Json;

/// Keys and values together; as many as a playbook's file may have. In memory each takes many times the few bytes that
/// it takes on the wire: ten megabytes of `{"a":[]}` would be gigabytes.
const MOST_VALUES: usize = 1_000_000;

/// The text as JSON, or null: what is no JSON, is deeper than 128 levels (the parser's own limit), or has more than a
/// million keys and values.
pub(super) fn read(text: &str) -> Json {
    if has_more_values_than(text, MOST_VALUES) {
        return Json::Null;
    }
    serde_json::from_str(text).unwrap_or(Json::Null)
}

/// Without making anything of it. Each value but the first stands after one of four signs, and so does each key.
fn has_more_values_than(text: &str, most: usize) -> bool {
    // Too short to have so many.
    if text.len() <= most {
        return false;
    }
    let (mut count, mut is_quoted, mut is_escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' | b':' | b'[' | b'{' if !is_quoted => count += 1,
            _ => {}
        }
    }
    count >= most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_values_are_read_and_no_more() {
        let list = |count: usize| format!("[{}0]", "0,".repeat(count - 2));
        assert_eq!(read(&list(1_000_000)).as_array().map(Vec::len), Some(999_999));
        assert_eq!(read(&list(1_000_001)), Json::Null);
        let text = Json::from("[{:,\\\"".repeat(1_000_000));
        assert_eq!(read(&text.to_string()), text);
        assert_eq!(read(&format!("{{\"a\": [{}0]}}", "[],".repeat(600_000))), Json::Null);
        assert_eq!((read("7"), read("{"), read("")), (Json::from(7), Json::Null, Json::Null));
    }
}
