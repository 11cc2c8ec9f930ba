//! Permissions judged simply and slowly: recursion over strings that were split, in place of tables. What the real matcher
//! is compared with, here and by the fuzzer, which includes this file: it knows nothing of the crate.
//! A rule that it is asked about has to be one that can be parsed.

use url::{Host, Url};

/// `[METHODS ]URL[ private]` against a request.
pub fn net_allows(rule: &str, method: &str, url: &Url) -> bool {
    let mut words: Vec<&str> = rule.split_whitespace().collect();
    if words.len() > 1 && words[words.len() - 1] == "private" {
        words.truncate(words.len() - 1);
    }
    let place = words[words.len() - 1];
    let methods = if words.len() == 2 { words[0].split(',').collect() } else { Vec::new() };
    if !methods.is_empty() && !methods.contains(&method) {
        return false;
    }
    if !url.username().is_empty() || url.password().is_some() {
        return false;
    }
    let (wanted_scheme, rest) = match place.find("://") {
        Some(at) => (Some(&place[..at]), &place[at + 3..]),
        None => (None, place),
    };
    let slash = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(slash);
    let (host, port) = match authority.rfind(':') {
        Some(at) if !authority[at..].contains(']') => (&authority[..at], Some(&authority[at + 1..])),
        _ => (authority, None),
    };
    scheme_fits(wanted_scheme, host, url)
        && host_fits(host, url)
        && port_fits(port, url)
        && (path.is_empty() || path_fits(path, url.path()))
}

fn scheme_fits(wanted: Option<&str>, host: &str, url: &Url) -> bool {
    match wanted {
        Some(scheme) => url.scheme() == scheme,
        None if url.scheme() == "https" => true,
        None if url.scheme() == "http" => match Host::parse(host) {
            Ok(Host::Domain(name)) => name == "localhost" || name == "localhost.",
            Ok(Host::Ipv4(address)) => address.octets()[0] == 127,
            Ok(Host::Ipv6(address)) => u128::from(address) == 1,
            Err(_) => false,
        },
        None => false,
    }
}

fn host_fits(wanted: &str, url: &Url) -> bool {
    let without_dot = |name: &str| match name.ends_with('.') {
        true => name[..name.len() - 1].to_string(),
        false => name.to_string(),
    };
    let Some(Host::Domain(found)) = url.host() else {
        // An address fits itself alone.
        return !wanted.starts_with('*')
            && Host::parse(wanted).ok().as_ref() == url.host().map(|h| h.to_owned()).as_ref();
    };
    let found = without_dot(found);
    if found.split('.').any(|label| label.is_empty()) {
        return false;
    }
    match wanted.strip_prefix("*.") {
        None => matches!(Host::parse(wanted), Ok(Host::Domain(name)) if without_dot(&name) == found),
        Some(below) => {
            let Ok(Host::Domain(below)) = Host::parse(below) else { return false };
            let below = without_dot(&below);
            let (mut labels, mut suffix): (Vec<&str>, Vec<&str>) =
                (found.split('.').collect(), below.split('.').collect());
            while let Some(last) = suffix.pop() {
                if labels.pop() != Some(last) {
                    return false;
                }
            }
            let metadata = [
                "metadata",
                "metadata.google.internal",
                "metadata.goog",
                "metadata.azure.internal",
                "metadata.tencentyun.com",
                "instance-data",
                "instance-data.ec2.internal",
            ];
            !labels.is_empty() && !metadata.contains(&&*found)
        }
    }
}

fn port_fits(wanted: Option<&str>, url: &Url) -> bool {
    match wanted {
        Some("*") => url.port() != Some(0),
        Some(number) => {
            url.port_or_known_default().map(|port| port.to_string()) == Some(number.trim_start_matches('0').into())
        }
        // The url crate leaves a scheme's own port out.
        None => url.port().is_none(),
    }
}

#[derive(PartialEq)]
enum Token {
    Star,
    Byte(u8),
}

fn path_fits(rule: &str, path: &str) -> bool {
    let segments: Vec<&str> = rule.split('/').skip(1).collect();
    if !segments.is_empty() && segments.iter().all(|segment| *segment == "**") {
        return true;
    }
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    if parts.iter().any(|part| is_ambiguous(part)) {
        return false;
    }
    let parts: Vec<Vec<u8>> = parts.iter().map(|part| decoded(part.as_bytes())).collect();
    segments_fit(&segments, &parts)
}

fn segments_fit(rule: &[&str], path: &[Vec<u8>]) -> bool {
    match (rule.split_first(), path.split_first()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some((&"**", rest)), _) => (0..=path.len()).any(|skip| segments_fit(rest, &path[skip..])),
        (Some(_), None) => false,
        (Some((first, rest)), Some((part, more))) => segment_fits(first, part) && segments_fit(rest, more),
    }
}

