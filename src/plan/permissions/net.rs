//! Owns rules for the network: `[METHODS ]URL[ private]`, which URLs they allow, and what a refusal says.
//! Deliberately resolves no names: a rule is about the URL as it is spelt.

mod parse;

use super::Refusal;
use super::address;
use super::glob::{Glob, Segment, Token};
use std::net::Ipv4Addr;
use url::{Host, Url};

/// `GET,PUT https://api.example.com/v1/items/**`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetRule {
    /// As written.
    pub text: String,
    /// Upper case; empty: any.
    methods: Vec<String>,
    scheme: SchemeRule,
    host: HostRule,
    port: PortRule,
    /// `None`: any.
    path: Option<Glob>,
    private: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SchemeRule {
    /// Not spelt: https, and for a loopback address also http.
    Safe,
    Http,
    Https,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostRule {
    Exact(String),
    /// `*.example.com`: what stands after the star's dot. Covers any depth, not the name itself, and no addresses.
    Below(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PortRule {
    /// The scheme's own.
    Default,
    Any,
    Exact(u16),
}

/// Bytes of a URL that is shown in a message. Of a longer one the length is told: cut in its middle, half a secret could
/// be left of it.
pub const LONGEST_SHOWN: usize = 1_000;

/// Paths that mean one thing to us and may mean another to a server.
struct Ambiguous;

impl NetRule {
    pub fn parse(text: &str) -> Result<NetRule, String> {
        parse::parse(text)
    }

    pub fn allows(&self, method: &str, url: &Url) -> bool {
        let Some((host, port)) = place(url) else { return false };
        self.methods_fit(method)
            && url.username().is_empty()
            && url.password().is_none()
            && self.place_fits(url.scheme(), &host, port)
            && self.path_fits(url.path())
    }

    /// Whether everything that `other` allows is allowed by this rule too. May say no where it cannot tell.
    pub fn covers(&self, other: &NetRule) -> bool {
        let methods = self.methods.is_empty()
            || !other.methods.is_empty() && other.methods.iter().all(|method| self.methods.contains(method));
        let hosts = match (&self.host, &other.host) {
            (HostRule::Below(suffix), HostRule::Below(longer)) => longer == suffix || is_below(longer, suffix),
            (rule, HostRule::Exact(host)) => rule.fits(host),
            (HostRule::Exact(_), HostRule::Below(_)) => false,
        };
        let places = ["https", "http"].into_iter().filter(|scheme| other.scheme_fits(scheme)).all(|scheme| {
            self.scheme_fits(scheme)
                && (self.port == PortRule::Any
                    || other.port != PortRule::Any && self.port.number(scheme) == other.port.number(scheme))
        });
        let paths = match (&self.path, &other.path) {
            (None, _) => true,
            (Some(glob), _) if glob.is_everything() => true,
            (Some(_), None) => false,
            (Some(glob), Some(narrower)) => glob.covers(narrower),
        };
        methods && hosts && places && paths && (self.private || !other.private)
    }

    /// Whether any URL of this host, port and scheme could be allowed: for rules judged before the path is known.
    pub fn may_allow(&self, method: &str, scheme: &str, host: &str, port: u16) -> bool {
        let host = match Host::parse(host) {
            Ok(host) => spell(host),
            Err(_) => return false,
        };
        self.methods_fit(method) && self.place_fits(scheme, &host, port)
    }

    /// Whether the host's name may resolve to a loopback or private address.
    pub fn private(&self) -> bool {
        self.private
    }

    /// The host as it is compared: lower case and ASCII, after `*.` where it is one.
    pub fn host(&self) -> String {
        match &self.host {
            HostRule::Exact(name) => name.clone(),
            HostRule::Below(suffix) => format!("*.{suffix}"),
        }
    }

    /// Whether it spells a place where a cloud hands out credentials.
    pub fn is_metadata(&self) -> bool {
        let HostRule::Exact(name) = &self.host else { return false };
        let address = name.trim_matches(['[', ']']).parse().ok().and_then(address::kind);
        address::is_metadata_name(name) || matches!(address, Some(address::Kind::Walled(_)))
    }

    /// The ports that it comes to; `None`: any.
    pub fn ports(&self) -> Option<Vec<u16>> {
        let schemes = ["https", "http"].into_iter().filter(|scheme| self.scheme_fits(scheme));
        (self.port != PortRule::Any).then(|| schemes.filter_map(|scheme| self.port.number(scheme)).collect())
    }

    fn methods_fit(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|allowed| allowed == method)
    }

    fn place_fits(&self, scheme: &str, host: &str, port: u16) -> bool {
        self.host.fits(host)
            && self.scheme_fits(scheme)
            && port != 0
            && (self.port == PortRule::Any || self.port.number(scheme) == Some(port))
    }

    fn scheme_fits(&self, scheme: &str) -> bool {
        match (scheme, self.scheme) {
            ("https", SchemeRule::Safe | SchemeRule::Https) | ("http", SchemeRule::Http) => true,
            ("http", SchemeRule::Safe) => matches!(&self.host, HostRule::Exact(host) if is_loopback(host)),
            _ => false,
        }
    }

    fn path_fits(&self, path: &str) -> bool {
        match &self.path {
            None => true,
            Some(glob) if glob.is_everything() => true,
            Some(glob) => segments(path).is_ok_and(|segments| glob.fits(&segments)),
        }
    }
}

impl HostRule {
    fn fits(&self, host: &str) -> bool {
        match self {
            HostRule::Exact(name) => name == host,
            // What gives away a machine's credentials has to be spelt.
            HostRule::Below(suffix) => is_below(host, suffix) && !address::is_metadata_name(host),
        }
    }
}

impl PortRule {
    fn number(self, scheme: &str) -> Option<u16> {
        match (self, scheme) {
            (PortRule::Exact(port), _) => Some(port),
            (PortRule::Default, "https") => Some(443),
            (PortRule::Default, "http") => Some(80),
            _ => None,
        }
    }
}

/// User name and password in a URL end in logs and histories, and `https://known.example@evil.example` deceives.
pub(super) fn no_credentials(url: &Url) -> Result<(), Refusal> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(());
    }
    Err(Refusal {
        message: format!("the URL of {} has a user name or a password in it", url.host_str().unwrap_or("the host")),
        help: "take what stands before the `@` out of the URL and give it as `auth: {basic: {user: …, password: …}}`"
            .into(),
    })
}

