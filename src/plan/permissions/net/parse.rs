//! Owns reading a net rule's text: methods, scheme, host, port, path, `private`.
//! Deliberately refuses what would never match, so that a mistake does not look like a permission.

use super::super::address;
use super::{HostRule, NetRule, PortRule, SchemeRule, has_empty_label, path_glob, spell};
use url::Host;

const EXAMPLE: &str = "write it as `GET,PUT https://api.example.com/v1/items/**`";

pub(super) fn parse(text: &str) -> Result<NetRule, String> {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    let private = words.len() > 1 && words.last() == Some(&"private");
    if private {
        words.pop();
    }
    let (methods, place) = match words[..] {
        [] => return Err(format!("a rule is empty: {EXAMPLE}")),
        [place] if is_method(place) => return Err(format!("`{text}` has no URL: {EXAMPLE}")),
        [place] => (Vec::new(), place),
        [methods, place] => (parse_methods(methods)?, place),
        _ => {
            return Err(format!(
                "`{text}` is not `METHODS URL` (methods are separated by commas without spaces): {EXAMPLE}"
            ));
        }
    };
    if text.contains(char::is_control) {
        return Err(format!("`{}` has a control character in it", text.escape_debug()));
    }
    let (scheme, rest) = match place.split_once("://") {
        Some(("https", rest)) => (SchemeRule::Https, rest),
        Some(("http", rest)) => (SchemeRule::Http, rest),
        Some((other, _)) => return Err(format!("`{other}://` is no scheme of a rule: only `https://` and `http://`")),
        None => (SchemeRule::Safe, place),
    };
    if rest.contains(['?', '#']) {
        return Err(format!("`{text}` has a query or a fragment, which a rule does not judge: end it before them"));
    }
    let (authority, path) = match rest.find('/') {
        Some(at) => (&rest[..at], Some(&rest[at..])),
        None => (rest, None),
    };
    if authority.contains('@') {
        return Err("a rule has no user name and no password: take out what stands before the `@`".into());
    }
    let (host, port) = parse_authority(authority)?;
    let path = path.map(path_glob).transpose().map_err(|why| format!("in `{text}`, {why}"))?;
    Ok(NetRule { text: text.to_string(), methods, scheme, host: parse_host(host)?, port, path, private })
}

fn parse_methods(text: &str) -> Result<Vec<String>, String> {
    text.split(',')
        .map(|method| match is_method(method) {
            true => Ok(method.to_string()),
            false if is_method(&method.to_ascii_uppercase()) => {
                Err(format!("write the method `{method}` in upper case: `{}`", method.to_ascii_uppercase()))
            }
            false => Err(format!("`{method}` is no method: {EXAMPLE}")),
        })
        .collect()
}

fn is_method(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
}

fn parse_authority(text: &str) -> Result<(&str, PortRule), String> {
    let (host, port) = match text.rsplit_once(':') {
        // A colon within the brackets of an IPv6 address.
        Some((_, after)) if after.ends_with(']') => (text, None),
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let port = match port {
        None => PortRule::Default,
        Some("*") => PortRule::Any,
        Some(digits) => match digits.parse::<u16>() {
            Ok(port) if port > 0 && digits.bytes().all(|byte| byte.is_ascii_digit()) => PortRule::Exact(port),
            _ => return Err(format!("`{digits}` is no port: give a number, or `*` for any")),
        },
    };
    Ok((host, port))
}

fn parse_host(text: &str) -> Result<HostRule, String> {
    let (is_wild, name) = match text.strip_prefix("*.") {
        Some(name) => (true, name),
        None => (false, text),
    };
    if name.contains('*') {
        return Err(format!("`{text}`: in a host, `*` may only stand first, as in `*.example.com`"));
    }
    if name.contains('%') {
        return Err(format!("`{text}`: a host is written as it is, without `%`"));
    }
    let no_host = |_| format!("`{text}` is no host: {EXAMPLE}");
    match (is_wild, Host::parse(name).map_err(no_host)?) {
        (false, host) => {
            // Whoever reviews a rule must see which address it is.
            match &host {
                Host::Ipv4(address) if address.to_string() != name => {
                    return Err(format!("`{text}` is another spelling of {address}: write it so"));
                }
                Host::Ipv6(other) => {
                    if let Some(address) = address::within(*other) {
                        return Err(format!("`{text}` is another spelling of {address}: write it so"));
                    }
                }
                Host::Domain(name) if has_empty_label(name) => return Err(no_host(url::ParseError::EmptyHost)),
                Host::Domain(_) | Host::Ipv4(_) => {}
            }
            Ok(HostRule::Exact(spell(host)))
        }
        (true, Host::Domain(name)) if has_empty_label(&name) => Err(no_host(url::ParseError::EmptyHost)),
        (true, host @ Host::Domain(_)) => Ok(HostRule::Below(spell(host))),
        (true, _) => Err(format!("`{text}`: `*.` goes with a name, not with an address")),
    }
}
