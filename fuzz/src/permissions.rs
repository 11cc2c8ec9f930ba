//! Two rules for the network, a method and a URL, a line each.
//! Oracle: a matcher that reads the rule's text anew and tries every way; a rule that covers another allows all that the
//! other does; the line that a refusal proposes permits; nothing of a query or a password is shown.

use runbook::plan::permissions::{Grant, NetRule, Permissions};
use std::sync::Arc;
use url::Url;

pub fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    // Trying every way takes long where there are many.
    if text.matches("**").count() > 6 {
        return;
    }
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (first, second, method, url) = (line(), line(), line(), line());
    let rules = [NetRule::parse(first), NetRule::parse(second)];
    for told in rules.iter().filter_map(|rule| rule.as_ref().err()) {
        assert!(!told.is_empty());
    }
    let Ok(url) = Url::parse(url) else { return };
    for rule in rules.iter().flatten() {
        let simple = simply(&rule.text, method, &url);
        assert_eq!(rule.allows(method, &url), simple, "`{}` for {method} {url}", rule.text);
        assert!(rule.covers(rule), "`{}` does not cover itself", rule.text);
        if let (true, Some(host), Some(port)) = (simple, url.host_str(), url.port_or_known_default()) {
            assert!(rule.may_allow(method, url.scheme(), host, port), "`{}` for {method} {url}", rule.text);
        }
        granted(rule, method, &url);
    }
    if let [Ok(one), Ok(other)] = &rules {
        for (wide, narrow) in [(one, other), (other, one)] {
            if wide.covers(narrow) {
                let holds = !narrow.allows(method, &url) || wide.allows(method, &url);
                assert!(holds, "`{}` covers `{}` but for {method} {url}", wide.text, narrow.text);
                assert!(wide.private() || !narrow.private());
            }
        }
        // Of a module and its caller each has to agree.
        let both = grant(vec![vec![one.clone()], vec![other.clone()]]);
        let each = one.allows(method, &url) && other.allows(method, &url);
        let private = one.private() && other.private();
        assert_eq!(both.net(method, &url).ok(), each.then_some(private));
        let either = grant(vec![vec![one.clone(), other.clone()]]);
        assert_eq!(either.net(method, &url).is_ok(), one.allows(method, &url) || other.allows(method, &url));
    }
}

fn grant(callers: Vec<Vec<NetRule>>) -> Grant {
    Grant(callers.into_iter().map(|net| Arc::new(Permissions { net, ..Permissions::default() })).collect())
}

fn granted(rule: &NetRule, method: &str, url: &Url) {
    match grant(vec![vec![rule.clone()]]).net(method, url) {
        Ok(private) => {
            assert!(rule.allows(method, url));
            assert_eq!(private, rule.private());
        }
        Err(refusal) => {
            assert!(!rule.allows(method, url));
            let told = format!("{}\n{}", refusal.message, refusal.help);
            // The same of another query and another password.
            let mut other = url.clone();
            other.set_query(url.query().map(|_| "other"));
            if url.password().is_some() {
                let _ = other.set_password(Some("other"));
            }
            let same = grant(vec![vec![rule.clone()]]).net(method, &other);
            assert!(same.is_err_and(|other| format!("{}\n{}", other.message, other.help) == told), "{told}");
            let line =
                refusal.help.strip_prefix("add `").and_then(|rest| rest.strip_suffix("` under `permissions.net`"));
            // A name that ends in two dots is no name; without one of them it may be an address.
            let is_one = !url.host_str().is_some_and(|host| host.ends_with(".."))
                && !method.is_empty()
                && method.bytes().all(|byte| byte.is_ascii_uppercase());
            if let (true, Some(Ok(proposed))) = (is_one, line.map(NetRule::parse)) {
                assert!(proposed.allows(method, url), "`{}` was proposed for {method} {url}", proposed.text);
            }
        }
    }
}