/// What a refusal says, and the narrowest rule that would permit it.
pub(super) fn refusal(rules: &[NetRule], method: &str, url: &Url, whose: &str) -> Refusal {
    if let Some(Host::Domain(name)) = url.host()
        && has_empty_label(name)
    {
        return Refusal { message: format!("`{name}` is no name of a host"), help: "mend the URL's host".into() };
    }
    let Some((host, port)) = place(url) else {
        return Refusal {
            message: format!("`{}:` is not permitted: only https, and http where it is spelt", url.scheme()),
            help: "give an `https://` URL".into(),
        };
    };
    if port == 0 {
        return Refusal { message: "nothing listens on port 0".into(), help: "give the URL another port".into() };
    }
    if let Some(Host::Ipv6(other)) = url.host()
        && let Some(address) = address::within(other)
    {
        return Refusal {
            message: format!("{host} is another spelling of {address}, and no rule of `permissions.net` is one for it"),
            help: format!("write {address} in the URL"),
        };
    }
    let scheme = url.scheme();
    let port = if url.port().is_some() { format!(":{port}") } else { String::new() };
    let wanted = format!("{method} {scheme}://{host}{port}");
    let of_host: Vec<&NetRule> = rules.iter().filter(|rule| rule.host.fits(&host)).collect();
    let ambiguous = segments(url.path()).is_err();
    let why = if of_host.is_empty() {
        "which names no such host"
    } else if ambiguous && of_host.iter().any(|rule| rule.methods_fit(method) && !rule.path_fits(url.path())) {
        "since a slash, a backslash or a dot is hidden in its path (such as `%2F`), which servers read in different ways"
    } else if !of_host.iter().any(|rule| rule.scheme_fits(scheme)) {
        "where the host stands with another scheme"
    } else if !of_host.iter().any(|rule| rule.methods_fit(method)) {
        "where the host stands with other methods"
    } else {
        "where the host stands with other methods, ports or paths"
    };
    if wanted.len() + url.path().len() > LONGEST_SHOWN {
        let length = url.as_str().chars().count();
        return Refusal {
            message: format!("a URL of {length} characters is not permitted by `permissions.net`{whose}, {why}"),
            help: "look at who gives it: it is too long to be shown".into(),
        };
    }
    let path = if ambiguous { "" } else { url.path() };
    Refusal {
        message: format!("`{wanted}{}` is not permitted by `permissions.net`{whose}, {why}", url.path()),
        help: format!("add `{wanted}{path}` under `permissions.net`"),
    }
}

