//! Owns routes: `METHOD /path/{param}` read from a world file, and matched against a request.
//! Deliberately knows nothing of what answers them.

use serde_json::{Map, Value as Json};

/// Which requests a fake answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// `None`: any.
    method: Option<String>,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Param(String),
    /// Whatever is left, also nothing; only at the end.
    Rest(String),
}

impl Pattern {
    /// Reads `METHOD /path/{param}`; the error is a message for its author.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let shape = "write `METHOD /path`, such as `GET /users/{id}`";
        let (method, path) = text.split_once(' ').ok_or_else(|| format!("`{text}` is not a route: {shape}"))?;
        let path = path.trim_start();
        if method != "*" && (method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-'))
        {
            let help = match method.to_ascii_uppercase() {
                upper if upper != method && upper.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                    format!("write `{upper}`")
                }
                _ => "write one such as `GET`, or `*` for any".to_owned(),
            };
            return Err(format!("`{method}` is not a method: {help}"));
        }
        let Some(rest) = path.strip_prefix('/') else {
            return Err(format!("the path of route `{text}` does not begin with `/`: {shape}"));
        };
        if let Some(bad) = path.chars().find(|c| c.is_whitespace() || c.is_control() || *c == '#') {
            return Err(format!("the path of route `{text}` contains {bad:?}"));
        }
        if path.contains('?') {
            return Err(format!("route `{text}` has a query: leave it out, the jq reads it as `.request.query`"));
        }
        let segments = segments(rest)?;
        Ok(Pattern { method: (method != "*").then(|| method.to_owned()), segments })
    }

    /// The parameters of a request that this pattern matches. `path` is as it was sent, still percent-encoded.
    pub fn matches(&self, method: &str, path: &str) -> Option<Map<String, Json>> {
        if self.method.as_ref().is_some_and(|wanted| wanted != method) {
            return None;
        }
        let mut params = Map::new();
        let mut rest = Some(path.strip_prefix('/')?);
        for segment in &self.segments {
            if let Segment::Rest(name) = segment {
                params.insert(name.clone(), decode(rest.unwrap_or("")).into());
                return Some(params);
            }
            let text = rest?;
            let (first, after) = match text.split_once('/') {
                Some((first, after)) => (first, Some(after)),
                None => (text, None),
            };
            match segment {
                Segment::Literal(literal) if first == literal || decode(first) == *literal => {}
                Segment::Param(name) if !first.is_empty() => {
                    params.insert(name.clone(), decode(first).into());
                }
                _ => return None,
            }
            rest = after;
        }
        rest.is_none().then_some(params)
    }

    /// Whether the two match exactly the same requests, so that the later one is never asked.
    pub fn same_as(&self, other: &Pattern) -> bool {
        let kind = |segment: &Segment| match segment {
            Segment::Literal(text) => Some(text.clone()),
            Segment::Param(_) => None,
            Segment::Rest(_) => Some("{*}".to_owned()),
        };
        self.method == other.method
            && self.segments.iter().map(kind).collect::<Vec<_>>() == other.segments.iter().map(kind).collect::<Vec<_>>()
    }
}

fn segments(path: &str) -> Result<Vec<Segment>, String> {
    let mut found: Vec<Segment> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for text in path.split('/') {
        if let Some(Segment::Rest(name)) = found.last() {
            return Err(format!("`{{{name}*}}` stands for all the rest of a path: put nothing after it"));
        }
        if !text.contains(['{', '}']) {
            found.push(Segment::Literal(text.to_owned()));
            continue;
        }
        let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or("");
        let (name, rest) = match inner.strip_suffix('*') {
            Some(name) => (name, true),
            None => (inner, false),
        };
        if !is_identifier(name) {
            return Err(format!("`{text}` is not a parameter: write a whole segment such as `{{id}}` or `{{rest*}}`"));
        }
        if names.iter().any(|known| known == name) {
            return Err(format!("parameter `{name}` occurs twice"));
        }
        names.push(name.to_owned());
        found.push(if rest { Segment::Rest(name.to_owned()) } else { Segment::Param(name.to_owned()) });
    }
    Ok(found)
}

/// Letters, digits and `_`, not beginning with a digit: what jq reads as `.params.NAME`, and a shell as a variable.
pub fn is_identifier(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Percent-decodes a part of a path. What is not an escape stays as it is; bytes that are not UTF-8 are replaced.
pub fn decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let digit = |byte: Option<&u8>| byte.and_then(|byte| (*byte as char).to_digit(16));
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matched(pattern: &str, method: &str, path: &str) -> Option<Json> {
        Pattern::parse(pattern).unwrap().matches(method, path).map(Json::Object)
    }

    #[test]
    fn a_parameter_is_one_whole_segment_and_decoded() {
        let pattern = "PUT /user/tokens/{id}/value";
        assert_eq!(matched(pattern, "PUT", "/user/tokens/a%2Fb/value"), Some(json!({"id": "a/b"})));
        assert_eq!(matched(pattern, "PUT", "/user/tokens//value"), None);
        assert_eq!(matched(pattern, "PUT", "/user/tokens/a/b/value"), None);
        assert_eq!(matched(pattern, "GET", "/user/tokens/a/value"), None);
        assert_eq!(matched(pattern, "PUT", "/user/tokens/a/value/"), None);
    }

    #[test]
    fn the_rest_may_be_nothing() {
        for (path, rest) in [("/health", ""), ("/health/", ""), ("/health/a/b", "a/b")] {
            assert_eq!(matched("* /health/{rest*}", "HEAD", path), Some(json!({ "rest": rest })), "{path}");
        }
        assert_eq!(matched("* /health/{rest*}", "GET", "/healthy"), None);
        assert_eq!(matched("* /{rest*}", "GET", "/"), Some(json!({"rest": ""})));
    }

    #[test]
    fn escapes_that_are_none_stay() {
        assert_eq!(decode("%zz%4"), "%zz%4");
        assert_eq!(decode("%41%ff"), "A\u{fffd}");
        assert_eq!(matched("GET /a", "GET", "//a"), None);
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let wrong = |text| Pattern::parse(text).unwrap_err();
        assert_eq!(wrong("GET"), "`GET` is not a route: write `METHOD /path`, such as `GET /users/{id}`");
        assert_eq!(wrong("get /a"), "`get` is not a method: write `GET`");
        assert_eq!(wrong("G=T /a"), "`G=T` is not a method: write one such as `GET`, or `*` for any");
        assert_eq!(wrong("GET a").split(':').next(), Some("the path of route `GET a` does not begin with `/`"));
        assert_eq!(wrong("GET /a?b=1").split(':').next(), Some("route `GET /a?b=1` has a query"));
        assert_eq!(wrong("GET /v{n}"), "`v{n}` is not a parameter: write a whole segment such as `{id}` or `{rest*}`");
        assert_eq!(wrong("GET /{a}/{a}"), "parameter `a` occurs twice");
        assert_eq!(wrong("GET /{a*}/b"), "`{a*}` stands for all the rest of a path: put nothing after it");
        assert_eq!(wrong("GET /a /b"), "the path of route `GET /a /b` contains ' '");
    }
}