/// Whether a rule that can be parsed allows a request, by its text.
fn simply(rule: &str, method: &str, url: &Url) -> bool {
    let mut words: Vec<&str> = rule.split_whitespace().collect();
    if words.len() > 1 && words.last() == Some(&"private") {
        words.pop();
    }
    let place = words.pop().expect("a rule has a URL");
    let methods_fit = words.iter().all(|methods| methods.split(',').any(|one| one == method));
    let (scheme, rest) = match place.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, place),
    };
    let (authority, path) = match rest.find('/') {
        Some(at) => (&rest[..at], Some(&rest[at..])),
        None => (rest, None),
    };
    // What stands after the last colon is a port, unless that colon stands within brackets.
    let (name, port) = match authority.rfind(':') {
        Some(at) if !authority[at..].contains(']') => (&authority[..at], Some(&authority[at + 1..])),
        _ => (authority, None),
    };
    let Some(host) = url.host_str().map(without_dot) else { return false };
    let host_fits = match name.strip_prefix("*.") {
        // An address is below no name.
        Some(name) => matches!(url.host(), Some(url::Host::Domain(_))) && below(host, &spelt(name)),
        None => spelt(name) == host,
    };
    let here = ["localhost", "[::1]"].contains(&&*spelt(name)) || spelt(name).starts_with("127.") && is_address(name);
    let scheme_fits = match (scheme, url.scheme()) {
        (Some(wanted), given @ ("http" | "https")) => wanted == given,
        (None, "https") => true,
        (None, "http") => here,
        _ => false,
    };
    let given = url.port_or_known_default();
    let port_fits = match port {
        Some("*") => true,
        Some(digits) => digits.parse().ok() == given,
        None => given == Some(if url.scheme() == "https" { 443 } else { 80 }),
    };
    let path_fits = match path {
        None => true,
        // Then it does not matter how anybody reads the path.
        Some(glob) if glob.split('/').skip(1).all(|segment| segment == "**") => true,
        Some(glob) => {
            let wanted: Vec<Segment> = glob.split('/').skip(1).map(segment).collect();
            let given: Option<Vec<Vec<u8>>> = url.path().split('/').skip(1).map(decided).collect();
            given.is_some_and(|given| path_fits(&wanted, &given))
        }
    };
    let anonymous = url.username().is_empty() && url.password().is_none();
    methods_fit && host_fits && scheme_fits && port_fits && path_fits && anonymous
}

fn without_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// A host as URLs spell it.
fn spelt(host: &str) -> String {
    let url = Url::parse(&format!("https://{host}/"));
    url.ok().and_then(|url| url.host_str().map(|host| without_dot(host).to_string())).unwrap_or_default()
}

fn is_address(host: &str) -> bool {
    Url::parse(&format!("https://{host}/")).is_ok_and(|url| matches!(url.host(), Some(url::Host::Ipv4(_))))
}

fn below(host: &str, name: &str) -> bool {
    host.match_indices('.').any(|(at, _)| at > 0 && &host[at + 1..] == name)
}

/// A rule's segment.
enum Segment {
    /// `**`
    Any,
    /// What stands before, between and after its stars, once decoded.
    Pieces(Vec<Vec<u8>>),
}

fn segment(text: &str) -> Segment {
    match text {
        "**" => Segment::Any,
        text => Segment::Pieces(text.split('*').map(|piece| unescaped(piece.as_bytes())).collect()),
    }
}

/// A URL's segment once decoded; `None` where decoding it again and again brings out what divides or climbs, or does not end.
fn decided(segment: &str) -> Option<Vec<u8>> {
    let climbs = segment.split_once(';').is_some_and(|(name, _)| name == "." || name == "..");
    let mut passes = vec![segment.as_bytes().to_vec()];
    while passes.len() <= 8 {
        let last = passes.last().map(Vec::as_slice).unwrap_or_default();
        let next = unescaped(last);
        // A byte that decoding brought out: there are more of it than before.
        let count = |bytes: &[u8], wanted: u8| bytes.iter().filter(|byte| **byte == wanted).count();
        if climbs || b"/\\.\0".iter().any(|byte| count(&next, *byte) > count(last, *byte)) {
            return None;
        }
        if next == last {
            // The program looks at five passes, and refuses what is deeper.
            return (passes.len() <= 5).then(|| passes.swap_remove(1.min(passes.len() - 1)));
        }
        passes.push(next);
    }
    None
}

fn unescaped(mut text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let [first, rest @ ..] = text {
        let pair = rest.get(..2).filter(|pair| *first == b'%' && pair.iter().all(u8::is_ascii_hexdigit));
        match pair.and_then(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                text = &rest[2..];
            }
            None => {
                out.push(*first);
                text = rest;
            }
        }
    }
    out
}

fn path_fits(wanted: &[Segment], given: &[Vec<u8>]) -> bool {
    match wanted.split_first() {
        None => given.is_empty(),
        Some((Segment::Any, rest)) => (0..=given.len()).any(|taken| path_fits(rest, &given[taken..])),
        Some((Segment::Pieces(pieces), rest)) => given
            .split_first()
            .is_some_and(|(segment, others)| segment_fits(pieces, segment) && path_fits(rest, others)),
    }
}

/// The first piece at the start, the last at the end, each of the others as early as it can be.
fn segment_fits(pieces: &[Vec<u8>], mut given: &[u8]) -> bool {
    let [first, inner @ .., last] = pieces else { return pieces.first().is_some_and(|piece| piece == given) };
    // A star that stands alone wants something.
    if inner.is_empty() && first.is_empty() && last.is_empty() {
        return !given.is_empty();
    }
    match given.strip_prefix(first.as_slice()) {
        Some(rest) => given = rest,
        None => return false,
    }
    for piece in inner {
        match (0..=given.len()).find(|at| given[*at..].starts_with(piece)) {
            Some(at) => given = &given[at + piece.len()..],
            None => return false,
        }
    }
    given.ends_with(last)
}