fn segment_fits(rule: &str, part: &[u8]) -> bool {
    if rule == "*" {
        return !part.is_empty();
    }
    let mut tokens = Vec::new();
    for (index, piece) in rule.split('*').enumerate() {
        if index > 0 {
            tokens.push(Token::Star);
        }
        tokens.extend(decoded(piece.as_bytes()).into_iter().map(Token::Byte));
    }
    tokens_fit(&tokens, part)
}

fn tokens_fit(tokens: &[Token], text: &[u8]) -> bool {
    match tokens.split_first() {
        None => text.is_empty(),
        Some((Token::Star, rest)) => (0..=text.len()).any(|skip| tokens_fit(rest, &text[skip..])),
        Some((Token::Byte(byte), rest)) => text.first() == Some(byte) && tokens_fit(rest, &text[1..]),
    }
}

/// Percent-decoded once.
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let hex = hex.filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match (first, hex.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                rest = &after[2..];
            }
            _ => {
                out.push(first);
                rest = after;
            }
        }
    }
    out
}

/// Whether servers may read the segment otherwise than we do.
fn is_ambiguous(part: &str) -> bool {
    if part.split_once(';').is_some_and(|(name, _)| ["", ".", ".."].contains(&name)) {
        return true;
    }
    let count = |text: &[u8]| text.iter().filter(|byte| b"/\\.\0".contains(byte)).count();
    let mut text = part.as_bytes().to_vec();
    for round in 0..5 {
        let next = decoded(&text);
        if count(&next) > count(&text) {
            return true;
        }
        if next == text {
            break;
        }
        // Nobody decodes so often.
        if round == 4 {
            return true;
        }
        text = next;
    }
    looks_like(&text)
}

fn looks_like(text: &[u8]) -> bool {
    let other = ["\u{ff0e}", "\u{ff0f}", "\u{ff3c}", "\u{2024}", "\u{2025}", "\u{2026}"];
    let has = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
    let two = |first: u8, from: u8, to: u8| (from..=to).any(|second| has(&[first, second]));
    text.contains(&0xc0)
        || text.contains(&0xc1)
        || two(0xe0, 0x80, 0x9f)
        || two(0xf0, 0x80, 0x8f)
        || other.iter().any(|needle| has(needle.as_bytes()))
        || (0..text.len()).any(|at| {
            let end = &text[at..];
            end.len() >= 6
                && end[0] == b'%'
                && end[1].eq_ignore_ascii_case(&b'u')
                && end[2..6].iter().all(|byte| byte.is_ascii_hexdigit())
        })
}

/// An absolute glob, as the playbook's folder and its rule make it, against an absolute path without `.` and `..`.
pub fn file_fits(rule: &str, path: &str) -> bool {
    let names = |text: &str| -> Vec<String> {
        text.split('/').filter(|name| !name.is_empty() && *name != ".").map(String::from).collect()
    };
    fn fits(rule: &[String], path: &[String]) -> bool {
        let Some((first, rest)) = rule.split_first() else { return path.is_empty() };
        if first == "**" {
            return (0..=path.len()).any(|skip| fits(rest, &path[skip..]));
        }
        path.split_first().is_some_and(|(name, more)| {
            (if first == "*" { !name.is_empty() } else { name_fits(first.as_bytes(), name.as_bytes()) })
                && fits(rest, more)
        })
    }
    fn name_fits(rule: &[u8], name: &[u8]) -> bool {
        match rule {
            [] => name.is_empty(),
            [b'*', rest @ ..] => (0..=name.len()).any(|skip| name_fits(rest, &name[skip..])),
            [b'?', rest @ ..] => !name.is_empty() && name_fits(rest, &name[1..]),
            [b'\\', byte, rest @ ..] | [byte, rest @ ..] => name.first() == Some(byte) && name_fits(rest, &name[1..]),
        }
    }
    fits(&names(rule), &names(path))
}

/// A rule of `permissions.env`, in which `*` stands for any characters; alone for at least one.
pub fn env_fits(rule: &str, name: &str) -> bool {
    if rule == "*" {
        return !name.is_empty();
    }
    let (before, after) = match rule.split_once('*') {
        None => return rule == name,
        Some(parts) => parts,
    };
    name.strip_prefix(before).is_some_and(|rest| {
        let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
        ends.into_iter().any(|at| starless(after, &rest[at..]))
    })
}

/// What follows upon a star.
fn starless(rule: &str, rest: &str) -> bool {
    match rule.split_once('*') {
        None => rule == rest,
        Some((before, after)) => rest.strip_prefix(before).is_some_and(|rest| {
            let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.into_iter().any(|at| starless(after, &rest[at..]))
        }),
    }
}