/// Host (as rules spell it) and port of an http or https URL.
fn place(url: &Url) -> Option<(String, u16)> {
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let host = url.host()?;
    if matches!(host, Host::Domain(name) if has_empty_label(name)) {
        return None;
    }
    Some((spell(host.to_owned()), url.port_or_known_default()?))
}

/// Two dots in a row, or one at the beginning: no name is so, and who reads it may take it for another.
fn has_empty_label(name: &str) -> bool {
    name.strip_suffix('.').unwrap_or(name).split('.').any(str::is_empty)
}

/// One spelling for each host: lower case and ASCII (which parsing saw to), no dot at the end, IPv6 in brackets.
fn spell(host: Host<String>) -> String {
    match host {
        Host::Domain(name) => name.strip_suffix('.').unwrap_or(&name).to_string(),
        address => address.to_string(),
    }
}

fn is_below(host: &str, suffix: &str) -> bool {
    let is_name = !host.starts_with('[') && host.parse::<Ipv4Addr>().is_err();
    is_name && host.strip_suffix(suffix).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// The segments of a URL's path, decoded once.
///
/// Refused where decoding brings out a slash, a backslash or a dot, once or twice over, or where a parameter hides
/// `..`: servers and the proxies before them differ on whether `/public/..%2fadmin` or `/public/..;/admin` is below
/// `/public`.
fn segments(path: &str) -> Result<Vec<Vec<u8>>, Ambiguous> {
    path.trim_start_matches(|c| c != '/').split('/').skip(1).map(segment).collect()
}

fn segment(text: &str) -> Result<Vec<u8>, Ambiguous> {
    /// Deeper than any server decodes.
    const PASSES: usize = 4;
    let name = text.split(';').next().unwrap_or_default();
    if text.contains(';') && matches!(name, "" | "." | "..") {
        return Err(Ambiguous);
    }
    let once = decode(text.as_bytes())?;
    let mut again = once.clone();
    for _ in 0..PASSES {
        let next = decode(&again)?;
        if next == again {
            return if is_disguised(&again) { Err(Ambiguous) } else { Ok(once) };
        }
        again = next;
    }
    Err(Ambiguous)
}

/// Whether some servers take it for a slash, a backslash or a dot that it is not: in overlong UTF-8, as `%uXXXX`, or as a
/// look-alike that Unicode's compatibility forms make one of.
fn is_disguised(bytes: &[u8]) -> bool {
    let overlong = |pair: &[u8]| matches!(pair, [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f]);
    let escaped =
        |part: &[u8]| matches!(part, [b'%', b'u' | b'U', rest @ ..] if rest.iter().all(u8::is_ascii_hexdigit));
    let look_alikes = ['\u{ff0e}', '\u{ff0f}', '\u{ff3c}', '\u{2024}', '\u{2025}', '\u{2026}'];
    bytes.iter().any(|byte| matches!(byte, 0xc0 | 0xc1))
        || bytes.windows(2).any(overlong)
        || bytes.windows(6).any(escaped)
        || String::from_utf8_lossy(bytes).contains(look_alikes)
}

fn decode(text: &[u8]) -> Result<Vec<u8>, Ambiguous> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let hex = |index: usize| text.get(index).and_then(|byte| char::from(*byte).to_digit(16));
        match (text[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                let byte = (high * 16 + low) as u8;
                if matches!(byte, b'/' | b'\\' | b'.' | 0) {
                    return Err(Ambiguous);
                }
                decoded.push(byte);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    Ok(decoded)
}

/// A rule's path: `*` and `**` as they stand, anything else as the URL would have it decoded.
fn path_glob(path: &str) -> Result<Glob, String> {
    let mut parts = Vec::new();
    for part in path.split('/').skip(1) {
        if part == "**" {
            if parts.last() != Some(&Segment::Any) {
                parts.push(Segment::Any);
            }
            continue;
        }
        if part.contains("**") {
            return Err("`**` has to stand alone between slashes".into());
        }
        if part.contains('\\') || matches!(part, "." | "..") {
            return Err("a path has neither backslashes nor `.` and `..`".into());
        }
        let mut tokens = Vec::new();
        for (index, literal) in part.split('*').enumerate() {
            if index > 0 {
                tokens.push(Token::Star);
            }
            let bytes = segment(literal)
                .map_err(|Ambiguous| "a path has no encoded slashes, backslashes or dots".to_string())?;
            tokens.extend(bytes.into_iter().map(Token::Byte));
        }
        parts.push(Segment::Like(tokens));
    }
    Ok(Glob::new(parts))
}
