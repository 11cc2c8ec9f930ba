//! Owns the hosts of a world file: names, routes, forwards.
//! Deliberately knows nothing of requests; `play` asks the fakes.

use super::document::{self, Forward};
use super::route::Pattern;
use super::scene::Reader;
use crate::diagnostic::Diagnostic;
use crate::playbook::document::Named;
use crate::query::Program;
use crate::source::{Part, Place};

/// What plays a host.
pub enum Host {
    /// Tried in order.
    Fakes(Vec<Fake>),
    /// A server on loopback.
    Forward(url::Url),
}

pub struct Fake {
    /// As it was written: `METHOD /path`.
    pub route: String,
    pub pattern: Pattern,
    pub answer: Program,
}

/// Reads `hosts`.
pub fn read(reader: &mut Reader, hosts: Named<document::Host>, place: &Place) -> Named<Host> {
    let mut read: Named<Host> = Named::new();
    for (name, written) in hosts {
        let place = place.key(&name);
        let lower = name.to_ascii_lowercase();
        if !is_host(&lower) {
            let help = "write the name alone, or `name:port`: `api.example.com`, `internal:8443`";
            let message = format!("`{name}` is not the name of a host");
            reader.found.push(Diagnostic::error("bad-host", message, &place).at(Part::Key).help(help));
        } else if read.contains_key(&lower) {
            let message = format!("host `{lower}` is there twice");
            reader.found.push(Diagnostic::error("bad-host", message, &place).at(Part::Key));
        }
        let host = match written {
            document::Host::Forward(Forward { forward: text }) => forward(reader, &text, &place.key("forward")),
            document::Host::Routes(map) => Some(Host::Fakes(fakes(reader, [(map, place)]))),
            document::Host::List(list) => {
                let maps = list.into_iter().enumerate().map(|(at, map)| (map, place.index(at)));
                Some(Host::Fakes(fakes(reader, maps)))
            }
        };
        if let Some(host) = host {
            read.insert(lower, host);
        }
    }
    read
}

fn fakes(reader: &mut Reader, maps: impl IntoIterator<Item = (Named<String>, Place)>) -> Vec<Fake> {
    let mut fakes: Vec<Fake> = Vec::new();
    let routes = maps.into_iter().flat_map(|(map, place)| {
        map.into_iter().map(move |(route, text)| {
            let place = place.key(&route);
            (route, text, place)
        })
    });
    for (route, text, place) in routes {
        let answer = reader.jq(&text, &place);
        let mut wrong =
            |code, message: String| reader.found.push(Diagnostic::error(code, message, &place).at(Part::Key));
        let pattern = match Pattern::parse(&route) {
            Ok(pattern) => pattern,
            Err(message) => {
                wrong("bad-route", message);
                continue;
            }
        };
        if let Some(Fake { route: earlier, .. }) = fakes.iter().find(|earlier| earlier.pattern.same_as(&pattern)) {
            let message = format!("route `{route}` is never asked: `{earlier}` before it takes all its requests");
            wrong("unreachable-route", message);
        }
        if let Some(answer) = answer {
            fakes.push(Fake { route, pattern, answer });
        }
    }
    fakes
}

fn forward(reader: &mut Reader, text: &str, place: &Place) -> Option<Host> {
    let url = url::Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.host().is_some());
    let mistake = match &url {
        None => {
            let message = format!("`{text}` is not a URL of the form `http://127.0.0.1:PORT`");
            Diagnostic::error("bad-forward", message, place)
        }
        Some(url) if !is_loopback(url) => {
            let help = "let a server on this machine stand in: `http://127.0.0.1:PORT`";
            Diagnostic::error("bad-forward", "only loopback may be forwarded to", place).help(help)
        }
        Some(url) if url.path() != "/" || url[url::Position::AfterPath..] != *"" || url.authority() != address(url) => {
            let message = "a forward has a host and a port only: paths are passed on as they are";
            Diagnostic::error("bad-forward", message, place)
        }
        Some(_) => return url.map(Host::Forward),
    };
    reader.found.push(mistake);
    None
}

/// Host and port, without a user's name.
fn address(url: &url::Url) -> &str {
    &url[url::Position::BeforeHost..url::Position::AfterPort]
}

fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// `name`, `name:port`, and the same of an IPv6 literal in brackets.
fn is_host(text: &str) -> bool {
    let authority = url::Url::parse(&format!("http://{text}/"));
    let plain = !text.contains(['/', '?', '#', '@', '\\', '%', '*', ' ']) && !text.ends_with(':');
    plain && authority.is_ok_and(|url| url.path() == "/" && url.host_str().is_some_and(|host| text.starts_with(host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_with_or_without_a_port() {
        for good in ["api.example.com", "internal:8443", "127.0.0.1:80", "[::1]:8080", "my_host"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "https://a", "a/b", "a:b", "a:", "*.a.com", "u@a", "a b", "a:99999"] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
