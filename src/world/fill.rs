//! Owns the few names that a world file's `files` and `env` may write for what is known only once the world is up.
//! Deliberately knows nothing of templates: all other text, `{{ … }}` too, stays as it is.

/// What the names stand for.
#[derive(Clone, Debug)]
pub struct Known {
    pub folder: String,
    pub socket: String,
    pub address: String,
}

pub const NAMES: [&str; 3] = ["folder", "socket", "address"];

/// Replaces `{{ world.folder }}`, `{{ world.socket }}` and `{{ world.address }}`.
pub fn fill(text: &str, known: &Known) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, name, after)) = next(rest) {
        out.push_str(before);
        match name {
            "folder" => out.push_str(&known.folder),
            "socket" => out.push_str(&known.socket),
            "address" => out.push_str(&known.address),
            _ => out.push_str(&rest[before.len()..rest.len() - after.len()]),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The first `{{ world.NAME }}` whose name means nothing.
pub fn unknown(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some((_, name, after)) = next(rest) {
        if !NAMES.contains(&name) {
            return Some(name);
        }
        rest = after;
    }
    None
}

/// The text before the first `{{ world.NAME }}`, NAME, and the text after it.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text[from..].find("{{")?;
        let inner = &text[open + 2..];
        let name = inner
            .find("}}")
            .and_then(|close| Some((inner[..close].trim().strip_prefix("world.")?, &inner[close + 2..])))
            .filter(|(name, _)| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
        match name {
            Some((name, after)) => return Some((&text[..open], name, after)),
            None => from = open + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_worlds_own_names_are_filled_in() {
        let known = Known { folder: "/f".into(), socket: "/s".into(), address: "http://a".into() };
        let text = "{{world.folder}}/x {{ world.socket }} {{{ world.address }}} {{ other }} {{ world.folder ";
        assert_eq!(fill(text, &known), "/f/x /s {http://a} {{ other }} {{ world.folder ");
        assert_eq!(fill("{{ world.nosuch }}{{ world.folder }}", &known), "{{ world.nosuch }}/f");
    }

    #[test]
    fn a_name_that_means_nothing_is_found() {
        assert_eq!(unknown("{{ world.folder }} {{ world.port }}"), Some("port"));
        assert_eq!(unknown("{{ worldly.port }} {{ {{ world.socket }}"), None);
    }
}
